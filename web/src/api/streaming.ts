import { MessageReader } from '../lib/sse'
import { ApiError, send } from './client'
import type { Checked, Problem, Reference, Turn, Usage } from './types'

interface Shared {
  started: { model: string; note: string }
  retrieved: { query: string; index: string | null; results: Reference[] }
  progress: { done: number; total: number }
  text: { text: string }
}

/** What a code task sends while it runs. */
export interface TaskEvents extends Shared {
  node: { node: string; kind: string; state: 'started' | 'finished' }
  withdrawn: object
  checked: Checked
  cited: { verified: number[]; dropped: number[]; gone: number[] }
  done: { turn: Turn }
  failed: { error: Problem }
}

/** A part of a prompt: the model's own tokens (`special`), or plain text. */
export interface PromptPiece {
  text: string
  special: boolean
}

/** What a completion at a cursor sends. */
export interface InfillEvents extends Shared {
  prompt: { pieces: PromptPiece[]; tokens: number | null }
  done: { reason: string; usage: Usage; timings: Record<string, number> }
  failed: { error: Problem }
}

type EventOf<Events> = { [Kind in keyof Events]: { type: Kind } & Events[Kind] }[keyof Events]
export type TaskEvent = EventOf<TaskEvents>
export type InfillEvent = EventOf<InfillEvents>

async function* streamed<Event>(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<Event> {
  const response = await send('POST', path, { body, signal })
  if (!response.body) throw new ApiError(0, { message: 'The server sent no stream.' })
  const bytes = response.body.pipeThrough(new TextDecoderStream()).getReader()
  const reader = new MessageReader()
  try {
    for (let piece = await bytes.read(); !piece.done; piece = await bytes.read())
      for (const { event, data } of reader.push(piece.value))
        yield { ...JSON.parse(data), type: event } as Event
  } finally {
    // Leaving is how an answer is stopped.
    bytes.cancel().catch(() => {})
  }
}

export const runTask = (name: string, body: unknown, signal: AbortSignal) =>
  streamed<TaskEvent>(`/tasks/${encodeURIComponent(name)}`, body, signal)

export const infill = (body: unknown, signal: AbortSignal) => streamed<InfillEvent>('/infill', body, signal)
