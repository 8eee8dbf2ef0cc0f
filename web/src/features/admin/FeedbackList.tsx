import { useInfiniteQuery } from '@tanstack/react-query'
import { Download, MessageSquareHeart, ThumbsDown, ThumbsUp } from 'lucide-react'
import { useState } from 'react'
import { admin, type Feedback, feedbackUrl } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, Field, ProblemNote, Skeleton } from '../../components/ui'
import { downloadFrom } from '../../lib/download'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'
import { Empty, Section } from './parts'

const ratings = ['', 'good', 'bad'] as const
const pageSize = 50

export function FeedbackList() {
  const { admin: words, common } = useWords('admin')
  const [rating, setRating] = useState<(typeof ratings)[number]>('')
  const list = useInfiniteQuery({
    queryKey: ['feedback', rating],
    queryFn: ({ pageParam }) => admin.feedback(rating, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => (last.length === pageSize ? last.at(-1)?.rated_at : undefined),
  })
  const all = list.data?.pages.flat() ?? []
  return (
    <Section title={words.parts.feedback} text={words.feedbackText}>
      <div className="flex flex-wrap items-end gap-2">
        <Field label={words.rating}>
          <select
            className="field"
            value={rating}
            onChange={(event) => setRating(event.target.value as typeof rating)}
          >
            {ratings.map((name) => (
              <option key={name} value={name}>
                {words.ratings[name || 'all']}
              </option>
            ))}
          </select>
        </Field>
        {all.length > 0 &&
          (['jsonl', 'csv'] as const).map((format) => (
            <Button key={format} onClick={() => downloadFrom(feedbackUrl(format, rating))}>
              <Download aria-hidden />
              {words.exportAs(format === 'csv' ? 'CSV' : 'JSON Lines')}
            </Button>
          ))}
      </div>
      {list.isPending && <Skeleton widths={[90, 70, 85]} />}
      {list.isError && <ProblemNote problem={asProblem(list.error)} onRetry={() => list.refetch()} />}
      {list.isSuccess && all.length === 0 && (
        <Empty
          icon={<MessageSquareHeart aria-hidden />}
          title={words.noFeedback}
          text={words.noFeedbackText}
        />
      )}
      {all.length > 0 && (
        <ul className="flex flex-col gap-3">
          {all.map((one) => (
            <Row key={one.turn_id} feedback={one} />
          ))}
        </ul>
      )}
      {list.hasNextPage && (
        <Button busy={list.isFetchingNextPage} onClick={() => list.fetchNextPage()}>
          {common.more}
        </Button>
      )}
    </Section>
  )
}

function Row({ feedback }: { feedback: Feedback }) {
  const { admin: words } = useWords('admin')
  const language = useLanguage()
  const good = feedback.rating === 'good'
  const Icon = good ? ThumbsUp : ThumbsDown
  return (
    <li className="card flex gap-3 p-4">
      <Icon
        role="img"
        aria-label={words.ratings[feedback.rating]}
        className={`mt-0.5 size-4 shrink-0 ${good ? 'text-good' : 'text-danger'}`}
      />
      <div className="min-w-0 flex-1 text-sm">
        <p className="font-medium break-words whitespace-pre-wrap">{feedback.question}</p>
        {feedback.comment && <p className="mt-1 break-words text-ink-2">“{feedback.comment}”</p>}
        <details className="mt-1">
          <summary className="w-fit text-accent">{words.showAnswer}</summary>
          <p className="mt-2 rounded-lg bg-sunken p-3 break-words whitespace-pre-wrap">{feedback.answer}</p>
        </details>
        <p className="mt-2 text-xs text-ink-3">
          {feedback.user} · {feedback.model} · {ago(new Date(feedback.rated_at), new Date(), language)}
        </p>
      </div>
    </li>
  )
}
