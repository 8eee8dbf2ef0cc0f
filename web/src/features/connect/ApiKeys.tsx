import { useMutation } from '@tanstack/react-query'
import { KeyRound, Trash2 } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { api, asProblem } from '../../api/client'
import { keys, queryClient, useKeys } from '../../api/queries'
import type { ApiKey } from '../../api/types'
import { Button, Confirm, CopyButton, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'

interface ApiKeysProps {
  created: string | null
  onCreated: (key: string | null) => void
}

export function ApiKeys({ created, onCreated }: ApiKeysProps) {
  const { connect: words } = useWords('connect')
  const list = useKeys()
  const [deleting, setDeleting] = useState<ApiKey | null>(null)
  const refresh = () => queryClient.invalidateQueries({ queryKey: keys.apiKeys })
  const create = useMutation({
    mutationFn: api.createKey,
    onSuccess: (key) => {
      onCreated(key.key)
      return refresh()
    },
  })
  const remove = useMutation({
    mutationFn: (key: ApiKey) => api.deleteKey(key.id),
    onSuccess: () => {
      setDeleting(null)
      return refresh()
    },
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const name = String(new FormData(form).get('name')).trim()
    if (name) create.mutate(name, { onSuccess: () => form.reset() })
  }
  return (
    <section aria-labelledby="keys" className="card flex flex-col gap-4 p-5">
      <div>
        <h2 id="keys" className="text-lg font-semibold">
          {words.keys}
        </h2>
        <p className="text-sm text-ink-2">{words.keysText}</p>
      </div>
      <form onSubmit={submit} className="flex flex-wrap gap-2">
        <input
          name="name"
          required
          maxLength={80}
          className="field w-auto! min-w-40 flex-1"
          placeholder={words.keyPlaceholder}
          aria-label={words.keyName}
          autoComplete="off"
        />
        <Button type="submit" look="primary" busy={create.isPending}>
          <KeyRound aria-hidden />
          {words.create}
        </Button>
      </form>
      {create.error && <ProblemNote problem={asProblem(create.error)} />}
      {created && (
        <div role="status" className="rounded-xl bg-good-soft p-4">
          <p className="text-sm font-semibold text-good">{words.created}</p>
          <div className="my-1 flex items-center gap-1">
            <code className="font-mono text-[0.8125rem] break-all">{created}</code>
            <CopyButton text={created} />
          </div>
          <p className="text-sm text-ink-2">{words.createdText}</p>
        </div>
      )}
      {list.isPending && <Skeleton widths={[60, 40]} />}
      {list.isError && <ProblemNote problem={asProblem(list.error)} onRetry={() => list.refetch()} />}
      {list.data?.length === 0 && <p className="text-sm text-ink-3">{words.noKeys}</p>}
      {list.data && list.data.length > 0 && (
        <ul className="divide-y divide-line border-t border-line">
          {list.data.map((key) => (
            <KeyRow key={key.id} apiKey={key} onDelete={() => setDeleting(key)} />
          ))}
        </ul>
      )}
      {deleting && (
        <DeleteKey
          apiKey={deleting}
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate(deleting)}
          onClose={() => setDeleting(null)}
        />
      )}
    </section>
  )
}

function KeyRow({ apiKey, onDelete }: { apiKey: ApiKey; onDelete: () => void }) {
  const words = useWords('connect')
  const language = useLanguage()
  const when = (time: string) => ago(new Date(time), new Date(), language)
  return (
    <li className="flex items-center gap-3 py-2">
      <div className="min-w-0 flex-1">
        <p className="truncate text-sm font-medium">{apiKey.name}</p>
        <p className="text-xs text-ink-3">
          <code className="font-mono">{apiKey.prefix}…</code> ·{' '}
          {words.connect.createdAt(when(apiKey.created_at))} ·{' '}
          {apiKey.last_used_at ? words.connect.lastUsed(when(apiKey.last_used_at)) : words.connect.neverUsed}
        </p>
      </div>
      <IconButton label={words.connect.deleteTitle(apiKey.name)} onClick={onDelete}>
        <Trash2 aria-hidden />
      </IconButton>
    </li>
  )
}

interface DeleteKeyProps {
  apiKey: ApiKey
  busy: boolean
  error: unknown
  onConfirm: () => void
  onClose: () => void
}

function DeleteKey({ apiKey, busy, error, onConfirm, onClose }: DeleteKeyProps) {
  const words = useWords('connect')
  return (
    <Confirm
      title={words.connect.deleteTitle(apiKey.name)}
      text={words.connect.deleteText}
      action={words.common.delete}
      busy={busy}
      error={error ? asProblem(error) : null}
      onConfirm={onConfirm}
      onClose={onClose}
    />
  )
}
