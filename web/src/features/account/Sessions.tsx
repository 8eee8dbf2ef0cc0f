import { useMutation, useQuery } from '@tanstack/react-query'
import { LogOut } from 'lucide-react'
import { account } from '../../api/admin'
import { asProblem } from '../../api/client'
import { queryClient } from '../../api/queries'
import { Badge, Button, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'

/** "Firefox, Linux" of what a browser says that it is. */
function browserOf(agent: string): string {
  const name = /Edg|OPR|Firefox|Chrome|Safari/.exec(agent)?.[0]
  const system = /Windows|Android|iPhone|iPad|Mac OS X|Linux/.exec(agent)?.[0]
  return (
    [name === 'Edg' ? 'Edge' : name === 'OPR' ? 'Opera' : name, system].filter(Boolean).join(', ') || agent
  )
}

/** Where one is signed in, each ended by itself or all others at once. */
export function Sessions() {
  const { account: words } = useWords('account')
  const language = useLanguage()
  const list = useQuery({ queryKey: ['sessions'], queryFn: account.sessions })
  const onSuccess = () => queryClient.invalidateQueries({ queryKey: ['sessions'] })
  const end = useMutation({ mutationFn: account.endSession, onSuccess })
  const endAll = useMutation({ mutationFn: account.endSessions, onSuccess })
  const error = end.error ?? endAll.error
  return (
    <section aria-labelledby="sessions" className="card flex flex-col gap-3 p-5">
      <div className="flex flex-wrap items-start gap-3">
        <div className="min-w-0 flex-1">
          <h2 id="sessions" className="text-lg font-semibold">
            {words.sessions}
          </h2>
          <p className="text-sm text-ink-2">{words.sessionsText}</p>
        </div>
        {(list.data?.length ?? 0) > 1 && (
          <Button busy={endAll.isPending} onClick={() => endAll.mutate()}>
            {words.endOthers}
          </Button>
        )}
      </div>
      {list.isPending && <Skeleton widths={[70, 50]} />}
      {list.isError && <ProblemNote problem={asProblem(list.error)} onRetry={() => list.refetch()} />}
      {error && <ProblemNote problem={asProblem(error)} />}
      <ul className="divide-y divide-line">
        {list.data?.map((session) => (
          <li key={session.id} className="flex items-center gap-3 py-2.5">
            <div className="min-w-0 flex-1">
              <p className="flex flex-wrap items-center gap-2 text-sm font-medium" title={session.agent}>
                {browserOf(session.agent) || words.unknownBrowser}
                {session.current && <Badge tone="good">{words.thisOne}</Badge>}
              </p>
              <p className="text-xs text-ink-3">
                {session.address} · {words.how[session.how] ?? session.how} ·{' '}
                {ago(new Date(session.created_at), new Date(), language)}
              </p>
            </div>
            {!session.current && (
              <IconButton
                label={`${words.endSession}: ${browserOf(session.agent)}`}
                onClick={() => end.mutate(session.id)}
              >
                <LogOut aria-hidden />
              </IconButton>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}
