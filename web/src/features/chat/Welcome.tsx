import {
  CircleCheck,
  Compass,
  FlaskConical,
  type LucideIcon,
  MessagesSquare,
  PencilLine,
  Sparkles,
} from 'lucide-react'
import { Link } from 'react-router'
import { asProblem } from '../../api/client'
import { useIndexes, useModels, useSystem } from '../../api/queries'
import type { Index } from '../../api/types'
import { Logo } from '../../components/Logo'
import { ProblemNote, Progress } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { useSettings } from '../../lib/settings'

/** An empty chat teaches: what to ask, what is indexed, and what stands in the way of good answers. */
export function Welcome({ onExample }: { onExample: (text: string) => void }) {
  const { chat: words } = useWords('chat')
  const { index: chosen } = useSettings()
  const indexes = useIndexes()
  const missing = [indexes, useModels()].filter((query) => query.isError && !query.data)
  const all = indexes.data ?? []
  const index = all.find((other) => other.name === chosen) ?? all.find((other) => other.default) ?? all[0]
  const what = index?.repository || index?.name || words.examples.anything
  const { examples } = words
  const cards: { icon: LucideIcon; title: string; text: string }[] = [
    { icon: PencilLine, title: examples.write, text: examples.writeText(what) },
    { icon: Compass, title: examples.explain, text: examples.explainText(what) },
    { icon: FlaskConical, title: examples.test, text: examples.testText(what) },
    { icon: MessagesSquare, title: examples.find, text: examples.findText(what) },
  ]
  return (
    <div className="mx-auto flex min-h-full w-full max-w-3xl flex-col justify-center gap-6 px-4 py-8">
      <div>
        <Logo className="size-11" />
        <h1 className="mt-5 text-[1.75rem] leading-tight font-semibold tracking-tight break-words">
          {index ? words.titleFor(what) : words.title}
        </h1>
        <p className="mt-1.5 text-ink-2">{words.subtitle}</p>
      </div>
      <ul aria-label={examples.label} className="grid gap-2.5 sm:grid-cols-2">
        {cards.map(({ icon: Icon, title, text }) => (
          <li key={title}>
            <button
              type="button"
              onClick={() => onExample(text)}
              className="card group flex h-full w-full gap-3 p-4 text-start transition-colors hover:border-accent"
            >
              <Icon className="mt-0.5 size-4 shrink-0 text-accent" aria-hidden />
              <span>
                <span className="block text-sm font-semibold">{title}</span>
                <span className="mt-0.5 block text-sm text-ink-2">{text}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      <div className="flex min-h-14 flex-col gap-3">
        {missing[0] && (
          <ProblemNote
            problem={asProblem(missing[0].error)}
            onRetry={() => Promise.all(missing.map((query) => query.refetch()))}
          />
        )}
        {indexes.isSuccess && <IndexState index={index} />}
        <ModelState />
      </div>
    </div>
  )
}

function IndexState({ index }: { index: Index | undefined }) {
  const { chat: words } = useWords('chat')
  const language = useLanguage()
  if (!index)
    return (
      <p className="text-sm text-ink-2">
        {words.index.none} {words.index.noneFix}{' '}
        <Link to="/knowledge" className="font-medium text-accent underline underline-offset-2">
          {words.index.add}
        </Link>
      </p>
    )
  const { job } = index
  if (job?.state === 'running' || job?.state === 'queued') {
    const text = job.total
      ? words.index.indexing(index.name, number(job.done, language), number(job.total, language))
      : words.index.preparing(index.name)
    return (
      <div className="text-sm text-ink-2">
        <p className="mb-1.5">{text}</p>
        <div className="max-w-80">
          <Progress label={text} value={job.total ? job.done / job.total : undefined} />
        </div>
      </div>
    )
  }
  if (index.state === 'failed')
    return (
      <ProblemNote
        problem={{ message: words.index.failed(index.name), fix: index.job?.error || index.error }}
      />
    )
  return (
    <p className="flex items-center gap-2 text-sm text-ink-2">
      <CircleCheck className="size-4 shrink-0 text-good" aria-hidden />
      <Link to={`/knowledge/${encodeURIComponent(index.name)}`} className="hover:underline">
        {words.index.ready(index.name, number(index.files, language), number(index.chunks, language))}
      </Link>
    </p>
  )
}

function ModelState() {
  const { chat: words } = useWords('chat')
  const system = useSystem()
  const models = useModels()
  const broken = system.data?.engine.find((engine) => engine.status === 'failed')
  const behind = (models.data ?? []).filter(
    (model) => model.kind !== 'app' && !model.skills.includes('embeddings'),
  )
  const onlyStarter = behind.length > 0 && behind.every((model) => model.note)
  if (broken)
    return <ProblemNote problem={{ message: words.engineFailed(broken.name), fix: broken.reason }} />
  return (
    <>
      {system.data && !system.data.models_ready && <p className="text-sm text-warn">{words.notReady}</p>}
      {onlyStarter && (
        <div className="flex items-start gap-3 rounded-xl bg-warn-soft px-4 py-3 text-sm">
          <Sparkles className="mt-0.5 size-4 shrink-0 text-warn" aria-hidden />
          <p className="text-ink-2">
            <strong className="font-semibold text-warn">{words.starter.title}.</strong> {words.starter.text}{' '}
            <Link to="/models#plug" className="font-medium text-ink underline underline-offset-2">
              {words.starter.how}
            </Link>
          </p>
        </div>
      )}
    </>
  )
}
