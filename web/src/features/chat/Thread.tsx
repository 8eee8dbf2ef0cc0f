import { ArrowDown } from 'lucide-react'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Turn } from '../../api/types'
import { IconButton } from '../../components/ui'
import type { AnswerStream } from '../../lib/answer/stream'
import { useWords } from '../../lib/i18n'
import { AnswerTurn } from './AnswerTurn'
import { UserTurn } from './UserTurn'

interface ThreadProps {
  conversation: string
  turns: Turn[]
  /** The events of the answer that is being written. */
  stream: AnswerStream | null
  looksUp: boolean
  /** What starts an answer or shows another branch is absent while an answer is being written. */
  onRegenerate?: ((turn: Turn) => void) | undefined
  onContinue: () => void
  onEdit?: ((turn: Turn, text: string) => Promise<unknown>) | undefined
  onShow?: ((turn: string) => void) | undefined
}

// Closer to the end than this (pixels) means that the reader follows the answer as it is written.
const following = 80

export function Thread({
  conversation,
  turns,
  stream,
  looksUp,
  onRegenerate,
  onContinue,
  onEdit,
  onShow,
}: ThreadProps) {
  const words = useWords('chat')
  const box = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const stuck = useRef(true)
  const [away, setAway] = useState(false)

  const toEnd = () => {
    stuck.current = true
    box.current?.scrollTo({ top: box.current.scrollHeight })
  }
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (stuck.current && box.current) box.current.scrollTop = box.current.scrollHeight
    })
    if (content.current) observer.observe(content.current)
    return () => observer.disconnect()
  }, [])
  const asked = turns.filter((turn) => turn.role === 'user').length
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new question brings its writer to the end.
  useLayoutEffect(toEnd, [asked])

  const onScroll = () => {
    const { scrollHeight, scrollTop, clientHeight } = box.current as HTMLDivElement
    stuck.current = scrollHeight - scrollTop - clientHeight < following
    setAway(!stuck.current)
  }
  return (
    <div className="relative min-h-0 flex-1">
      <div ref={box} onScroll={onScroll} className="h-full overflow-y-auto overscroll-contain">
        <div
          ref={content}
          role="log"
          aria-label={words.chat.conversation}
          aria-live="off"
          className="mx-auto flex w-full max-w-3xl flex-col gap-4 px-4 pt-6 pb-10"
        >
          {turns.map((turn, at) =>
            turn.role === 'user' ? (
              <UserTurn key={turn.id} turn={turn} onEdit={onEdit} onShow={onShow} />
            ) : (
              <AnswerTurn
                key={turn.id}
                conversation={conversation}
                turn={turn}
                stream={turn.answer_id && stream?.id === turn.answer_id ? stream : null}
                last={at === turns.length - 1}
                looksUp={looksUp}
                onRegenerate={onRegenerate}
                onContinue={onContinue}
                onShow={onShow}
              />
            ),
          )}
        </div>
      </div>
      {away && (
        <IconButton
          label={words.chat.jump}
          onClick={toEnd}
          className="absolute bottom-3 left-1/2 size-9! -translate-x-1/2 rounded-full! border border-line bg-surface shadow-pop"
        >
          <ArrowDown aria-hidden />
        </IconButton>
      )}
    </div>
  )
}
