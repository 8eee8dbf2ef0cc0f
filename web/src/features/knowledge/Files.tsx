import { keepPreviousData, useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { Search, Trash2 } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { api, asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import type { Index, IndexFile } from '../../api/types'
import { Badge, Button, Dialog, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { languageLabel } from '../../lib/code'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { FileDetails } from './FileDetails'

const pageSize = 100

export function Files({ index }: { index: Index }) {
  const words = useWords('knowledge')
  const [query, setQuery] = useState('')
  const [open, setOpen] = useState<string | null>(null)
  const wanted = useDeferredValue(query.trim())
  const files = useInfiniteQuery({
    queryKey: [...keys.files(index.name, wanted), index.updated_at],
    queryFn: ({ pageParam, signal }) =>
      api.indexFiles(index.name, { q: wanted, offset: pageParam, limit: pageSize }, signal),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => {
      const read = pages.reduce((sum, page) => sum + page.files.length, 0)
      return last.files.length && read < last.total ? read : undefined
    },
    placeholderData: keepPreviousData,
  })
  const remove = useMutation({
    mutationFn: (path: string) => api.deleteFile(index.name, path),
    onSuccess: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: ['files', index.name] }),
        queryClient.invalidateQueries({ queryKey: keys.indexes }),
      ]),
  })
  const rows = files.data?.pages.flatMap((page) => page.files) ?? []
  return (
    <>
      <div className="relative max-w-md">
        <Search className="pointer-events-none absolute start-3 top-2.5 size-4 text-ink-3" aria-hidden />
        <input
          type="search"
          className="field ps-9"
          placeholder={words.knowledge.searchFiles}
          aria-label={words.knowledge.searchFiles}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
      </div>
      {files.isPending && <Skeleton />}
      {files.isError && <ProblemNote problem={asProblem(files.error)} onRetry={() => files.refetch()} />}
      {remove.error && <ProblemNote problem={asProblem(remove.error)} />}
      {files.isSuccess && rows.length === 0 && (
        <p className="py-6 text-sm text-ink-3">
          {wanted ? words.knowledge.noFiles : words.knowledge.emptyIndex}
        </p>
      )}
      {rows.length > 0 && (
        <ul className="card divide-y divide-line overflow-hidden">
          {rows.map((file) => (
            <FileRow
              key={file.path}
              file={file}
              onOpen={() => setOpen(file.path)}
              {...(index.kind === 'uploads' && { onRemove: () => remove.mutate(file.path) })}
            />
          ))}
        </ul>
      )}
      {files.hasNextPage && (
        <Button className="self-center" busy={files.isFetchingNextPage} onClick={() => files.fetchNextPage()}>
          {words.common.more}
        </Button>
      )}
      {open && (
        <Dialog
          title={<span className="font-mono text-sm break-all">{open}</span>}
          width={64}
          onClose={() => setOpen(null)}
        >
          <FileDetails index={index.name} path={open} />
        </Dialog>
      )}
    </>
  )
}

interface FileRowProps {
  file: IndexFile
  onOpen: () => void
  onRemove?: () => void
}

function FileRow({ file, onOpen, onRemove }: FileRowProps) {
  const { knowledge: words } = useWords('knowledge')
  const language = useLanguage()
  const failed = file.reason !== ''
  return (
    <li className="flex items-center gap-2 pe-2 hover:bg-hover">
      <button
        type="button"
        onClick={onOpen}
        disabled={failed}
        className="flex min-w-0 flex-1 flex-wrap items-center gap-x-4 px-4 py-2 text-start text-sm focus-visible:outline-offset-[-2px]"
      >
        <span className="min-w-0 flex-[1_1_18rem] truncate font-mono text-xs leading-5" title={file.path}>
          {file.path}
        </span>
        {failed ? (
          <Badge tone="danger">{file.reason}</Badge>
        ) : (
          <span className="flex gap-4 text-xs text-ink-3 tabular-nums">
            {file.language && <span>{languageLabel(file.language)}</span>}
            <span>{words.lineCount(file.lines, number(file.lines, language))}</span>
            <span>{words.chunkCount(file.chunks, number(file.chunks, language))}</span>
          </span>
        )}
      </button>
      {onRemove && (
        <IconButton label={words.removeFile(file.path)} onClick={onRemove}>
          <Trash2 aria-hidden />
        </IconButton>
      )}
    </li>
  )
}
