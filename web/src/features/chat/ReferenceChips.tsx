import { FileCode2 } from 'lucide-react'
import { memo, useMemo, useState } from 'react'
import type { Reference } from '../../api/types'
import { useWords } from '../../lib/i18n'
import { citedNumbers } from '../../lib/markdown/references'

interface ReferenceChipsProps {
  text: string
  references: Reference[]
  onOpen: (number: number) => void
}

const shownFirst = 6

/** Whether its source says something else by now. */
const gone = (reference: Reference): boolean => reference.verified === false

/** The functions that an answer was given; those that it cites stand out. */
export const ReferenceChips = memo(function ReferenceChips(props: ReferenceChipsProps) {
  const { text, references, onOpen } = props
  const words = useWords('answer')
  const [all, setAll] = useState(false)
  const cited = useMemo(
    () => new Set(citedNumbers(text, new Set(references.map((reference) => reference.number)))),
    [text, references],
  )
  const shown = all ? references : references.slice(0, shownFirst)
  return (
    <section aria-label={words.source.references} className="mt-4">
      <h2 className="text-xs font-medium text-ink-3">{words.source.references}</h2>
      <ul className="mt-1.5 flex flex-wrap gap-1.5">
        {shown.map((reference) => (
          <li key={reference.number} className="max-w-full">
            <button
              type="button"
              onClick={() => onOpen(reference.number)}
              title={`${reference.path}:${reference.start_line}-${reference.end_line}${gone(reference) ? `. ${words.source.notVerified}` : ''}`}
              className={`flex min-h-8 max-w-full items-center gap-2 rounded-lg border ps-1.5 pe-2.5 text-start text-xs transition-colors hover:border-accent hover:bg-accent-soft ${cited.has(reference.number) ? 'border-accent bg-accent-soft' : 'border-line bg-surface'}`}
            >
              <span className="grid h-5 min-w-5 place-items-center rounded-md bg-accent-soft px-1 font-semibold text-accent tabular-nums">
                {reference.number}
              </span>
              {gone(reference) && <span className="sr-only">{words.source.notVerified}</span>}
              <span className={`truncate ${gone(reference) ? 'line-through decoration-warn' : ''}`}>
                <span className="font-medium">{reference.name ?? reference.path.split('/').at(-1)}</span>{' '}
                <span className="text-ink-2">
                  {reference.path.split('/').at(-1)}:{reference.start_line}
                </span>
              </span>
            </button>
          </li>
        ))}
        {references.length > shown.length && (
          <li>
            <button
              type="button"
              onClick={() => setAll(true)}
              className="flex min-h-8 items-center gap-1.5 rounded-lg px-2.5 text-xs text-ink-2 hover:bg-hover"
            >
              <FileCode2 className="size-3.5" aria-hidden />+{references.length - shown.length}
            </button>
          </li>
        )}
      </ul>
    </section>
  )
})
