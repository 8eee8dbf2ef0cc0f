import { useMutation } from '@tanstack/react-query'
import { Search } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { api, asProblem } from '../../api/client'
import type { Index, Place } from '../../api/types'
import { Badge, Button, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { LineDialog } from './LineDialog'
import { Narrow, narrowing } from './Narrow'

const finds = ['definitions', 'references', 'callers', 'callees'] as const

/** Where a name is defined, used and called. */
export function SymbolBox({ indexes, only }: { indexes: Index[]; only?: string }) {
  const { knowledge: words } = useWords('knowledge')
  const [shown, setShown] = useState<Place | null>(null)
  const look = useMutation({ mutationFn: api.symbols })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const name = String(data.get('name')).trim()
    if (name) look.mutate({ name, find: String(data.get('find')), ...narrowing(data, only) })
  }
  const places = look.data?.places
  return (
    <>
      <form onSubmit={submit} className="flex flex-col gap-2">
        <div className="flex flex-wrap gap-2">
          <input
            name="name"
            type="search"
            className="field min-w-48 flex-1 font-mono text-[0.8125rem]"
            placeholder={words.symbolPlaceholder}
            aria-label={words.symbolName}
            autoComplete="off"
            spellCheck={false}
          />
          <select name="find" className="field w-auto!" aria-label={words.symbolFind}>
            {finds.map((name) => (
              <option key={name} value={name}>
                {words.symbolFinds[name]}
              </option>
            ))}
          </select>
          <Button type="submit" look="primary" busy={look.isPending}>
            <Search aria-hidden />
            {words.searchRun}
          </Button>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <Narrow indexes={indexes} only={only} kind />
        </div>
      </form>
      {look.error && <ProblemNote problem={asProblem(look.error)} />}
      <p role="status" className="text-sm text-ink-3">
        {places && (places.length ? words.places(places.length) : words.noResults)}
        {look.data?.more && ` ${words.moreThere}`}
      </p>
      {places && places.length > 0 && (
        <ol className="card divide-y divide-line overflow-hidden">
          {places.map((place) => (
            <li key={`${place.index}:${place.path}:${place.line}:${place.column}`}>
              <button
                type="button"
                onClick={() => setShown(place)}
                className="block w-full px-4 py-2.5 text-start hover:bg-hover focus-visible:outline-offset-[-2px]"
              >
                <span className="flex flex-wrap items-center gap-2">
                  <span className="font-medium break-all">{place.name || words.topLevel}</span>
                  <Badge>{place.kind || words.roles[place.role]}</Badge>
                  {place.count > 1 && <span className="text-xs text-ink-3">{words.calls(place.count)}</span>}
                  {!place.certain && <Badge tone="warn">{words.uncertain}</Badge>}
                  <span className="font-mono text-xs break-all text-ink-2">
                    {place.path}:{place.line}
                  </span>
                </span>
                <span className="mt-1 block truncate font-mono text-xs text-ink-3">{place.text.trim()}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
      {shown && (
        <LineDialog index={shown.index} path={shown.path} line={shown.line} onClose={() => setShown(null)} />
      )}
    </>
  )
}
