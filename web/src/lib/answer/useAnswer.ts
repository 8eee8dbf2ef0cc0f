import { useEffect, useState, useSyncExternalStore } from 'react'
import type { Turn } from '../../api/types'
import { type Answer, isOver } from './reduce'
import { AnswerStream } from './stream'

export interface Live {
  answer: Answer
  connected: boolean
}

const nothing = () => () => {}

/**
 * The stream of answer `id` while it is written, or null. `onOver` gets the finished turn and what led to it; `onGone`
 * runs when the server does not give out the answer's events any more, and the conversation should be read again.
 */
export function useAnswerStream(
  id: string | null,
  onOver: (turn: Turn, answer: Answer) => void,
  onGone: () => void,
): AnswerStream | null {
  const [stream, setStream] = useState<AnswerStream | null>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: one stream per answer, whatever the callbacks are.
  useEffect(() => {
    if (!id) return
    const opened = new AnswerStream(id, onGone)
    const unsubscribe = opened.subscribe(() => {
      const { answer } = opened.snapshot()
      if (isOver(answer) && answer.turn) onOver(answer.turn, answer)
    })
    window.addEventListener('online', opened.retryNow)
    setStream(opened)
    return () => {
      window.removeEventListener('online', opened.retryNow)
      unsubscribe()
      opened.close()
      setStream(null)
    }
  }, [id])
  return stream
}

/** What a stream brought so far. Whoever asks is rendered once a frame while the answer grows: ask low in the tree. */
export const useLive = (stream: AnswerStream | null): Live | null =>
  useSyncExternalStore(stream?.subscribe ?? nothing, stream?.snapshot ?? (() => null))

/** Both at once, for a page that shows nothing but the answer. */
export const useAnswer = (...asked: Parameters<typeof useAnswerStream>): Live | null =>
  useLive(useAnswerStream(...asked))
