import { SlidersHorizontal } from 'lucide-react'
import type { Sampling } from '../../api/types'
import { Popover } from '../../components/Menu'
import { Field } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { fields } from '../../lib/sampling'

/** How the next completions are drawn. What is left empty is the model's own default. */
export function SamplingFields({
  sampling,
  onChange,
}: {
  sampling: Sampling
  onChange: (sampling: Sampling) => void
}) {
  const { playground: words } = useWords('playground')
  const set = (name: keyof Sampling, text: string, min: number, max: number) => {
    const value = text === '' ? null : Number(text)
    onChange({ ...sampling, [name]: value === null ? null : Math.min(max, Math.max(min, value)) })
  }
  return (
    <Popover
      label={words.sampling}
      className="grid size-9 place-items-center rounded-lg text-ink-2 hover:bg-hover hover:text-ink aria-expanded:bg-hover"
      panelClass="top-full -end-24 sm:end-auto sm:start-0 mt-1 w-56 p-4!"
      trigger={<SlidersHorizontal className="size-4" aria-hidden />}
    >
      {() => (
        <div className="flex flex-col gap-3">
          {fields.map(({ name, min, max, step }) => (
            <Field key={name} label={words.fields[name]}>
              <input
                type="number"
                inputMode="decimal"
                className="field tabular-nums"
                min={min}
                max={max}
                step={step}
                value={sampling[name] ?? ''}
                placeholder={words.default}
                onChange={(event) => set(name, event.target.value, min, max)}
              />
            </Field>
          ))}
        </div>
      )}
    </Popover>
  )
}
