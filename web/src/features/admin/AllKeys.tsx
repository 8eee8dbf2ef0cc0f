import { useQuery } from '@tanstack/react-query'
import { KeyRound, Trash2 } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { admin } from '../../api/admin'
import { api, asProblem } from '../../api/client'
import { keys } from '../../api/queries'
import type { ApiKey } from '../../api/types'
import { Confirm, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { KeyFacts } from '../account/Keys'
import { Empty, Section, useChange } from './parts'

const queryKey = [...keys.apiKeys, 'everyone']

/** Everybody's keys, and revoking any of them. */
export function AllKeys() {
  const { admin: words } = useWords('admin')
  const { account } = useWords('account')
  const list = useQuery({ queryKey, queryFn: admin.keys })
  const [query, setQuery] = useState('')
  const [leaving, setLeaving] = useState<ApiKey | null>(null)
  const revoke = useChange(api.deleteKey, ...keys.apiKeys)
  const wanted = useDeferredValue(query.trim().toLowerCase())
  const shown = list.data?.filter(({ name, owner, prefix }) =>
    `${name} ${owner} ${prefix}`.toLowerCase().includes(wanted),
  )
  return (
    <Section title={words.parts.keys} text={words.allKeysText}>
      {list.isPending && <Skeleton widths={[70, 80, 60]} />}
      {list.isError && <ProblemNote problem={asProblem(list.error)} onRetry={() => list.refetch()} />}
      {list.data?.length === 0 && (
        <Empty icon={<KeyRound aria-hidden />} title={words.noKeys} text={words.noKeysText} />
      )}
      {list.data && list.data.length > 0 && (
        <>
          <input
            type="search"
            className="field"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            placeholder={words.findKey}
            aria-label={words.findKey}
          />
          {shown?.length === 0 && <p className="py-4 text-sm text-ink-3">{words.noSuchKey}</p>}
        </>
      )}
      {shown && shown.length > 0 && (
        <ul className="card divide-y divide-line">
          {shown.map((key) => (
            <li key={key.id} className="flex items-center gap-2 px-4 py-2.5">
              <KeyFacts apiKey={key} owner={key.owner} />
              <IconButton
                label={`${account.revoke}: ${key.name} (${key.owner})`}
                onClick={() => setLeaving(key)}
              >
                <Trash2 aria-hidden />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      {leaving && (
        <Confirm
          title={account.revokeTitle(leaving.name)}
          text={words.revokeText(leaving.owner)}
          action={account.revoke}
          busy={revoke.isPending}
          error={revoke.error && asProblem(revoke.error)}
          onConfirm={() => revoke.mutate(leaving.id, { onSuccess: () => setLeaving(null) })}
          onClose={() => {
            setLeaving(null)
            revoke.reset()
          }}
        />
      )}
    </Section>
  )
}
