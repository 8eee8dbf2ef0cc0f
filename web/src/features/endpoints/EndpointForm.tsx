import { useMutation } from '@tanstack/react-query'
import { type ReactNode, useId, useRef, useState } from 'react'
import { admin, type Endpoint, type EndpointBody, type Trial } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, Field, ProblemNote } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { useSaveEndpoint } from './queries'

const protocols = ['openai', 'anthropic', 'bedrock'] as const
type Protocol = (typeof protocols)[number]

interface EndpointFormProps {
  /** The one that is changed; without it a new one is added. */
  endpoint?: Endpoint
  /** Whether a new one is meant for the apps at once. */
  writes?: boolean
  onSaved: (name: string) => void
}

/** An endpoint by its address, key and model: tried, then saved into the settings. */
export function EndpointForm({ endpoint, writes = false, onSaved }: EndpointFormProps) {
  const { endpoints: words } = useWords('endpoints')
  const form = useRef<HTMLFormElement>(null)
  const offered = useId()
  const [protocol, setProtocol] = useState<Protocol>(endpoint?.protocol ?? 'openai')
  const [forget, setForget] = useState(false)
  const save = useSaveEndpoint()
  const test = useMutation({ mutationFn: admin.testEndpoint })
  const bedrock = protocol === 'bedrock'
  const hasKey = endpoint !== undefined && endpoint.key !== 'none'

  const place = (text: (name: string) => string) => ({
    protocol,
    base_url: bedrock ? (endpoint?.base_url ?? null) : text('base_url') || null,
    region: bedrock ? text('region') || null : null,
    api_key: text('api_key') || (forget ? '' : null),
    model: text('model') || null,
  })
  const onTest = () => {
    if (form.current?.reportValidity()) {
      const { text } = read(form.current)
      test.mutate({ ...place(text), saved: endpoint?.name ?? null })
    }
  }
  const onSave = () => {
    if (!form.current) return
    const { text, amount, checked } = read(form.current)
    const input = amount('input')
    const output = amount('output')
    const name = endpoint?.name ?? text('name')
    const body: EndpointBody = {
      ...place(text),
      context: amount('context'),
      parallel: amount('parallel'),
      timeout: amount('timeout'),
      skills: endpoint?.skills ?? null,
      price:
        input === null && output === null
          ? null
          : { input: input ?? 0, output: output ?? 0, cached: endpoint?.price?.cached ?? null },
      default: checked('default'),
    }
    save.mutate({ name, body }, { onSuccess: () => onSaved(name) })
  }
  return (
    <form
      ref={form}
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault()
        onSave()
      }}
    >
      <div className="grid gap-3 sm:grid-cols-2">
        {!endpoint && <NameField />}
        <Field label={words.protocol}>
          <select
            className="field"
            value={protocol}
            onChange={(event) => setProtocol(event.target.value as Protocol)}
          >
            {protocols.map((name) => (
              <option key={name} value={name}>
                {words.protocols[name]}
              </option>
            ))}
          </select>
        </Field>
      </div>
      {bedrock ? (
        <Field label={words.region} hint={words.regionText}>
          <input name="region" required className="field" defaultValue={endpoint?.region ?? ''} />
        </Field>
      ) : (
        <Field label={words.baseUrl} hint={words.baseUrlText}>
          <input
            name="base_url"
            type="url"
            required
            className="field font-mono text-[0.8125rem]"
            placeholder={
              protocol === 'anthropic' ? 'https://api.anthropic.com/v1' : 'https://llm.example.com/v1'
            }
            defaultValue={endpoint?.base_url ?? ''}
            spellCheck={false}
          />
        </Field>
      )}
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={words.key} hint={hasKey && !forget ? words.keyKept : words.keyText}>
          <input name="api_key" type="password" className="field" autoComplete="off" disabled={forget} />
        </Field>
        <Field label={words.model} hint={words.modelText}>
          <input
            name="model"
            className="field"
            list={offered}
            autoComplete="off"
            spellCheck={false}
            defaultValue={endpoint?.model ?? ''}
          />
        </Field>
      </div>
      {hasKey && (
        <Tick checked={forget} onChange={setForget}>
          {words.keyForget}
        </Tick>
      )}
      <datalist id={offered}>
        {test.data?.models.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <details className="text-sm" open={endpoint !== undefined}>
        <summary className="w-fit text-accent">{words.more}</summary>
        <div className="mt-3 grid gap-3 sm:grid-cols-3">
          <Amount name="parallel" label={words.parallel} value={endpoint?.parallel} step={1} />
          <Amount name="context" label={words.context} value={endpoint?.context} step={1} />
          <Amount name="timeout" label={words.timeout} value={endpoint?.timeout} />
          <Amount name="input" label={words.input} value={endpoint?.price?.input} />
          <Amount name="output" label={words.output} value={endpoint?.price?.output} />
        </div>
        <p className="mt-2 text-xs text-ink-3">{words.priceText}</p>
      </details>
      <Tick name="default" defaultChecked={endpoint?.default ?? writes}>
        {words.default}
      </Tick>
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" busy={save.isPending}>
          {words.save}
        </Button>
        <Button busy={test.isPending} onClick={onTest}>
          {words.test}
        </Button>
      </div>
      {save.error && <ProblemNote problem={asProblem(save.error)} />}
      {test.error && <ProblemNote problem={asProblem(test.error)} />}
      {test.data && <Tested trial={test.data} />}
    </form>
  )
}

/** What is entered in a form: texts without space around them, numbers where there are any. */
export function read(form: HTMLFormElement) {
  const data = new FormData(form)
  const text = (name: string) => String(data.get(name) ?? '').trim()
  const amount = (name: string) => (text(name) === '' ? null : Number(text(name)))
  return {
    text,
    amount,
    checked: (name: string) => data.has(name),
    all: (name: string) => data.getAll(name) as string[],
  }
}

interface AmountProps {
  name: string
  label: string
  value: number | null | undefined
  step?: number
}

export function Amount({ name, label, value, step }: AmountProps) {
  return (
    <Field label={label}>
      <input
        name={name}
        type="number"
        min={step ?? 0}
        step={step ?? 'any'}
        className="field"
        defaultValue={value ?? ''}
      />
    </Field>
  )
}

interface TickProps {
  name?: string
  value?: string
  checked?: boolean
  defaultChecked?: boolean
  onChange?: (checked: boolean) => void
  children: ReactNode
}

export function Tick({ onChange, children, ...input }: TickProps) {
  return (
    <label className="flex items-center gap-2 text-sm">
      <input
        type="checkbox"
        className="accent-accent"
        {...input}
        onChange={onChange && ((event) => onChange(event.target.checked))}
      />
      {children}
    </label>
  )
}

function Tested({ trial }: { trial: Trial }) {
  const { endpoints: words } = useWords('endpoints')
  const language = useLanguage()
  if (trial.error) return <ProblemNote problem={trial.error} />
  return (
    <div role="status" className="flex flex-col gap-2 rounded-xl bg-good-soft p-4 text-sm">
      <p className="font-semibold text-good">{words.works(number(trial.seconds, language))}</p>
      {trial.answer && <p>“{trial.answer}”</p>}
      {trial.models.length > 0 && (
        <p className="break-words text-ink-2">
          {words.offers(trial.models.length)} {trial.models.slice(0, 8).join(', ')}
        </p>
      )}
    </div>
  )
}

/** What a new endpoint or pool is called. */
export function NameField() {
  const { endpoints: words } = useWords('endpoints')
  return (
    <Field label={words.name} hint={words.nameText}>
      <input
        name="name"
        required
        pattern="[A-Za-z0-9][A-Za-z0-9._\-]{0,63}"
        className="field"
        autoComplete="off"
        spellCheck={false}
      />
    </Field>
  )
}
