import { CircleStop, ListTree, RefreshCw, Scissors, ShieldAlert } from 'lucide-react'
import { lazy, memo, Suspense, useEffect, useState } from 'react'
import type { Turn } from '../../api/types'
import { CheckBadge, CheckNote } from '../../components/Checked'
import { Markdown } from '../../components/Markdown'
import { ReferenceDialog } from '../../components/ReferenceDialog'
import { Button, CopyButton, IconButton, ProblemNote, Progress } from '../../components/ui'
import { type Answer, caughtUp, isOver, type Phase } from '../../lib/answer/reduce'
import type { AnswerStream } from '../../lib/answer/stream'
import { type Live, useLive } from '../../lib/answer/useAnswer'
import { dollars, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { Drafts } from './Drafts'
import { Rate } from './Rate'
import { ReferenceChips } from './ReferenceChips'
import { Siblings } from './Siblings'
import { Steps } from './Steps'

const ExplainDrawer = lazy(() => import('./ExplainDrawer').then((m) => ({ default: m.ExplainDrawer })))

interface AnswerTurnProps {
  conversation: string
  turn: Turn
  /** Its events, while it is written. */
  stream: AnswerStream | null
  last: boolean
  /** Whether the conversation's app was asked to look references up. */
  looksUp: boolean
  /** Writes the answer anew beside this one; absent while an answer is being written. */
  onRegenerate?: ((turn: Turn) => void) | undefined
  onContinue: () => void
  onShow?: ((turn: string) => void) | undefined
}

export const AnswerTurn = memo(function AnswerTurn(props: AnswerTurnProps) {
  const { conversation, turn, stream, last, looksUp, onRegenerate, onContinue, onShow } = props
  const words = useWords('chat')
  const live = useLive(stream)
  const answer = live?.answer ?? null
  // It is over when its turn says so, at once with all that depends on the turn; without one, when the events say so.
  const writing = turn.answer_id != null && !(answer && isOver(answer) && !answer.turn)
  // After a reload what was saved is shown until the replayed events have caught up with it.
  const now = answer && caughtUp(answer, turn) ? answer : null
  const text = now?.text ?? turn.content
  const { steps, withdrawn, checked } = now ?? turn
  const references = answer?.references ?? turn.references
  const [open, setOpen] = useState<number | null>(null)
  const shown = references.find(({ number }) => number === open)
  const [explaining, setExplaining] = useState(false)
  const dropped = (answer?.dropped ?? turn.dropped).length
  const again = onRegenerate && (() => onRegenerate(turn))

  return (
    <article aria-label={words.chat.answer} aria-busy={writing} className="min-w-0">
      {writing && <Status live={live} hasText={text !== ''} />}
      {steps.length > 0 && <Steps steps={steps} working={writing && text === ''} />}
      {answer?.reasoning && <Reasoning text={answer.reasoning} open={writing && text === ''} />}
      {withdrawn.length > 0 && <Drafts drafts={withdrawn} />}
      <Markdown text={text} writing={writing} references={references} onCite={setOpen} />
      {last && looksUp && !writing && !turn.error && references.length === 0 && (
        <p className="mt-3 text-sm text-ink-2">{words.chat.noReferences}</p>
      )}
      {checked && (
        <div className="mt-3 flex flex-col items-start gap-2">
          <CheckBadge checked={checked} />
          {checked.message && <CheckNote checked={checked} />}
        </div>
      )}
      {/* Below a text that grows they would move with every line: they are there before it, and again after it. */}
      {references.length > 0 && (!writing || text === '') && (
        <ReferenceChips text={text} references={references} onOpen={setOpen} />
      )}
      {dropped > 0 && (
        <p className="mt-2 flex items-center gap-2 text-xs text-warn">
          <ShieldAlert className="size-3.5 shrink-0" aria-hidden />
          {words.chat.dropped(dropped)}
        </p>
      )}
      {!writing && !turn.error && text.trim() === '' && turn.reason !== 'stopped' && (
        <ProblemNote
          problem={{ message: words.chat.empty, fix: words.chat.emptyFix }}
          className="mt-4"
          {...(again && { onRetry: again })}
        />
      )}
      {turn.error && !writing && (
        <ProblemNote problem={turn.error} className="mt-4" {...(again && { onRetry: again })} />
      )}
      {!writing && turn.reason === 'length' && (
        <Ending icon={<Scissors aria-hidden />} text={words.chat.cut}>
          {last && <Button onClick={onContinue}>{words.chat.continue}</Button>}
        </Ending>
      )}
      {!writing && turn.reason === 'stopped' && (
        <Ending icon={<CircleStop aria-hidden />} text={words.chat.stopped} />
      )}
      <footer className="mt-2 flex min-h-8 flex-wrap items-center gap-x-1 gap-y-0.5">
        {!writing && (
          <>
            <div className="-ms-2 flex">
              <CopyButton text={text} label={words.chat.copyAnswer} />
              {again && (
                <IconButton label={words.chat.regenerate} onClick={again}>
                  <RefreshCw aria-hidden />
                </IconButton>
              )}
              {turn.explained && (
                <IconButton label={words.chat.explain} onClick={() => setExplaining(true)}>
                  <ListTree aria-hidden />
                </IconButton>
              )}
              <Rate conversation={conversation} turn={turn} />
            </div>
            <Siblings turn={turn} onShow={onShow} />
            <Facts turn={turn} />
          </>
        )}
      </footer>
      <Announcement answer={answer} connected={live?.connected ?? true} />
      {explaining && (
        <Suspense>
          <ExplainDrawer turn={turn.id} onClose={() => setExplaining(false)} />
        </Suspense>
      )}
      {shown && <ReferenceDialog reference={shown} onClose={() => setOpen(null)} />}
    </article>
  )
})

/** What happens while there is nothing to read yet, and when the connection is lost. Its height never changes. */
function Status({ live, hasText }: { live: Live | null; hasText: boolean }) {
  const words = useWords('chat')
  const answer = live?.answer
  if (live && !live.connected)
    return <p className="mb-3 text-sm font-medium text-warn">{words.chat.state.reconnecting}</p>
  if (hasText) return null
  const progress = answer?.phase === 'reading' ? answer.progress : null
  const searching = answer?.phase === 'retrieving'
  const found = answer?.references?.length
  const label = searching
    ? words.chat.state.retrieving
    : progress
      ? words.chat.state.reading
      : words.chat.state.waiting
  return (
    <div className="mb-3 flex min-h-9 flex-col justify-center gap-2 text-sm text-ink-2">
      {/* One text: what comes before a word in a line of several would push it. */}
      <p>{found ? `${words.chat.state.found(found)} · ${label}` : label}</p>
      <div className="max-w-64">
        <Progress
          label={label}
          value={progress && progress.total > 0 ? progress.done / progress.total : undefined}
        />
      </div>
    </div>
  )
}

function Reasoning({ text, open }: { text: string; open: boolean }) {
  const words = useWords('chat')
  return (
    <details open={open} className="mb-3 rounded-xl border border-line px-4 py-2 text-sm">
      <summary className="py-1 font-medium text-ink-2">{words.chat.reasoning}</summary>
      <p className="mt-1 pb-2 whitespace-pre-wrap text-ink-2">{text}</p>
    </details>
  )
}

function Ending({
  icon,
  text,
  children,
}: {
  icon: React.ReactNode
  text: string
  children?: React.ReactNode
}) {
  return (
    <div className="mt-3 flex flex-wrap items-center gap-3 text-sm text-ink-2 [&>svg]:size-4">
      {icon}
      <span>{text}</span>
      {children}
    </div>
  )
}

/** Who wrote the answer, how much and how fast. */
function Facts({ turn }: { turn: Turn }) {
  const words = useWords('chat')
  const language = useLanguage()
  const { usage, timings, model, note, cost } = turn
  const rate = timings?.tokens_per_s
  return (
    <p className="flex min-w-0 flex-wrap items-center gap-x-3 text-xs text-ink-3">
      {model && (
        <span title={note ?? undefined}>
          {words.chat.writtenBy(model)}
          {note && <span className="text-warn"> ({note})</span>}
        </span>
      )}
      {usage && (
        <span
          title={words.chat.usage(
            number(usage.prompt_tokens, language),
            number(usage.cached_tokens, language),
            number(usage.completion_tokens, language),
          )}
        >
          {words.chat.tokens(number(usage.completion_tokens, language))}
        </span>
      )}
      {cost ? <span title={words.chat.cost}>{dollars(cost, language)}</span> : null}
      {rate ? <span>{words.chat.rate(rate.toFixed(rate < 10 ? 1 : 0))}</span> : null}
    </p>
  )
}

/** Screen readers hear the steps and each finished answer, not every token. */
function Announcement({ answer, connected }: { answer: Answer | null; connected: boolean }) {
  const { chat } = useWords('chat')
  const [was, setWas] = useState<Phase | null>(null)
  const told = answer?.phase ?? null
  useEffect(() => {
    if (told) setWas(told)
  }, [told])
  const phase = told ?? was
  const text = !connected
    ? chat.state.reconnecting
    : phase === 'retrieving'
      ? chat.state.retrieving
      : phase === 'reading'
        ? chat.state.reading
        : phase === 'done'
          ? chat.state.written
          : ''
  return (
    <span role="status" className="sr-only">
      {text}
    </span>
  )
}
