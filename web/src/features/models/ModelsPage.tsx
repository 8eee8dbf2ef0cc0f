import { Cpu, HardDrive, MemoryStick } from 'lucide-react'
import { type FormEvent, useEffect, useRef } from 'react'
import { useLocation } from 'react-router'
import { asProblem } from '../../api/client'
import { useModels, useSession, useSystem } from '../../api/queries'
import { useShelf } from '../../api/shelf'
import type { Model, System } from '../../api/types'
import { Button, Page, ProblemNote, Skeleton } from '../../components/ui'
import { bytes } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { Capabilities } from './Capabilities'
import { Catalogue } from './Catalogue'
import { ModelCard } from './ModelCard'
import { PlugIn } from './PlugIn'
import { Pools } from './Pools'
import { Pulls } from './Pulls'
import { usePull } from './usePull'

const kinds = ['app', 'embedded', 'upstream'] as const

/** Where a model is listed: whatever is neither app nor endpoint runs on this server. */
const groupOf = (model: Model) => kinds.find((kind) => kind === model.kind) ?? 'embedded'

export function ModelsPage() {
  const { models: words } = useWords('models')
  const models = useModels()
  const system = useSystem()
  const shelf = useShelf()
  const pull = usePull()
  const admin = useSession().data?.user?.role === 'admin'
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
      <Pulls pull={pull} admin={admin} />
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
                  file={shelf.data?.files.find((file) => file.name === model.name)}
                  admin={admin}
                />
              ))}
            </ul>
          </section>
        )
      })}
      <Pools />
      {system.data && <Machine system={system.data} />}
      <Catalogue pull={pull} admin={admin} />
      {admin && <PullOther pull={pull} />}
      {all.length > 0 && <Capabilities models={all.filter((model) => model.kind !== 'app')} />}
      <div ref={plug} className="scroll-mt-6">
        <PlugIn />
      </div>
    </Page>
  )
}

/** Any other model file: of the hub, of an address, of this server's disk. */
function PullOther({ pull }: { pull: ReturnType<typeof usePull> }) {
  const { models: words } = useWords('models')
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const reference = String(new FormData(form).get('reference')).trim()
    if (reference) pull.mutate(reference, { onSuccess: () => form.reset() })
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-1 text-sm">
      <label htmlFor="reference" className="font-medium">
        {words.other}
      </label>
      <div className="flex flex-wrap gap-2">
        <input
          id="reference"
          name="reference"
          required
          className="field min-w-48 flex-1 font-mono text-xs"
          placeholder="OWNER/REPOSITORY/FILE.gguf"
          autoComplete="off"
          spellCheck={false}
          maxLength={2000}
        />
        <Button type="submit" busy={pull.isPending}>
          {words.pullAct}
        </Button>
      </div>
      <span className="text-xs text-ink-3">{words.otherText}</span>
    </form>
  )
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
