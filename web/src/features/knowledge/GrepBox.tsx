import { useMutation } from '@tanstack/react-query'
import { Search } from 'lucide-react'
import { type FormEvent, type ReactNode, useState } from 'react'
import { api, asProblem } from '../../api/client'
import type { Hit, Index } from '../../api/types'
import { Button, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { LineDialog } from './LineDialog'
import { Narrow, narrowing } from './Narrow'

/** Lines that match a regular expression, by file. */
export function GrepBox({ indexes, only }: { indexes: Index[]; only?: string }) {
  const { knowledge: words } = useWords('knowledge')
  const [shown, setShown] = useState<Hit | null>(null)
  const grep = useMutation({ mutationFn: api.grep })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const pattern = String(data.get('pattern'))
    const on = (name: string) => data.get(name) === 'on'
    const { kinds: _, ...where } = narrowing(data, only)
    if (pattern)
      grep.mutate({
        pattern,
        ...where,
        ignore_case: on('ignore_case'),
        whole_word: on('whole_word'),
        fixed: on('fixed'),
        context: 1,
      })
  }
  const hits = grep.data?.hits
  const files = byFile(hits ?? [])
  const options = [
    ['ignore_case', words.ignoreCase],
    ['whole_word', words.wholeWord],
    ['fixed', words.fixedText],
  ]
  return (
    <>
      <form onSubmit={submit} className="flex flex-col gap-2">
        <div className="flex flex-wrap gap-2">
          <input
            name="pattern"
            type="search"
            className="field min-w-48 flex-1 font-mono text-[0.8125rem]"
            placeholder="def test_\w+"
            aria-label={words.grepPattern}
            autoComplete="off"
            spellCheck={false}
          />
          <Button type="submit" look="primary" busy={grep.isPending}>
            <Search aria-hidden />
            {words.searchRun}
          </Button>
        </div>
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <Narrow indexes={indexes} only={only} />
          {options.map(([name, label]) => (
            <label key={name} className="flex min-h-9 items-center gap-2 text-sm text-ink-2">
              <input name={name} type="checkbox" />
              {label}
            </label>
          ))}
        </div>
      </form>
      {grep.error && <ProblemNote problem={asProblem(grep.error)} />}
      <p role="status" className="text-sm text-ink-3">
        {hits && (hits.length ? words.lines(hits.length) : words.noResults)}
        {grep.data?.more && ` ${words.moreThere}`}
      </p>
      {[...files].map(([file, found]) => (
        <section key={file} className="card overflow-hidden">
          <h3 className="border-b border-line px-4 py-2 font-mono text-xs break-all">{found[0]?.path}</h3>
          <ol className="divide-y divide-line">
            {found.map((hit) => (
              <li key={hit.number}>
                <button
                  type="button"
                  onClick={() => setShown(hit)}
                  className="code block w-full overflow-x-auto px-4 py-1.5 text-start hover:bg-hover focus-visible:outline-offset-[-2px]"
                >
                  <Line number={hit.number - 1} texts={hit.before} />
                  <Line number={hit.number} texts={[marked(hit)]} strong />
                  <Line number={hit.number + 1} texts={hit.after} />
                </button>
              </li>
            ))}
          </ol>
        </section>
      ))}
      {shown && (
        <LineDialog
          index={shown.index}
          path={shown.path}
          line={shown.number}
          onClose={() => setShown(null)}
        />
      )}
    </>
  )
}

/** Hits by file, in their order. */
function byFile(hits: Hit[]): Map<string, Hit[]> {
  const files = new Map<string, Hit[]>()
  for (const hit of hits) {
    const file = `${hit.index}:${hit.path}`
    files.set(file, [...(files.get(file) ?? []), hit])
  }
  return files
}

/** At most one line, since one is asked for on either side. */
function Line({ number, texts, strong = false }: { number: number; texts: ReactNode[]; strong?: boolean }) {
  return texts.map((text) => (
    <span key={number} className={`flex gap-4 whitespace-pre ${strong ? '' : 'text-ink-3'}`}>
      <span className="w-10 shrink-0 text-end text-ink-3 tabular-nums">{number}</span>
      <span>{text}</span>
    </span>
  ))
}

/** A line with what matched marked; spans count characters, not UTF-16 units. */
function marked({ text, spans }: Hit): ReactNode {
  const characters = [...text]
  const piece = (start: number, end?: number) => characters.slice(start, end).join('')
  let at = 0
  const parts: ReactNode[] = []
  for (const [start = 0, end = 0] of spans) {
    parts.push(piece(at, start))
    parts.push(
      <mark key={start} className="rounded-sm bg-accent-soft text-accent">
        {piece(start, end)}
      </mark>,
    )
    at = end
  }
  return (
    <>
      {parts}
      {piece(at)}
    </>
  )
}
