import { useMutation } from '@tanstack/react-query'
import { LogIn } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { account } from '../api/admin'
import { ApiError, asProblem } from '../api/client'
import { keys, queryClient, useSession } from '../api/queries'
import { Logo } from '../components/Logo'
import { Button, CopyButton, Field, ProblemNote } from '../components/ui'
import { useWords } from '../lib/i18n'

const command = 'codeweft signin'

/** All ways into this server that it offers: single sign-on, a password, registering, a one-time link. */
export function SignIn() {
  const words = useWords('signin')
  const ways = useSession().data?.sign_in
  const [registering, setRegistering] = useState(false)
  const next = encodeURIComponent(location.pathname + location.search)
  return (
    <main className="grid min-h-full place-items-center p-4">
      <div className="card w-full max-w-md p-6 shadow-pop sm:p-8">
        <div className="flex items-center gap-3">
          <Logo className="size-10" />
          <div>
            <p className="text-lg leading-tight font-semibold tracking-tight">Codeweft</p>
            <p className="text-sm text-ink-2">{words.app.tagline}</p>
          </div>
        </div>
        <h1 className="mt-7 text-xl font-semibold">
          {registering ? words.signIn.register : words.signIn.title}
        </h1>
        {ways?.provider && (
          <a
            href={`${ways.provider.path}?next=${next}`}
            className="mt-4 flex min-h-10 items-center justify-center rounded-lg bg-accent px-3 text-sm font-medium text-on-accent hover:bg-accent-hover"
          >
            {words.signIn.with(ways.provider.name)}
          </a>
        )}
        {ways?.password && (registering ? <Register /> : <WithPassword />)}
        {ways?.password && ways.registration !== 'closed' && (
          <Button look="ghost" className="-ms-3 mt-3" onClick={() => setRegistering(!registering)}>
            {registering ? words.signIn.haveAccount : words.signIn.noAccount}
          </Button>
        )}
        {ways?.password || ways?.provider ? (
          <details className="mt-5 border-t border-line pt-4">
            <summary className="w-fit text-sm text-accent">{words.signIn.byLink}</summary>
            <ByLink />
          </details>
        ) : (
          <ByLink />
        )}
      </div>
    </main>
  )
}

const enter = () => queryClient.invalidateQueries({ queryKey: keys.session })

const credentials = (form: HTMLFormElement) => {
  const data = new FormData(form)
  const text = (name: string) => String(data.get(name) ?? '')
  return { name: text('name').trim(), password: text('password'), code: text('code').trim() || null }
}

function WithPassword() {
  const words = useWords('signin')
  const signIn = useMutation({ mutationFn: account.signIn, onSuccess: enter })
  const [coded, setCoded] = useState(false)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    signIn.mutate(credentials(event.currentTarget), {
      onError: (error) => error instanceof ApiError && error.code === 'code_needed' && setCoded(true),
    })
  }
  // That a code is needed is not a failure: the field for it appears.
  const asksForCode = signIn.error instanceof ApiError && signIn.error.code === 'code_needed'
  return (
    <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
      <Field label={words.common.name}>
        <input name="name" required className="field" autoComplete="username" spellCheck={false} />
      </Field>
      <Field label={words.signIn.password}>
        <input name="password" type="password" required className="field" autoComplete="current-password" />
      </Field>
      {coded && (
        <Field label={words.signIn.code} hint={words.signIn.codeText}>
          <input
            name="code"
            required
            className="field font-mono"
            autoComplete="one-time-code"
            // biome-ignore lint/a11y/noAutofocus: it is the only thing left to type.
            autoFocus
          />
        </Field>
      )}
      {signIn.error && !asksForCode && <ProblemNote problem={asProblem(signIn.error)} />}
      <Button type="submit" look="primary" busy={signIn.isPending}>
        <LogIn aria-hidden />
        {words.signIn.title}
      </Button>
    </form>
  )
}

function Register() {
  const words = useWords('signin')
  const register = useMutation({
    mutationFn: account.register,
    onSuccess: ({ status }) => (status === 'active' ? enter() : undefined),
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const { name, password } = credentials(event.currentTarget)
    register.mutate({ name, password })
  }
  if (register.data?.status === 'waiting')
    return (
      <div role="status" className="mt-4 rounded-xl bg-good-soft p-4 text-sm">
        <p className="font-semibold text-good">{words.signIn.waiting(register.data.name)}</p>
        <p className="text-ink-2">{words.signIn.waitingText}</p>
      </div>
    )
  return (
    <form onSubmit={submit} className="mt-4 flex flex-col gap-3">
      <Field label={words.common.name}>
        <input name="name" required maxLength={200} className="field" autoComplete="username" />
      </Field>
      <Field label={words.signIn.password} hint={words.signIn.passwordText}>
        <input name="password" type="password" required className="field" autoComplete="new-password" />
      </Field>
      {register.error && <ProblemNote problem={asProblem(register.error)} />}
      <Button type="submit" look="primary" busy={register.isPending}>
        {words.signIn.register}
      </Button>
    </form>
  )
}

function ByLink() {
  const words = useWords('signin')
  const [link, setLink] = useState('')
  const [invalid, setInvalid] = useState(false)

  const open = (event: FormEvent) => {
    event.preventDefault()
    const token = /[?&]token=([^&\s]+)/.exec(link)?.[1]
    setInvalid(!token)
    if (token) location.assign(`/signin?token=${token}`)
  }

  return (
    <>
      <p className="mt-3 text-sm text-ink-2">{words.signIn.step}</p>
      <div className="code mt-2 flex items-center rounded-xl border border-line bg-code ps-4 pe-1.5">
        <code className="flex-1 py-2.5">{command}</code>
        <CopyButton text={command} />
      </div>
      <p className="mt-2 text-sm text-ink-2">
        {words.signIn.after} {words.signIn.first}
      </p>
      <form onSubmit={open} className="mt-4 flex flex-col gap-3">
        <Field label={words.signIn.token}>
          <input
            className="field"
            value={link}
            onChange={(event) => setLink(event.target.value)}
            placeholder={`${location.origin}/signin?token=…`}
            autoComplete="off"
            spellCheck={false}
            aria-invalid={invalid}
          />
        </Field>
        {invalid && (
          <p role="alert" className="text-sm text-danger">
            {words.signIn.invalid}
          </p>
        )}
        <Button type="submit" disabled={!link.trim()}>
          {words.signIn.open}
        </Button>
      </form>
    </>
  )
}
