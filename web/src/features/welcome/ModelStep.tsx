import { useMutation } from '@tanstack/react-query'
import { Cpu, MemoryStick, Zap } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { type Endpoint, type FittingModel, type Setup, setup as setupApi } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Snippet } from '../../components/Snippet'
import { Badge, Button, CopyButton, Field, ProblemNote, Tabs } from '../../components/ui'
import { bytes, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'

const shownFirst = 3

/** The machine, the models that fit it, or an endpoint to try. */
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
      {way === 'local' ? <Local models={setup.models} /> : <TestEndpoint />}
    </>
  )
}

function Local({ models }: { models: FittingModel[] }) {
  const { welcome: words, common } = useWords('welcome')
  const [all, setAll] = useState(false)
  const fitting = models.filter(({ fits }) => fits)
  const shown = all ? models : (fitting.length ? fitting : models).slice(0, shownFirst)
  return (
    <div className="flex flex-col gap-3">
      <p className="text-sm text-ink-2">{fitting.length ? words.pullText : words.nothingFits}</p>
      <ul className="flex flex-col gap-3">
        {shown.map((model, at) => (
          <ModelRow key={model.name} model={model} best={at === 0 && model.fits} />
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

function ModelRow({ model, best }: { model: FittingModel; best: boolean }) {
  const { welcome: words } = useWords('welcome')
  const language = useLanguage()
  return (
    <li className={`rounded-xl border p-4 ${best ? 'border-accent' : 'border-line'}`}>
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
      <div className="mt-2 flex items-center gap-1 rounded-lg bg-code ps-3">
        <code className="min-w-0 flex-1 py-2 font-mono text-[0.8125rem] break-all">{model.command}</code>
        <CopyButton text={model.command} />
      </div>
    </li>
  )
}

function TestEndpoint() {
  const { welcome: words } = useWords('welcome')
  const test = useMutation({ mutationFn: setupApi.endpoint })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const text = (name: string) => String(data.get(name) ?? '').trim()
    test.mutate({
      base_url: text('base_url'),
      api_key: text('api_key') || null,
      model: text('model') || null,
    })
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Field label={words.baseUrl} hint={words.baseUrlText}>
        <input
          name="base_url"
          type="url"
          required
          className="field font-mono text-[0.8125rem]"
          placeholder="https://llm.example.com/v1"
          spellCheck={false}
        />
      </Field>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={words.apiKey} hint={words.apiKeyText}>
          <input name="api_key" type="password" className="field" autoComplete="off" />
        </Field>
        <Field label={words.model} hint={words.modelText}>
          <input name="model" className="field" list="offered" autoComplete="off" spellCheck={false} />
        </Field>
      </div>
      <datalist id="offered">
        {test.data?.models.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <Button type="submit" look="primary" className="self-start" busy={test.isPending}>
        {words.test}
      </Button>
      {test.error && <ProblemNote problem={asProblem(test.error)} />}
      {test.data && <Tested endpoint={test.data} />}
    </form>
  )
}

function Tested({ endpoint }: { endpoint: Endpoint }) {
  const { welcome: words } = useWords('welcome')
  const language = useLanguage()
  if (endpoint.error) return <ProblemNote problem={endpoint.error} />
  return (
    <div role="status" className="flex flex-col gap-3 rounded-xl bg-good-soft p-4 text-sm">
      <p className="font-semibold text-good">{words.works(number(endpoint.seconds, language))}</p>
      {endpoint.answer && <p>“{endpoint.answer}”</p>}
      <p className="break-words text-ink-2">
        {words.offers(endpoint.models.length)} {endpoint.models.slice(0, 8).join(', ')}
      </p>
      <p>{words.paste}</p>
      <Snippet code={endpoint.lines} language="yaml" />
    </div>
  )
}
