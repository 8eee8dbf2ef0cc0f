import type { AnswerEvent } from '../../api/events'
import type { Checked, Explained, Problem, Reference, Step, Timings, Turn, Usage } from '../../api/types'

export type Phase = 'waiting' | 'retrieving' | 'reading' | 'writing' | 'done' | 'failed'

/** An answer while it is written. `seq` is the number of the last event seen, so that a resume misses none. */
export interface Answer {
  id: string
  seq: number
  phase: Phase
  model: string | null
  note: string | null
  query: string | null
  references: Reference[] | null
  progress: { done: number; total: number } | null
  text: string
  reasoning: string
  nodes: { node: string; kind: string; seconds: number | null; running: boolean }[]
  /** What an agent did so far. */
  steps: Step[]
  /** Texts that did not stand; the text is what followed them. */
  withdrawn: string[]
  /** Whether the text's code stood its check, once there was one. */
  checked: Checked | null
  explained: Explained | null
  /** Cited numbers that could not be verified; the finished turn's text comes without them. */
  dropped: number[]
  reason: string | null
  usage: Usage | null
  timings: Timings | null
  error: Problem | null
  turn: Turn | null
}

export const emptyAnswer = (id: string): Answer => ({
  id,
  seq: 0,
  phase: 'waiting',
  model: null,
  note: null,
  query: null,
  references: null,
  progress: null,
  text: '',
  reasoning: '',
  nodes: [],
  steps: [],
  withdrawn: [],
  checked: null,
  explained: null,
  dropped: [],
  reason: null,
  usage: null,
  timings: null,
  error: null,
  turn: null,
})

export const isOver = (answer: Answer): boolean => answer.phase === 'done' || answer.phase === 'failed'

/**
 * Whether an answer that is being read again has come as far as its turn, which the server saved while it grew. Until
 * then the saved one is shown.
 */
export const caughtUp = (answer: Answer, turn: Pick<Turn, 'content' | 'withdrawn'>): boolean =>
  answer.withdrawn.length === turn.withdrawn.length
    ? answer.text.length >= turn.content.length
    : answer.withdrawn.length > turn.withdrawn.length

/** The answer after one more event. An event already seen (a resumed stream overlaps) changes nothing. */
export function reduce(answer: Answer, seq: number, event: AnswerEvent): Answer {
  if (seq <= answer.seq || isOver(answer)) return answer
  const next = { ...answer, seq }
  switch (event.type) {
    case 'started':
      return { ...next, model: event.model, note: event.note }
    case 'retrieved':
      return { ...next, phase: 'waiting', query: event.query, references: event.results }
    case 'progress':
      return { ...next, phase: 'reading', progress: { done: event.done, total: event.total } }
    case 'text':
      return { ...next, phase: 'writing', text: answer.text + event.text }
    case 'reasoning':
      return { ...next, phase: 'writing', reasoning: answer.reasoning + event.text }
    case 'node':
      return nodeChanged(next, event)
    case 'step': {
      const { type: _, ...step } = event
      return { ...next, steps: [...answer.steps, step] }
    }
    case 'withdrawn': {
      const draft = answer.text.trim()
      return { ...next, text: '', withdrawn: draft ? [...answer.withdrawn, draft] : answer.withdrawn }
    }
    case 'checked': {
      const { type: _, ...checked } = event
      return { ...next, checked }
    }
    case 'cited': {
      const references = answer.references?.map((one) => ({
        ...one,
        verified: !event.gone.includes(one.number),
      }))
      return { ...next, references: references ?? null, dropped: event.dropped }
    }
    case 'explained': {
      const { question, query, candidates, prompt } = event
      return { ...next, explained: { question, query, candidates, prompt } }
    }
    case 'done':
      return {
        ...next,
        phase: 'done',
        reason: event.reason,
        usage: event.usage,
        timings: event.timings,
        turn: event.turn,
      }
    case 'failed':
      return { ...next, phase: 'failed', reason: 'failed', error: event.error, turn: event.turn }
  }
}

function nodeChanged(answer: Answer, event: Extract<AnswerEvent, { type: 'node' }>): Answer {
  const running = event.state === 'started'
  const node = { node: event.node, kind: event.kind, seconds: event.seconds ?? null, running }
  const nodes = [...answer.nodes.filter((other) => other.node !== event.node), node]
  const before = answer.phase === 'waiting' || answer.phase === 'retrieving'
  const searching = nodes.some((other) => other.running && other.kind.startsWith('retriev'))
  return { ...answer, nodes, phase: before ? (searching ? 'retrieving' : 'waiting') : answer.phase }
}
