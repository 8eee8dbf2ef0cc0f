import { useMutation, useQuery } from '@tanstack/react-query'
import { KeyRound } from 'lucide-react'
import { useState } from 'react'
import { account, setup } from '../../api/admin'
import { asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import { Snippet } from '../../components/Snippet'
import { Button, CopyButton, Field, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'

/** A key, and the settings of the chosen editor or agent with it filled in. */
export function EditorStep() {
  const { welcome: words } = useWords('welcome')
  const clients = useQuery({ queryKey: ['clients'], queryFn: setup.clients })
  const [chosen, setChosen] = useState<string | null>(null)
  const client = clients.data?.find(({ name }) => name === chosen) ?? clients.data?.[0]
  const create = useMutation({
    mutationFn: () =>
      account.createKey({
        name: client?.title ?? 'editor',
        expires_in_days: null,
        scopes: ['generate', 'search'],
      }),
    onSuccess: () =>
      Promise.all([keys.apiKeys, ['setup']].map((queryKey) => queryClient.invalidateQueries({ queryKey }))),
  })
  const filled = (text: string) => (create.data ? text.replaceAll('cw_…', create.data.key) : text)
  return (
    <>
      {clients.isPending && <Skeleton widths={[50, 90, 70]} />}
      {clients.isError && (
        <ProblemNote problem={asProblem(clients.error)} onRetry={() => clients.refetch()} />
      )}
      {client && (
        <>
          <div className="flex flex-wrap items-end gap-2">
            <Field label={words.program}>
              <select
                className="field"
                value={client.name}
                onChange={(event) => setChosen(event.target.value)}
              >
                {clients.data?.map(({ name, title }) => (
                  <option key={name} value={name}>
                    {title}
                  </option>
                ))}
              </select>
            </Field>
            {!create.data && (
              <Button look="primary" busy={create.isPending} onClick={() => create.mutate()}>
                <KeyRound aria-hidden />
                {words.createKey}
              </Button>
            )}
          </div>
          {create.error && <ProblemNote problem={asProblem(create.error)} />}
          {create.data && (
            <div role="status" className="rounded-xl bg-good-soft p-4 text-sm">
              <p className="font-semibold text-good">{words.keyMade}</p>
              <div className="flex items-center gap-1">
                <code className="font-mono text-[0.8125rem] break-all">{create.data.key}</code>
                <CopyButton text={create.data.key} />
              </div>
            </div>
          )}
          <p className="text-sm">
            {words.putInto} <code className="font-mono text-[0.8125rem]">{client.path}</code>
          </p>
          <Snippet code={filled(client.snippet)} language={client.format} />
          <p className="text-sm text-ink-2">{words.orRun}</p>
          <Snippet code={filled(client.command)} language="bash" />
          {client.then && <p className="text-sm text-ink-2">{filled(client.then)}</p>}
        </>
      )}
    </>
  )
}
