import {
  Ban,
  CircleCheck,
  Ellipsis,
  Fingerprint,
  KeyRound,
  Link,
  LogOut,
  ShieldOff,
  Trash2,
} from 'lucide-react'
import { useState } from 'react'
import { admin, type Person, type PersonChange } from '../../api/admin'
import { asProblem } from '../../api/client'
import { useSession } from '../../api/queries'
import { MenuItem, Popover } from '../../components/Menu'
import { Confirm } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { IdentityDialog } from './IdentityDialog'
import { LinkDialog } from './People'
import { useChange } from './parts'

interface PersonMenuProps {
  person: Person
  onStatus: (status: NonNullable<PersonChange['status']>) => void
}

/** What an administrator does for or to a user, by a row: what is asked before, what is done. */
const actions = {
  link: { icon: Link, run: (id: string) => admin.signinLink(id) },
  sessions: { icon: LogOut, run: (id: string) => admin.endUserSessions(id) },
  password: { icon: KeyRound, run: (id: string) => admin.removeUserPassword(id) },
  totp: { icon: ShieldOff, run: (id: string) => admin.removeUserTotp(id) },
  delete: { icon: Trash2, run: (id: string) => admin.deleteUser(id) },
} as const
type Action = keyof typeof actions
const names = Object.keys(actions) as Action[]

export function PersonMenu({ person, onStatus }: PersonMenuProps) {
  const { admin: words, common } = useWords('admin')
  const [asked, setAsked] = useState<Action | null>(null)
  const [linking, setLinking] = useState(false)
  const provider = useSession().data?.sign_in?.provider
  const act = useChange(async (action: Action): Promise<unknown> => actions[action].run(person.id), 'users')
  const close = () => {
    setAsked(null)
    act.reset()
  }
  const made = act.data as { path: string } | undefined
  const active = person.status === 'active'
  const Status = active ? Ban : CircleCheck
  return (
    <>
      <Popover
        label={common.options(person.name)}
        role="menu"
        className="grid size-8 place-items-center rounded-lg text-ink-2 hover:bg-hover hover:text-ink"
        panelClass="top-full end-0 mt-1 w-64"
        trigger={<Ellipsis className="size-4" aria-hidden />}
      >
        {(hide) => (
          <>
            {names.slice(0, -1).map((name) => {
              const Icon = actions[name].icon
              return (
                <MenuItem
                  key={name}
                  icon={<Icon aria-hidden />}
                  onSelect={() => {
                    hide()
                    setAsked(name)
                  }}
                >
                  {words.actions[name].title}
                </MenuItem>
              )
            })}
            {provider && (
              <MenuItem
                icon={<Fingerprint aria-hidden />}
                onSelect={() => {
                  hide()
                  setLinking(true)
                }}
              >
                {words.linkIdentity}
              </MenuItem>
            )}
            <MenuItem
              icon={<Status aria-hidden />}
              onSelect={() => {
                hide()
                onStatus(active ? 'disabled' : 'active')
              }}
            >
              {active ? words.disable : words.enable}
            </MenuItem>
            <MenuItem
              icon={<Trash2 aria-hidden />}
              danger
              onSelect={() => {
                hide()
                setAsked('delete')
              }}
            >
              {words.actions.delete.title}
            </MenuItem>
          </>
        )}
      </Popover>
      {linking && <IdentityDialog person={person} onClose={() => setLinking(false)} />}
      {asked === 'link' && made ? (
        <LinkDialog name={person.name} link={`${location.origin}${made.path}`} onClose={close} />
      ) : (
        asked && (
          <Confirm
            title={`${words.actions[asked].title}: ${person.name}`}
            text={words.actions[asked].text}
            action={words.actions[asked].title}
            busy={act.isPending}
            error={act.error && asProblem(act.error)}
            onConfirm={() => act.mutate(asked, { onSuccess: () => asked !== 'link' && close() })}
            onClose={close}
          />
        )
      )}
    </>
  )
}
