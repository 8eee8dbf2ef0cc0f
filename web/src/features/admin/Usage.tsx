import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { ChartColumn } from 'lucide-react'
import { useState } from 'react'
import { admin, type DayTotal, type Group, groups, type Total } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Field, ProblemNote, Skeleton } from '../../components/ui'
import { dollars, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { Chart } from './Chart'
import { Empty, Section } from './parts'
import { stacked } from './stacked'

const spans = [7, 30, 90, 365] as const
const measures = {
  cost: (total: Total) => total.cost,
  tokens: (total: Total) => total.prompt_tokens + total.completion_tokens,
  answers: (total: Total) => total.answers,
}
type Measure = keyof typeof measures
const measureNames = Object.keys(measures) as Measure[]

export function Usage() {
  const { admin: words } = useWords('admin')
  const language = useLanguage()
  const [by, setBy] = useState<Group>('model')
  const [days, setDays] = useState(30)
  const [measure, setMeasure] = useState<Measure>('cost')
  const usage = useQuery({
    queryKey: ['usage', by, days],
    queryFn: async () => {
      const [totals, each] = await Promise.all([
        admin.usage(by, days, 'everyone'),
        admin.usageByDay(by, days, 'everyone'),
      ])
      return { totals, days: each }
    },
    placeholderData: keepPreviousData,
  })
  const write = (value: number) => (measure === 'cost' ? dollars(value, language) : number(value, language))
  const totals = usage.data?.totals ?? []
  const sum = (of: (total: Total) => number) => totals.reduce((all, total) => all + of(total), 0)
  const unpriced = sum((total) => total.unpriced)
  const facts = [
    { name: words.measures.cost, value: dollars(sum(measures.cost), language) },
    { name: words.measures.answers, value: number(sum(measures.answers), language) },
    { name: words.measures.tokens, value: number(sum(measures.tokens), language) },
    {
      name: words.failed,
      value: number(
        sum((total) => total.failed),
        language,
      ),
    },
  ]
  return (
    <Section title={words.parts.usage} text={words.usageText}>
      <div className="flex flex-wrap gap-3">
        <Choice
          label={words.groupBy}
          value={by}
          onChange={setBy}
          options={groups.map((name) => [name, words.groups[name]])}
        />
        <Choice
          label={words.span}
          value={String(days)}
          onChange={(value) => setDays(Number(value))}
          options={spans.map((span) => [String(span), words.lastDays(span)])}
        />
        <Choice
          label={words.measure}
          value={measure}
          onChange={setMeasure}
          options={measureNames.map((name) => [name, words.measures[name]])}
        />
      </div>
      {usage.isPending && <Skeleton widths={[95, 90, 80, 95]} />}
      {usage.isError && <ProblemNote problem={asProblem(usage.error)} onRetry={() => usage.refetch()} />}
      {usage.isSuccess && totals.length === 0 && (
        <Empty icon={<ChartColumn aria-hidden />} title={words.noUsage} text={words.noUsageText} />
      )}
      {totals.length > 0 && (
        <>
          <dl className="grid grid-cols-2 gap-3 sm:grid-cols-4">
            {facts.map(({ name, value }) => (
              <div key={name} className="card px-4 py-3">
                <dt className="text-xs text-ink-3">{name}</dt>
                <dd className="text-xl font-semibold tracking-tight tabular-nums">{value}</dd>
              </div>
            ))}
          </dl>
          {unpriced > 0 && <p className="text-sm text-ink-2">{words.unpriced(number(unpriced, language))}</p>}
          <div className="card p-4">
            <Chart
              data={stacked<DayTotal>(
                usage.data?.days ?? [],
                days,
                measures[measure],
                new Date(),
                words.others,
              )}
              write={write}
              label={words.chart(words.measures[measure], words.groups[by])}
            />
          </div>
          <Table totals={totals} title={words.groups[by]} />
        </>
      )}
    </Section>
  )
}

interface ChoiceProps<Value extends string> {
  label: string
  value: Value
  onChange: (value: Value) => void
  options: [Value, string][]
}

function Choice<Value extends string>({ label, value, onChange, options }: ChoiceProps<Value>) {
  return (
    <Field label={label}>
      <select className="field" value={value} onChange={(event) => onChange(event.target.value as Value)}>
        {options.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </Field>
  )
}

function Table({ totals, title }: { totals: Total[]; title: string }) {
  const { admin: words } = useWords('admin')
  const language = useLanguage()
  const columns = [
    [words.measures.answers, (total: Total) => number(total.answers, language)],
    [words.failed, (total: Total) => number(total.failed, language)],
    [words.prompt, (total: Total) => number(total.prompt_tokens, language)],
    [words.written, (total: Total) => number(total.completion_tokens, language)],
    [words.measures.cost, (total: Total) => dollars(total.cost, language)],
  ] as const
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
    <section className="card relative overflow-x-auto" tabIndex={0} aria-label={title}>
      <table className="w-full text-sm tabular-nums">
        <thead className="text-xs text-ink-3">
          <tr>
            <th className="px-4 py-2 text-start font-medium">{title}</th>
            {columns.map(([name]) => (
              <th key={name} className="px-4 py-2 text-end font-medium">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line border-t border-line">
          {totals.map((total) => (
            <tr key={total.group}>
              <th scope="row" className="min-w-32 px-4 py-2 text-start font-normal break-words">
                {total.name || words.nothing}
              </th>
              {columns.map(([name, text]) => (
                <td key={name} className="px-4 py-2 text-end">
                  {text(total)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
