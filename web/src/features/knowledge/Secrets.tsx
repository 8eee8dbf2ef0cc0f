import { useQuery } from '@tanstack/react-query'
import { api, asProblem } from '../../api/client'
import { keys } from '../../api/queries'
import type { Index } from '../../api/types'
import { Badge, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'

/** What was taken out of an index's files: which kind of secret and where it was, never what it was. */
export function Secrets({ index }: { index: Index }) {
  const { knowledge: words } = useWords('knowledge')
  const secrets = useQuery({
    queryKey: [...keys.secrets(index.name), index.updated_at],
    queryFn: () => api.secrets(index.name),
  })
  if (secrets.isPending) return <Skeleton />
  if (secrets.isError)
    return <ProblemNote problem={asProblem(secrets.error)} onRetry={() => secrets.refetch()} />
  if (secrets.data.length === 0) return <p className="py-6 text-sm text-ink-3">{words.noSecrets}</p>
  return (
    <>
      <p className="text-sm text-ink-2">{words.secretsText}</p>
      <ul className="card divide-y divide-line text-sm">
        {secrets.data.map(({ path, line, rule }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: one line may hold several secrets of a kind.
          <li key={at} className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
            <span className="min-w-0 flex-[1_1_18rem] font-mono text-xs leading-5 break-all">
              {path}:{line}
            </span>
            <Badge tone="warn">{rule}</Badge>
          </li>
        ))}
      </ul>
    </>
  )
}
