import { useMutation } from '@tanstack/react-query'
import { api, asProblem } from '../../api/client'
import { isBusy, keys, queryClient } from '../../api/queries'
import type { Index, State } from '../../api/types'
import { Badge, Confirm, ProblemNote, Progress, type Tone } from '../../components/ui'
import { languageLabel } from '../../lib/code'
import { duration, number, shares } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'

const tones: Record<State, Tone> = {
  empty: 'neutral',
  indexing: 'accent',
  ready: 'good',
  incomplete: 'warn',
  failed: 'danger',
}

export function StateBadge({ state }: { state: State }) {
  const { indexState } = useWords()
  return <Badge tone={tones[state]}>{indexState[state]}</Badge>
}

export const isWorking = ({ job }: Index): boolean => isBusy(job)

/** The progress of an index's job, or why it failed. */
export function JobState({ index }: { index: Index }) {
  const { knowledge: words, indexState } = useWords('knowledge')
  const language = useLanguage()
  const { job } = index
  if (index.state === 'failed' || job?.state === 'failed')
    return <ProblemNote problem={{ message: job?.error || index.error || indexState.failed }} />
  if (!job || !isWorking(index)) return null
  const known = job.total > 0
  const files = job.phase !== 'fetching' && job.rate
  return (
    <div>
      <div className="mb-1.5 flex flex-wrap gap-x-3 text-xs text-ink-2 tabular-nums">
        <span className="min-w-0 flex-1 truncate">
          {job.state === 'queued'
            ? words.queued
            : [words.phases[job.phase] ?? indexState.indexing, job.message].filter(Boolean).join(' · ')}
        </span>
        {known && (
          <span>
            {job.phase === 'fetching'
              ? `${job.done}%`
              : words.progress(number(job.done, language), number(job.total, language))}
          </span>
        )}
        {files ? <span>{words.rate(number(files < 10 ? files : Math.round(files), language))}</span> : null}
        {job.eta_s ? <span>{words.eta(duration(job.eta_s, language))}</span> : null}
      </div>
      <Progress label={indexState.indexing} value={known ? job.done / job.total : undefined} />
    </div>
  )
}

/** How the server keeps an index fresh, and whether it fell behind. */
export function Freshness({ index }: { index: Index }) {
  const { knowledge: words } = useWords('knowledge')
  const language = useLanguage()
  const { follows, refresh_minutes, updated_at } = index
  const every = refresh_minutes * 60
  // An update may take a while; one that is missing for twice the time did not happen.
  const overdue =
    follows === 'polled' &&
    !isWorking(index) &&
    updated_at !== null &&
    Date.now() - new Date(updated_at).getTime() > 2000 * Math.max(every, 60)
  return (
    <p className="text-xs text-ink-2">
      {follows === 'polled' ? words.polled(duration(every, language)) : words.follows[follows]}
      {overdue && <span className="ms-2 font-medium text-warn">{words.overdue}</span>}
    </p>
  )
}

// Validated for contrast against both card colours; the order is fixed, so a language set keeps its look.
const colours = ['#0f8a7e', '#3f7fd0', '#b8791a', '#8f5bc4', '#c2553f', '#8b857b']

export function LanguageBar({ languages }: { languages: Record<string, number> }) {
  const { knowledge: words } = useWords('knowledge')
  const parts = shares(languages, 5)
  if (parts.length === 0) return null
  return (
    <div>
      <div aria-hidden className="flex h-2 gap-0.5 overflow-hidden rounded-full">
        {parts.map(({ name, share }, at) => (
          <div key={name} style={{ width: `${share * 100}%`, background: colours[at] }} />
        ))}
      </div>
      <ul aria-label={words.languages} className="mt-2 flex flex-wrap gap-x-3 gap-y-1 text-xs text-ink-2">
        {parts.map(({ name, share }, at) => (
          <li key={name} className="flex items-center gap-1.5">
            <span aria-hidden className="size-2 rounded-full" style={{ background: colours[at] }} />
            {name ? languageLabel(name) : words.other}
            <span className="text-ink-3 tabular-nums">{Math.max(1, Math.round(share * 100))}%</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

export function DeleteIndex({
  index,
  onClose,
  onDeleted,
}: {
  index: Index
  onClose: () => void
  onDeleted?: () => void
}) {
  const words = useWords('knowledge')
  const remove = useMutation({
    mutationFn: () => api.deleteIndex(index.name),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keys.indexes })
      onDeleted?.()
      onClose()
    },
  })
  return (
    <Confirm
      title={words.knowledge.deleteTitle(index.name)}
      text={index.kind === 'uploads' ? words.knowledge.deleteUploads : words.knowledge.deleteText}
      action={words.common.delete}
      busy={remove.isPending}
      error={remove.error && asProblem(remove.error)}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    />
  )
}

export const useUpdate = (name: string) =>
  useMutation({
    mutationFn: () => api.updateIndex(name),
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.indexes }),
  })

export function Numbers({ items }: { items: { name: string; value: string; title?: string | undefined }[] }) {
  return (
    <dl className="flex flex-wrap gap-x-7 gap-y-2">
      {items.map(({ name, value, title }) => (
        <div key={name}>
          <dt className="text-xs text-ink-3">{name}</dt>
          <dd className="font-medium tabular-nums" title={title}>
            {value}
          </dd>
        </div>
      ))}
    </dl>
  )
}
