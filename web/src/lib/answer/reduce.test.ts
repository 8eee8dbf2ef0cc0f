import { describe, expect, test } from 'vitest'
import type { AnswerEvent } from '../../api/events'
import type { Reference, Turn } from '../../api/types'
import { caughtUp, emptyAnswer, isOver, reduce } from './reduce'
import { retryDelay } from './stream'

const turn = { id: 't1', content: 'def f(): ...' } as Turn
const reference = { number: 1, path: 'a.py' } as Reference
const dialogue: AnswerEvent[] = [
  { type: 'started', model: 'starter', note: 'starter, for trying things offline' },
  { type: 'node', node: 'retriever', kind: 'retriever', state: 'started' },
  { type: 'retrieved', query: 'f', index: 'shop', results: [reference] },
  { type: 'node', node: 'retriever', kind: 'retriever', state: 'finished', seconds: 0.01 },
  { type: 'progress', done: 512, total: 1024 },
  { type: 'text', text: 'def f()' },
  { type: 'text', text: ': ...' },
  { type: 'done', reason: 'stop', usage: null, timings: { tokens_per_s: 40 }, turn },
]
const play = (events: AnswerEvent[], from = emptyAnswer('a1')) =>
  events.reduce((answer, event) => reduce(answer, answer.seq + 1, event), from)

describe('an answer from its events', () => {
  test('passes through its phases', () => {
    const phases = dialogue.map((_, at) => play(dialogue.slice(0, at + 1)).phase)
    expect(phases).toEqual([
      'waiting',
      'retrieving',
      'waiting',
      'waiting',
      'reading',
      'writing',
      'writing',
      'done',
    ])
  })

  test('ends with the text, the references, the model and the turn', () => {
    const answer = play(dialogue)
    expect(answer).toMatchObject({
      text: 'def f(): ...',
      references: [reference],
      model: 'starter',
      turn,
      seq: 8,
    })
    expect(isOver(answer)).toBe(true)
  })

  test('a resumed stream that repeats events adds nothing twice', () => {
    const half = play(dialogue.slice(0, 6))
    const resumed = dialogue.reduce((answer, event, at) => reduce(answer, at + 1, event), half)
    expect(resumed).toEqual(play(dialogue))
  })

  test('what could not be verified is marked, and gone from the finished text', () => {
    const second = { ...reference, number: 2 } as Reference
    const told = [
      { type: 'retrieved', query: 'f', index: 'shop', results: [reference, second] },
      { type: 'text', text: 'f [1], g [2]' },
      { type: 'cited', verified: [1], dropped: [2, 9], gone: [2] },
    ] satisfies AnswerEvent[]
    const answer = play(told)
    expect(answer.references?.map(({ verified }) => verified)).toEqual([true, false])
    expect(answer.dropped).toEqual([2, 9])
  })

  test('the steps of an agent are kept in their order, each once', () => {
    const step = (number: number): AnswerEvent => ({
      type: 'step',
      number,
      tool: 'grep_code',
      arguments: { pattern: 'x' },
      seconds: 0.1,
      results: 2,
      tokens: 30,
      thought: '',
      error: '',
    })
    const answer = play([step(1), step(2)])
    expect(answer.steps.map(({ number, tool }) => [number, tool])).toEqual([
      [1, 'grep_code'],
      [2, 'grep_code'],
    ])
    expect(reduce(answer, 2, step(2)).steps).toHaveLength(2)
  })

  test('a text that does not stand becomes a draft, and the check is kept', () => {
    const checked = { verified: true, tool: 'go', message: 'go accepts it', language: 'go', repaired: true }
    const told: AnswerEvent[] = [
      { type: 'text', text: 'wrong\n' },
      { type: 'withdrawn' },
      { type: 'text', text: 'right' },
      { type: 'checked', ...checked },
    ]
    const answer = play(told)
    expect(answer).toMatchObject({ text: 'right', withdrawn: ['wrong'], checked })
    // What a reload finds is as far as, ahead of or behind what the events have told.
    expect(caughtUp(answer, { content: 'rig', withdrawn: ['wrong'] })).toBe(true)
    expect(caughtUp(answer, { content: 'wrong answer', withdrawn: [] })).toBe(true)
    expect(caughtUp(play(told.slice(0, 1)), { content: 'r', withdrawn: ['wrong'] })).toBe(false)
  })

  test('an explanation is kept as it was told', () => {
    const explained = {
      question: 'and f?',
      query: 'f',
      candidates: [],
      prompt: [{ role: 'user', content: 'and f?' }],
    }
    expect(play([...dialogue.slice(0, 7), { type: 'explained', ...explained }]).explained).toEqual(explained)
    expect(play(dialogue).explained).toBeNull()
  })

  test('a failure keeps what was written and says what to do', () => {
    const error = { message: 'The engine stopped.', fix: 'Ask again.' }
    const answer = play([...dialogue.slice(0, 6), { type: 'failed', error, turn }])
    expect(answer).toMatchObject({ phase: 'failed', reason: 'failed', text: 'def f()', error, turn })
  })

  test('nothing changes an answer that is over', () => {
    const answer = play(dialogue)
    expect(reduce(answer, 99, { type: 'text', text: 'more' })).toBe(answer)
  })

  test('a retriever that starts while text is written does not hide the text', () => {
    const answer = play([
      ...dialogue.slice(0, 6),
      { type: 'node', node: 'second', kind: 'retriever', state: 'started' },
    ])
    expect(answer.phase).toBe('writing')
  })
})

test('retries wait longer and longer, up to a limit', () => {
  expect([0, 1, 2, 10].map(retryDelay)).toEqual([500, 1000, 2000, 15_000])
})
