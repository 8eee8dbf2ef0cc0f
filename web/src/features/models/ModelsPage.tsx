import { Cpu, HardDrive, MemoryStick, MessageSquare } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { useLocation, useNavigate } from 'react-router'
import { asProblem } from '../../api/client'
import { useModels, useSystem } from '../../api/queries'
import type { Engine, Model, System } from '../../api/types'
import { Badge, Button, Page, ProblemNote, Skeleton, type Tone } from '../../components/ui'
import { bytes, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { changeSettings } from '../../lib/settings'
import { canChat } from '../chat/Pickers'
import { PlugIn } from './PlugIn'

const kinds = ['app', 'embedded', 'upstream'] as const

/** Where a model is listed: whatever is neither app nor endpoint runs on this server. */
const groupOf = (model: Model) => kinds.find((kind) => kind === model.kind) ?? 'embedded'

export function ModelsPage() {
  const { models: words } = useWords('models')
  const models = useModels()
  const system = useSystem()
  const titles = { app: words.apps, embedded: words.embedded, upstream: words.upstream }
  const all = models.data ?? []

  const { hash } = useLocation()
  const plug = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (hash === '#plug' && models.isSuccess) plug.current?.scrollIntoView()
  }, [hash, models.isSuccess])

  return (
    <Page title={words.title} text={words.text}>
      {models.isPending && <Skeleton widths={[70, 90, 60]} />}
      {models.isError && <ProblemNote problem={asProblem(models.error)} onRetry={() => models.refetch()} />}
      {models.isSuccess && all.length === 0 && <p className="text-ink-2">{words.none}</p>}
      {kinds.map((kind) => {
        const group = all.filter((model) => groupOf(model) === kind)
        if (group.length === 0) return null
        return (
          <section key={kind} aria-label={titles[kind]} className="flex flex-col gap-3">
            <h2 className="text-sm font-semibold text-ink-2">{titles[kind]}</h2>
            <ul className="grid grid-cols-1 gap-4 lg:grid-cols-2">
              {group.map((model) => (
                <ModelCard
                  key={model.name}
                  model={model}
                  engine={system.data?.engine.find((engine) => engine.name === model.name)}
                />
              ))}
            </ul>
          </section>
        )
      })}
      {system.data && <Machine system={system.data} />}
      <div ref={plug} className="scroll-mt-6">
        <PlugIn />
      </div>
    </Page>
  )
}

function ModelCard({ model, engine }: { model: Model; engine: Engine | undefined }) {
  const { models: words } = useWords('models')
  const language = useLanguage()
  const navigate = useNavigate()
  return (
    <li className="card flex flex-col gap-3 p-5">
      <div className="flex flex-wrap items-center gap-2">
        <h3 className="font-semibold break-all">{model.name}</h3>
        {model.default && <Badge tone="accent">{words.default}</Badge>}
        {engine && <EngineBadge engine={engine} />}
      </div>
      {model.description && <p className="text-sm text-ink-2">{model.description}</p>}
      {model.note && <p className="text-sm text-warn">{model.note}</p>}
      {engine?.status === 'failed' && engine.reason && <ProblemNote problem={{ message: engine.reason }} />}
      <ul className="flex flex-wrap gap-1.5">
        {model.skills.map((skill) => (
          <li key={skill}>
            <Badge>{words.skills[skill] ?? skill}</Badge>
          </li>
        ))}
      </ul>
      <div className="mt-auto flex flex-wrap items-center gap-x-4 gap-y-2 text-xs text-ink-3">
        {model.context !== null && <span>{words.context(number(model.context, language))}</span>}
        {engine && engine.slots > 0 && <span>{words.slots(engine.busy, engine.slots)}</span>}
        {engine && engine.waiting > 0 && <span>{words.waiting(engine.waiting)}</span>}
        {engine?.memory_mb ? (
          <span>
            {words.memory} {bytes(engine.memory_mb * 2 ** 20, language)}
          </span>
        ) : null}
        {canChat(model) && (
          <Button
            className="ms-auto"
            onClick={() => {
              changeSettings({ model: model.default ? null : model.name })
              navigate('/')
            }}
          >
            <MessageSquare aria-hidden />
            {words.use}
          </Button>
        )}
      </div>
    </li>
  )
}

const tones: Record<Engine['status'], Tone> = {
  stopped: 'neutral',
  starting: 'accent',
  ready: 'good',
  failed: 'danger',
  restarting: 'warn',
}

function EngineBadge({ engine }: { engine: Engine }) {
  const { models: words } = useWords('models')
  return <Badge tone={tones[engine.status]}>{words.engine[engine.status]}</Badge>
}

function Machine({ system }: { system: System }) {
  const { models: words } = useWords('models')
  const language = useLanguage()
  const { cores, memory_mb, disk_free_mb } = system.machine
  const facts = [
    { icon: Cpu, text: words.cores(cores) },
    { icon: MemoryStick, text: words.memoryFree(bytes(memory_mb * 2 ** 20, language)) },
    { icon: HardDrive, text: words.disk(bytes(disk_free_mb * 2 ** 20, language)) },
  ]
  return (
    <section aria-label={words.machine} className="flex flex-col gap-2">
      <h2 className="text-sm font-semibold text-ink-2">{words.machine}</h2>
      <ul className="flex flex-wrap gap-x-6 gap-y-2 text-sm">
        {facts.map(({ icon: Icon, text }) => (
          <li key={text} className="flex items-center gap-2">
            <Icon className="size-4 text-ink-3" aria-hidden />
            {text}
          </li>
        ))}
      </ul>
      <p className="text-sm text-ink-2">
        {words.home}: <code className="font-mono text-[0.8125rem] break-all">{system.home}</code>
      </p>
    </section>
  )
}
