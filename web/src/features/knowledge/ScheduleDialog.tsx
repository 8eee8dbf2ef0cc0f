import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import { api, asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import type { Index } from '../../api/types'
import { Button, Dialog, Field, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'

const ways = ['server', 'never', 'every'] as const

/** How often the server looks at an index's source. */
export function ScheduleDialog({ index, onClose }: { index: Index; onClose: () => void }) {
  const words = useWords('knowledge')
  const { knowledge } = words
  const form = useId()
  const [way, setWay] = useState<(typeof ways)[number]>(index.refresh_minutes > 0 ? 'every' : 'never')
  const save = useMutation({
    mutationFn: (minutes: number | null) => api.scheduleIndex(index.name, minutes),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: keys.indexes })
      onClose()
    },
  })
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const minutes = Number(new FormData(event.currentTarget).get('minutes'))
    save.mutate(way === 'server' ? null : way === 'never' ? 0 : minutes)
  }
  return (
    <Dialog
      title={knowledge.scheduleOf(index.name)}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{words.common.cancel}</Button>
          <Button type="submit" form={form} look="primary" busy={save.isPending}>
            {knowledge.save}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-4">
        <p className="text-sm text-ink-2">{knowledge.scheduleText}</p>
        <fieldset className="flex flex-col gap-2 text-sm">
          <legend className="sr-only">{knowledge.schedule}</legend>
          {ways.map((name) => (
            <label key={name} className="flex min-h-8 items-center gap-2">
              <input
                type="radio"
                name="way"
                className="size-4 accent-(--accent)"
                checked={way === name}
                onChange={() => setWay(name)}
              />
              {knowledge.scheduleWays[name]}
            </label>
          ))}
        </fieldset>
        {way === 'every' && (
          <Field label={knowledge.minutes}>
            <input
              name="minutes"
              type="number"
              min={1}
              max={100_000}
              required
              className="field w-32!"
              defaultValue={index.refresh_minutes || 30}
            />
          </Field>
        )}
        {save.error && <ProblemNote problem={asProblem(save.error)} />}
      </form>
    </Dialog>
  )
}
