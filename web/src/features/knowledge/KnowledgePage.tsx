import { FolderPlus, Upload } from 'lucide-react'
import { useState } from 'react'
import { asProblem } from '../../api/client'
import { useIndexes, useSession } from '../../api/queries'
import { Button, Page, ProblemNote, Skeleton } from '../../components/ui'
import { useDrop } from '../../lib/drop'
import { useWords } from '../../lib/i18n'
import { AddDialog } from './AddDialog'
import { Finder } from './Finder'
import { IndexCard } from './IndexCard'
import { UploadDialog } from './UploadDialog'

export function KnowledgePage() {
  const { knowledge: words } = useWords('knowledge')
  const indexes = useIndexes()
  const [adding, setAdding] = useState(false)
  const [uploading, setUploading] = useState<File[] | null>(null)
  const { over, handlers } = useDrop(setUploading)
  const all = indexes.data ?? []
  // Only administrators change what is indexed.
  const admin = useSession().data?.user?.role === 'admin'
  return (
    <div className="relative h-full" {...(admin && handlers)}>
      <Page
        title={words.title}
        text={words.text}
        actions={
          admin && (
            <>
              <Button onClick={() => setUploading([])}>
                <Upload aria-hidden />
                {words.upload}
              </Button>
              <Button look="primary" onClick={() => setAdding(true)}>
                <FolderPlus aria-hidden />
                {words.add}
              </Button>
            </>
          )
        }
      >
        {indexes.isPending && (
          <div className="grid grid-cols-1 gap-4 lg:grid-cols-2">
            {[0, 1].map((card) => (
              <div key={card} className="card p-5">
                <Skeleton widths={[45, 80, 100, 60]} />
              </div>
            ))}
          </div>
        )}
        {indexes.isError && !indexes.data && (
          <ProblemNote problem={asProblem(indexes.error)} onRetry={() => indexes.refetch()} />
        )}
        {indexes.isSuccess && all.length === 0 && (
          <div className="card flex flex-col items-center gap-3 px-6 py-14 text-center">
            <FolderPlus className="size-8 text-accent" aria-hidden />
            <h2 className="text-lg font-semibold">{words.empty}</h2>
            <p className="max-w-md text-ink-2">{admin ? words.emptyText : words.adminsAdd}</p>
            {admin && (
              <div className="mt-2 flex flex-wrap justify-center gap-2">
                <Button look="primary" onClick={() => setAdding(true)}>
                  {words.add}
                </Button>
                <Button onClick={() => setUploading([])}>{words.upload}</Button>
              </div>
            )}
          </div>
        )}
        {all.length > 0 && (
          <>
            <ul className="grid grid-cols-1 gap-4 lg:grid-cols-2">
              {all.map((index) => (
                <IndexCard key={index.name} index={index} />
              ))}
            </ul>
            <Finder indexes={all} />
          </>
        )}
      </Page>
      {over && (
        <div className="pointer-events-none absolute inset-3 z-20 grid place-items-center rounded-2xl border-2 border-dashed border-accent bg-accent-soft/90 text-lg font-semibold text-accent">
          {words.uploadDrop}
        </div>
      )}
      {adding && <AddDialog onClose={() => setAdding(false)} />}
      {uploading && <UploadDialog indexes={all} initial={uploading} onClose={() => setUploading(null)} />}
    </div>
  )
}
