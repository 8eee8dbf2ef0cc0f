import { useQuery } from '@tanstack/react-query'
import { FileCode2 } from 'lucide-react'
import { useState } from 'react'
import { api, asProblem } from '../api/client'
import { useIndexes } from '../api/queries'
import type { Index, Reference } from '../api/types'
import { number } from '../lib/format'
import { useLanguage, useWords } from '../lib/i18n'
import { SourceCode } from './Code'
import { Badge, Button, CopyButton, Dialog, ProblemNote, Skeleton } from './ui'
import { WhyBars } from './WhyBars'

/** The index that a reference is from; a search over all of them names only the repository. */
function indexOf(reference: Reference, indexes: Index[]): string | null {
  if (reference.index) return reference.index
  const candidates = indexes.filter((index) => index.repository === reference.repository)
  return candidates.length === 1
    ? (candidates[0] as Index).name
    : indexes.length === 1
      ? (indexes[0] as Index).name
      : null
}

/** One reference: where it comes from, why it was chosen, its code, and on demand the file around it. */
export function ReferenceDialog({ reference, onClose }: { reference: Reference; onClose: () => void }) {
  const words = useWords('answer')
  const [whole, setWhole] = useState(false)
  const { path, start_line, end_line, name, kind, repository, commit, score, why } = reference
  const index = indexOf(reference, useIndexes().data ?? [])
  const gone = reference.verified === false
  const place = `${path}:${start_line}-${end_line}`
  return (
    <Dialog
      width={56}
      onClose={onClose}
      title={
        <span className="flex flex-wrap items-center gap-2">
          {reference.number > 0 && (
            <span className="grid h-6 min-w-6 place-items-center rounded-md bg-accent-soft px-1 text-sm text-accent">
              {reference.number}
            </span>
          )}
          <span className={`break-all ${gone ? 'line-through decoration-warn' : ''}`}>
            {name ?? path.split('/').at(-1)}
          </span>
          {gone && <Badge tone="warn">{words.source.notVerified}</Badge>}
          {kind && <Badge>{kind}</Badge>}
        </span>
      }
      actions={
        index && (
          <Button onClick={() => setWhole(!whole)}>
            <FileCode2 aria-hidden />
            {whole ? words.source.excerpt : words.source.open}
          </Button>
        )
      }
    >
      <div className="mb-3 flex items-center gap-1">
        <p className="font-mono text-xs break-all text-ink-2">{place}</p>
        <CopyButton text={place} label={words.source.copyPath} />
      </div>
      <dl className="mb-4 flex flex-wrap gap-x-8 gap-y-2 text-sm">
        {repository && <Fact name={words.source.repository} value={repository} />}
        {index && <Fact name={words.source.index} value={index} />}
        {commit && <Fact name={words.source.commit} value={commit.slice(0, 10)} mono />}
        <Fact name={words.source.score} value={score.toFixed(3)} />
      </dl>
      {reference.summary && <p className="mb-4 text-sm break-words">{reference.summary}</p>}
      {why && Object.keys(why).length > 0 && (
        <div className="mb-4 max-w-md">
          <h3 className="mb-1 text-xs font-medium text-ink-3">{words.source.why}</h3>
          <WhyBars why={why} />
        </div>
      )}
      {whole && index ? (
        <FileView index={index} path={path} marked={{ start: start_line, end: end_line }} />
      ) : (
        <div className="relative">
          <div className="absolute end-2 top-2 z-20 rounded-lg bg-code">
            <CopyButton text={reference.text} />
          </div>
          <SourceCode code={reference.text} language={reference.language ?? ''} firstLine={start_line} />
        </div>
      )}
    </Dialog>
  )
}

function Fact({ name, value, mono = false }: { name: string; value: string; mono?: boolean }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd className={`break-all ${mono ? 'font-mono text-[0.8125rem]' : ''}`}>{value}</dd>
    </div>
  )
}

const linesAtOnce = 400

interface FileViewProps {
  index: string
  path: string
  marked?: { start: number; end: number }
}

/** A window of an indexed file, with the lines around `marked` first. */
export function FileView({ index, path, marked }: FileViewProps) {
  const words = useWords('answer')
  const language = useLanguage()
  const [start, setStart] = useState(Math.max(1, (marked?.start ?? 1) - 40))
  const source = useQuery({
    queryKey: ['source', index, path, start],
    queryFn: () => api.source(index, path, start, start + linesAtOnce - 1),
  })
  if (source.isPending) return <Skeleton widths={[60, 80, 70, 75, 50]} />
  if (source.isError)
    return <ProblemNote problem={asProblem(source.error)} onRetry={() => source.refetch()} />
  const { text, start_line, end_line, total_lines } = source.data
  return (
    <div className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-2 text-xs text-ink-3">
        <span className="flex-1">
          {words.source.of(
            number(start_line, language),
            number(end_line, language),
            number(total_lines, language),
          )}
        </span>
        {start_line > 1 && (
          <Button onClick={() => setStart(Math.max(1, start_line - linesAtOnce))}>
            {words.source.previous}
          </Button>
        )}
        {end_line < total_lines && (
          <Button onClick={() => setStart(end_line + 1)}>{words.source.next}</Button>
        )}
        <CopyButton text={text} />
      </div>
      <SourceCode code={text} language={source.data.language ?? ''} firstLine={start_line} marked={marked} />
    </div>
  )
}
