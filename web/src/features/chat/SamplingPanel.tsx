import { SlidersHorizontal } from 'lucide-react'
import { useId } from 'react'
import { Popover } from '../../components/Menu'
import { Button } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { type Field, fields, presetNames, presetOf, presets } from '../../lib/sampling'
import { changeSettings, useSettings } from '../../lib/settings'

export function SamplingPanel() {
  const words = useWords('chat')
  const { sampling, explain, agent } = useSettings()
  const preset = presetOf(sampling)
  const changed = Object.values(sampling).some((value) => value != null)
  return (
    <Popover
      label={`${words.picker.sampling}: ${words.sampling.preset[preset]}`}
      className="relative grid size-9 place-items-center rounded-lg text-ink-2 hover:bg-hover hover:text-ink aria-expanded:bg-hover"
      panelClass="bottom-full -end-11 mb-2 max-h-[min(40rem,75dvh)]! w-[min(21rem,92vw)] p-4!"
      trigger={
        <>
          <SlidersHorizontal className="size-4" aria-hidden />
          {(changed || agent) && (
            <span className="absolute end-1.5 top-1.5 size-1.5 rounded-full bg-accent" />
          )}
        </>
      }
    >
      {() => (
        <>
          <div className="flex items-center">
            <p className="flex-1 font-semibold">{words.sampling.title}</p>
            <Button look="ghost" disabled={!changed} onClick={() => changeSettings({ sampling: {} })}>
              {words.sampling.reset}
            </Button>
          </div>
          <p className="text-xs text-ink-3">{words.sampling.text}</p>
          <div role="radiogroup" aria-label={words.sampling.title} className="my-3 flex gap-1">
            {presetNames.map((name) => (
              // biome-ignore lint/a11y/useSemanticElements: a drawn choice, operated as buttons.
              <button
                key={name}
                type="button"
                role="radio"
                aria-checked={preset === name}
                onClick={() => {
                  const { max_tokens, seed } = sampling
                  changeSettings({ sampling: { ...presets[name], max_tokens, seed } })
                }}
                className="min-h-9 flex-1 rounded-lg border border-line px-1 text-sm hover:bg-hover aria-checked:border-accent aria-checked:bg-accent-soft aria-checked:text-accent"
              >
                {words.sampling.preset[name]}
              </button>
            ))}
          </div>
          <div className="flex flex-col gap-3">
            {fields.map((field) => (
              <Control key={field.name} field={field} />
            ))}
          </div>
          <div className="mt-4 flex flex-col gap-3 border-t border-line pt-3">
            <Switch name="agent" on={agent} />
            <Switch name="explain" on={explain} />
          </div>
        </>
      )}
    </Popover>
  )
}

/** A choice about how answers are made, on or off. */
function Switch({ name, on }: { name: 'agent' | 'explain'; on: boolean }) {
  const { sampling: words } = useWords('chat')
  return (
    <label className="flex gap-3 text-sm">
      <span className="flex-1">
        <span className="font-medium">{words[name]}</span>
        <span className="block text-xs text-ink-3">{words[`${name}Text`]}</span>
      </span>
      <input
        type="checkbox"
        role="switch"
        className="size-5 shrink-0 accent-(--accent)"
        checked={on}
        aria-checked={on}
        onChange={(event) => changeSettings({ [name]: event.target.checked })}
      />
    </label>
  )
}

function Control({ field }: { field: Field }) {
  const words = useWords('chat')
  const { sampling } = useSettings()
  const id = useId()
  const value = sampling[field.name]
  const change = (text: string) => {
    const given = text === '' ? null : Math.min(field.max, Math.max(field.min, Number(text)))
    changeSettings({ sampling: { ...sampling, [field.name]: Number.isFinite(given) ? given : null } })
  }
  return (
    <div>
      <div className="flex items-center gap-3">
        <label htmlFor={id} className="flex-1 text-sm font-medium">
          {words.sampling[field.name]}
        </label>
        <input
          id={id}
          type="number"
          inputMode="decimal"
          min={field.min}
          max={field.max}
          step={field.step}
          value={value ?? ''}
          placeholder={field.name === 'seed' ? words.sampling.random : words.sampling.default}
          onChange={(event) => change(event.target.value)}
          className="field h-8! min-h-0! w-24! px-2! text-end text-sm tabular-nums"
        />
      </div>
      {field.slider && (
        <input
          type="range"
          aria-label={words.sampling[field.name]}
          min={field.min}
          max={field.max}
          step={field.step}
          value={value ?? field.rest}
          onChange={(event) => change(event.target.value)}
          className={`mt-1 block w-full accent-(--accent) ${value == null ? 'opacity-45' : ''}`}
        />
      )}
      <p className="text-xs text-ink-3">{words.sampling.hints[field.name]}</p>
    </div>
  )
}
