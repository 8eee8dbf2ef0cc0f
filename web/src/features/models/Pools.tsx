import { asProblem } from '../../api/client'
import { usePools } from '../../api/shelf'
import { Badge, ProblemNote } from '../../components/ui'
import { duration } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'

/** Pools of endpoints, and how each endpoint is. */
export function Pools() {
  const { models: words } = useWords('models')
  const language = useLanguage()
  const pools = usePools()
  if (pools.isError) return <ProblemNote problem={asProblem(pools.error)} onRetry={() => pools.refetch()} />
  if (!pools.data?.length) return null
  return (
    <section aria-labelledby="pools" className="flex flex-col gap-3">
      <div>
        <h2 id="pools" className="text-lg font-semibold">
          {words.pools}
        </h2>
        <p className="text-sm text-ink-2">{words.poolsText}</p>
      </div>
      <ul className="grid grid-cols-1 gap-4 lg:grid-cols-2">
        {pools.data.map((pool) => (
          <li key={pool.name} className="card p-5">
            <h3 className="font-semibold break-all">{pool.name}</h3>
            <ul className="mt-3 flex flex-col gap-3">
              {pool.endpoints.map((one) => (
                <li key={one.name} className="text-sm">
                  <div className="flex flex-wrap items-center gap-2">
                    <span className="min-w-0 flex-1 font-medium break-all">{one.name}</span>
                    <span className="text-xs text-ink-3 tabular-nums">
                      {one.parallel === null
                        ? words.runningNow(one.running)
                        : words.slots(one.running, one.parallel)}
                    </span>
                    <Badge tone={one.failures > 0 ? 'warn' : 'good'}>
                      {one.failures > 0 ? words.resting : words.healthy}
                    </Badge>
                  </div>
                  {one.failures > 0 && (
                    <p className="mt-1 text-xs text-ink-2">
                      {one.error} {one.resting_s > 0 && words.backIn(duration(one.resting_s, language))}
                    </p>
                  )}
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </section>
  )
}
