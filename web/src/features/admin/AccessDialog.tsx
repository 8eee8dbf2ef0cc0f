import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import { type Access, admin } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, Dialog, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { useTeams, useUsers } from './People'
import { useChange } from './parts'

/** Who may read an index: everybody, or some teams and users. For all others it does not exist. */
export function AccessDialog({ index, onClose }: { index: string; onClose: () => void }) {
  const { access: words, common } = useWords('access')
  const form = useId()
  const access = useQuery({ queryKey: ['access', index], queryFn: () => admin.access(index), staleTime: 0 })
  const save = useChange((body: Access) => admin.setAccess(index, body), 'access')
  return (
    <Dialog
      title={words.title(index)}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" form={form} look="primary" busy={save.isPending} disabled={!access.data}>
            {words.save}
          </Button>
        </>
      }
    >
      {access.isPending && <Skeleton widths={[60, 80, 50]} />}
      {access.isError && <ProblemNote problem={asProblem(access.error)} onRetry={() => access.refetch()} />}
      {access.data && (
        <Readers
          id={form}
          access={access.data}
          onSave={(body) => save.mutate(body, { onSuccess: onClose })}
        />
      )}
      {save.error && <ProblemNote problem={asProblem(save.error)} className="mt-3" />}
    </Dialog>
  )
}

interface ReadersProps {
  id: string
  access: Access
  onSave: (access: Access) => void
}

function Readers({ id, access, onSave }: ReadersProps) {
  const { access: words } = useWords('access')
  const [open, setOpen] = useState(access.open)
  const lists = { teams: useTeams().data ?? [], users: useUsers().data ?? [] }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    onSave({
      open,
      users: open ? [] : (data.getAll('users') as string[]),
      teams: open ? [] : (data.getAll('teams') as string[]),
    })
  }
  return (
    <form id={id} onSubmit={submit} className="flex flex-col gap-4 text-sm">
      <fieldset className="flex flex-col gap-2">
        <legend className="sr-only">{words.who}</legend>
        {[true, false].map((choice) => (
          <label key={String(choice)} className="flex items-center gap-2">
            <input
              type="radio"
              name="open"
              className="accent-accent"
              checked={open === choice}
              onChange={() => setOpen(choice)}
            />
            {choice ? words.everybody : words.some}
          </label>
        ))}
      </fieldset>
      {!open &&
        (['teams', 'users'] as const).map((kind) => (
          <fieldset key={kind} className="flex flex-wrap gap-x-5 gap-y-2">
            <legend className="mb-1 font-medium">{words[kind]}</legend>
            {lists[kind].map(({ id: value, name }) => (
              <label key={value} className="flex items-center gap-1.5 break-all">
                <input
                  type="checkbox"
                  name={kind}
                  value={value}
                  className="accent-accent"
                  defaultChecked={access[kind].includes(value)}
                />
                {name}
              </label>
            ))}
            {lists[kind].length === 0 && <p className="text-ink-3">{words.none}</p>}
          </fieldset>
        ))}
      <p className="text-xs text-ink-3">{words.text}</p>
    </form>
  )
}
