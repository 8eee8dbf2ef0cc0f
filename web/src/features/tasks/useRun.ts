import { useCallback, useEffect, useRef, useState } from 'react'
import { asProblem } from '../../api/client'
import { runTask } from '../../api/streaming'
import type { Checked, Problem, Reference, TaskRequest, Turn } from '../../api/types'

/** A run of a task as far as it came. */
export interface Run {
  state: 'idle' | 'running' | 'done' | 'stopped' | 'failed'
  /** The node at work. */
  node: string | null
  model: string
  note: string
  text: string
  references: Reference[]
  checked: Checked | null
  turn: Turn | null
  problem: Problem | null
}

export const noRun: Run = {
  state: 'idle',
  node: null,
  model: '',
  note: '',
  text: '',
  references: [],
  checked: null,
  turn: null,
  problem: null,
}

/** One task at a time. What arrives between two frames is shown together. */
export function useRun(onDone: (run: Run) => void) {
  const [run, setRun] = useState(noRun)
  const running = useRef<AbortController | null>(null)
  const frame = useRef(0)
  const ended = useRef(onDone)
  ended.current = onDone

  const leave = useCallback(() => {
    running.current?.abort()
    running.current = null
    cancelAnimationFrame(frame.current)
    frame.current = 0
  }, [])

  const stop = useCallback(() => {
    leave()
    setRun((now) => (now.state === 'running' ? { ...now, state: 'stopped', node: null } : now))
  }, [leave])

  const show = useCallback(
    (shown: Run) => {
      leave()
      setRun(shown)
    },
    [leave],
  )

  const start = useCallback(
    async (task: string, request: TaskRequest) => {
      leave()
      const mine = new AbortController()
      running.current = mine
      let now: Run = { ...noRun, state: 'running' }
      setRun(now)
      const grow = (change: Partial<Run>) => {
        now = { ...now, ...change }
        frame.current ||= requestAnimationFrame(() => {
          frame.current = 0
          setRun(now)
        })
      }
      try {
        for await (const event of runTask(task, request, mine.signal)) {
          if (mine.signal.aborted) return
          switch (event.type) {
            case 'started':
              grow({ model: event.model, note: event.note })
              break
            case 'node':
              grow({ node: event.state === 'started' ? event.kind : null })
              break
            case 'retrieved':
              grow({ references: event.results })
              break
            case 'text':
              grow({ text: now.text + event.text })
              break
            case 'withdrawn':
              grow({ text: '' })
              break
            case 'checked':
              {
                const { type: _, ...checked } = event
                grow({ checked })
              }
              break
            case 'done':
              now = {
                ...now,
                state: 'done',
                node: null,
                text: event.turn.content,
                references: event.turn.references,
                turn: event.turn,
              }
              break
            case 'failed':
              now = { ...now, state: 'failed', node: null, problem: event.error }
          }
        }
        if (now.state === 'running') now = { ...now, state: 'stopped', node: null }
      } catch (error) {
        if (mine.signal.aborted) return
        now = { ...now, state: 'failed', node: null, problem: asProblem(error) }
      }
      if (running.current !== mine) return
      leave()
      setRun(now)
      if (now.state === 'done') ended.current(now)
    },
    [leave],
  )

  useEffect(() => leave, [leave])
  return { run, start, stop, show }
}
