import { useMutation } from '@tanstack/react-query'
import { ThumbsDown, ThumbsUp } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { api, asProblem } from '../../api/client'
import { useChangeTurns } from '../../api/queries'
import type { Rating, Turn } from '../../api/types'
import { Button, IconButton, ProblemNote } from '../../components/ui'
import { useWords } from '../../lib/i18n'

/** Good or bad, with an optional comment; a second click on the same thumb takes the rating back. */
export function Rate({ conversation, turn }: { conversation: string; turn: Turn }) {
  const words = useWords('chat')
  const changeTurns = useChangeTurns(conversation)
  const [step, setStep] = useState<'closed' | 'comment' | 'thanks'>('closed')
  const rate = useMutation({
    mutationFn: (body: { rating: Rating; comment: string }) => api.rate(turn.id, body),
    onSuccess: (_, body) =>
      changeTurns((turns) => turns.map((other) => (other.id === turn.id ? { ...other, ...body } : other))),
  })
  const choose = (wanted: 'good' | 'bad') => () => {
    const rating = turn.rating === wanted ? null : wanted
    rate.mutate({ rating, comment: rating ? turn.comment : '' })
    setStep(rating ? 'comment' : 'closed')
  }
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const comment = String(new FormData(event.currentTarget).get('comment') ?? '').trim()
    rate.mutate({ rating: turn.rating, comment }, { onSuccess: () => setStep('thanks') })
  }
  return (
    <>
      <IconButton label={words.chat.good} aria-pressed={turn.rating === 'good'} onClick={choose('good')}>
        <ThumbsUp aria-hidden />
      </IconButton>
      <IconButton label={words.chat.bad} aria-pressed={turn.rating === 'bad'} onClick={choose('bad')}>
        <ThumbsDown aria-hidden />
      </IconButton>
      {step === 'comment' && (
        <form onSubmit={send} className="order-last flex w-full basis-full gap-2 py-2">
          <input
            name="comment"
            className="field text-sm"
            defaultValue={turn.comment}
            placeholder={words.chat.comment}
            aria-label={words.chat.comment}
            maxLength={2000}
          />
          <Button type="submit" busy={rate.isPending}>
            {words.chat.commentSave}
          </Button>
        </form>
      )}
      {step === 'thanks' && (
        <span role="status" className="self-center px-2 text-xs text-good">
          {words.chat.thanks}
        </span>
      )}
      {rate.error && <ProblemNote problem={asProblem(rate.error)} className="order-last w-full" />}
    </>
  )
}
