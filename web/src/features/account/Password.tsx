import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import { account, type Me } from '../../api/admin'
import { asProblem } from '../../api/client'
import { queryClient } from '../../api/queries'
import { Button, Field, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'

/** Sets or changes one's password, typed twice; the old one is asked for where the server wants it. */
export function Password({ me, onDone }: { me: Me; onDone?: () => void }) {
  const { account: words } = useWords('account')
  const [differ, setDiffer] = useState(false)
  const note = useId()
  const save = useMutation({
    mutationFn: account.setPassword,
    onSuccess: async () => {
      await Promise.all([
        queryClient.invalidateQueries({ queryKey: ['me'] }),
        queryClient.invalidateQueries({ queryKey: ['setup'] }),
      ])
      onDone?.()
    },
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const data = new FormData(form)
    const password = String(data.get('password'))
    const same = password === data.get('again')
    setDiffer(!same)
    if (!same) return
    const current = data.get('current')
    save.mutate(
      { password, current: current === null ? null : String(current) },
      { onSuccess: () => form.reset() },
    )
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <input type="text" name="username" autoComplete="username" value={me.user.name} readOnly hidden />
      {me.current_password_needed && (
        <Field label={words.currentPassword}>
          <input name="current" type="password" required className="field" autoComplete="current-password" />
        </Field>
      )}
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={words.newPassword} hint={words.passwordHint}>
          <input name="password" type="password" required className="field" autoComplete="new-password" />
        </Field>
        <Field label={words.again}>
          <input
            name="again"
            type="password"
            required
            className="field"
            autoComplete="new-password"
            aria-invalid={differ}
            aria-describedby={differ ? note : undefined}
          />
        </Field>
      </div>
      {differ && (
        <p id={note} role="alert" className="text-sm text-danger">
          {words.differ}
        </p>
      )}
      {save.error && <ProblemNote problem={asProblem(save.error)} />}
      <div className="flex flex-wrap items-center gap-3">
        <Button type="submit" look="primary" busy={save.isPending}>
          {me.has_password ? words.changePassword : words.setPassword}
        </Button>
        <span role="status" className="text-sm text-good">
          {save.isSuccess ? words.passwordSet : ''}
        </span>
      </div>
    </form>
  )
}
