import { Layers, Pencil, Plug, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import type { Endpoint } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Badge, Button, Confirm, Dialog, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { Empty, Section } from '../admin/parts'
import { EndpointForm } from './EndpointForm'
import { PoolForm } from './PoolForm'
import { useEndpoints, useRemoveEndpoint } from './queries'

type Asked = { kind: Endpoint['kind']; endpoint?: Endpoint }

/** The endpoints and pools of the settings: added, tried, changed, removed. */
export function Endpoints() {
  const { endpoints: words } = useWords('endpoints')
  const list = useEndpoints()
  const [asked, setAsked] = useState<Asked | null>(null)
  const [leaving, setLeaving] = useState<Endpoint | null>(null)
  const [saved, setSaved] = useState('')
  const remove = useRemoveEndpoint()
  const all = list.data?.endpoints ?? []
  const refusal = list.data?.refusal
  const ask = (next: Asked) => {
    setSaved('')
    setAsked(next)
  }
  const onSaved = (name: string) => {
    setAsked(null)
    setSaved(name)
  }
  const title = asked?.endpoint
    ? words.edit(asked.endpoint.name)
    : asked?.kind === 'pool'
      ? words.addPool
      : words.add
  return (
    <Section
      title={words.title}
      text={words.text}
      actions={
        list.data && (
          <div className="flex flex-wrap gap-2">
            <Button look="primary" disabled={!!refusal} onClick={() => ask({ kind: 'endpoint' })}>
              <Plus aria-hidden />
              {words.add}
            </Button>
            <Button disabled={!!refusal || all.length === 0} onClick={() => ask({ kind: 'pool' })}>
              <Layers aria-hidden />
              {words.addPool}
            </Button>
          </div>
        )
      }
    >
      {list.isPending && <Skeleton widths={[80, 90, 70]} />}
      {list.isError && <ProblemNote problem={asProblem(list.error)} onRetry={() => list.refetch()} />}
      {refusal && <ProblemNote problem={{ message: words.cannotSave, fix: refusal }} />}
      {saved && (
        <p role="status" className="rounded-xl bg-good-soft px-4 py-3 text-sm text-good">
          {words.saved(saved)}
        </p>
      )}
      {list.isSuccess && all.length === 0 && (
        <Empty icon={<Plug aria-hidden />} title={words.none} text={words.noneText} />
      )}
      {all.length > 0 && (
        <ul className="card divide-y divide-line">
          {all.map((endpoint) => (
            <Row
              key={endpoint.name}
              endpoint={endpoint}
              locked={!!refusal}
              onEdit={() => ask({ kind: endpoint.kind, endpoint })}
              onRemove={() => setLeaving(endpoint)}
            />
          ))}
        </ul>
      )}
      {asked && (
        <Dialog title={title} width={44} onClose={() => setAsked(null)}>
          {asked.kind === 'pool' ? (
            <PoolForm
              {...(asked.endpoint && { pool: asked.endpoint })}
              models={list.data?.models ?? []}
              onSaved={onSaved}
            />
          ) : (
            <EndpointForm {...(asked.endpoint && { endpoint: asked.endpoint })} onSaved={onSaved} />
          )}
        </Dialog>
      )}
      {leaving && (
        <Confirm
          title={words.removeTitle(leaving.name)}
          text={words.removeText}
          action={words.removeAct}
          busy={remove.isPending}
          error={remove.error && asProblem(remove.error)}
          onConfirm={() => remove.mutate(leaving.name, { onSuccess: () => setLeaving(null) })}
          onClose={() => {
            setLeaving(null)
            remove.reset()
          }}
        />
      )}
    </Section>
  )
}

interface RowProps {
  endpoint: Endpoint
  locked: boolean
  onEdit: () => void
  onRemove: () => void
}

function Row({ endpoint, locked, onEdit, onRemove }: RowProps) {
  const { endpoints: words } = useWords('endpoints')
  const language = useLanguage()
  const { name, price, key, key_variable, pool, fallback } = endpoint
  const usd = (amount: number) => `$${number(amount, language)}`
  const facts = pool
    ? [words.poolOf(pool.join(', ')), fallback.length > 0 && words.fallbackTo(fallback.join(', '))]
    : [
        endpoint.base_url ?? `Bedrock ${endpoint.region}`,
        endpoint.model !== name && endpoint.model,
        key === 'environment' ? words.keys.environment(key_variable) : words.keys[key],
        price && words.usd(usd(price.input), usd(price.output)),
      ]
  return (
    <li className="flex items-center gap-2 px-4 py-3">
      <div className="min-w-0 flex-1">
        <h3 className="flex flex-wrap items-center gap-2 text-sm font-semibold">
          <span className="break-all">{name}</span>
          {endpoint.default && <Badge tone="accent">{words.writes}</Badge>}
        </h3>
        <p className="text-xs break-words text-ink-3">{facts.filter(Boolean).join(' · ')}</p>
      </div>
      <IconButton label={words.edit(name)} disabled={locked} onClick={onEdit}>
        <Pencil aria-hidden />
      </IconButton>
      <IconButton label={words.remove(name)} disabled={locked} onClick={onRemove}>
        <Trash2 aria-hidden />
      </IconButton>
    </li>
  )
}
