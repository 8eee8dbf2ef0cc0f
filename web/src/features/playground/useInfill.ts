import { useCallback, useEffect, useRef, useState } from 'react'
import { asProblem } from '../../api/client'
import { infill, type PromptPiece } from '../../api/streaming'
import type { InfillRequest, Problem, Reference } from '../../api/types'

/** One completion as far as it came. */
export interface Completion {
  state: 'idle' | 'waiting' | 'writing' | 'done' | 'failed'
  text: string
  model: string
  note: string
  prompt: PromptPiece[] | null
  promptTokens: number | null
  references: Reference[] | null
  firstToken: number | null
  /** Tokens written a second. */
  rate: number | null
  tokens: number | null
  problem: Problem | null
}

const idle: Completion = {
  state: 'idle',
  text: '',
  model: '',
  note: '',
  prompt: null,
  promptTokens: null,
  references: null,
  firstToken: null,
  rate: null,
  tokens: null,
  problem: null,
}

/** Completions, one at a time: a new one ends the one before it. `onText` gets the text so far. */
export function useInfill(onText: (text: string) => void) {
  const [completion, setCompletion] = useState(idle)
  const running = useRef<AbortController | null>(null)
  const told = useRef(onText)
  told.current = onText

  const stop = useCallback(() => {
    running.current?.abort()
    running.current = null
    setCompletion((now) =>
      now.state === 'waiting' || now.state === 'writing' ? { ...now, state: 'idle' } : now,
    )
  }, [])

  const start = useCallback(async (request: InfillRequest) => {
    running.current?.abort()
    const mine = new AbortController()
    running.current = mine
    const began = performance.now()
    let now: Completion = { ...idle, state: 'waiting' }
    const show = (change: Partial<Completion>) => {
      now = { ...now, ...change }
      if (running.current === mine) setCompletion(now)
    }
    // The prompt before stays in view until the new one is known, or the page would jump with every key.
    setCompletion((before) => ({ ...before, state: 'waiting', problem: null }))
    try {
      for await (const event of infill(request, mine.signal)) {
        if (running.current !== mine) return
        switch (event.type) {
          case 'started':
            show({ model: event.model, note: event.note })
            break
          case 'retrieved':
            show({ references: event.results })
            break
          case 'prompt':
            show({ prompt: event.pieces, promptTokens: event.tokens })
            break
          case 'text':
            show({
              state: 'writing',
              text: now.text + event.text,
              firstToken: now.firstToken ?? (performance.now() - began) / 1000,
            })
            told.current(now.text)
            break
          case 'done': {
            const { completion_tokens: tokens } = event.usage
            const writing = (performance.now() - began) / 1000 - (now.firstToken ?? 0)
            const rate = event.timings.tokens_per_s ?? (tokens > 1 && writing > 0 ? tokens / writing : null)
            show({ state: 'done', tokens, rate })
            break
          }
          case 'failed':
            show({ state: 'failed', problem: event.error })
        }
      }
    } catch (error) {
      if (!mine.signal.aborted) show({ state: 'failed', problem: asProblem(error) })
    }
  }, [])

  useEffect(() => () => running.current?.abort(), [])
  return { completion, start, stop }
}
