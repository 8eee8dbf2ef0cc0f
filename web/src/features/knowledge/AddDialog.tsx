import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useId } from 'react'
import { api, asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import { Button, Dialog, Field, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'

export function AddDialog({ onClose }: { onClose: () => void }) {
  const words = useWords()
  const form = useId()
  const add = useMutation({
    mutationFn: api.addIndex,
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keys.indexes })
      onClose()
    },
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget)
    const source = String(data.get('source')).trim()
    const name = String(data.get('name')).trim()
    add.mutate({ source, ...(name && { name }) })
  }
  return (
    <Dialog
      title={words.knowledge.add}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{words.common.cancel}</Button>
          <Button type="submit" form={form} look="primary" busy={add.isPending}>
            {words.knowledge.add}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-4">
        <Field label={words.knowledge.source} hint={words.knowledge.addText}>
          <input
            name="source"
            required
            className="field font-mono text-[0.8125rem]"
            placeholder={words.knowledge.sourcePlaceholder}
            autoComplete="off"
            spellCheck={false}
          />
        </Field>
        <Field label={words.common.name} hint={words.knowledge.namePlaceholder}>
          <input name="name" className="field" autoComplete="off" maxLength={64} spellCheck={false} />
        </Field>
        {add.error && <ProblemNote problem={asProblem(add.error)} />}
      </form>
    </Dialog>
  )
}
