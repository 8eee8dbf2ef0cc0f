import { expect, test } from 'vitest'
import { decodeEntities, safeHref } from './links'
import { citedNumbers, linkReferences } from './references'

const known = new Set([1, 2, 3])

test('citations become references, and the text around them stays', () => {
  expect(linkReferences('see [1], and [2, 3].', known)).toEqual([
    { text: 'see ' },
    { reference: 1 },
    { text: ', and ' },
    { reference: 2 },
    { reference: 3 },
    { text: '.' },
  ])
})

test('numbers that nothing stands behind stay text', () => {
  expect(linkReferences('a[0] and [9] and [1, 9]', known)).toEqual([{ text: 'a[0] and [9] and [1, 9]' }])
  expect(linkReferences('[1]', new Set())).toEqual([{ text: '[1]' }])
})

test('each cited number is counted once, in the order of its first mention', () => {
  expect(citedNumbers('[3] then [1] then [3, 1]', known)).toEqual([3, 1])
})

test('only web and mail addresses may be links', () => {
  expect(safeHref('https://example.com/a')).toBe('https://example.com/a')
  expect(safeHref('mailto:a@example.com')).toBe('mailto:a@example.com')
  for (const hostile of [
    'javascript:alert(1)',
    ' JaVaScRiPt:alert(1)',
    'java\nscript:alert(1)',
    'data:text/html,<script>',
    'vbscript:x',
    '/api/session',
    'file:///etc/passwd',
  ])
    expect(safeHref(hostile)).toBeNull()
})

test('character references become characters, unknown ones stay', () => {
  expect(decodeEntities('a &lt;b&gt; &amp;&#39;&#x41; &nope; & c')).toBe("a <b> &'A &nope; & c")
  expect(decodeEntities('&#9999999;')).toBe('&#9999999;')
})
