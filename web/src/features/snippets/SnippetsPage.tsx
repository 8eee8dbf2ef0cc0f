import { useMutation } from '@tanstack/react-query'
import { Code, MessageSquare, Search, Trash2 } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { Link } from 'react-router'
import { api, asProblem } from '../../api/client'
import { keys, queryClient, useSnippets } from '../../api/queries'
import type { Snippet } from '../../api/types'
import { CodeActions, CodeBlock } from '../../components/Code'
import { Button, Confirm, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'

const pageSize = 30

const changed = async () => {
  // A list that was asked for before the change may hold what is gone; while it has no data it is not asked for anew.
  await queryClient.cancelQueries({ queryKey: keys.allSnippets })
  await queryClient.invalidateQueries({ queryKey: keys.allSnippets })
}

/** Every block of code that answers brought, to be found again or deleted. */
export function SnippetsPage() {
  const words = useWords('snippets')
  const [query, setQuery] = useState('')
  const [limit, setLimit] = useState(pageSize)
  const [clearing, setClearing] = useState(false)
  const wanted = useDeferredValue(query.trim())
  const snippets = useSnippets(wanted, limit)
  const list = snippets.data ?? []
  const clear = useMutation({
    mutationFn: api.clearSnippets,
    onSuccess: () => {
      setClearing(false)
      return changed()
    },
  })
  return (
    <div className="h-full overflow-y-auto">
      <div className="mx-auto flex w-full max-w-3xl flex-col gap-5 px-4 py-8">
        <header className="flex flex-wrap items-end gap-x-4 gap-y-3">
          <div className="min-w-0 flex-1">
            <h1 className="text-[1.625rem] leading-tight font-semibold tracking-tight">
              {words.snippets.title}
            </h1>
            <p className="mt-1 text-ink-2">{words.snippets.text}</p>
          </div>
          {list.length > 0 && (
            <Button look="danger" onClick={() => setClearing(true)}>
              <Trash2 aria-hidden />
              {words.snippets.clear}
            </Button>
          )}
        </header>
        <div className="relative">
          <Search className="pointer-events-none absolute start-3 top-2.5 size-4 text-ink-3" aria-hidden />
          <input
            type="search"
            className="field ps-9"
            placeholder={words.snippets.search}
            aria-label={words.snippets.search}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
        </div>
        {snippets.isPending && <Skeleton widths={[50, 90, 80, 85, 60]} />}
        {snippets.isError && (
          <ProblemNote problem={asProblem(snippets.error)} onRetry={() => snippets.refetch()} />
        )}
        {snippets.isSuccess && list.length === 0 && (
          <div className="card flex flex-col items-center gap-2 px-6 py-12 text-center">
            <Code className="size-7 text-ink-3" aria-hidden />
            <p className="font-semibold">{wanted ? words.snippets.noMatch(wanted) : words.snippets.empty}</p>
            {!wanted && <p className="max-w-md text-sm text-ink-2">{words.snippets.emptyText}</p>}
          </div>
        )}
        <CodeActions value={null}>
          <ul className="flex flex-col gap-6">
            {list.map((snippet) => (
              <Item key={snippet.id} snippet={snippet} />
            ))}
          </ul>
        </CodeActions>
        {list.length >= limit && (
          <Button className="self-center" onClick={() => setLimit(limit + pageSize)}>
            {words.common.more}
          </Button>
        )}
      </div>
      {clearing && (
        <Confirm
          title={words.snippets.clearTitle}
          text={words.snippets.clearText}
          action={words.snippets.clear}
          busy={clear.isPending}
          error={clear.error && asProblem(clear.error)}
          onConfirm={() => clear.mutate()}
          onClose={() => setClearing(false)}
        />
      )}
    </div>
  )
}

function Item({ snippet }: { snippet: Snippet }) {
  const words = useWords('snippets')
  const language = useLanguage()
  const remove = useMutation({ mutationFn: () => api.deleteSnippet(snippet.id), onSuccess: changed })
  const title = snippet.title || words.snippets.untitled
  return (
    <li aria-label={title}>
      <div className="mb-1.5 flex items-center gap-2 text-sm">
        <div className="min-w-0 flex-1">
          <p className="truncate font-medium">{title}</p>
          <p className="text-xs text-ink-3">
            {ago(new Date(snippet.created_at), new Date(), language)}
            {!snippet.conversation_id && ` · ${words.snippets.saved}`}
          </p>
        </div>
        {snippet.conversation_id && (
          <Link
            to={`/c/${snippet.conversation_id}`}
            aria-label={words.snippets.open}
            title={words.snippets.open}
            className="grid size-8 place-items-center rounded-lg text-ink-2 hover:bg-hover hover:text-ink"
          >
            <MessageSquare className="size-4" aria-hidden />
          </Link>
        )}
        <IconButton label={words.snippets.delete} disabled={remove.isPending} onClick={() => remove.mutate()}>
          <Trash2 aria-hidden />
        </IconButton>
      </div>
      <CodeBlock code={snippet.code} language={snippet.language} />
      {remove.error && <ProblemNote problem={asProblem(remove.error)} className="mt-2" />}
    </li>
  )
}
