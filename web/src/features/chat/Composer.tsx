import { ArrowUp, Paperclip, Square } from 'lucide-react'
import {
  type DragEvent,
  type KeyboardEvent,
  type Ref,
  useEffect,
  useImperativeHandle,
  useRef,
  useState,
} from 'react'
import type { Problem } from '../../api/types'
import { IconButton, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { isTyping } from '../../lib/typing'
import { PendingChips, useAttachments } from './Attachments'
import { IndexPicker, ModelPicker } from './Pickers'
import { SamplingPanel } from './SamplingPanel'

export interface ComposerHandle {
  fill: (text: string) => void
}

interface ComposerProps {
  label: string
  /** Resolves when the server has the message; the text stays when it refuses. */
  onSend: (text: string, attachments: string[]) => Promise<unknown>
  /** Present while an answer runs. */
  onStop?: () => void
  /** Whether that answer was told to stop. */
  stopping?: boolean
  lastMessage?: string | null
  busy: boolean
  problem: Problem | null
  ref?: Ref<ComposerHandle>
}

export function Composer(props: ComposerProps) {
  const { label, onSend, onStop, stopping = false, lastMessage, busy, problem, ref } = props
  const words = useWords('chat')
  const [text, setText] = useState('')
  const area = useRef<HTMLTextAreaElement>(null)
  const chooser = useRef<HTMLInputElement>(null)
  const files = useAttachments()
  const [over, setOver] = useState(false)

  useEffect(() => {
    // The page comes in late; the menu or the field that the person has gone to meanwhile keeps the focus.
    const occupied =
      isTyping(document.activeElement) || document.querySelector('[aria-expanded="true"], dialog[open]')
    if (!occupied && matchMedia('(pointer: fine)').matches) area.current?.focus()
  }, [])

  const fill = (to: string) => {
    setText(to)
    area.current?.focus()
    requestAnimationFrame(() => area.current?.setSelectionRange(to.length, to.length))
  }
  useImperativeHandle(ref, () => ({ fill }))

  const ready = text.trim() !== '' && !busy && !onStop && !files.uploading
  const send = async () => {
    if (!ready) return
    try {
      await onSend(text.trim(), files.ids)
      setText('')
      files.clear()
    } catch {
      // The problem is shown above the composer, and the text is still in it.
    }
  }
  // Enter while an answer is stopping: the message is sent when it has stopped, unless it is changed before.
  const [due, setDue] = useState<string | null>(null)
  const submit = () => (stopping ? setDue(text) : send())
  // biome-ignore lint/correctness/useExhaustiveDependencies: `send` is of the same moment as the rest.
  useEffect(() => {
    if (due === null || (stopping && due === text)) return
    setDue(null)
    if (due === text) send()
  }, [due, stopping, text])
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter that finishes a Korean syllable is not Enter.
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      submit()
    }
    if (event.key === 'ArrowUp' && text === '' && lastMessage) {
      event.preventDefault()
      fill(lastMessage)
    }
  }

  const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes('Files')
  const onDrop = (event: DragEvent) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    setOver(false)
    files.add(event.dataTransfer.files)
  }

  return (
    <div className="mx-auto w-full max-w-3xl px-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] sm:px-4">
      {problem && <ProblemNote problem={problem} className="mb-2" />}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          submit()
        }}
        onDragOver={(event) => {
          if (!hasFiles(event)) return
          event.preventDefault()
          setOver(true)
        }}
        onDragLeave={() => setOver(false)}
        onDrop={onDrop}
        className={`relative rounded-2xl border bg-surface shadow-pop focus-within:border-accent ${over ? 'border-accent' : 'border-line-strong'}`}
      >
        {over && (
          <p className="pointer-events-none absolute inset-0 z-10 grid place-items-center rounded-2xl bg-accent-soft text-sm font-medium text-accent">
            {words.attach.drop}
          </p>
        )}
        {files.pending.length > 0 && <PendingChips pending={files.pending} onRemove={files.remove} />}
        <textarea
          ref={area}
          id="composer"
          rows={1}
          aria-label={label}
          placeholder={words.chat.placeholder}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
          onPaste={(event) => {
            if (event.clipboardData.files.length === 0) return
            event.preventDefault()
            files.add(event.clipboardData.files)
          }}
          className="field-sizing-content block max-h-[40dvh] min-h-12 w-full resize-none bg-transparent px-4 pt-3 pb-1 outline-none"
        />
        <div className="flex items-center gap-1 p-2">
          <IconButton label={words.attach.add} className="size-9!" onClick={() => chooser.current?.click()}>
            <Paperclip aria-hidden />
          </IconButton>
          <input
            ref={chooser}
            type="file"
            multiple
            hidden
            aria-label={words.attach.add}
            onChange={(event) => {
              files.add(event.target.files ?? [])
              event.target.value = ''
            }}
          />
          <ModelPicker />
          <IndexPicker />
          <SamplingPanel />
          <div className="ms-auto">
            {onStop ? (
              <button
                type="button"
                onClick={onStop}
                aria-label={words.chat.stop}
                title={`${words.chat.stop} (Esc)`}
                className="grid size-9 place-items-center rounded-xl bg-ink text-bg hover:opacity-85"
              >
                <Square className="size-3.5 fill-current" aria-hidden />
              </button>
            ) : (
              <button
                type="submit"
                disabled={!ready}
                aria-label={words.chat.send}
                title={words.chat.hint}
                className="grid size-9 place-items-center rounded-xl bg-accent text-on-accent transition-colors hover:bg-accent-hover disabled:bg-hover disabled:text-ink-3"
              >
                <ArrowUp className="size-5" aria-hidden />
              </button>
            )}
          </div>
        </div>
      </form>
    </div>
  )
}
