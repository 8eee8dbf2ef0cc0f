import { useMutation } from '@tanstack/react-query'
import { Search } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'react-router'
import { api, asProblem } from '../../api/client'
import { useIndexes } from '../../api/queries'
import type { Reference } from '../../api/types'
import { Button, Dialog, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'

/** Finds a function in the indexed code and takes it. */
export function PickCode({
  onPick,
  onClose,
}: {
  onPick: (reference: Reference) => void
  onClose: () => void
}) {
  const { tasks: words } = useWords('tasks')
  const indexes = useIndexes()
  const [index, setIndex] = useState('')
  const search = useMutation({
    mutationFn: (query: string) => api.search({ query, ...(index && { index }), k: 12 }),
  })
  const found = search.data?.results
  return (
    <Dialog title={words.pick} width={44} onClose={onClose}>
      {indexes.isSuccess && indexes.data.length === 0 ? (
        <p className="py-6 text-center text-sm text-ink-2">
          {words.nothingIndexed}{' '}
          <Link to="/knowledge" className="text-accent underline">
            {words.addCode}
          </Link>
        </p>
      ) : (
        <form
          className="flex flex-wrap gap-2"
          onSubmit={(event) => {
            event.preventDefault()
            const query = String(new FormData(event.currentTarget).get('query')).trim()
            if (query) search.mutate(query)
          }}
        >
          <input
            name="query"
            type="search"
            className="field min-w-40 flex-1"
            aria-label={words.pickSearch}
            placeholder={words.pickPlaceholder}
          />
          <select
            className="field w-auto!"
            aria-label={words.index}
            value={index}
            onChange={(event) => setIndex(event.target.value)}
          >
            <option value="">{words.allIndexes}</option>
            {(indexes.data ?? []).map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
          <Button type="submit" look="primary" busy={search.isPending}>
            <Search aria-hidden />
            {words.find}
          </Button>
        </form>
      )}
      {search.error && <ProblemNote className="mt-3" problem={asProblem(search.error)} />}
      {found?.length === 0 && <p className="py-6 text-sm text-ink-3">{words.nothingFound}</p>}
      {found && found.length > 0 && (
        <ul className="mt-4 flex flex-col gap-2">
          {found.map((one) => (
            <li key={`${one.index} ${one.path}:${one.start_line}`}>
              <button
                type="button"
                onClick={() => onPick(one)}
                className="w-full rounded-lg border border-line px-3 py-2 text-start hover:border-accent hover:bg-accent-soft"
              >
                <span className="block truncate text-sm font-medium">
                  {one.name || one.path.split('/').at(-1)}
                </span>
                <span className="block truncate font-mono text-xs text-ink-3">
                  {one.path}:{one.start_line}-{one.end_line}
                </span>
                {one.summary && <span className="mt-1 line-clamp-2 text-xs text-ink-2">{one.summary}</span>}
              </button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  )
}
