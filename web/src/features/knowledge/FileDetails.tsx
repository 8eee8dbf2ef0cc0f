import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, asProblem } from '../../api/client'
import type { ChunkOfFile } from '../../api/types'
import { SourceCode } from '../../components/Code'
import { FileView } from '../../components/ReferenceDialog'
import { Badge, ProblemNote, Skeleton, Tabs } from '../../components/ui'
import { useWords } from '../../lib/i18n'

/** A file as it was read, and the chunks that it was cut into. */
export function FileDetails({ index, path }: { index: string; path: string }) {
  const { knowledge: words } = useWords('knowledge')
  const [tab, setTab] = useState<'source' | 'chunks'>('source')
  return (
    <div className="flex flex-col gap-3">
      <Tabs
        label={path}
        tabs={[
          { name: 'source' as const, text: words.source },
          { name: 'chunks' as const, text: words.chunks },
        ]}
        chosen={tab}
        onChoose={setTab}
      />
      {tab === 'source' ? <FileView index={index} path={path} /> : <Chunks index={index} path={path} />}
    </div>
  )
}

function Chunks({ index, path }: { index: string; path: string }) {
  const chunks = useQuery({ queryKey: ['chunks', index, path], queryFn: () => api.chunks(index, path) })
  if (chunks.isPending) return <Skeleton />
  if (chunks.isError)
    return <ProblemNote problem={asProblem(chunks.error)} onRetry={() => chunks.refetch()} />
  return (
    <ul className="flex flex-col gap-2">
      {chunks.data.map((chunk) => (
        <li key={chunk.start_line}>
          <OneChunk chunk={chunk} />
        </li>
      ))}
    </ul>
  )
}

function OneChunk({ chunk }: { chunk: ChunkOfFile }) {
  const { knowledge: words } = useWords('knowledge')
  const [open, setOpen] = useState(false)
  return (
    <details
      className="rounded-xl border border-line"
      onToggle={(event) => setOpen(event.currentTarget.open)}
    >
      <summary className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5 text-sm hover:bg-hover">
        <span className="font-medium break-all">{chunk.name || words.noName}</span>
        <Badge>{chunk.kind}</Badge>
        <span className="ms-auto text-xs text-ink-3 tabular-nums">
          {words.linesFrom(chunk.start_line, chunk.end_line)}
        </span>
        <span className={`w-full text-xs ${chunk.summary ? 'text-ink-2' : 'text-ink-3'}`}>
          {chunk.summary || words.noSummary}
        </span>
      </summary>
      {open && (
        <div className="px-2 pb-2">
          <SourceCode code={chunk.text} language="" firstLine={chunk.start_line} />
        </div>
      )}
    </details>
  )
}
