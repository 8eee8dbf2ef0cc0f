import { type FormEvent, useState } from 'react'
import { Logo } from '../components/Logo'
import { Button, CopyButton, Field } from '../components/ui'
import { useWords } from '../lib/i18n'

const command = 'codeweft signin'

export function SignIn() {
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
    <main className="grid min-h-full place-items-center p-4">
      <div className="card w-full max-w-md p-6 shadow-pop sm:p-8">
        <div className="flex items-center gap-3">
          <Logo className="size-10" />
          <div>
            <p className="text-lg leading-tight font-semibold tracking-tight">Codeweft</p>
            <p className="text-sm text-ink-2">{words.app.tagline}</p>
          </div>
        </div>
        <h1 className="mt-7 text-xl font-semibold">{words.signIn.title}</h1>
        <p className="mt-1 text-ink-2">{words.signIn.text}</p>

        <h2 className="mt-6 text-sm font-semibold">{words.signIn.steps}</h2>
        <p className="mt-1 text-sm text-ink-2">{words.signIn.step}</p>
        <div className="code mt-2 flex items-center rounded-xl border border-line bg-code ps-4 pe-1.5">
          <code className="flex-1 py-2.5">{command}</code>
          <CopyButton text={command} />
        </div>
        <p className="mt-2 text-sm text-ink-2">
          {words.signIn.after} {words.signIn.first}
        </p>

        <form onSubmit={open} className="mt-6 flex flex-col gap-3 border-t border-line pt-5">
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
          <Button type="submit" look="primary" disabled={!link.trim()}>
            {words.signIn.open}
          </Button>
        </form>
      </div>
    </main>
  )
}
