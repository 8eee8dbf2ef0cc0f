import type { Checked, Explained, Problem, Reference, Step, Timings, Turn, Usage } from './types'

/** What an answer sends while it is written; the server's `event:` name is `type`, its `id:` is `seq`. */
export type AnswerEvent =
  | { type: 'started'; model: string; note: string | null }
  | { type: 'retrieved'; query: string; index: string | null; results: Reference[] }
  | { type: 'progress'; done: number; total: number }
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string }
  | { type: 'node'; node: string; kind: string; state: 'started' | 'finished'; seconds?: number | null }
  | ({ type: 'step' } & Step)
  | { type: 'withdrawn' }
  | ({ type: 'checked' } & Checked)
  | { type: 'cited'; verified: number[]; dropped: number[]; gone: number[] }
  | ({ type: 'explained' } & Explained)
  | { type: 'done'; reason: string; usage: Usage | null; timings: Timings | null; turn: Turn }
  | { type: 'failed'; error: Problem; turn: Turn }

export const answerEventTypes = [
  'started',
  'retrieved',
  'progress',
  'text',
  'reasoning',
  'node',
  'step',
  'withdrawn',
  'checked',
  'cited',
  'explained',
  'done',
  'failed',
] as const satisfies readonly AnswerEvent['type'][]
