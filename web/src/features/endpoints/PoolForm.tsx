import { useRef } from 'react'
import type { Endpoint } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { Amount, NameField, read, Tick } from './EndpointForm'
import { useSaveEndpoint } from './queries'

interface PoolFormProps {
  pool?: Endpoint
  /** What a pool may be made of. */
  models: string[]
  onSaved: (name: string) => void
}

/** Several models under one name. */
export function PoolForm({ pool, models, onSaved }: PoolFormProps) {
  const { endpoints: words } = useWords('endpoints')
  const form = useRef<HTMLFormElement>(null)
  const save = useSaveEndpoint()
  const others = models.filter((name) => name !== pool?.name)
  const onSave = () => {
    if (!form.current) return
    const { text, amount, checked, all } = read(form.current)
    const name = pool?.name ?? text('name')
    const body = {
      pool: all('pool'),
      fallback: all('fallback'),
      attempts: amount('attempts'),
      cooldown_s: amount('cooldown'),
      first_token_s: amount('first'),
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
      {!pool && <NameField />}
      {(['pool', 'fallback'] as const).map((part) => (
        <fieldset key={part} className="flex flex-col gap-2 text-sm">
          <legend className="mb-1 font-medium">{part === 'pool' ? words.members : words.fallback}</legend>
          {others.map((name) => (
            <Tick key={name} name={part} value={name} defaultChecked={pool?.[part]?.includes(name) ?? false}>
              <span className="break-all">{name}</span>
            </Tick>
          ))}
          {part === 'pool' && <p className="text-xs text-ink-3">{words.membersText}</p>}
        </fieldset>
      ))}
      <div className="grid gap-3 sm:grid-cols-3">
        <Amount name="attempts" label={words.attempts} value={pool?.attempts} step={1} />
        <Amount name="cooldown" label={words.cooldown} value={pool?.cooldown_s} />
        <Amount name="first" label={words.firstToken} value={pool?.first_token_s} />
      </div>
      <Tick name="default" defaultChecked={pool?.default ?? false}>
        {words.default}
      </Tick>
      {save.error && <ProblemNote problem={asProblem(save.error)} />}
      <Button type="submit" look="primary" className="self-start" busy={save.isPending}>
        {words.save}
      </Button>
    </form>
  )
}
