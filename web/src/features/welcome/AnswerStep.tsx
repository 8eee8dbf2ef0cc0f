import { useMutation } from '@tanstack/react-query'
import { MessageSquare } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { Link } from 'react-router'
import { api, asProblem } from '../../api/client'
import { keys, queryClient, useIndexes } from '../../api/queries'
import type { Turn } from '../../api/types'
import { Markdown } from '../../components/Markdown'
import { ReferenceDialog } from '../../components/ReferenceDialog'
import { Button, Field, ProblemNote, Skeleton } from '../../components/ui'
import { useAnswer } from '../../lib/answer/useAnswer'
import { useWords } from '../../lib/i18n'
import { ReferenceChips } from '../chat/ReferenceChips'

/** The first question, its answer as it is written, and the functions that it cites. */
export function AnswerStep() {
  const { welcome: words } = useWords('welcome')
  const indexes = useIndexes()
  const first = indexes.data?.[0]
  const [finished, setFinished] = useState<Turn | null>(null)
  const [opened, setOpened] = useState<number | null>(null)
  const ask = useMutation({
    mutationFn: async (content: string) => {
      const conversation = await api.createConversation({ index: first?.name ?? null })
      const asked = await api.ask(conversation.id, { content, index: first?.name ?? null })
      return { conversation: conversation.id, answer: asked.answer_id }
    },
    onMutate: () => setFinished(null),
  })
  const live = useAnswer(
    ask.data?.answer ?? null,
    (turn) => {
      setFinished(turn)
      queryClient.invalidateQueries({ queryKey: ['setup'] })
      queryClient.invalidateQueries({ queryKey: keys.allConversations })
    },
    () => ask.reset(),
  )
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    ask.mutate(String(new FormData(event.currentTarget).get('question')).trim())
  }
  const text = finished?.content ?? live?.answer.text ?? ''
  const references = finished?.references ?? live?.answer.references ?? []
  const problem = finished?.error ?? live?.answer.error ?? (ask.error && asProblem(ask.error))
  const shown = references.find(({ number }) => number === opened)
  return (
    <>
      <form onSubmit={submit} className="flex flex-wrap items-end gap-2">
        <div className="min-w-0 flex-[1_1_18rem]">
          <Field label={words.question}>
            <input
              key={first?.name}
              name="question"
              required
              className="field"
              defaultValue={first ? words.ask(first.repository || first.name) : words.askAnything}
            />
          </Field>
        </div>
        <Button type="submit" look="primary" busy={ask.isPending || (ask.isSuccess && !finished && !problem)}>
          <MessageSquare aria-hidden />
          {words.askIt}
        </Button>
      </form>
      {indexes.isSuccess && !first && <p className="text-sm text-warn">{words.withoutCode}</p>}
      {problem && <ProblemNote problem={problem} />}
      {ask.isSuccess && !problem && (
        <article
          aria-label={words.answer}
          aria-busy={!finished}
          className="rounded-xl border border-line p-4"
        >
          {text ? (
            <Markdown text={text} writing={!finished} references={references} onCite={setOpened} />
          ) : (
            <Skeleton widths={[90, 70, 80]} />
          )}
          {references.length > 0 && (finished || text === '') && (
            <ReferenceChips text={text} references={references} onOpen={setOpened} />
          )}
        </article>
      )}
      {finished && ask.data && (
        <Link
          to={`/c/${ask.data.conversation}`}
          className="w-fit text-sm text-accent underline underline-offset-2"
        >
          {words.goOn}
        </Link>
      )}
      {shown && <ReferenceDialog reference={shown} onClose={() => setOpened(null)} />}
    </>
  )
}
