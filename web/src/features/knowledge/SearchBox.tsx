import { useMutation } from '@tanstack/react-query'
import { Search } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { api, asProblem } from '../../api/client'
import type { Explanation, Index, Reference, SearchRequest, SearchType } from '../../api/types'
import { ReferenceDialog } from '../../components/ReferenceDialog'
import { Badge, Button, ProblemNote } from '../../components/ui'
import { WhyBars } from '../../components/WhyBars'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { Narrow, narrowing } from './Narrow'

type Parameter = 'fetch_k' | 'lambda_mult' | 'score_threshold' | 'distance_threshold'

const parameters: Record<SearchType, Parameter[]> = {
  hybrid: [],
  similarity: [],
  mmr: ['fetch_k', 'lambda_mult'],
  similarity_score_threshold: ['score_threshold'],
  similarity_distance_threshold: ['distance_threshold'],
}
const ranges: Record<Parameter, { min: number; max: number; step: number; value: number }> = {
  fetch_k: { min: 1, max: 1000, step: 1, value: 20 },
  lambda_mult: { min: 0, max: 1, step: 0.05, value: 0.5 },
  score_threshold: { min: 0, max: 1, step: 0.05, value: 0.2 },
  distance_threshold: { min: 0, max: 2, step: 0.05, value: 0.6 },
}

/** The search that answers use, with its scores and reasons, and the types beside it. */
export function SearchBox({ indexes, only }: { indexes: Index[]; only?: string }) {
  const { knowledge: words } = useWords('knowledge')
  const [shown, setShown] = useState<Reference | null>(null)
  const [type, setType] = useState<SearchType>('hybrid')
  const search = useMutation({ mutationFn: (asked: SearchRequest) => api.search(asked) })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const query = String(data.get('query')).trim()
    const given = parameters[type].map((name) => [name, Number(data.get(name))])
    if (query)
      search.mutate({
        query,
        ...narrowing(data, only),
        search_type: type,
        explain: data.get('explain') === 'on',
        ...Object.fromEntries(given),
      })
  }
  const labels: Record<Parameter, string> = {
    fetch_k: words.fetchK,
    lambda_mult: words.lambda,
    score_threshold: words.scoreThreshold,
    distance_threshold: words.distanceThreshold,
  }
  const results = search.data?.results
  return (
    <>
      <form onSubmit={submit} className="flex flex-col gap-2">
        <div className="flex flex-wrap gap-2">
          <input
            name="query"
            type="search"
            className="field min-w-48 flex-1"
            placeholder={words.searchPlaceholder}
            aria-label={words.search}
          />
          <Button type="submit" look="primary" busy={search.isPending}>
            <Search aria-hidden />
            {words.searchRun}
          </Button>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <Narrow indexes={indexes} only={only} kind />
          <select
            className="field w-auto!"
            aria-label={words.searchType}
            value={type}
            onChange={(event) => setType(event.target.value as SearchType)}
          >
            {(Object.keys(parameters) as SearchType[]).map((name) => (
              <option key={name} value={name}>
                {words.searchTypes[name]}
              </option>
            ))}
          </select>
          {parameters[type].map((name) => {
            const { value, ...range } = ranges[name]
            return (
              <label key={name} className="flex items-center gap-2 text-sm text-ink-2">
                {labels[name]}
                <input
                  name={name}
                  type="number"
                  required
                  {...range}
                  defaultValue={value}
                  className="field w-20!"
                />
              </label>
            )
          })}
          <label className="flex min-h-9 items-center gap-2 text-sm text-ink-2">
            <input name="explain" type="checkbox" />
            {words.explain}
          </label>
        </div>
      </form>
      {search.error && <ProblemNote problem={asProblem(search.error)} />}
      <p role="status" className="text-sm text-ink-3">
        {results && (results.length ? words.results(results.length) : words.noResults)}
      </p>
      {search.data?.note && <p className="text-sm text-warn">{search.data.note}</p>}
      {search.data?.explanation && <Explained explanation={search.data.explanation} />}
      {results && results.length > 0 && (
        <ol className="card divide-y divide-line overflow-hidden">
          {results.map((result) => (
            <li key={`${result.index}:${result.path}:${result.start_line}:${result.end_line}`}>
              <Result result={result} onOpen={() => setShown(result)} />
            </li>
          ))}
        </ol>
      )}
      {shown && <ReferenceDialog reference={shown} onClose={() => setShown(null)} />}
    </>
  )
}

/** How a search went: the words, what was considered, the time by stage. */
function Explained({ explanation }: { explanation: Explanation }) {
  const { knowledge: words } = useWords('knowledge')
  const language = useLanguage()
  const { terms, symbols, candidates, indexes, seconds } = explanation
  return (
    <section aria-label={words.explain} className="card flex flex-col gap-2 px-4 py-3 text-sm">
      {terms.length > 0 && (
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="text-xs text-ink-3">{words.explainedWords}</span>
          {terms.map(({ term, forms }) => (
            <span key={term} className="font-mono text-xs">
              {term}
              {forms.length > 0 && (
                <span className="text-ink-3"> ({words.explainedForms(forms.join(', '))})</span>
              )}
            </span>
          ))}
        </p>
      )}
      {symbols.length > 0 && (
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="text-xs text-ink-3">{words.explainedSymbols}</span>
          <span className="font-mono text-xs">{symbols.join(', ')}</span>
        </p>
      )}
      <p className="flex flex-wrap gap-x-4 gap-y-1 text-xs text-ink-2 tabular-nums">
        <span>{words.explainedFrom(number(candidates, language), indexes.join(', '))}</span>
        {Object.entries(seconds).map(([stage, time]) => (
          <span key={stage}>
            {words.stages[stage] ?? stage} {(1000 * time).toFixed(1)} ms
          </span>
        ))}
      </p>
    </section>
  )
}

function Result({ result, onOpen }: { result: Reference; onOpen: () => void }) {
  return (
    <button
      type="button"
      onClick={onOpen}
      className="grid w-full gap-x-6 gap-y-2 px-4 py-3 text-start hover:bg-hover focus-visible:outline-offset-[-2px] sm:grid-cols-[1fr_14rem]"
    >
      <span className="min-w-0">
        <span className="flex flex-wrap items-center gap-2">
          <span className="font-medium break-all">{result.name ?? result.path.split('/').at(-1)}</span>
          {result.kind && <Badge>{result.kind}</Badge>}
          <span className="text-xs text-ink-3 tabular-nums">{result.score.toFixed(3)}</span>
        </span>
        <span className="mt-0.5 block font-mono text-xs break-all text-ink-2">
          {result.path}:{result.start_line}-{result.end_line}
        </span>
        {result.signature && (
          <span className="mt-1 block truncate font-mono text-xs text-ink-3">{result.signature}</span>
        )}
      </span>
      {result.why && (
        <span>
          <WhyBars why={result.why} />
        </span>
      )}
    </button>
  )
}
