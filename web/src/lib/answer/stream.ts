import { eventsUrl } from '../../api/client'
import { type AnswerEvent, answerEventTypes } from '../../api/events'
import { onFrame } from '../frame'
import { type Answer, emptyAnswer, isOver, reduce } from './reduce'

const firstRetry = 500
const longestRetry = 15_000

/** Milliseconds before connection attempt number `attempt` (0 is the first retry). */
export const retryDelay = (attempt: number): number => Math.min(longestRetry, firstRetry * 2 ** attempt)

/**
 * Follows one answer's events and keeps its state. Events that arrive between two frames are shown together, so a
 * fast model costs one render a frame. A lost connection is resumed after the last event seen; `connected` tells
 * whether it stands. `onGone` runs when the answer cannot be reached any more (the server forgot it).
 */
export class AnswerStream {
  private answer: Answer
  private source: EventSource | null = null
  private attempts = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private undraw: (() => void) | null = null
  private readonly listeners = new Set<() => void>()
  private shown: { answer: Answer; connected: boolean }

  constructor(
    readonly id: string,
    private readonly onGone: () => void,
  ) {
    this.answer = emptyAnswer(id)
    this.shown = { answer: this.answer, connected: true }
    this.connect()
  }

  snapshot = (): { answer: Answer; connected: boolean } => this.shown

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }

  close(): void {
    clearTimeout(this.timer)
    this.undraw?.()
    this.source?.close()
    this.source = null
  }

  /** Try again at once, for example because the browser says that the network is back. */
  retryNow = (): void => {
    if (this.source || isOver(this.answer)) return
    clearTimeout(this.timer)
    this.connect()
  }

  private connect(): void {
    const source = new EventSource(eventsUrl(this.answer.id, this.answer.seq))
    this.source = source
    source.onopen = () => {
      this.attempts = 0
      this.show(true)
    }
    source.onerror = () => this.lost()
    for (const type of answerEventTypes)
      source.addEventListener(type, (message: MessageEvent<string>) => {
        const event = { ...JSON.parse(message.data), type } as AnswerEvent
        this.answer = reduce(this.answer, Number(message.lastEventId), event)
        if (isOver(this.answer)) this.source?.close()
        this.schedule()
      })
  }

  private lost(): void {
    this.source?.close()
    this.source = null
    if (isOver(this.answer)) return
    this.show(false)
    // A browser hides why an event stream was refused, so after two failures the owner looks at the conversation.
    if (this.attempts >= 2) this.onGone()
    this.timer = setTimeout(() => this.connect(), retryDelay(this.attempts))
    this.attempts += 1
  }

  private schedule(): void {
    this.undraw ??= onFrame(() => {
      this.undraw = null
      this.show(true)
    })
  }

  private show(connected: boolean): void {
    this.shown = { answer: this.answer, connected }
    for (const listener of this.listeners) listener()
  }
}
