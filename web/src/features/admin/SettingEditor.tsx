import { type FormEvent, useState } from 'react'
import { admin, type Setting } from '../../api/admin'
import { asProblem } from '../../api/client'
import { queryClient } from '../../api/queries'
import { Button, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { useChange } from './parts'

/** What a setting's field says as the value that is sent; null is the default. */
function entered(kind: Setting['kind'], text: string): unknown {
  if (kind === 'list') {
    const lines = text.split('\n').map((line) => line.trim())
    return lines.filter(Boolean)
  }
  if (text.trim() === '') return null
  return kind === 'number' ? Number(text) : kind === 'switch' ? text === 'true' : text.trim()
}

/** The field of one setting, saved into the file when it is submitted. */
export function SettingEditor({ setting, onDone }: { setting: Setting; onDone: () => void }) {
  const { admin: words, common } = useWords('admin')
  const { name, kind, choices, secret } = setting
  const before = Array.isArray(setting.saved) ? setting.saved.join('\n') : String(setting.saved ?? '')
  const [text, setText] = useState(secret ? '' : before)
  const change = useChange(async (value: unknown) => {
    queryClient.setQueryData(['settings'], await admin.changeSettings({ [name]: value }))
  }, 'session')
  const save = (value: unknown) => change.mutate(value, { onSuccess: onDone })
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    save(entered(kind, text))
  }
  const input = {
    'aria-label': name,
    className: 'field',
    value: text,
    // It replaces the button that was just pressed.
    autoFocus: true,
  }
  const options = kind === 'switch' ? ['true', 'false'] : choices
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-2">
      {options.length > 0 ? (
        <select {...input} onChange={(event) => setText(event.target.value)}>
          {options.map((option) => (
            <option key={option} value={option}>
              {kind === 'switch' ? (option === 'true' ? words.on : words.off) : option}
            </option>
          ))}
        </select>
      ) : kind === 'list' ? (
        <textarea {...input} rows={4} onChange={(event) => setText(event.target.value)} />
      ) : (
        <input
          {...input}
          type={secret ? 'password' : kind === 'number' ? 'number' : 'text'}
          step="any"
          autoComplete="off"
          onChange={(event) => setText(event.target.value)}
        />
      )}
      {kind === 'list' && <p className="text-xs text-ink-3">{words.onePerLine}</p>}
      {change.error && <ProblemNote problem={asProblem(change.error)} />}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" look="primary" busy={change.isPending}>
          {words.save}
        </Button>
        {setting.saved !== setting.default && (
          <Button busy={change.isPending} onClick={() => save(null)}>
            {words.toDefault}
          </Button>
        )}
        <Button look="ghost" onClick={onDone}>
          {common.cancel}
        </Button>
      </div>
    </form>
  )
}
