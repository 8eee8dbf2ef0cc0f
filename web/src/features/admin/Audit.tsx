import { useInfiniteQuery } from '@tanstack/react-query'
import { ScrollText } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { admin, type Change } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, ProblemNote, Skeleton } from '../../components/ui'
import { useLanguage, useWords } from '../../lib/i18n'
import { Empty, Section } from './parts'

const pageSize = 100

const textOf = ({ actor, address, action, target, detail }: Change) =>
  `${actor} ${address} ${action} ${target} ${JSON.stringify(detail)}`.toLowerCase()

export function Audit() {
  const { admin: words, common } = useWords('admin')
  const [query, setQuery] = useState('')
  const wanted = useDeferredValue(query.trim().toLowerCase())
  const log = useInfiniteQuery({
    queryKey: ['audit'],
    queryFn: ({ pageParam }) => admin.audit(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => (last.length === pageSize ? last.at(-1)?.id : undefined),
  })
  const all = log.data?.pages.flat() ?? []
  const shown = all.filter((change) => textOf(change).includes(wanted))
  return (
    <Section title={words.parts.audit} text={words.auditText}>
      <input
        type="search"
        className="field"
        value={query}
        onChange={(event) => setQuery(event.target.value)}
        placeholder={words.auditFilter}
        aria-label={words.auditFilter}
      />
      {log.isPending && <Skeleton widths={[90, 85, 92, 80]} />}
      {log.isError && <ProblemNote problem={asProblem(log.error)} onRetry={() => log.refetch()} />}
      {log.isSuccess && all.length === 0 && (
        <Empty icon={<ScrollText aria-hidden />} title={words.noAudit} text={words.noAuditText} />
      )}
      {all.length > 0 && shown.length === 0 && (
        <p className="py-4 text-sm text-ink-3">{words.noAuditMatch(all.length)}</p>
      )}
      {shown.length > 0 && (
        <ol className="card divide-y divide-line text-sm">
          {shown.map((change) => (
            <Row key={change.id} change={change} />
          ))}
        </ol>
      )}
      {log.hasNextPage && (
        <Button busy={log.isFetchingNextPage} onClick={() => log.fetchNextPage()}>
          {common.more}
        </Button>
      )}
    </Section>
  )
}

function Row({ change }: { change: Change }) {
  const { admin: words } = useWords('admin')
  const language = useLanguage()
  const detail = Object.entries(change.detail)
    .filter(([, value]) => value !== '' && value !== null)
    .map(([key, value]) => `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
  return (
    <li className="flex flex-wrap gap-x-4 gap-y-0.5 px-4 py-2.5">
      <time dateTime={change.at} className="w-36 shrink-0 text-ink-3 tabular-nums">
        {new Date(change.at).toLocaleString(language, { dateStyle: 'short', timeStyle: 'short' })}
      </time>
      <div className="min-w-0 flex-[1_1_16rem]">
        <p className="break-words">
          <span className="font-medium">{change.actor || words.onServer}</span>{' '}
          <code className="font-mono text-xs text-accent">{change.action}</code> {change.target}
        </p>
        {detail && <p className="text-xs break-words text-ink-3">{detail}</p>}
      </div>
      <span className="text-xs text-ink-3">{change.address || words.onServer}</span>
    </li>
  )
}
