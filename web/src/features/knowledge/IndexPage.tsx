import {
  ArrowLeft,
  CalendarClock,
  Eraser,
  LockKeyhole,
  RefreshCw,
  Sparkles,
  Trash2,
  Upload,
} from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { asProblem } from '../../api/client'
import { useIndexes, useSession } from '../../api/queries'
import type { Index, PathReason } from '../../api/types'
import { Button, Page, ProblemNote, Skeleton, Tabs } from '../../components/ui'
import { bytes, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'
import { ClearIndex } from './ClearIndex'
import { Files } from './Files'
import { Finder } from './Finder'
import {
  DeleteIndex,
  Freshness,
  isWorking,
  JobState,
  LanguageBar,
  Numbers,
  StateBadge,
  useUpdate,
} from './parts'
import { ScheduleDialog } from './ScheduleDialog'
import { Secrets } from './Secrets'
import { UploadDialog } from './UploadDialog'

const AccessDialog = lazy(() => import('../admin/AccessDialog').then((m) => ({ default: m.AccessDialog })))
const SummariesDialog = lazy(() => import('./SummariesDialog').then((m) => ({ default: m.SummariesDialog })))

export function IndexPage() {
  const words = useWords('knowledge')
  const { name = '' } = useParams()
  const indexes = useIndexes()
  const index = indexes.data?.find((other) => other.name === name)
  if (index) return <Details index={index} />
  return (
    <Page title={name}>
      {indexes.isPending && <Skeleton widths={[60, 90, 75, 82]} />}
      {indexes.isError && (
        <ProblemNote problem={asProblem(indexes.error)} onRetry={() => indexes.refetch()} />
      )}
      {indexes.isSuccess && (
        <ProblemNote problem={{ message: words.notFound.title, fix: words.notFound.text }} />
      )}
      <Back />
    </Page>
  )
}

function Back() {
  const { knowledge: words } = useWords('knowledge')
  return (
    <Link to="/knowledge" className="flex w-fit items-center gap-1.5 text-sm text-ink-2 hover:text-ink">
      <ArrowLeft className="size-4" aria-hidden />
      {words.back}
    </Link>
  )
}

const tabs = ['files', 'failed', 'skipped', 'secrets'] as const

function Details({ index }: { index: Index }) {
  const words = useWords('knowledge')
  const language = useLanguage()
  const navigate = useNavigate()
  const [query, setQuery] = useSearchParams()
  const [open, setOpen] = useState<
    'delete' | 'upload' | 'summaries' | 'schedule' | 'clear' | 'access' | null
  >(null)
  const update = useUpdate(index.name)
  const { knowledge } = words
  const { access } = useWords('access')
  const admin = useSession().data?.user?.role === 'admin'
  const offered = tabs.filter((name) => name !== 'secrets' || admin)
  const tab = offered.find((name) => name === query.get('tab')) ?? 'files'
  const counts = {
    files: index.files,
    failed: index.failed_count,
    skipped: index.skipped_count,
    secrets: index.secrets_count,
  }
  return (
    <Page
      title={
        <span className="flex flex-wrap items-center gap-3">
          <span className="break-all">{index.name}</span> <StateBadge state={index.state} />
        </span>
      }
      text={<span className="break-all">{index.source}</span>}
      actions={
        <>
          {admin && index.kind === 'uploads' && (
            <Button onClick={() => setOpen('upload')}>
              <Upload aria-hidden />
              {knowledge.upload}
            </Button>
          )}
          {admin && index.kind === 'uploads' && index.files > 0 && (
            <Button onClick={() => setOpen('clear')}>
              <Eraser aria-hidden />
              {knowledge.clear}
            </Button>
          )}
          {admin && index.kind !== 'uploads' && (
            <Button onClick={() => setOpen('schedule')}>
              <CalendarClock aria-hidden />
              {knowledge.schedule}
            </Button>
          )}
          {admin && (
            <Button onClick={() => setOpen('access')}>
              <LockKeyhole aria-hidden />
              {access.manage}
            </Button>
          )}
          {admin && (
            <>
              <Button onClick={() => setOpen('summaries')}>
                <Sparkles aria-hidden />
                {words.summaries.manage}
              </Button>
              <Button busy={update.isPending} disabled={isWorking(index)} onClick={() => update.mutate()}>
                <RefreshCw aria-hidden />
                {knowledge.update}
              </Button>
              <Button look="danger" onClick={() => setOpen('delete')}>
                <Trash2 aria-hidden />
                {words.common.delete}
              </Button>
            </>
          )}
        </>
      }
    >
      <Back />
      {update.error && <ProblemNote problem={asProblem(update.error)} />}
      <div className="card flex flex-col gap-4 p-5">
        <JobState index={index} />
        <Numbers
          items={[
            { name: knowledge.files, value: number(index.files, language) },
            { name: knowledge.chunks, value: number(index.chunks, language) },
            { name: knowledge.size, value: bytes(index.bytes, language) },
            ...(index.commit
              ? [{ name: knowledge.commit, value: index.commit.slice(0, 10), title: index.commit }]
              : []),
            {
              name: knowledge.updated,
              value: index.updated_at
                ? ago(new Date(index.updated_at), new Date(), language)
                : knowledge.never,
            },
            ...(index.secrets_count > 0
              ? [{ name: knowledge.secrets, value: number(index.secrets_count, language) }]
              : []),
            ...(index.summarised > 0
              ? [{ name: words.summaries.title, value: number(index.summarised, language) }]
              : []),
          ]}
        />
        <LanguageBar languages={index.languages} />
        <Freshness index={index} />
      </div>
      <Finder indexes={[index]} only={index.name} />
      <section className="flex flex-col gap-3">
        <Tabs
          label={knowledge.files}
          tabs={offered.map((name) => ({
            name,
            text: (
              <>
                {knowledge.tabs[name]}{' '}
                <span className="text-ink-3 tabular-nums">{number(counts[name], language)}</span>
              </>
            ),
          }))}
          chosen={tab}
          onChoose={(name) => setQuery(name === 'files' ? {} : { tab: name }, { replace: true })}
        />
        {tab === 'files' && <Files index={index} />}
        {tab === 'failed' && (
          <Reasons items={index.failed} count={index.failed_count} none={knowledge.nothingFailed} />
        )}
        {tab === 'skipped' && (
          <Reasons items={index.skipped} count={index.skipped_count} none={knowledge.nothingSkipped} />
        )}
        {tab === 'secrets' && <Secrets index={index} />}
      </section>
      {open === 'access' && (
        <Suspense>
          <AccessDialog index={index.name} onClose={() => setOpen(null)} />
        </Suspense>
      )}
      {open === 'summaries' && (
        <Suspense>
          <SummariesDialog name={index.name} onClose={() => setOpen(null)} />
        </Suspense>
      )}
      {open === 'schedule' && <ScheduleDialog index={index} onClose={() => setOpen(null)} />}
      {open === 'clear' && <ClearIndex index={index} onClose={() => setOpen(null)} />}
      {open === 'delete' && (
        <DeleteIndex index={index} onClose={() => setOpen(null)} onDeleted={() => navigate('/knowledge')} />
      )}
      {open === 'upload' && (
        <UploadDialog indexes={[index]} initial={[]} into={index.name} onClose={() => setOpen(null)} />
      )}
    </Page>
  )
}

function Reasons({ items, count, none }: { items: PathReason[]; count: number; none: string }) {
  const { knowledge: words } = useWords('knowledge')
  const language = useLanguage()
  if (items.length === 0) return <p className="py-6 text-sm text-ink-3">{none}</p>
  return (
    <>
      {count > items.length && (
        <p className="text-sm text-ink-3">
          {words.firstOf(number(items.length, language), number(count, language))}
        </p>
      )}
      <dl className="card divide-y divide-line text-sm">
        {items.map(({ path, reason }) => (
          <div key={path} className="flex flex-wrap gap-x-4 gap-y-0.5 px-4 py-2.5">
            <dt className="min-w-0 flex-[1_1_20rem] font-mono text-xs leading-5 break-all">{path}</dt>
            <dd className="flex-[1_1_12rem] text-ink-2">{reason}</dd>
          </div>
        ))}
      </dl>
    </>
  )
}
