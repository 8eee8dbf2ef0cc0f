import { FileText, LoaderCircle, ShieldCheck, TriangleAlert, X } from 'lucide-react'
import { useEffect, useState } from 'react'
import { api, asProblem } from '../../api/client'
import type { Attachment, Problem } from '../../api/types'
import { SourceCode } from '../../components/Code'
import { Dialog, ProblemNote, Skeleton } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'

const most = 10

/** A file on its way to the server, there, or refused. */
export interface Pending {
  key: number
  name: string
  attachment: Attachment | null
  problem: Problem | null
}

let keys = 0

/** The files of the message that is being written. */
export function useAttachments() {
  const words = useWords('chat')
  const [pending, setPending] = useState<Pending[]>([])
  const change = (key: number, to: Partial<Pending>) =>
    setPending((old) => old.map((one) => (one.key === key ? { ...one, ...to } : one)))
  const add = (files: Iterable<File>) => {
    for (const [at, file] of [...files].entries()) {
      keys += 1
      const key = keys
      const full = pending.length + at >= most
      const problem = full ? { message: words.attach.most(most) } : null
      setPending((old) => [...old, { key, name: file.name, attachment: null, problem }])
      if (!full)
        api.attach(file).then(
          (attachment) => change(key, { attachment }),
          (error) => change(key, { problem: asProblem(error) }),
        )
    }
  }
  const remove = (one: Pending) => {
    setPending((old) => old.filter((other) => other.key !== one.key))
    // Whatever cannot be removed now is forgotten by the server after a day.
    if (one.attachment) api.detach(one.attachment.id).catch(() => {})
  }
  return {
    pending,
    add,
    remove,
    clear: () => setPending([]),
    uploading: pending.some((one) => !one.attachment && !one.problem),
    ids: pending.flatMap((one) => one.attachment?.id ?? []),
  }
}

const chip =
  'flex max-w-64 items-center gap-2 rounded-lg border border-line bg-surface px-2.5 py-1.5 text-sm [&_svg]:size-4 [&_svg]:shrink-0'

/** What is attached to the message that is being written, and what could not be. */
export function PendingChips({
  pending,
  onRemove,
}: {
  pending: Pending[]
  onRemove: (one: Pending) => void
}) {
  const words = useWords('chat')
  return (
    <ul aria-label={words.attach.list} className="flex flex-wrap gap-2 px-3 pt-3">
      {pending.map((one) => (
        <li key={one.key} className={`${chip} ${one.problem ? 'max-w-full border-danger' : ''}`}>
          {one.problem ? (
            <TriangleAlert className="text-danger" aria-hidden />
          ) : one.attachment ? (
            <FileText className="text-ink-3" aria-hidden />
          ) : (
            <LoaderCircle className="animate-spin text-ink-3" aria-hidden />
          )}
          <span className={one.problem ? 'min-w-0' : 'truncate'}>
            {one.problem ? (
              <span role="alert">
                {one.name}: {[one.problem.message, one.problem.fix].filter(Boolean).join(' ')}
              </span>
            ) : (
              one.name
            )}
          </span>
          {one.attachment && <Hidden attachment={one.attachment} />}
          <button
            type="button"
            aria-label={words.attach.remove(one.name)}
            onClick={() => onRemove(one)}
            className="rounded text-ink-3 hover:text-ink"
          >
            <X aria-hidden />
          </button>
        </li>
      ))}
    </ul>
  )
}

const Hidden = ({ attachment }: { attachment: Attachment }) => {
  const words = useWords('chat')
  if (attachment.secrets === 0) return null
  const text = words.attach.secrets(attachment.secrets)
  return (
    <span title={text} className="flex text-good">
      <ShieldCheck aria-hidden />
      <span className="sr-only">{text}</span>
    </span>
  )
}

/** The files of a turn that was sent; each opens as the model read it. */
export function AttachmentChips({ attachments }: { attachments: Attachment[] }) {
  const words = useWords('chat')
  const language = useLanguage()
  const [shown, setShown] = useState<Attachment | null>(null)
  return (
    <>
      <ul aria-label={words.attach.list} className="flex flex-wrap justify-end gap-2">
        {attachments.map((one) => (
          <li key={one.id}>
            <button type="button" onClick={() => setShown(one)} className={`${chip} hover:bg-hover`}>
              <FileText className="text-ink-3" aria-hidden />
              <span className="truncate">{one.name}</span>
              <span className="text-xs whitespace-nowrap text-ink-3">
                {words.attach.size(number(one.size, language))}
              </span>
              <Hidden attachment={one} />
            </button>
          </li>
        ))}
      </ul>
      {shown && <Viewer attachment={shown} onClose={() => setShown(null)} />}
    </>
  )
}

function Viewer({ attachment, onClose }: { attachment: Attachment; onClose: () => void }) {
  const words = useWords('chat')
  const [text, setText] = useState<string | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  useEffect(() => {
    api.attachment(attachment.id).then(
      (whole) => setText(whole.text),
      (error) => setProblem(asProblem(error)),
    )
  }, [attachment.id])
  return (
    <Dialog title={attachment.name} width={52} onClose={onClose}>
      {attachment.secrets > 0 && (
        <p className="mb-3 text-sm text-ink-2">{words.attach.secrets(attachment.secrets)}</p>
      )}
      {problem && <ProblemNote problem={problem} />}
      {text === null && !problem && <Skeleton widths={[80, 65, 90, 55]} />}
      {text !== null && <SourceCode code={text} language={attachment.language} firstLine={1} />}
    </Dialog>
  )
}
