import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { ScrollText } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { type AuditQuery, admin, type Change } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, Field, ProblemNote, Skeleton } from '../../components/ui'
import { useLanguage, useWords } from '../../lib/i18n'
import { Empty, Section } from './parts'

const pageSize = 100
const nothing = { q: '', actor: '', action: '', from: '', to: '' }

/** Midnight here of a day as a date field gives it, `later` days after it. */
function midnight(day: string, later = 0): string | undefined {
  if (!day) return undefined
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number)
  return new Date(year, month - 1, date + later).toISOString()
}

/** Who changed what; the server filters, so that nothing has to be loaded to be found. */
export function Audit() {
  const { admin: words, common } = useWords('admin')
  const [given, setGiven] = useState(nothing)
  const { from, to, ...rest } = useDeferredValue(given)
  const query: AuditQuery = { ...rest, since: midnight(from), until: midnight(to, 1) }
  const names = useQuery({ queryKey: ['audit', 'names'], queryFn: admin.auditNames })
  const log = useInfiniteQuery({
    queryKey: ['audit', query],
    queryFn: ({ pageParam }) => admin.audit(query, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => (last.length === pageSize ? last.at(-1)?.id : undefined),
    placeholderData: keepPreviousData,
  })
  const shown = log.data?.pages.flat() ?? []
  const filtered = Object.values(given).some(Boolean)
  const actions = names.data?.actions ?? []
  const families = [...new Set(actions.map((name) => name.split('.')[0] ?? name))]
  const set = (part: Partial<typeof nothing>) => setGiven((old) => ({ ...old, ...part }))
  return (
    <Section title={words.parts.audit} text={words.auditText}>
      <input
        type="search"
        className="field"
        value={given.q}
        onChange={(event) => set({ q: event.target.value })}
        placeholder={words.auditFilter}
        aria-label={words.auditFilter}
        maxLength={200}
      />
      <div className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        <Field label={words.auditActor}>
          <select
            className="field"
            value={given.actor}
            onChange={(event) => set({ actor: event.target.value })}
          >
            <option value="">{words.anybody}</option>
            {names.data?.actors.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
        <Field label={words.auditAction}>
          <select
            className="field"
            value={given.action}
            onChange={(event) => set({ action: event.target.value })}
          >
            <option value="">{words.anything}</option>
            {families.map((family) => (
              <optgroup key={family} label={family}>
                <option value={family}>{words.allOf(family)}</option>
                {actions
                  .filter((name) => name.startsWith(`${family}.`))
                  .map((name) => (
                    <option key={name}>{name}</option>
                  ))}
              </optgroup>
            ))}
          </select>
        </Field>
        <Field label={words.auditFrom}>
          <input
            type="date"
            className="field"
            value={given.from}
            onChange={(event) => set({ from: event.target.value })}
          />
        </Field>
        <Field label={words.auditTo}>
          <input
            type="date"
            className="field"
            value={given.to}
            onChange={(event) => set({ to: event.target.value })}
          />
        </Field>
      </div>
      {log.isPending && <Skeleton widths={[90, 85, 92, 80]} />}
      {log.isError && <ProblemNote problem={asProblem(log.error)} onRetry={() => log.refetch()} />}
      {log.isSuccess &&
        shown.length === 0 &&
        (filtered ? (
          <p className="py-4 text-sm text-ink-3">{words.noAuditMatch}</p>
        ) : (
          <Empty icon={<ScrollText aria-hidden />} title={words.noAudit} text={words.noAuditText} />
        ))}
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
