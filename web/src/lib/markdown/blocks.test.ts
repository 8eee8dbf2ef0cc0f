import type { Tokens } from 'marked'
import { describe, expect, test } from 'vitest'
import { type Blocks, extendBlocks, isFenceClosed, noBlocks } from './blocks'

const answer = `Intro with **bold** and \`code\` [1].

## A heading

- one
- two

  still two

1. first
2. second

\`\`\`python
def f():

    return "\`\`"
\`\`\`

> quoted
> twice

| a | b |
|---|---|
| 1 | 2 |

Last words.
`

const all = ({ done, open }: Blocks) => [...done, ...(open ? [open] : [])]
const raws = (blocks: Blocks) => all(blocks).map((token) => token.raw.trim())
const codes = (blocks: Blocks) => all(blocks).map((token) => (token.type === 'code' ? token.text : ''))

describe('growing Markdown', () => {
  test('every prefix, grown character by character, has the blocks that reading it at once gives', () => {
    let grown = noBlocks
    for (let end = 1; end <= answer.length; end++) {
      grown = extendBlocks(grown, answer.slice(0, end))
      expect(raws(grown)).toEqual(raws(extendBlocks(noBlocks, answer.slice(0, end))))
    }
    expect(grown.done.map((token) => token.type)).toEqual([
      'paragraph',
      'heading',
      'list',
      'list',
      'code',
      'blockquote',
      'table',
    ])
  })

  test('code that grows by any piece is the code that reading it at once gives', () => {
    const code =
      '````js title=x\n\n\nlet a = `b`\n```\nstill code\n\n ```\n~~~\n\n````\nAfter.\n\n~~~\n\nx\n~~~\n'
    for (const step of [1, 2, 3, 5, 7]) {
      let grown = noBlocks
      for (let end = step; end < code.length + step; end += step) {
        const text = code.slice(0, end)
        grown = extendBlocks(grown, text)
        expect(codes(grown)).toEqual(codes(extendBlocks(noBlocks, text)))
        expect(raws(grown)).toEqual(raws(extendBlocks(noBlocks, text)))
      }
    }
  })

  test('a finished block keeps its identity while text is added', () => {
    const before = extendBlocks(noBlocks, 'One.\n\nTwo.\n\nThr')
    const after = extendBlocks(before, 'One.\n\nTwo.\n\nThree.\n\nFour')
    expect(after.done[0]).toBe(before.done[0])
    expect(after.done[1]).toBe(before.done[1])
    expect(after.done).toHaveLength(3)
  })

  test('a list goes on after a blank line', () => {
    const half = extendBlocks(noBlocks, '- a\n\n')
    expect(half.done).toHaveLength(0)
    const whole = extendBlocks(half, '- a\n\n- b\n')
    const { items } = whole.open as Tokens.List
    expect(items.map((item) => item.text.trim())).toEqual(['a', 'b'])
  })

  test('a text that does not continue the last one is read anew', () => {
    const other = extendBlocks(extendBlocks(noBlocks, 'One.\n\nTwo.\n\nThree'), 'Different')
    expect(raws(other)).toEqual(['Different'])
  })

  test('HTML stays text', () => {
    const types = (source: string) => {
      const { open } = extendBlocks(noBlocks, source)
      return [open?.type, ...((open && 'tokens' in open ? open.tokens : []) ?? []).map((token) => token.type)]
    }
    expect(types('<script>alert(1)</script>')).not.toContain('html')
    expect(types('hello <img src=x onerror=alert(1)>')).not.toContain('html')
  })

  test('a list of sources does not turn citations into links', () => {
    const blocks = extendBlocks(noBlocks, 'See [1].\n\n[1]: javascript:alert(1)\n')
    expect(JSON.stringify([...blocks.done, blocks.open])).not.toContain('"link"')
  })

  test('while a code block grows, nothing before it is read again', () => {
    const head = `${'Paragraph.\n\n'.repeat(2000)}\`\`\`python\n`
    const started = extendBlocks(noBlocks, head)
    let blocks = started
    for (let line = 0; line < 100; line++)
      blocks = extendBlocks(blocks, `${blocks.text}value_${line} = ${line}\n`)
    expect(blocks.done).toHaveLength(2000)
    expect(blocks.done).toBe(started.done)
  })
})

test('a fence is closed by a fence at least as long, of the same kind', () => {
  expect(isFenceClosed('```python\nx = 1\n```')).toBe(true)
  expect(isFenceClosed('```python\nx = 1\n')).toBe(false)
  expect(isFenceClosed('```')).toBe(false)
  expect(isFenceClosed('````\n```')).toBe(false)
  expect(isFenceClosed('~~~\nx\n```')).toBe(false)
  expect(isFenceClosed('    indented')).toBe(true)
})

test('what is nested deeper than the reader can follow stays text', () => {
  const deep = `${'> '.repeat(50_000)}x`
  const { done, open } = extendBlocks(noBlocks, `before\n\n${deep}`)
  expect([...done, open].map((token) => token?.raw).join('')).toContain('x')
})
