import { useMutation } from '@tanstack/react-query'
import { ShieldCheck } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { encode } from 'uqr'
import { account, type Me, type NewTotp } from '../../api/admin'
import { asProblem } from '../../api/client'
import { queryClient } from '../../api/queries'
import { Badge, Button, CopyButton, Dialog, Field, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'

const refresh = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['me'] }),
    queryClient.invalidateQueries({ queryKey: ['session'] }),
  ])

/** The second factor: set up with an app, its recovery codes, taken away again. */
export function Totp({ me }: { me: Me }) {
  const { account: words } = useWords('account')
  const [asked, setAsked] = useState<'remove' | 'renew' | null>(null)
  const begin = useMutation({ mutationFn: account.beginTotp })
  const confirm = useMutation({
    mutationFn: account.confirmTotp,
    onSuccess: () => begin.reset(),
  })
  const renew = useMutation({ mutationFn: account.renewCodes })
  const remove = useMutation({ mutationFn: account.removeTotp })
  const codes = renew.data?.recovery_codes ?? confirm.data?.recovery_codes
  const change = { remove, renew }
  return (
    <section aria-labelledby="totp" className="card flex flex-col gap-4 p-5">
      <div>
        <h2 id="totp" className="flex flex-wrap items-center gap-2 text-lg font-semibold">
          {words.totp} {me.has_totp && <Badge tone="good">{words.totpOn}</Badge>}
        </h2>
        <p className="text-sm text-ink-2">{words.totpText}</p>
      </div>
      {begin.data && (
        <Enrol totp={begin.data} busy={confirm.isPending} onCode={(code) => confirm.mutate(code)} />
      )}
      {(begin.error ?? confirm.error) && <ProblemNote problem={asProblem(begin.error ?? confirm.error)} />}
      {codes && (
        <div role="status" className="rounded-xl bg-good-soft p-4 text-sm">
          <p className="font-semibold text-good">{words.codes}</p>
          <p className="text-ink-2">{words.codesText}</p>
          <ul className="my-3 grid grid-cols-2 gap-x-4 gap-y-1 font-mono text-[0.8125rem] sm:grid-cols-3">
            {codes.map((code) => (
              <li key={code}>{code}</li>
            ))}
          </ul>
          <div className="flex flex-wrap items-center gap-2">
            <CopyButton text={codes.join('\n')} label={words.copyCodes} />
            <Button
              onClick={() => {
                confirm.reset()
                renew.reset()
                return refresh()
              }}
            >
              {words.codesKept}
            </Button>
          </div>
        </div>
      )}
      {!me.has_totp && !begin.data && !codes && (
        <Button className="self-start" busy={begin.isPending} onClick={() => begin.mutate()}>
          <ShieldCheck aria-hidden />
          {words.totpBegin}
        </Button>
      )}
      {me.has_totp && !codes && (
        <>
          <p className="text-sm text-ink-2">{words.codesLeft(me.recovery_codes_left)}</p>
          <div className="flex flex-wrap gap-2">
            <Button onClick={() => setAsked('renew')}>{words.renewCodes}</Button>
            <Button look="danger" onClick={() => setAsked('remove')}>
              {words.totpRemove}
            </Button>
          </div>
        </>
      )}
      {asked && (
        <CodeDialog
          title={asked === 'remove' ? words.totpRemove : words.renewCodes}
          busy={change[asked].isPending}
          error={change[asked].error}
          onCode={(code) =>
            change[asked].mutate(code, {
              onSuccess: () => {
                setAsked(null)
                return refresh()
              },
            })
          }
          onClose={() => {
            setAsked(null)
            change[asked].reset()
          }}
        />
      )}
    </section>
  )
}

interface EnrolProps {
  totp: NewTotp
  busy: boolean
  onCode: (code: string) => void
}

function Enrol({ totp, busy, onCode }: EnrolProps) {
  const { account: words } = useWords('account')
  return (
    <div className="flex flex-wrap items-start gap-5">
      <QrCode text={totp.uri} label={words.qr} />
      <div className="flex min-w-0 flex-[1_1_16rem] flex-col gap-3">
        <p className="text-sm">{words.scan}</p>
        <div className="flex items-center gap-1">
          <code className="rounded-lg bg-code px-2 py-1 font-mono text-[0.8125rem] break-all">
            {totp.secret}
          </code>
          <CopyButton text={totp.secret} />
        </div>
        <CodeForm action={words.totpConfirm} busy={busy} onCode={onCode} />
      </div>
    </div>
  )
}

interface CodeFormProps {
  action: string
  busy: boolean
  onCode: (code: string) => void
}

function CodeForm({ action, busy, onCode }: CodeFormProps) {
  const { account: words } = useWords('account')
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    onCode(String(new FormData(event.currentTarget).get('code')).trim())
  }
  return (
    <form onSubmit={submit} className="flex flex-wrap items-end gap-2">
      <Field label={words.code}>
        <input
          name="code"
          required
          className="field font-mono"
          inputMode="numeric"
          autoComplete="one-time-code"
          spellCheck={false}
        />
      </Field>
      <Button type="submit" look="primary" busy={busy}>
        {action}
      </Button>
    </form>
  )
}

interface CodeDialogProps {
  title: string
  busy: boolean
  error: Error | null
  onCode: (code: string) => void
  onClose: () => void
}

function CodeDialog({ title, busy, error, onCode, onClose }: CodeDialogProps) {
  const { account: words } = useWords('account')
  return (
    <Dialog title={title} onClose={onClose}>
      <div className="flex flex-col gap-3">
        <p className="text-sm text-ink-2">{words.codeText}</p>
        <CodeForm action={title} busy={busy} onCode={onCode} />
        {error && <ProblemNote problem={asProblem(error)} />}
      </div>
    </Dialog>
  )
}

/** A QR code drawn as one path; always dark on white, as cameras expect. */
function QrCode({ text, label }: { text: string; label: string }) {
  const { data, size } = encode(text, { border: 2 })
  const path = data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ''))).join('')
  return (
    <svg
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label={label}
      className="size-44 rounded-xl border border-line"
    >
      <path d={`M0 0h${size}v${size}h-${size}z`} fill="#fff" />
      <path d={path} fill="#000" shapeRendering="crispEdges" />
    </svg>
  )
}
