import type { FormEvent } from 'react'
import { admin, type Person } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, Dialog, Field, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { useChange } from './parts'

/** Links a user to who the single sign-on says somebody is, by the identifier that it gives them. */
export function IdentityDialog({ person, onClose }: { person: Person; onClose: () => void }) {
  const { admin: words } = useWords('admin')
  const link = useChange((subject: string) => admin.linkIdentity(person.id, subject), 'users')
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const subject = String(new FormData(event.currentTarget).get('subject')).trim()
    if (subject) link.mutate(subject, { onSuccess: onClose })
  }
  return (
    <Dialog title={words.identityOf(person.name)} onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <p className="text-sm text-ink-2">{words.identityText}</p>
        <Field label={words.subject} hint={words.subjectText}>
          <input
            name="subject"
            required
            maxLength={255}
            className="field font-mono text-[0.8125rem]"
            autoComplete="off"
            spellCheck={false}
          />
        </Field>
        {link.error && <ProblemNote problem={asProblem(link.error)} />}
        <Button type="submit" look="primary" className="self-start" busy={link.isPending}>
          {words.linkIdentity}
        </Button>
      </form>
    </Dialog>
  )
}
