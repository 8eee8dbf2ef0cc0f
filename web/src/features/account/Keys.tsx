import { useMutation } from '@tanstack/react-query'
import { KeyRound, RotateCw, Trash2 } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { account, type Scope } from '../../api/admin'
import { api, asProblem } from '../../api/client'
import { keys, queryClient, useKeys } from '../../api/queries'
import type { ApiKey } from '../../api/types'
import {
  Badge,
  Button,
  Confirm,
  CopyButton,
  Field,
  IconButton,
  ProblemNote,
  Skeleton,
} from '../../components/ui'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'

const scopes = ['generate', 'search', 'knowledge', 'account'] as const satisfies readonly Scope[]
const lifetimes = [null, 7, 30, 90, 365] as const

/** One's own keys: made with scopes and an end, given a new secret, revoked. A secret is shown once, and told once. */
export function Keys({ onMade }: { onMade?: (secret: string) => void }) {
  const { account: words } = useWords('account')
  const list = useKeys()
  const [asked, setAsked] = useState<{ key: ApiKey; to: 'rotate' | 'delete' } | null>(null)
  const refresh = () => queryClient.invalidateQueries({ queryKey: keys.apiKeys })
  const onSuccess = ({ key }: { key: string }) => {
    onMade?.(key)
    return refresh()
  }
  const create = useMutation({ mutationFn: account.createKey, onSuccess })
  const rotate = useMutation({ mutationFn: account.rotateKey, onSuccess })
  const remove = useMutation({ mutationFn: api.deleteKey, onSuccess: refresh })
  const shown = rotate.data ?? create.data
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const data = new FormData(form)
    const days = Number(data.get('days'))
    const body = {
      name: String(data.get('name')).trim(),
      expires_in_days: days || null,
      scopes: data.getAll('scope') as Scope[],
    }
    rotate.reset()
    if (body.name) create.mutate(body, { onSuccess: () => form.reset() })
  }
  const close = () => {
    setAsked(null)
    remove.reset()
  }
  return (
    <section aria-labelledby="own-keys" className="card flex flex-col gap-4 p-5">
      <div>
        <h2 id="own-keys" className="text-lg font-semibold">
          {words.keys}
        </h2>
        <p className="text-sm text-ink-2">{words.keysText}</p>
      </div>
      <form onSubmit={submit} className="flex flex-col gap-3">
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label={words.keyName}>
            <input name="name" required maxLength={200} className="field" autoComplete="off" />
          </Field>
          <Field label={words.keyEnds}>
            <select name="days" className="field">
              {lifetimes.map((days) => (
                <option key={days} value={days ?? ''}>
                  {days === null ? words.noEnd : words.days(days)}
                </option>
              ))}
            </select>
          </Field>
        </div>
        <fieldset className="flex flex-wrap items-center gap-x-4 gap-y-2 text-sm">
          <legend className="mb-1 font-medium">{words.scopes}</legend>
          {scopes.map((scope) => (
            <label key={scope} className="flex items-center gap-1.5">
              <input type="checkbox" name="scope" value={scope} className="accent-accent" />
              {words.scope[scope]}
            </label>
          ))}
        </fieldset>
        <p className="text-xs text-ink-3">{words.scopesText}</p>
        <Button type="submit" look="primary" className="self-start" busy={create.isPending}>
          <KeyRound aria-hidden />
          {words.createKey}
        </Button>
      </form>
      {create.error && <ProblemNote problem={asProblem(create.error)} />}
      {shown && (
        <div role="status" className="rounded-xl bg-good-soft p-4">
          <p className="text-sm font-semibold text-good">{words.keyShown(shown.name)}</p>
          <div className="my-1 flex items-center gap-1">
            <code className="font-mono text-[0.8125rem] break-all">{shown.key}</code>
            <CopyButton text={shown.key} />
          </div>
          <p className="text-sm text-ink-2">{rotate.data ? words.rotatedText : words.keyShownText}</p>
        </div>
      )}
      {list.isPending && <Skeleton widths={[60, 40]} />}
      {list.isError && <ProblemNote problem={asProblem(list.error)} onRetry={() => list.refetch()} />}
      {list.data?.length === 0 && <p className="text-sm text-ink-3">{words.noKeys}</p>}
      {list.data && list.data.length > 0 && (
        <ul className="divide-y divide-line border-t border-line">
          {list.data.map((key) => (
            <Row
              key={key.id}
              apiKey={key}
              onRotate={() => setAsked({ key, to: 'rotate' })}
              onDelete={() => setAsked({ key, to: 'delete' })}
            />
          ))}
        </ul>
      )}
      {asked?.to === 'rotate' && (
        <Confirm
          title={words.rotateTitle(asked.key.name)}
          text={words.rotateText}
          action={words.rotate}
          busy={rotate.isPending}
          error={rotate.error && asProblem(rotate.error)}
          onConfirm={() => rotate.mutate(asked.key.id, { onSuccess: close })}
          onClose={close}
        />
      )}
      {asked?.to === 'delete' && (
        <Confirm
          title={words.revokeTitle(asked.key.name)}
          text={words.revokeText}
          action={words.revoke}
          busy={remove.isPending}
          error={remove.error && asProblem(remove.error)}
          onConfirm={() => remove.mutate(asked.key.id, { onSuccess: close })}
          onClose={close}
        />
      )}
    </section>
  )
}

interface RowProps {
  apiKey: ApiKey
  onRotate: () => void
  onDelete: () => void
}

function Row({ apiKey, onRotate, onDelete }: RowProps) {
  const { account: words } = useWords('account')
  return (
    <li className="flex items-center gap-2 py-2.5">
      <KeyFacts apiKey={apiKey} />
      <IconButton label={`${words.rotate}: ${apiKey.name}`} onClick={onRotate}>
        <RotateCw aria-hidden />
      </IconButton>
      <IconButton label={`${words.revoke}: ${apiKey.name}`} onClick={onDelete}>
        <Trash2 aria-hidden />
      </IconButton>
    </li>
  )
}

/** What is known of a key: its name and beginning, what it may do, when it was used and until when it works. */
export function KeyFacts({ apiKey, owner }: { apiKey: ApiKey; owner?: string }) {
  const { account: words } = useWords('account')
  const language = useLanguage()
  const ends = apiKey.expires_at ? new Date(apiKey.expires_at) : null
  const over = ends !== null && ends < new Date()
  return (
    <div className="min-w-0 flex-1">
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <span className="font-medium break-words">{apiKey.name}</span>
        <code className="font-mono text-xs text-ink-3">{apiKey.prefix}…</code>
        {(apiKey.scopes ?? []).map((scope) => (
          <Badge key={scope}>{words.scope[scope]}</Badge>
        ))}
        {over && <Badge tone="danger">{words.expired}</Badge>}
      </p>
      <p className="text-xs text-ink-3">
        {owner && <span className="font-medium text-ink-2">{owner} · </span>}
        {apiKey.last_used_at
          ? words.lastUsed(ago(new Date(apiKey.last_used_at), new Date(), language))
          : words.neverUsed}
        {ends && !over && ` · ${words.until(ends.toLocaleDateString(language))}`}
      </p>
    </div>
  )
}
