import { useMutation } from '@tanstack/react-query'
import { Search } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { api, asProblem } from '../../api/client'
import type { Index, Reference } from '../../api/types'
import { ReferenceDialog } from '../../components/ReferenceDialog'
import { Badge, Button, ProblemNote } from '../../components/ui'
import { WhyBars } from '../../components/WhyBars'
import { useWords } from '../../lib/i18n'

/** The search that answers use, with its scores and reasons. Without `only`, an index can be chosen. */
export function SearchBox({ indexes, only }: { indexes: Index[]; only?: string }) {
  const { knowledge: words } = useWords()
  const [shown, setShown] = useState<Reference | null>(null)
  const search = useMutation({
    mutationFn: ({ query, index }: { query: string; index: string }) =>
      api.search({ query, k: 10, ...(index && { index }) }),
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const query = String(data.get('query')).trim()
    if (query) search.mutate({ query, index: only ?? String(data.get('index') ?? '') })
  }
  const results = search.data?.results
  return (
    <search aria-label={words.search} className="flex flex-col gap-3">
      <div>
        <h2 className="text-lg font-semibold">{words.search}</h2>
        <p className="text-sm text-ink-2">{words.searchText}</p>
      </div>
      <form onSubmit={submit} className="flex flex-wrap gap-2">
        <input
          name="query"
          type="search"
          className="field min-w-48 flex-1"
          placeholder={words.searchPlaceholder}
          aria-label={words.search}
        />
        {!only && indexes.length > 1 && (
          <select name="index" className="field w-auto!" aria-label={words.searchAll}>
            <option value="">{words.searchAll}</option>
            {indexes.map((index) => (
              <option key={index.name}>{index.name}</option>
            ))}
          </select>
        )}
        <Button type="submit" look="primary" busy={search.isPending}>
          <Search aria-hidden />
          {words.searchRun}
        </Button>
      </form>
      {search.error && <ProblemNote problem={asProblem(search.error)} />}
      <p role="status" className="text-sm text-ink-3">
        {results && (results.length ? words.results(results.length) : words.noResults)}
      </p>
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
    </search>
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
