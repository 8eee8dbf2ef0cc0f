import { useQuery } from '@tanstack/react-query'
import { Plus, Trash2, UserPlus, UsersRound } from 'lucide-react'
import { type FormEvent, useDeferredValue, useState } from 'react'
import { admin, type Person, type Role, type Team } from '../../api/admin'
import { asProblem } from '../../api/client'
import { useSession } from '../../api/queries'
import {
  Badge,
  Button,
  Confirm,
  CopyButton,
  Dialog,
  Field,
  IconButton,
  ProblemNote,
  Skeleton,
  type Tone,
} from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { PersonMenu } from './PersonMenu'
import { Empty, Section, useChange } from './parts'

export const roles = ['admin', 'member', 'viewer'] as const satisfies readonly Role[]
const tones: Record<string, Tone> = { active: 'good', waiting: 'warn', disabled: 'neutral' }

export const useUsers = () => useQuery({ queryKey: ['users'], queryFn: admin.users })
export const useTeams = () => useQuery({ queryKey: ['teams'], queryFn: admin.teams })

export function People() {
  const { admin: words } = useWords('admin')
  const users = useUsers()
  const teams = useTeams()
  const [adding, setAdding] = useState(false)
  const [query, setQuery] = useState('')
  const wanted = useDeferredValue(query.trim().toLowerCase())
  const shown = users.data
    ?.filter(({ name, team }) => `${name} ${team}`.toLowerCase().includes(wanted))
    .toSorted((a, b) => Number(b.status === 'waiting') - Number(a.status === 'waiting'))
  return (
    <>
      <Section
        title={words.users}
        text={words.usersText}
        actions={
          <Button look="primary" onClick={() => setAdding(true)}>
            <UserPlus aria-hidden />
            {words.addUser}
          </Button>
        }
      >
        {(users.data?.length ?? 0) > 5 && (
          <input
            type="search"
            className="field"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            placeholder={words.findUser}
            aria-label={words.findUser}
          />
        )}
        {users.isPending && <Skeleton widths={[80, 70, 75]} />}
        {users.isError && <ProblemNote problem={asProblem(users.error)} onRetry={() => users.refetch()} />}
        {shown && shown.length > 0 && (
          <ul className="card divide-y divide-line">
            {shown.map((person) => (
              <Row key={person.id} person={person} teams={teams.data ?? []} />
            ))}
          </ul>
        )}
        {shown?.length === 0 && <p className="py-4 text-sm text-ink-3">{words.noSuchUser}</p>}
        {users.data?.length === 1 && (
          <Empty icon={<UsersRound aria-hidden />} title={words.alone} text={words.aloneText} />
        )}
      </Section>
      <Teams
        teams={teams.data}
        error={teams.error}
        onRetry={() => teams.refetch()}
        users={users.data ?? []}
      />
      {adding && <AddUser teams={teams.data ?? []} onClose={() => setAdding(false)} />}
    </>
  )
}

function Row({ person, teams }: { person: Person; teams: Team[] }) {
  const { admin: words } = useWords('admin')
  const me = useSession().data?.user?.id === person.id
  const change = useChange(
    (body: Parameters<typeof admin.changeUser>[1]) => admin.changeUser(person.id, body),
    'users',
  )
  const remove = useChange(admin.deleteUser, 'users')
  const waiting = person.status === 'waiting'
  const error = change.error ?? remove.error
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-2 px-4 py-3">
      <div className="flex min-w-0 flex-[1_1_12rem] flex-wrap items-center gap-2">
        <span className="font-medium break-all">{person.name}</span>
        {me && <Badge tone="accent">{words.you}</Badge>}
        {person.status !== 'active' && (
          <Badge tone={tones[person.status] ?? 'neutral'}>
            {words.status[person.status] ?? person.status}
          </Badge>
        )}
      </div>
      {waiting ? (
        <div className="flex gap-2">
          <Button look="primary" busy={change.isPending} onClick={() => change.mutate({ status: 'active' })}>
            {words.approve}
          </Button>
          <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate(person.id)}>
            {words.refuse}
          </Button>
        </div>
      ) : (
        <div className="flex items-center gap-2">
          <select
            className="field w-auto! text-sm"
            aria-label={words.roleOf(person.name)}
            value={person.role}
            onChange={(event) => change.mutate({ role: event.target.value as Role })}
          >
            {roles.map((role) => (
              <option key={role} value={role}>
                {words.roles[role]}
              </option>
            ))}
          </select>
          {teams.length > 0 && (
            <select
              className="field w-auto! max-w-36 text-sm"
              aria-label={words.teamOf(person.name)}
              value={person.team}
              onChange={(event) => change.mutate({ team: event.target.value })}
            >
              <option value="">{words.noTeam}</option>
              {teams.map(({ id, name }) => (
                <option key={id} value={name}>
                  {name}
                </option>
              ))}
            </select>
          )}
          <PersonMenu person={person} onStatus={(status) => change.mutate({ status })} />
        </div>
      )}
      {error && <ProblemNote problem={asProblem(error)} className="w-full" />}
    </li>
  )
}

function AddUser({ teams, onClose }: { teams: Team[]; onClose: () => void }) {
  const { admin: words, common } = useWords('admin')
  const add = useChange(async (form: FormData) => {
    const body = {
      name: String(form.get('name')).trim(),
      role: form.get('role') as Role,
      team: String(form.get('team') ?? '') || null,
    }
    const person = await admin.addUser(body)
    const { path } = await admin.signinLink(person.id)
    return { person, link: `${location.origin}${path}` }
  }, 'users')
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    add.mutate(new FormData(event.currentTarget))
  }
  if (add.data) return <LinkDialog name={add.data.person.name} link={add.data.link} onClose={onClose} />
  return (
    <Dialog
      title={words.addUser}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" form="add-user" look="primary" busy={add.isPending}>
            {words.addUser}
          </Button>
        </>
      }
    >
      <form id="add-user" onSubmit={submit} className="flex flex-col gap-4">
        <Field label={common.name}>
          <input name="name" required maxLength={200} className="field" autoComplete="off" />
        </Field>
        <Field label={words.role} hint={words.roleText}>
          <select name="role" className="field" defaultValue="member">
            {roles.map((role) => (
              <option key={role} value={role}>
                {words.roles[role]}
              </option>
            ))}
          </select>
        </Field>
        {teams.length > 0 && (
          <Field label={words.team}>
            <select name="team" className="field">
              <option value="">{words.noTeam}</option>
              {teams.map(({ id, name }) => (
                <option key={id}>{name}</option>
              ))}
            </select>
          </Field>
        )}
        {add.error && <ProblemNote problem={asProblem(add.error)} />}
      </form>
    </Dialog>
  )
}

export function LinkDialog({ name, link, onClose }: { name: string; link: string; onClose: () => void }) {
  const { admin: words } = useWords('admin')
  return (
    <Dialog title={words.linkFor(name)} onClose={onClose}>
      <p className="text-sm text-ink-2">{words.linkText}</p>
      <div className="mt-3 flex items-center gap-1 rounded-xl bg-code py-2 ps-4 pe-2">
        <code className="min-w-0 flex-1 font-mono text-[0.8125rem] break-all">{link}</code>
        <CopyButton text={link} />
      </div>
    </Dialog>
  )
}

interface TeamsProps {
  teams: Team[] | undefined
  error: Error | null
  onRetry: () => void
  users: Person[]
}

function Teams({ teams, error, onRetry, users }: TeamsProps) {
  const { admin: words, common } = useWords('admin')
  const [deleting, setDeleting] = useState<Team | null>(null)
  const add = useChange(admin.addTeam, 'teams')
  const remove = useChange(admin.deleteTeam, 'teams', 'users')
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = event.currentTarget
    const name = String(new FormData(form).get('team')).trim()
    if (name) add.mutate(name, { onSuccess: () => form.reset() })
  }
  return (
    <Section title={words.teams} text={words.teamsText}>
      <form onSubmit={submit} className="flex flex-wrap gap-2">
        <input
          name="team"
          required
          maxLength={200}
          className="field w-auto! min-w-40 flex-1"
          placeholder={words.teamName}
          aria-label={words.teamName}
          autoComplete="off"
        />
        <Button type="submit" busy={add.isPending}>
          <Plus aria-hidden />
          {words.addTeam}
        </Button>
      </form>
      {error && <ProblemNote problem={asProblem(error)} onRetry={onRetry} />}
      {add.error && <ProblemNote problem={asProblem(add.error)} />}
      {teams && teams.length > 0 && (
        <ul className="card divide-y divide-line">
          {teams.map((team) => {
            const members = users.filter((user) => user.team === team.name).map((user) => user.name)
            return (
              <li key={team.id} className="flex items-center gap-3 px-4 py-2.5">
                <div className="min-w-0 flex-1">
                  <p className="font-medium break-words">{team.name}</p>
                  <p className="text-xs break-words text-ink-3">{members.join(', ') || words.noMembers}</p>
                </div>
                <IconButton label={`${common.delete}: ${team.name}`} onClick={() => setDeleting(team)}>
                  <Trash2 aria-hidden />
                </IconButton>
              </li>
            )
          })}
        </ul>
      )}
      {deleting && (
        <Confirm
          title={words.deleteTeam(deleting.name)}
          text={words.deleteTeamText}
          action={common.delete}
          busy={remove.isPending}
          error={remove.error && asProblem(remove.error)}
          onConfirm={() => remove.mutate(deleting.id, { onSuccess: () => setDeleting(null) })}
          onClose={() => setDeleting(null)}
        />
      )}
    </Section>
  )
}
