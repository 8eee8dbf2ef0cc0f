import { Undo2 } from 'lucide-react'
import { useState } from 'react'
import { Markdown } from '../../components/Markdown'
import { useWords } from '../../lib/i18n'

/** What was written first and did not stand its check; folded, for the answer is what follows. */
export function Drafts({ drafts }: { drafts: string[] }) {
  const { drafts: words } = useWords('chat')
  const [open, setOpen] = useState(false)
  return (
    <details
      onToggle={(event) => setOpen(event.currentTarget.open)}
      className="mb-3 rounded-xl border border-line px-4 py-2 text-sm"
    >
      <summary className="flex cursor-pointer items-center gap-2 py-1 font-medium text-ink-2">
        <Undo2 className="size-4 shrink-0 text-ink-3" aria-hidden />
        {words.title(drafts.length)}
      </summary>
      {open && (
        <ol aria-label={words.title(drafts.length)} className="mt-2 flex flex-col gap-3 pb-2 text-ink-2">
          {drafts.map((draft, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: drafts are only appended.
            <li key={at} className="min-w-0 border-line not-first:border-t not-first:pt-3">
              <Markdown text={draft} />
            </li>
          ))}
        </ol>
      )}
    </details>
  )
}
