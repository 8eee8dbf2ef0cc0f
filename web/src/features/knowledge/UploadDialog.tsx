import { useMutation } from '@tanstack/react-query'
import { FileUp, X } from 'lucide-react'
import { type DragEvent, type FormEvent, useId, useRef, useState } from 'react'
import { api, asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import type { Index } from '../../api/types'
import { Button, Dialog, Field, IconButton, ProblemNote } from '../../components/ui'
import { bytes } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'

/** Whether files hang over an element, and the handlers that it needs. */
export function useDrop(onFiles: (files: File[]) => void) {
  const [over, setOver] = useState(false)
  // Entering a child leaves its parent, so enters and leaves are counted.
  const depth = useRef(0)
  const carriesFiles = (event: DragEvent) => event.dataTransfer.types.includes('Files')
  return {
    over,
    handlers: {
      onDragEnter: (event: DragEvent) => {
        if (!carriesFiles(event)) return
        depth.current += 1
        setOver(true)
      },
      onDragLeave: (event: DragEvent) => {
        if (!carriesFiles(event)) return
        depth.current -= 1
        if (depth.current === 0) setOver(false)
      },
      onDragOver: (event: DragEvent) => {
        if (carriesFiles(event)) event.preventDefault()
      },
      onDrop: (event: DragEvent) => {
        if (!carriesFiles(event)) return
        event.preventDefault()
        depth.current = 0
        setOver(false)
        onFiles([...event.dataTransfer.files])
      },
    },
  }
}

interface UploadDialogProps {
  indexes: Index[]
  initial: File[]
  /** The only index to upload into. */
  into?: string
  onClose: () => void
}

export function UploadDialog({ indexes, initial, into, onClose }: UploadDialogProps) {
  const words = useWords('knowledge')
  const language = useLanguage()
  const form = useId()
  const names = useId()
  const [files, setFiles] = useState(initial)
  const { over, handlers } = useDrop((more) => setFiles([...files, ...more]))
  const targets = indexes.filter((index) => index.kind === 'uploads').map((index) => index.name)
  const upload = useMutation({
    mutationFn: (name: string) => api.upload(name, files),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keys.indexes })
      onClose()
    },
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    upload.mutate(into ?? String(new FormData(event.currentTarget).get('name')).trim())
  }
  return (
    <Dialog
      title={words.knowledge.upload}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{words.common.cancel}</Button>
          <Button
            type="submit"
            form={form}
            look="primary"
            busy={upload.isPending}
            disabled={files.length === 0}
          >
            {upload.isPending ? words.knowledge.uploading(files.length) : words.knowledge.upload}
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
            onChange={(event) => setFiles([...files, ...(event.target.files ?? [])])}
          />
        </label>
        {files.length > 0 && (
          <ul className="max-h-40 overflow-auto text-sm">
            {files.map((file, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two files may have one name.
              <li key={at} className="flex items-center gap-2">
                <span className="min-w-0 flex-1 truncate">{file.name}</span>
                <span className="text-xs text-ink-3">{bytes(file.size, language)}</span>
                <IconButton
                  label={words.knowledge.removeFile(file.name)}
                  onClick={() => setFiles(files.filter((other) => other !== file))}
                >
                  <X aria-hidden />
                </IconButton>
              </li>
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
        {upload.error && <ProblemNote problem={asProblem(upload.error)} />}
      </form>
    </Dialog>
  )
}
