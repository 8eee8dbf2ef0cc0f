import { Cpu, Download, MemoryStick, Zap } from 'lucide-react'
import { useEffect, useState } from 'react'
import type { FittingModel, Setup } from '../../api/admin'
import { asProblem } from '../../api/client'
import { queryClient } from '../../api/queries'
import { useShelf } from '../../api/shelf'
import { Badge, Button, ProblemNote, Tabs } from '../../components/ui'
import { bytes, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { EndpointForm } from '../endpoints/EndpointForm'
import { useEndpoints } from '../endpoints/queries'
import { Pulls } from '../models/Pulls'
import { usePull } from '../models/usePull'

const shownFirst = 3

/** The machine, the models that fit it, or an endpoint. */
export function ModelStep({ setup }: { setup: Setup }) {
  const { welcome: words } = useWords('welcome')
  const language = useLanguage()
  const [way, setWay] = useState<'local' | 'endpoint'>('local')
  const { cores, memory_mb, gpu } = setup.hardware
  const facts = [
    { icon: Cpu, text: words.cores(cores) },
    { icon: MemoryStick, text: words.memory(bytes(memory_mb * 1_000_000, language)) },
    { icon: Zap, text: gpu ? words.gpu : words.noGpu },
  ]
  return (
    <>
      <ul className="flex flex-wrap gap-x-6 gap-y-2 text-sm">
        {facts.map(({ icon: Icon, text }) => (
          <li key={text} className="flex items-center gap-2">
            <Icon className="size-4 text-ink-3" aria-hidden />
            {text}
          </li>
        ))}
      </ul>
      <p className="text-sm">
        {words.writesNow} <strong className="font-semibold">{setup.writer}</strong>
      </p>
      <Tabs
        label={words.steps.model.title}
        tabs={[
          { name: 'local', text: words.local },
          { name: 'endpoint', text: words.endpoint },
        ]}
        chosen={way}
        onChoose={setWay}
      />
      {way === 'local' ? <Local models={setup.models} /> : <Connected />}
    </>
  )
}

function Local({ models }: { models: FittingModel[] }) {
  const { welcome: words, common } = useWords('welcome')
  const [all, setAll] = useState(false)
  const pull = usePull()
  const shelf = useShelf()
  const installed = shelf.data?.files.length
  useEffect(() => {
    // A model that has arrived writes from now on.
    if (installed) queryClient.invalidateQueries({ queryKey: ['setup'] })
  }, [installed])
  const fitting = models.filter(({ fits }) => fits)
  const shown = all ? models : (fitting.length ? fitting : models).slice(0, shownFirst)
  return (
    <div className="flex flex-col gap-3">
      <p className="text-sm text-ink-2">{fitting.length ? words.pullText : words.nothingFits}</p>
      {pull.error && <ProblemNote problem={asProblem(pull.error)} />}
      <Pulls pull={pull} admin />
      <ul className="flex flex-col gap-3">
        {shown.map((model, at) => (
          <ModelRow key={model.name} model={model} best={at === 0 && model.fits} pull={pull} />
        ))}
      </ul>
      {!all && models.length > shown.length && (
        <Button look="ghost" className="self-start" onClick={() => setAll(true)}>
          {common.more}
        </Button>
      )}
    </div>
  )
}

interface ModelRowProps {
  model: FittingModel
  best: boolean
  pull: ReturnType<typeof usePull>
}

function ModelRow({ model, best, pull }: ModelRowProps) {
  const { welcome: words } = useWords('welcome')
  const language = useLanguage()
  const shelf = useShelf().data
  const mine = shelf?.pulls.find(({ reference }) => reference === model.reference)
  const coming = mine?.state === 'running'
  const here = mine?.state === 'done' || shelf?.files.some(({ name }) => name === model.name)
  return (
    <li
      className={`flex flex-wrap items-center gap-3 rounded-xl border p-4 ${best ? 'border-accent' : 'border-line'}`}
    >
      <div className="min-w-0 flex-[1_1_16rem]">
        <p className="flex flex-wrap items-center gap-2">
          <span className="font-semibold">{model.title}</span>
          {best && <Badge tone="accent">{words.best}</Badge>}
          {!model.fits && <Badge tone="warn">{words.tooBig}</Badge>}
        </p>
        <p className="text-xs text-ink-3">
          {words.modelFacts(
            number(model.parameters, language),
            model.quantisation,
            bytes(model.disk_mb * 1_000_000, language),
            bytes(model.memory_mb * 1_000_000, language),
            model.licence,
          )}
        </p>
      </div>
      {here ? (
        <Badge tone="good">{words.here}</Badge>
      ) : (
        <Button
          look={best ? 'primary' : 'plain'}
          aria-label={words.fetchOf(model.title)}
          busy={coming || (pull.isPending && pull.variables === model.reference)}
          onClick={() => pull.mutate(model.reference)}
        >
          <Download aria-hidden />
          {words.fetch}
        </Button>
      )}
    </li>
  )
}

/** An endpoint that writes for the apps once it is saved. */
function Connected() {
  const { endpoints: words } = useWords('endpoints')
  const [saved, setSaved] = useState('')
  const state = useEndpoints()
  return (
    <>
      {saved && (
        <p role="status" className="rounded-xl bg-good-soft px-4 py-3 text-sm text-good">
          {words.saved(saved)}
        </p>
      )}
      {state.data?.refusal ? (
        <ProblemNote problem={{ message: words.cannotSave, fix: state.data.refusal }} />
      ) : (
        <EndpointForm key={saved} writes onSaved={setSaved} />
      )}
    </>
  )
}
