import { Pencil } from 'lucide-react'
import { type KeyboardEvent, memo, useState } from 'react'
import type { Turn } from '../../api/types'
import { Button, CopyButton, IconButton } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { AttachmentChips } from './Attachments'
import { Siblings } from './Siblings'

interface UserTurnProps {
  turn: Turn
  /** Asks the edited question beside this one; absent while an answer is being written. */
  onEdit?: ((turn: Turn, text: string) => Promise<unknown>) | undefined
  onShow?: ((turn: string) => void) | undefined
}

export const UserTurn = memo(function UserTurn({ turn, onEdit, onShow }: UserTurnProps) {
  const words = useWords('chat')
  const [editing, setEditing] = useState(false)
  return (
    <article aria-label={words.chat.you} className="group flex flex-col items-end gap-1">
      {turn.attachments.length > 0 && <AttachmentChips attachments={turn.attachments} />}
      {editing ? (
        <Editor
          text={turn.content}
          onCancel={() => setEditing(false)}
          onSave={async (text) => {
            await onEdit?.(turn, text)
            setEditing(false)
          }}
        />
      ) : (
        <>
          <div className="max-w-[min(40rem,90%)] rounded-2xl rounded-ee-md bg-hover px-4 py-2.5 break-words whitespace-pre-wrap">
            {turn.content}
          </div>
          <div className="flex min-h-8 items-center">
            <div className="flex transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 md:opacity-0">
              <CopyButton text={turn.content} />
              {onEdit && (
                <IconButton label={words.chat.edit} onClick={() => setEditing(true)}>
                  <Pencil aria-hidden />
                </IconButton>
              )}
            </div>
            <Siblings turn={turn} onShow={onShow} />
          </div>
        </>
      )}
    </article>
  )
})

interface EditorProps {
  text: string
  onCancel: () => void
  onSave: (text: string) => Promise<unknown>
}

function Editor({ text, onCancel, onSave }: EditorProps) {
  const words = useWords('chat')
  const [busy, setBusy] = useState(false)
  const [value, setValue] = useState(text)
  const save = async () => {
    if (!value.trim() || busy) return
    setBusy(true)
    // A refusal is shown by the page; the text stays here.
    await onSave(value.trim()).catch(() => {})
    setBusy(false)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape') {
      event.preventDefault()
      onCancel()
    }
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      save()
    }
  }
  return (
    <form
      className="w-full max-w-[40rem] rounded-2xl border border-accent bg-surface p-2"
      onSubmit={(event) => {
        event.preventDefault()
        save()
      }}
    >
      <textarea
        aria-label={words.chat.edit}
        value={value}
        // biome-ignore lint/a11y/noAutofocus: the user just chose to type here.
        autoFocus
        onFocus={(event) => event.target.setSelectionRange(value.length, value.length)}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={onKeyDown}
        className="field-sizing-content block max-h-[50dvh] min-h-12 w-full resize-none bg-transparent px-2 py-1 outline-none"
      />
      <div className="mt-1 flex flex-wrap items-center justify-end gap-2">
        <p className="me-auto ps-2 text-xs text-ink-3">{words.chat.editHint}</p>
        <Button look="ghost" onClick={onCancel}>
          {words.common.cancel}
        </Button>
        <Button type="submit" look="primary" busy={busy} disabled={!value.trim()}>
          {words.chat.send}
        </Button>
      </div>
    </form>
  )
}
