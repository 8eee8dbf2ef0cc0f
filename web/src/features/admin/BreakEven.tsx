import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useDeferredValue, useId, useState } from 'react'
import { admin } from '../../api/admin'
import { asProblem } from '../../api/client'
import { ProblemNote, Skeleton } from '../../components/ui'
import { dollars, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { Section } from './parts'

/** What is asked of the calculator: from, to, step and first value of each slider. */
const sliders = {
  machine_usd_per_hour: { min: 0.05, max: 20, step: 0.05, first: 2 },
  machine_tokens_per_second: { min: 10, max: 5000, step: 10, first: 600 },
  utilisation: { min: 0.05, max: 1, step: 0.05, first: 0.5 },
  prompt_tokens: { min: 0, max: 20000, step: 100, first: 3000 },
  completion_tokens: { min: 20, max: 4000, step: 20, first: 400 },
  input_usd: { min: 0, max: 20, step: 0.05, first: 1 },
  output_usd: { min: 0.05, max: 80, step: 0.05, first: 4 },
}
type Slider = keyof typeof sliders
const ofMachine: Slider[] = ['machine_usd_per_hour', 'machine_tokens_per_second', 'utilisation']
const ofApi: Slider[] = ['input_usd', 'output_usd', 'prompt_tokens', 'completion_tokens']
const initial = Object.fromEntries(
  Object.entries(sliders).map(([name, { first }]) => [name, first]),
) as Record<Slider, number>

/** From how many requests an hour a machine of one's own is cheaper than an API. The server computes it. */
export function BreakEven() {
  const { admin: words } = useWords('admin')
  const language = useLanguage()
  const [values, setValues] = useState(initial)
  const asked = useDeferredValue(values)
  const answer = useQuery({
    queryKey: ['break-even', asked],
    queryFn: () => admin.breakEven(asked),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  })
  const write = (name: Slider, value: number) =>
    name.includes('usd')
      ? dollars(value, language)
      : name === 'utilisation'
        ? new Intl.NumberFormat(language, { style: 'percent' }).format(value)
        : number(value, language)
  const group = (title: string, names: Slider[]) => (
    <fieldset className="card flex flex-col gap-4 p-5">
      <legend className="float-start mb-1 w-full font-semibold">{title}</legend>
      {names.map((name) => (
        <Range
          key={name}
          name={name}
          label={words.cost[name]}
          value={values[name]}
          text={write(name, values[name])}
          onChange={(value) => setValues((old) => ({ ...old, [name]: value }))}
        />
      ))}
    </fieldset>
  )
  const found = answer.data
  const whole = (value: number) => number(Math.ceil(value), language)
  return (
    <Section title={words.parts.cost} text={words.costText}>
      <div className="grid items-start gap-4 lg:grid-cols-2">
        {group(words.ownMachine, ofMachine)}
        {group(words.api, ofApi)}
      </div>
      {answer.isPending && <Skeleton widths={[60, 80]} />}
      {answer.error && <ProblemNote problem={asProblem(answer.error)} onRetry={() => answer.refetch()} />}
      {found && (
        <div role="status" className="card flex flex-col gap-4 border-accent! p-5">
          <p className="text-lg font-semibold text-balance">
            {found.reachable
              ? words.cheaper(whole(found.requests_per_hour))
              : words.never(whole(found.requests_per_hour), whole(found.capacity))}
          </p>
          <Scale at={found.requests_per_hour} capacity={found.capacity} />
          <dl className="grid gap-3 text-sm sm:grid-cols-3">
            {[
              [words.perRequest, dollars(found.api_usd_per_request, language)],
              [words.perMillion, dollars(found.machine_usd_per_million_tokens, language)],
              [words.capacity, whole(found.capacity)],
            ].map(([name, value]) => (
              <div key={name}>
                <dt className="text-ink-3">{name}</dt>
                <dd className="font-semibold tabular-nums">{value}</dd>
              </div>
            ))}
          </dl>
        </div>
      )}
    </Section>
  )
}

interface RangeProps {
  name: Slider
  label: string
  value: number
  text: string
  onChange: (value: number) => void
}

function Range({ name, label, value, text, onChange }: RangeProps) {
  const id = useId()
  const { min, max, step } = sliders[name]
  return (
    <div className="flex flex-col gap-1 text-sm">
      <div className="flex justify-between gap-3">
        <label htmlFor={id}>{label}</label>
        <output htmlFor={id} className="font-medium tabular-nums">
          {text}
        </output>
      </div>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-valuetext={text}
        onChange={(event) => onChange(Number(event.target.value))}
        className="h-6 w-full accent-accent"
      />
    </div>
  )
}

/** The machine's capacity as a bar: up to the mark the API is cheaper, above it the machine. */
function Scale({ at, capacity }: { at: number; capacity: number }) {
  const { admin: words } = useWords('admin')
  const share = Math.min(1, at / Math.max(at, capacity, 1))
  return (
    <div className="flex flex-col gap-1.5" aria-hidden>
      <div className="flex h-3 overflow-hidden rounded-full">
        <div className="bg-line-strong" style={{ width: `${share * 100}%` }} />
        <div className="flex-1 bg-accent" />
      </div>
      <div className="flex justify-between gap-4 text-xs text-ink-3">
        <span>{words.apiCheaper}</span>
        <span>{words.machineCheaper}</span>
      </div>
    </div>
  )
}
