import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useEffect, useId, useState } from 'react'
import { api, asProblem } from '../../api/client'
import { isBusy, keys, queryClient, useModels, useSummaries } from '../../api/queries'
import type { Estimate, Spent, Summaries, SummariesRequest } from '../../api/types'
import { Button, Confirm, Dialog, Field, ProblemNote, Progress, Skeleton } from '../../components/ui'
import { dollars, duration, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'
import { Numbers } from './parts'

/** Summaries of an index: what they would cost, writing them, how far that is, deleting them. */
export function SummariesDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const words = useWords('knowledge')
  const summaries = useSummaries(name)
  const [deleting, setDeleting] = useState(false)
  const [language, setLanguage] = useState('')
  const estimate = useMutation({
    mutationFn: (body: SummariesRequest) => api.writeSummaries(name, { ...body, dry_run: true }),
  })
  const start = useMutation({
    mutationFn: (body: SummariesRequest) => api.writeSummaries(name, body),
    onSuccess: (found) => {
      estimate.reset()
      queryClient.setQueryData<Summaries>(keys.summaries(name), found)
    },
  })
  const remove = useMutation({
    mutationFn: () => api.deleteSummaries(name, language || (data?.last?.language ?? '')),
    onSuccess: async () => {
      estimate.reset()
      start.reset()
      setDeleting(false)
      await queryClient.invalidateQueries({ queryKey: keys.summaries(name) })
      await queryClient.invalidateQueries({ queryKey: keys.indexes })
    },
  })
  const form = useId()
  const { data } = summaries
  const busy = isBusy(data?.job ?? null)
  useEffect(() => {
    // What a run wrote is counted in the index, too.
    if (!busy) queryClient.invalidateQueries({ queryKey: keys.indexes })
  }, [busy])
  const cost = estimate.data?.estimate
  const refused = estimate.error ?? start.error
  return (
    <Dialog
      title={`${words.summaries.title}: ${name}`}
      width={38}
      onClose={onClose}
      actions={
        data && (
          <>
            {(busy || data.summarised > 0) && (
              <Button look="danger" className="me-auto" onClick={() => setDeleting(true)}>
                {busy ? words.summaries.stop : words.summaries.delete}
              </Button>
            )}
            {!busy && (
              <Button type="submit" form={form} busy={estimate.isPending}>
                {words.summaries.estimate}
              </Button>
            )}
            {!busy && cost && cost.functions > 0 && (
              <Button
                look="primary"
                busy={start.isPending}
                onClick={() => start.mutate(estimate.variables as SummariesRequest)}
              >
                {words.summaries.start}
              </Button>
            )}
          </>
        )
      }
    >
      <p className="mb-4 text-sm text-ink-2">{words.summaries.text}</p>
      {summaries.isPending && <Skeleton />}
      {summaries.isError && (
        <ProblemNote problem={asProblem(summaries.error)} onRetry={() => summaries.refetch()} />
      )}
      {data && (
        <div className="flex flex-col gap-5">
          {busy ? (
            <Running summaries={data} />
          ) : (
            <>
              <Last summaries={data} />
              <Choice
                form={form}
                language={language}
                onLanguage={setLanguage}
                onChange={() => estimate.reset()}
                onAsk={estimate.mutate}
              />
              {cost && <Cost cost={cost} />}
            </>
          )}
          {refused && <ProblemNote problem={asProblem(refused)} />}
        </div>
      )}
      {deleting && (
        <Confirm
          title={words.summaries.deleteTitle}
          text={words.summaries.deleteText}
          action={words.common.delete}
          busy={remove.isPending}
          error={remove.error && asProblem(remove.error)}
          onConfirm={() => remove.mutate()}
          onClose={() => setDeleting(false)}
        />
      )}
    </Dialog>
  )
}

interface ChoiceProps {
  form: string
  language: string
  onLanguage: (language: string) => void
  /** What was estimated does not hold any more. */
  onChange: () => void
  onAsk: (body: SummariesRequest) => void
}

function Choice({ form, language, onLanguage, onChange, onAsk }: ChoiceProps) {
  const { summaries: words } = useWords('knowledge')
  const models = useModels().data?.filter(({ kind }) => kind !== 'app') ?? []
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const limit = Number(data.get('limit'))
    onAsk({
      ...(language && { language }),
      models: data.getAll('models').map(String),
      ...(limit > 0 && { limit }),
    })
  }
  return (
    <form id={form} onSubmit={submit} onChange={onChange} className="flex flex-col gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={words.language} hint={words.languageText}>
          <input
            className="field"
            value={language}
            onChange={(event) => onLanguage(event.target.value.trim())}
            maxLength={16}
            autoComplete="off"
            spellCheck={false}
          />
        </Field>
        <Field label={words.limit} hint={words.limitText}>
          <input name="limit" type="number" min={1} step={1} className="field" />
        </Field>
      </div>
      <fieldset className="text-sm">
        <legend className="mb-1 font-medium">{words.models}</legend>
        <div className="flex flex-wrap gap-x-5">
          {models.map(({ name }) => (
            <label key={name} className="flex min-h-9 items-center gap-2">
              <input type="checkbox" name="models" value={name} />
              <span className="break-all">{name}</span>
            </label>
          ))}
        </div>
        <p className="text-xs text-ink-3">{words.modelsText}</p>
      </fieldset>
    </form>
  )
}

function Cost({ cost }: { cost: Estimate }) {
  const { summaries: words } = useWords('knowledge')
  const language = useLanguage()
  return (
    <div role="status" className="card flex flex-col gap-2 p-4">
      {cost.functions === 0 && <p className="text-sm">{words.nothing}</p>}
      <Numbers
        items={[
          { name: words.functions, value: number(cost.functions, language) },
          { name: words.known, value: number(cost.known, language) },
          { name: words.read, value: number(cost.prompt_tokens, language) },
          { name: words.written, value: number(cost.completion_tokens, language) },
          { name: words.cost, value: cost.usd === null ? words.noPrice : dollars(cost.usd, language) },
        ]}
      />
    </div>
  )
}

function Running({ summaries: { job, running } }: { summaries: Summaries }) {
  const words = useWords('knowledge')
  const language = useLanguage()
  const seen = running && running.done + running.failed
  const left = running?.left_s ?? job?.eta_s
  return (
    <div>
      <div className="mb-1.5 flex gap-3 text-xs text-ink-2 tabular-nums">
        <span className="flex-1">
          {job?.state === 'queued' ? words.knowledge.queued : words.summaries.running}
        </span>
        {running && seen !== null && running.total > 0 && (
          <span>{words.knowledge.progress(number(seen, language), number(running.total, language))}</span>
        )}
        {left ? <span>{words.knowledge.eta(duration(left, language))}</span> : null}
      </div>
      <Progress
        label={words.summaries.running}
        value={running && seen !== null && running.total > 0 ? seen / running.total : undefined}
      />
      {running && <SpentSoFar spent={running} />}
    </div>
  )
}

function Last({ summaries: { summarised, chunks, last, job } }: { summaries: Summaries }) {
  const { summaries: words } = useWords('knowledge')
  const language = useLanguage()
  const error = job?.error || last?.error
  return (
    <div className="text-sm">
      <p className="font-medium tabular-nums">
        {words.state(number(summarised, language), number(chunks, language))}
      </p>
      {last && (
        <>
          <p className="text-ink-2">
            {words.last(
              last.language,
              last.models.join(', '),
              ago(new Date(last.ended_at), new Date(), language),
            )}
          </p>
          <SpentSoFar spent={last.spent} />
        </>
      )}
      {error && <ProblemNote problem={{ message: error }} className="mt-3" />}
    </div>
  )
}

/** What a run has cost, and what it could not do. */
function SpentSoFar({ spent }: { spent: Spent }) {
  const { summaries: words } = useWords('knowledge')
  const language = useLanguage()
  return (
    <div className="mt-3 flex flex-col gap-3">
      <Numbers
        items={[
          { name: words.read, value: number(spent.prompt_tokens, language) },
          { name: words.written, value: number(spent.completion_tokens, language) },
          { name: words.cost, value: spent.usd === null ? words.noPrice : dollars(spent.usd, language) },
        ]}
      />
      {spent.failed > 0 && (
        <details className="text-sm">
          <summary className="font-medium text-danger">
            {words.failed(number(spent.failed, language))}
          </summary>
          <ul className="mt-1 max-h-48 overflow-auto">
            {spent.failures.map(({ path, name, reason }) => (
              <li key={`${path}:${name}:${reason}`} className="py-1 break-words">
                <span className="font-mono text-xs">
                  {path} {name}
                </span>{' '}
                <span className="text-ink-2">{reason}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  )
}
