import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { account } from '../../api/admin'
import { asProblem } from '../../api/client'
import { useSession } from '../../api/queries'
import { Badge, Field, Page, ProblemNote, Skeleton } from '../../components/ui'
import { languageNames, useLanguage, useWords } from '../../lib/i18n'
import { changeSettings, type Settings, useSettings } from '../../lib/settings'
import { Keys } from './Keys'
import { Password } from './Password'
import { Sessions } from './Sessions'

const Totp = lazy(() => import('./Totp').then((m) => ({ default: m.Totp })))

/** One's own account: how one signs in, from where, keys for programs, and how the page looks. */
export function AccountPage() {
  const { account: words } = useWords('account')
  const session = useSession().data
  const me = useQuery({ queryKey: ['me'], queryFn: account.me })
  const needed = session?.factor_needed ?? false
  return (
    <Page
      title={words.title}
      text={
        me.data && (
          <span className="flex flex-wrap items-center gap-2">
            {me.data.user.name} <Badge>{words.roles[me.data.user.role] ?? me.data.user.role}</Badge>
            {me.data.issuers.map((issuer) => (
              <Badge key={issuer} tone="accent">
                {words.issuer(issuer)}
              </Badge>
            ))}
          </span>
        )
      }
    >
      {needed && <ProblemNote problem={{ message: words.factorNeeded, fix: words.factorNeededFix }} />}
      {me.isPending && <Skeleton widths={[60, 80, 40]} />}
      {me.isError && <ProblemNote problem={asProblem(me.error)} onRetry={() => me.refetch()} />}
      {me.data && (
        <>
          {session?.sign_in?.password !== false && !needed && (
            <section aria-labelledby="password" className="card flex flex-col gap-4 p-5">
              <div>
                <h2 id="password" className="text-lg font-semibold">
                  {words.password}
                </h2>
                <p className="text-sm text-ink-2">
                  {me.data.has_password ? words.passwordText : words.noPasswordText}
                </p>
              </div>
              <Password me={me.data} />
            </section>
          )}
          <Suspense fallback={<Skeleton />}>
            <Totp me={me.data} />
          </Suspense>
        </>
      )}
      {!needed && (
        <>
          <Keys />
          <Sessions />
        </>
      )}
      <Look />
    </Page>
  )
}

const themes = ['system', 'light', 'dark'] as const

function Look() {
  const words = useWords('account')
  const language = useLanguage()
  const { theme } = useSettings()
  return (
    <section aria-labelledby="look" className="card flex flex-col gap-4 p-5">
      <h2 id="look" className="text-lg font-semibold">
        {words.account.look}
      </h2>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={words.app.theme.label}>
          <select
            className="field"
            value={theme}
            onChange={(event) => changeSettings({ theme: event.target.value as Settings['theme'] })}
          >
            {themes.map((name) => (
              <option key={name} value={name}>
                {words.app.theme[name]}
              </option>
            ))}
          </select>
        </Field>
        <Field label={words.app.language}>
          <select
            className="field"
            value={language}
            onChange={(event) => changeSettings({ language: event.target.value })}
          >
            {languageNames.map(({ code, label }) => (
              <option key={code} value={code} lang={code}>
                {label}
              </option>
            ))}
          </select>
        </Field>
      </div>
    </section>
  )
}
