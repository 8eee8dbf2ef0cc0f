import { ArrowDown, Pencil } from 'lucide-react'
import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Turn } from '../../api/types'
import { CopyButton, IconButton } from '../../components/ui'
import type { Live } from '../../lib/answer/useAnswer'
import { useWords } from '../../lib/i18n'
import { AnswerTurn } from './AnswerTurn'

interface ThreadProps {
  conversation: string
  turns: Turn[]
  live: Live | null
  looksUp: boolean
  onRegenerate: () => void
  onContinue: () => void
  onEdit: (text: string) => void
}

// Closer to the end than this (pixels) means that the reader follows the answer as it is written.
const following = 80

export function Thread({
  conversation,
  turns,
  live,
  looksUp,
  onRegenerate,
  onContinue,
  onEdit,
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
              <UserTurn key={turn.id} text={turn.content} onEdit={onEdit} />
            ) : (
              <AnswerTurn
                key={turn.id}
                conversation={conversation}
                turn={turn}
                live={turn.answer_id && live?.answer.id === turn.answer_id ? live : null}
                last={at === turns.length - 1}
                looksUp={looksUp}
                onRegenerate={onRegenerate}
                onContinue={onContinue}
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

const UserTurn = memo(function UserTurn({ text, onEdit }: { text: string; onEdit: (text: string) => void }) {
  const words = useWords('chat')
  return (
    <article aria-label={words.chat.you} className="group flex flex-col items-end gap-1">
      <div className="max-w-[min(40rem,90%)] rounded-2xl rounded-ee-md bg-hover px-4 py-2.5 break-words whitespace-pre-wrap">
        {text}
      </div>
      <div className="flex transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 md:opacity-0">
        <CopyButton text={text} />
        <IconButton label={words.chat.edit} onClick={() => onEdit(text)}>
          <Pencil aria-hidden />
        </IconButton>
      </div>
    </article>
  )
})
