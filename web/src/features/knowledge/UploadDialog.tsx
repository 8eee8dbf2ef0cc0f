import { Check, FileUp, FolderUp, X } from 'lucide-react'
import { type FormEvent, useId } from 'react'
import type { Index } from '../../api/types'
import { Button, Dialog, Field, IconButton, Progress } from '../../components/ui'
import { useDrop } from '../../lib/drop'
import { bytes } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { type Upload, useUploads } from './useUploads'

interface UploadDialogProps {
  indexes: Index[]
  initial: File[]
  /** The only index to upload into. */
  into?: string
  onClose: () => void
}

export function UploadDialog({ indexes, initial, into, onClose }: UploadDialogProps) {
  const words = useWords('knowledge')
  const form = useId()
  const names = useId()
  const { uploads, busy, add, remove, send } = useUploads(initial)
  const { over, handlers } = useDrop(add)
  const targets = indexes.filter((index) => index.kind === 'uploads').map((index) => index.name)
  const left = uploads.filter((one) => one.state !== 'done')
  const failed = uploads.filter((one) => one.state === 'failed').length
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const name = into ?? String(new FormData(event.currentTarget).get('name')).trim()
    if (await send(name)) onClose()
  }
  return (
    <Dialog
      title={words.knowledge.upload}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{words.common.cancel}</Button>
          <Button type="submit" form={form} look="primary" busy={busy} disabled={left.length === 0}>
            {busy
              ? words.knowledge.uploading(left.length)
              : failed > 0
                ? words.common.retry
                : words.knowledge.upload}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-4">
        <label
          {...handlers}
          className={`flex flex-col items-center gap-2 rounded-xl border-2 border-dashed px-4 py-8 text-center text-sm focus-within:border-accent hover:border-accent ${over ? 'border-accent bg-accent-soft' : 'border-line'}`}
        >
          <FileUp className="size-6 text-accent" aria-hidden />
          <span className="text-ink-2">{words.knowledge.uploadText}</span>
          <span className="text-xs text-ink-3">{words.knowledge.uploadKinds}</span>
          <input
            type="file"
            multiple
            className="sr-only"
            aria-label={words.knowledge.choose}
            onChange={(event) => add(event.target.files ?? [])}
          />
        </label>
        <label className="flex min-h-9 w-fit items-center gap-2 rounded-lg px-3 text-sm text-ink-2 focus-within:outline-2 focus-within:outline-accent hover:bg-hover hover:text-ink">
          <FolderUp className="size-4" aria-hidden />
          {words.knowledge.chooseFolder}
          <input
            ref={(input) => input?.setAttribute('webkitdirectory', '')}
            type="file"
            multiple
            className="sr-only"
            onChange={(event) => add(event.target.files ?? [])}
          />
        </label>
        {uploads.length > 0 && (
          <ul className="flex max-h-60 flex-col gap-1 overflow-auto text-sm">
            {uploads.map((upload) => (
              <UploadRow
                key={upload.id}
                upload={upload}
                {...(!busy && upload.state !== 'done' && { onRemove: () => remove(upload.id) })}
              />
            ))}
          </ul>
        )}
        {!into && (
          <Field label={words.knowledge.uploadTo}>
            <input
              name="name"
              required
              className="field"
              list={names}
              defaultValue={targets[0] ?? 'uploads'}
              autoComplete="off"
              maxLength={64}
              spellCheck={false}
            />
            <datalist id={names}>
              {targets.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </Field>
        )}
      </form>
    </Dialog>
  )
}

/** One file with how far it came, or why it did not. */
function UploadRow({ upload, onRemove }: { upload: Upload; onRemove?: () => void }) {
  const { knowledge: words } = useWords('knowledge')
  const language = useLanguage()
  const { file, state, share, problem } = upload
  const name = file.webkitRelativePath || file.name
  return (
    <li className="flex min-h-9 items-center gap-2">
      <div className="min-w-0 flex-1">
        <p className="flex items-baseline gap-2">
          <span className="min-w-0 flex-1 truncate">{name}</span>
          <span className="text-xs text-ink-3 tabular-nums">{bytes(file.size, language)}</span>
        </p>
        {state === 'sending' && (
          <Progress label={words.sending(name)} value={share < 1 ? share : undefined} />
        )}
        {problem && (
          <p role="alert" className="text-xs text-danger">
            {problem.message} {problem.fix && <span className="text-ink-2">{problem.fix}</span>}
          </p>
        )}
      </div>
      {state === 'done' && <Check className="size-4 shrink-0 text-good" aria-label={words.sent} />}
      {onRemove && (
        <IconButton label={words.removeFile(name)} onClick={onRemove}>
          <X aria-hidden />
        </IconButton>
      )}
    </li>
  )
}
