import { Check, Copy, LoaderCircle, TriangleAlert, X } from 'lucide-react'
import {
  type ComponentProps,
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react'
import type { Problem } from '../api/types'
import { useWords } from '../lib/i18n'

const looks = {
  primary: 'bg-accent text-on-accent hover:bg-accent-hover',
  plain: 'border border-line bg-surface text-ink hover:bg-hover',
  ghost: 'text-ink-2 hover:bg-hover hover:text-ink',
  danger: 'border border-line bg-surface text-danger hover:bg-danger-soft',
}

type ButtonProps = ComponentProps<'button'> & { look?: keyof typeof looks; busy?: boolean }

export function Button({ look = 'plain', busy = false, className = '', children, ...props }: ButtonProps) {
  return (
    <button
      type="button"
      {...props}
      disabled={props.disabled || busy}
      className={`inline-flex min-h-9 items-center justify-center gap-2 rounded-lg px-3 py-1 text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-50 [&_svg]:size-4 [&_svg]:shrink-0 ${looks[look]} ${className}`}
    >
      {busy && <LoaderCircle className="animate-spin" aria-hidden />}
      {children}
    </button>
  )
}

type IconButtonProps = ComponentProps<'button'> & { label: string }

/** A button that shows only an icon; `label` is its name and its tooltip. */
export function IconButton({ label, className = '', ...props }: IconButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...props}
      className={`inline-grid size-8 shrink-0 place-items-center rounded-lg text-ink-2 transition-colors hover:bg-hover hover:text-ink disabled:opacity-40 aria-pressed:bg-accent-soft aria-pressed:text-accent [&_svg]:size-4 ${className}`}
    />
  )
}

export function CopyButton({
  text,
  label,
  className = '',
}: {
  text: string
  label?: string
  className?: string
}) {
  const words = useWords()
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 1600)
    return () => clearTimeout(timer)
  }, [copied])
  return (
    <>
      <IconButton
        label={copied ? words.common.copied : (label ?? words.common.copy)}
        className={className}
        onClick={() => copy(text).then(setCopied)}
      >
        {copied ? <Check className="text-good" aria-hidden /> : <Copy aria-hidden />}
      </IconButton>
      <span className="sr-only" role="status">
        {copied ? words.common.copied : ''}
      </span>
    </>
  )
}

/** Whether `text` is now on the clipboard. Over plain HTTP browsers offer only the old way. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.style.position = 'fixed'
    // Inside an open dialog nothing outside it can be focused.
    const host = document.querySelector('dialog[open]') ?? document.body
    host.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

interface DialogProps {
  title: ReactNode
  onClose: () => void
  children: ReactNode
  actions?: ReactNode
  /** The dialog's widest width in rem. */
  width?: number
  /** Whether it stands at the end of the window, from top to bottom. */
  side?: boolean
}

/** A modal dialog while it is rendered; Esc, the backdrop and the cross call `onClose`. */
export function Dialog({ title, onClose, children, actions, width = 30, side = false }: DialogProps) {
  const words = useWords()
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = ref.current
    if (!dialog?.open) dialog?.showModal()
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the click is only on the backdrop, and Esc does the same.
    <dialog
      ref={ref}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === event.currentTarget && ref.current?.close()}
      className={`w-[calc(100vw-1.5rem)] overflow-hidden border border-line bg-surface text-ink shadow-pop ${side ? 'my-0 me-0 h-dvh max-h-none rounded-s-2xl' : 'max-h-[calc(100dvh-2rem)] rounded-2xl'}`}
      style={{ maxWidth: `${width}rem` }}
    >
      <div className={`flex flex-col ${side ? 'h-full' : 'max-h-[calc(100dvh-2rem)]'}`}>
        <header className="flex items-start gap-3 px-5 pt-4 pb-3">
          <h2 id={id} className="min-w-0 flex-1 pt-1 text-base leading-snug font-semibold">
            {title}
          </h2>
          <IconButton label={words.common.close} onClick={() => ref.current?.close()}>
            <X aria-hidden />
          </IconButton>
        </header>
        <div className="min-h-0 flex-1 overflow-auto px-5 pb-5">{children}</div>
        {actions && (
          <footer className="flex justify-end gap-2 border-t border-line px-5 py-3">{actions}</footer>
        )}
      </div>
    </dialog>
  )
}

interface ConfirmProps {
  title: string
  text: string
  action: string
  busy?: boolean
  error?: Problem | null
  onConfirm: () => void
  onClose: () => void
}

export function Confirm({ title, text, action, busy = false, error, onConfirm, onClose }: ConfirmProps) {
  const words = useWords()
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{words.common.cancel}</Button>
          <Button look="danger" busy={busy} onClick={onConfirm}>
            {action}
          </Button>
        </>
      }
    >
      <p className="text-ink-2">{text}</p>
      {error && <ProblemNote problem={error} className="mt-3" />}
    </Dialog>
  )
}

/** What went wrong and what to do about it, with an optional way to try again. */
export function ProblemNote({
  problem,
  onRetry,
  className = '',
}: {
  problem: Problem
  onRetry?: () => void
  className?: string
}) {
  const words = useWords()
  return (
    <div
      role="alert"
      className={`flex flex-wrap items-start gap-3 rounded-xl bg-danger-soft px-4 py-3 text-sm ${className}`}
    >
      <TriangleAlert className="mt-0.5 size-4 shrink-0 text-danger" aria-hidden />
      <div className="min-w-0 flex-1 break-words">
        <p className="font-medium text-danger">{problem.message}</p>
        {problem.fix && <p className="mt-0.5 text-ink-2">{problem.fix}</p>}
      </div>
      {onRetry && <Button onClick={onRetry}>{words.common.retry}</Button>}
    </div>
  )
}

interface TabsProps<Name extends string> {
  label: string
  tabs: { name: Name; text: ReactNode }[]
  chosen: Name
  onChoose: (name: Name) => void
}

/** A row of views to choose from; the arrow keys go from one to the next. */
export function Tabs<Name extends string>({ label, tabs, chosen, onChoose }: TabsProps<Name>) {
  const row = useRef<HTMLDivElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: whatever is chosen, also by an address, is brought into view.
  useLayoutEffect(() => {
    const { current: box } = row
    const tab = box?.querySelector<HTMLElement>('[aria-selected="true"]')
    if (!box || !tab) return
    const bring = () => {
      // Not scrollIntoView: that would scroll the page as well.
      const before = tab.offsetLeft - box.scrollLeft
      if (before < 0 || before + tab.offsetWidth > box.clientWidth)
        box.scrollLeft = tab.offsetLeft - (box.clientWidth - tab.offsetWidth) / 2
    }
    bring()
    // Also where the window becomes narrower.
    const observer = new ResizeObserver(bring)
    observer.observe(box)
    return () => observer.disconnect()
  }, [chosen])
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    event.preventDefault()
    const at = (tabs.findIndex(({ name }) => name === chosen) + step + tabs.length) % tabs.length
    onChoose((tabs[at] as (typeof tabs)[number]).name)
    row.current?.querySelectorAll<HTMLElement>('[role="tab"]')[at]?.focus()
  }
  return (
    <div
      ref={row}
      role="tablist"
      aria-label={label}
      onKeyDown={onKeyDown}
      className="relative flex gap-1 overflow-x-auto border-b border-line"
    >
      {tabs.map(({ name, text }) => (
        <button
          key={name}
          type="button"
          role="tab"
          aria-selected={chosen === name}
          tabIndex={chosen === name ? 0 : -1}
          onClick={() => onChoose(name)}
          className="min-h-10 shrink-0 border-b-2 border-transparent px-3 text-sm text-ink-2 hover:text-ink focus-visible:outline-offset-[-2px] aria-selected:border-accent aria-selected:font-medium aria-selected:text-ink"
        >
          {text}
        </button>
      ))}
    </div>
  )
}

const tones = {
  neutral: 'bg-sunken text-ink-2',
  accent: 'bg-accent-soft text-accent',
  good: 'bg-good-soft text-good',
  warn: 'bg-warn-soft text-warn',
  danger: 'bg-danger-soft text-danger',
}
export type Tone = keyof typeof tones

export function Badge({ tone = 'neutral', children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center gap-1 rounded-full px-2 py-0.5 text-xs font-medium whitespace-nowrap ${tones[tone]}`}
    >
      {children}
    </span>
  )
}

/** A progress bar; without `value` (0 to 1) it only says that something moves. */
export function Progress({ value, label }: { value?: number | undefined; label: string }) {
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value === undefined ? undefined : Math.round(value * 100)}
      className="h-1.5 overflow-hidden rounded-full bg-hover"
    >
      {value === undefined ? (
        <div className="h-full w-2/5 animate-[slide_1.6s_ease-in-out_infinite] rounded-full bg-accent" />
      ) : (
        <div
          className="h-full rounded-full bg-accent transition-[width] duration-300"
          style={{ width: `${Math.min(1, Math.max(0, value)) * 100}%` }}
        />
      )}
    </div>
  )
}

/** Placeholder lines of the given widths (percent), shaped like the text to come. */
export function Skeleton({ widths = [90, 75, 82] }: { widths?: number[] }) {
  const words = useWords()
  return (
    <div className="flex flex-col gap-3" role="status" aria-label={words.app.loading}>
      {widths.map((width, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines have no identity beyond their place.
        <div key={line} className="skeleton h-4" style={{ width: `${width}%` }} />
      ))}
    </div>
  )
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child.
    <label className="flex flex-col gap-1 text-sm">
      <span className="font-medium">{label}</span>
      {children}
      {hint && <span className="text-xs text-ink-3">{hint}</span>}
    </label>
  )
}

/** The frame of every page but the chat: a heading, one sentence, actions, and a readable column. */
export function Page({
  title,
  text,
  actions,
  wide = false,
  children,
}: {
  title: ReactNode
  text?: ReactNode
  actions?: ReactNode
  /** Whether it may be wider than a readable column. */
  wide?: boolean
  children: ReactNode
}) {
  return (
    <div className="h-full overflow-auto">
      <div
        className={`mx-auto flex w-full flex-col gap-6 px-4 py-6 sm:px-8 sm:py-10 ${wide ? 'max-w-[100rem]' : 'max-w-5xl'}`}
      >
        <header className="flex flex-wrap items-end gap-x-6 gap-y-3">
          <div className="min-w-0 flex-[1_1_16rem]">
            <h1 className="text-2xl font-semibold tracking-tight">{title}</h1>
            {text && <p className="mt-1 text-ink-2">{text}</p>}
          </div>
          {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
        </header>
        {children}
      </div>
    </div>
  )
}
