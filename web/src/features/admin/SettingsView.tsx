import { useQuery } from '@tanstack/react-query'
import { Pencil } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { admin, type Setting } from '../../api/admin'
import { asProblem } from '../../api/client'
import { useSession } from '../../api/queries'
import { Snippet } from '../../components/Snippet'
import { Badge, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { Section } from './parts'
import { SettingEditor } from './SettingEditor'

const oidcLines = `sign_in:
  oidc:
    issuer: https://login.example.com/realms/team
    client_id: codeweft
    client_secret: \${OIDC_SECRET}
`

/** A value as the file says it; `unset` for none. */
const asText = (value: unknown, unset: string): string =>
  value === null || value === undefined
    ? unset
    : typeof value === 'string'
      ? value || '""'
      : JSON.stringify(value)

/** What is set, in which file, and how people sign in; most of it is changed here. */
export function SettingsView() {
  const { admin: words } = useWords('admin')
  const settings = useQuery({ queryKey: ['settings'], queryFn: admin.settings })
  const [query, setQuery] = useState('')
  const [onlyChanged, setOnlyChanged] = useState(false)
  const wanted = useDeferredValue(query.trim().toLowerCase())
  const shown = settings.data?.settings.filter(
    ({ name, description, changed }) =>
      `${name} ${description}`.toLowerCase().includes(wanted) && (changed || !onlyChanged),
  )
  return (
    <>
      <SignInState />
      <Section title={words.parts.settings} text={words.settingsText}>
        {settings.isPending && <Skeleton widths={[60, 90, 80]} />}
        {settings.isError && (
          <ProblemNote problem={asProblem(settings.error)} onRetry={() => settings.refetch()} />
        )}
        {settings.data && (
          <>
            <p className="text-sm">
              {words.file}: <code className="font-mono text-[0.8125rem] break-all">{settings.data.path}</code>
            </p>
            {settings.data.refusal && (
              <ProblemNote problem={{ message: words.cannotSave, fix: settings.data.refusal }} />
            )}
            {settings.data.restart.length > 0 && (
              <p role="status" className="rounded-xl bg-warn-soft px-4 py-3 text-sm break-words">
                <strong className="font-semibold text-warn">{words.waitsForRestart}</strong>{' '}
                {settings.data.restart.join(', ')}
              </p>
            )}
            <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
              <input
                type="search"
                className="field w-auto! min-w-48 flex-1"
                value={query}
                onChange={(event) => setQuery(event.target.value)}
                placeholder={words.findSetting}
                aria-label={words.findSetting}
              />
              <label className="flex items-center gap-2 text-sm">
                <input
                  type="checkbox"
                  className="accent-accent"
                  checked={onlyChanged}
                  onChange={(event) => setOnlyChanged(event.target.checked)}
                />
                {words.onlyChanged}
              </label>
            </div>
            {shown?.length === 0 && <p className="py-4 text-sm text-ink-3">{words.noSetting}</p>}
            {shown && shown.length > 0 && (
              <dl className="card divide-y divide-line text-sm">
                {shown.map((setting) => (
                  <Row key={setting.name} setting={setting} locked={settings.data.refusal !== ''} />
                ))}
              </dl>
            )}
          </>
        )}
      </Section>
    </>
  )
}

function Row({ setting, locked }: { setting: Setting; locked: boolean }) {
  const { admin: words } = useWords('admin')
  const [editing, setEditing] = useState(false)
  const waits = JSON.stringify(setting.saved) !== JSON.stringify(setting.value)
  return (
    <div className="flex flex-wrap gap-x-4 gap-y-1 px-4 py-2.5">
      <dt className="min-w-0 flex-[1_1_16rem]">
        <span className="flex flex-wrap items-center gap-2">
          <code className="font-mono text-[0.8125rem] break-all">{setting.name}</code>
          {setting.changed && <Badge tone="accent">{words.changed}</Badge>}
          {waits && <Badge tone="warn">{words.afterRestart}</Badge>}
        </span>
        {setting.description && <span className="text-xs text-ink-3">{setting.description}</span>}
      </dt>
      <dd className="min-w-0 flex-[1_1_12rem]">
        {editing ? (
          <SettingEditor setting={setting} onDone={() => setEditing(false)} />
        ) : (
          <span className="flex items-start gap-2">
            <code
              className={`min-w-0 flex-1 font-mono text-[0.8125rem] break-all ${setting.value === null ? 'text-ink-3' : ''}`}
            >
              {asText(setting.value, words.unset)}
            </code>
            {setting.editable && !locked && (
              <IconButton label={words.editSetting(setting.name)} onClick={() => setEditing(true)}>
                <Pencil aria-hidden />
              </IconButton>
            )}
          </span>
        )}
        {waits && !setting.secret && (
          <span className="block text-xs break-all text-warn">
            {words.saved(asText(setting.saved, words.unset))}
          </span>
        )}
        {setting.changed && (
          <span className="block text-xs break-all text-ink-3">
            {words.otherwise(asText(setting.default, words.unset))}
          </span>
        )}
      </dd>
    </div>
  )
}

function SignInState() {
  const { admin: words } = useWords('admin')
  const ways = useSession().data?.sign_in
  if (!ways) return null
  const facts = [
    { name: words.passwords, value: ways.password ? words.on : words.off, on: ways.password },
    {
      name: words.registration,
      value: words.registrations[ways.registration],
      on: ways.registration !== 'closed',
    },
    { name: words.secondFactor, value: words.factors[ways.totp], on: true },
    { name: words.sso, value: ways.provider?.name ?? words.off, on: ways.provider !== null },
  ]
  return (
    <Section title={words.signIn} text={words.signInText}>
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-4">
        {facts.map(({ name, value, on }) => (
          <div key={name} className="card px-4 py-3">
            <dt className="text-xs text-ink-3">{name}</dt>
            <dd className={`font-semibold break-words ${on ? '' : 'text-ink-3'}`}>{value}</dd>
          </div>
        ))}
      </dl>
      {!ways.provider && (
        <details className="text-sm">
          <summary className="w-fit text-accent">{words.ssoHow}</summary>
          <p className="my-2 text-ink-2">{words.ssoText}</p>
          <Snippet code={oidcLines} language="yaml" />
        </details>
      )}
    </Section>
  )
}
