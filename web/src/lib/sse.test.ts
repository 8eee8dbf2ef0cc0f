import { expect, test } from 'vitest'
import { MessageReader } from './sse'

const stream =
  'id: 1\nevent: text\ndata: {"text":"a"}\n\n: still here\n\nevent: done\r\ndata: {"reason":"stop"}\r\n\r\n'

test.each([1, 2, 7, stream.length])('messages come whole from pieces of %i characters', (size) => {
  const reader = new MessageReader()
  const found = []
  for (let at = 0; at < stream.length; at += size) found.push(...reader.push(stream.slice(at, at + size)))
  expect(found).toEqual([
    { event: 'text', data: '{"text":"a"}' },
    { event: 'done', data: '{"reason":"stop"}' },
  ])
})

test('what is not ended yet waits', () => {
  const reader = new MessageReader()
  expect(reader.push('event: text\ndata: {"te')).toEqual([])
  expect(reader.push('xt":"b"}\n\nevent:')).toEqual([{ event: 'text', data: '{"text":"b"}' }])
})
