import { FolderPlus, Upload } from 'lucide-react'
import { lazy, Suspense, useEffect, useState } from 'react'
import { asProblem } from '../../api/client'
import { queryClient, useIndexes } from '../../api/queries'
import { Button, ProblemNote, Skeleton } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { JobState, StateBadge } from '../knowledge/parts'

const AddDialog = lazy(() => import('../knowledge/AddDialog').then((m) => ({ default: m.AddDialog })))
const UploadDialog = lazy(() =>
  import('../knowledge/UploadDialog').then((m) => ({ default: m.UploadDialog })),
)

/** The first code: a folder, a repository, or uploaded files, with its progress. */
export function CodeStep() {
  const { welcome: words } = useWords('welcome')
  const language = useLanguage()
  const indexes = useIndexes()
  const [open, setOpen] = useState<'add' | 'upload' | null>(null)
  const count = indexes.data?.length
  useEffect(() => {
    if (count) queryClient.invalidateQueries({ queryKey: ['setup'] })
  }, [count])
  return (
    <>
      {indexes.isPending && <Skeleton widths={[70, 50]} />}
      {indexes.isError && (
        <ProblemNote problem={asProblem(indexes.error)} onRetry={() => indexes.refetch()} />
      )}
      {indexes.data && indexes.data.length > 0 && (
        <ul className="divide-y divide-line rounded-xl border border-line">
          {indexes.data.map((index) => (
            <li key={index.name} className="flex flex-col gap-2 px-4 py-3">
              <p className="flex flex-wrap items-center gap-2">
                <span className="font-medium break-all">{index.name}</span> <StateBadge state={index.state} />
                <span className="ms-auto text-sm text-ink-3">
                  {words.counted(number(index.files, language), number(index.chunks, language))}
                </span>
              </p>
              <JobState index={index} />
            </li>
          ))}
        </ul>
      )}
      <div className="flex flex-wrap gap-2">
        <Button look={count ? 'plain' : 'primary'} onClick={() => setOpen('add')}>
          <FolderPlus aria-hidden />
          {words.addCode}
        </Button>
        <Button onClick={() => setOpen('upload')}>
          <Upload aria-hidden />
          {words.upload}
        </Button>
      </div>
      <Suspense>
        {open === 'add' && <AddDialog onClose={() => setOpen(null)} />}
        {open === 'upload' && (
          <UploadDialog indexes={indexes.data ?? []} initial={[]} onClose={() => setOpen(null)} />
        )}
      </Suspense>
    </>
  )
}
