import { useMutation, useQuery } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { account, admin } from '../../api/admin'
import { asProblem } from '../../api/client'
import { queryClient, useSession } from '../../api/queries'
import { Button, Field, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { Password } from '../account/Password'

/** The administrator's name and password. */
export function AccountStep() {
  const { welcome: words } = useWords('welcome')
  const session = useSession().data
  const me = useQuery({ queryKey: ['me'], queryFn: account.me })
  const rename = useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) => admin.changeUser(id, { name }),
    onSuccess: () =>
      Promise.all(['me', 'session'].map((key) => queryClient.invalidateQueries({ queryKey: [key] }))),
  })
  if (me.isError) return <ProblemNote problem={asProblem(me.error)} onRetry={() => me.refetch()} />
  if (!me.data) return <Skeleton />
  const { user } = me.data
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const name = String(new FormData(event.currentTarget).get('name')).trim()
    if (name) rename.mutate({ id: user.id, name })
  }
  return (
    <>
      <form onSubmit={submit} className="flex flex-col gap-2">
        <Field label={words.name}>
          <span className="flex gap-2">
            <input
              key={user.name}
              name="name"
              required
              maxLength={200}
              defaultValue={user.name}
              className="field flex-1"
              autoComplete="username"
            />
            <Button type="submit" busy={rename.isPending}>
              {words.rename}
            </Button>
          </span>
        </Field>
        <span role="status" className="text-sm text-good">
          {rename.isSuccess ? words.renamed(user.name) : ''}
        </span>
        {rename.error && <ProblemNote problem={asProblem(rename.error)} />}
      </form>
      {session?.sign_in?.password === false ? (
        <p className="text-sm text-ink-2">{words.onlySso}</p>
      ) : me.data.has_password ? (
        <p className="text-sm text-good">{words.hasPassword}</p>
      ) : (
        <Password me={me.data} />
      )}
    </>
  )
}
