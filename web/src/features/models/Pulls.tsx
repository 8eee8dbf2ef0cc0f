import { useMutation } from '@tanstack/react-query'
import { X } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { asProblem } from '../../api/client'
import { shelf, useShelf } from '../../api/shelf'
import type { Pull } from '../../api/types'
import { Badge, Button, IconButton, ProblemNote, Progress } from '../../components/ui'
import { bytes, duration } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { refreshModels, type usePull } from './usePull'

/** The pulls at work, and the last that failed or were stopped. */
export function Pulls({ pull, admin }: { pull: ReturnType<typeof usePull>; admin: boolean }) {
  const { models: words } = useWords('models')
  const pulls = (useShelf().data?.pulls ?? []).filter(({ state }) => state !== 'done')
  const running = pulls.filter(({ state }) => state === 'running').length
  const before = useRef(0)
  useEffect(() => {
    // One that ended may answer now.
    if (running < before.current) refreshModels()
    before.current = running
  }, [running])
  if (pulls.length === 0) return null
  return (
    <section aria-label={words.pulls} className="flex flex-col gap-2">
      <h2 className="text-sm font-semibold text-ink-2">{words.pulls}</h2>
      <ul className="flex flex-col gap-2">
        {pulls.map((one) => (
          <PullRow key={one.name} one={one} admin={admin} onRetry={() => pull.mutate(one.reference)} />
        ))}
      </ul>
    </section>
  )
}

function PullRow({ one, admin, onRetry }: { one: Pull; admin: boolean; onRetry: () => void }) {
  const words = useWords('models')
  const { models } = words
  const language = useLanguage()
  const cancel = useMutation({ mutationFn: () => shelf.cancel(one.name), onSettled: refreshModels })
  const running = one.state === 'running'
  return (
    <li className="card flex flex-col gap-2 p-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
        <h3 className="font-semibold break-all">{one.name}</h3>
        {one.state === 'cancelled' && <Badge>{models.cancelled}</Badge>}
        {running && (
          <span className="text-xs text-ink-2 tabular-nums">
            {[
              models.phases[one.phase] ?? one.phase,
              one.total ? `${bytes(one.done, language)} / ${bytes(one.total, language)}` : '',
              one.rate ? models.perSecond(bytes(one.rate, language)) : '',
              one.eta_s ? models.left(duration(one.eta_s, language)) : '',
            ]
              .filter(Boolean)
              .join(' · ')}
          </span>
        )}
        <span className="flex-1" />
        {running && admin && (
          <IconButton label={models.cancelPull(one.name)} onClick={() => cancel.mutate()}>
            <X aria-hidden />
          </IconButton>
        )}
        {one.state === 'cancelled' && admin && <Button onClick={onRetry}>{models.goOn}</Button>}
      </div>
      {running && (
        <Progress label={models.pulling(one.name)} value={one.total ? one.done / one.total : undefined} />
      )}
      {one.error && <ProblemNote problem={one.error} {...(admin && { onRetry })} />}
      {cancel.error && <ProblemNote problem={asProblem(cancel.error)} />}
    </li>
  )
}
