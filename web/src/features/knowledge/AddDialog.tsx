import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import { api, asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import type { NewIndex } from '../../api/types'
import { Button, Dialog, Field, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'

const origins = ['path', 'git', 'web'] as const
type Origin = (typeof origins)[number]

/** What the form says as the server wants it. A branch, tag or commit follows the URL of its repository. */
function asked(origin: Origin, data: FormData): NewIndex {
  const text = (name: string) => String(data.get(name) ?? '').trim()
  const [name, ref, token, minutes] = [text('name'), text('ref'), text('token'), text('minutes')]
  return {
    source: ref ? `${text('source')}#${ref}` : text('source'),
    ...(name && { name }),
    ...(origin !== 'path' && { web: origin === 'web' }),
    ...(token && { token }),
    ...(minutes && { refresh_minutes: Number(minutes) }),
  }
}

export function AddDialog({ onClose }: { onClose: () => void }) {
  const words = useWords('knowledge')
  const { knowledge } = words
  const form = useId()
  const [origin, setOrigin] = useState<Origin>('path')
  const add = useMutation({
    mutationFn: api.addIndex,
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keys.indexes })
      onClose()
    },
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    add.mutate(asked(origin, new FormData(event.currentTarget)))
  }
  const source = {
    path: { label: knowledge.serverPath, hint: knowledge.pathText, placeholder: '/srv/code/shop' },
    git: {
      label: knowledge.gitUrl,
      hint: knowledge.gitText,
      placeholder: 'https://github.com/owner/project.git',
    },
    web: { label: knowledge.webUrl, hint: knowledge.webText, placeholder: 'https://docs.example.org/guide/' },
  }[origin]
  return (
    <Dialog
      title={knowledge.add}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{words.common.cancel}</Button>
          <Button type="submit" form={form} look="primary" busy={add.isPending}>
            {knowledge.add}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-4">
        <fieldset className="flex gap-1">
          <legend className="mb-1 text-sm font-medium">{knowledge.from}</legend>
          {origins.map((name) => (
            <label
              key={name}
              className="flex min-h-9 flex-1 cursor-pointer items-center justify-center rounded-lg border border-line px-1 text-center text-sm hover:bg-hover has-checked:border-accent has-checked:bg-accent-soft has-checked:text-accent has-focus-visible:outline-2 has-focus-visible:outline-accent"
            >
              <input
                type="radio"
                name="origin"
                className="sr-only"
                checked={origin === name}
                onChange={() => {
                  setOrigin(name)
                  add.reset()
                }}
              />
              {knowledge.sources[name]}
            </label>
          ))}
        </fieldset>
        <Field label={source.label} hint={source.hint}>
          <input
            name="source"
            required
            className="field font-mono text-[0.8125rem]"
            placeholder={source.placeholder}
            autoComplete="off"
            spellCheck={false}
          />
        </Field>
        {origin === 'git' && (
          <>
            <Field label={knowledge.gitRef} hint={knowledge.gitRefPlaceholder}>
              <input
                name="ref"
                className="field font-mono text-[0.8125rem]"
                autoComplete="off"
                spellCheck={false}
              />
            </Field>
            <Field label={knowledge.token} hint={knowledge.tokenText}>
              <input name="token" type="password" className="field" autoComplete="new-password" />
            </Field>
          </>
        )}
        {origin !== 'path' && (
          <Field label={knowledge.refresh} hint={knowledge.refreshText}>
            <input name="minutes" type="number" min={0} step="any" className="field" />
          </Field>
        )}
        <Field label={words.common.name} hint={knowledge.namePlaceholder}>
          <input name="name" className="field" autoComplete="off" maxLength={64} spellCheck={false} />
        </Field>
        {add.error && <ProblemNote problem={asProblem(add.error)} />}
      </form>
    </Dialog>
  )
}
