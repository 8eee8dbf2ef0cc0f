import { Check } from 'lucide-react'
import { type ReactNode, type Ref, useEffect, useId, useRef, useState } from 'react'

interface PopoverProps {
  /** The button's accessible name. */
  label: string
  trigger: ReactNode
  className?: string
  panelClass?: string
  role?: 'dialog' | 'menu' | 'listbox'
  children: (close: () => void) => ReactNode
}

/** A button that opens a panel beside it; Esc, a click elsewhere and the panel itself close it. */
export function Popover({
  label,
  trigger,
  className = '',
  panelClass = '',
  role = 'dialog',
  children,
}: PopoverProps) {
  const [open, setOpen] = useState(false)
  const root = useRef<HTMLDivElement>(null)
  const panel = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const id = useId()

  useEffect(() => {
    if (!open) return
    const selected = '[aria-selected="true"], [role="menuitem"], [role="option"], input, button'
    panel.current?.querySelector<HTMLElement>(selected)?.focus()
    const elsewhere = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false)
    }
    document.addEventListener('pointerdown', elsewhere)
    document.addEventListener('focusin', elsewhere)
    return () => {
      document.removeEventListener('pointerdown', elsewhere)
      document.removeEventListener('focusin', elsewhere)
    }
  }, [open])

  const close = () => {
    setOpen(false)
    button.current?.focus()
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (!open) return
    if (event.key === 'Escape') {
      event.stopPropagation()
      event.preventDefault()
      close()
    }
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const items = [
        ...(panel.current?.querySelectorAll<HTMLElement>('[role="menuitem"], [role="option"]') ?? []),
      ]
      const at = items.indexOf(document.activeElement as HTMLElement)
      const step = event.key === 'ArrowDown' ? 1 : -1
      if (items.length === 0) return
      event.preventDefault()
      items[(at + step + items.length) % items.length]?.focus()
    }
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys bubble up here from the button and the panel.
    <div ref={root} className="relative" onKeyDown={onKeyDown}>
      <button
        ref={button}
        type="button"
        aria-label={label}
        title={label}
        aria-haspopup={role}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        className={className}
        onClick={() => setOpen(!open)}
      >
        {trigger}
      </button>
      {open && (
        // biome-ignore lint/a11y/useAriaPropsSupportedByRole: each of the three roles takes a label.
        <div
          ref={panel}
          id={id}
          role={role}
          aria-label={label}
          // A click beside its items leaves the focus in it.
          tabIndex={-1}
          className={`absolute z-30 max-h-[min(26rem,60dvh)] overflow-auto rounded-xl border border-line bg-surface p-1 shadow-pop ${panelClass}`}
        >
          {children(close)}
        </div>
      )}
    </div>
  )
}

const row =
  'flex w-full items-start gap-2 rounded-lg px-2.5 py-2 text-start text-sm hover:bg-hover focus-visible:bg-hover focus-visible:outline-offset-[-2px]'

export function MenuItem({
  icon,
  danger,
  children,
  onSelect,
  ref,
}: {
  icon?: ReactNode
  danger?: boolean
  children: ReactNode
  onSelect: () => void
  ref?: Ref<HTMLButtonElement>
}) {
  return (
    <button
      ref={ref}
      type="button"
      role="menuitem"
      tabIndex={-1}
      onClick={onSelect}
      className={`${row} items-center! [&_svg]:size-4 ${danger ? 'text-danger' : ''}`}
    >
      {icon}
      {children}
    </button>
  )
}

export function Option({
  selected,
  title,
  text,
  badge,
  onSelect,
}: {
  selected: boolean
  title: ReactNode
  text?: ReactNode
  badge?: ReactNode
  onSelect: () => void
}) {
  return (
    <button
      type="button"
      role="option"
      tabIndex={-1}
      aria-selected={selected}
      onClick={onSelect}
      className={row}
    >
      <Check className={`mt-0.5 size-4 shrink-0 text-accent ${selected ? '' : 'invisible'}`} aria-hidden />
      <span className="min-w-0 flex-1">
        <span className="flex items-center gap-2 font-medium">
          <span className="truncate">{title}</span>
          {badge}
        </span>
        {text && <span className="line-clamp-2 text-xs text-ink-3">{text}</span>}
      </span>
    </button>
  )
}
