import { describe, expect, test } from 'vitest'
import { snippets } from '../features/connect/snippets'
import { downloadName, fenceLanguage, languageLabel, segments } from './code'
import { bytes, dollars, duration, shares } from './format'
import { highlight } from './highlight'
import { languagesOf } from './i18n/languages'
import { presetOf } from './sampling'
import { ago, dayOf, groupByDay } from './time'

describe('time', () => {
  const now = new Date(2026, 10, 21, 0, 30)
  test('days are calendar days of the reader, not spans of 24 hours', () => {
    expect(dayOf(new Date(2026, 10, 21, 0, 10), now)).toBe('today')
    expect(dayOf(new Date(2026, 10, 20, 23, 50), now)).toBe('yesterday')
    expect(dayOf(new Date(2026, 10, 15), now)).toBe('week')
    expect(dayOf(new Date(2026, 10, 14), now)).toBe('month')
    expect(dayOf(new Date(2026, 9, 1), now)).toBe('older')
    expect(dayOf(new Date(2026, 10, 22), now)).toBe('today')
  })
  test('groups come newest first and leave empty headings out', () => {
    const at = (day: number) => new Date(2026, 10, day, 0, 1).toISOString()
    const groups = groupByDay([at(1), at(21), at(20), at(2)], (time) => time, now)
    expect(groups.map(([day, times]) => [day, times.length])).toEqual([
      ['today', 1],
      ['yesterday', 1],
      ['month', 2],
    ])
    expect(groups[2]?.[1][0]).toBe(at(2))
  })
  test('ago speaks the language', () => {
    const before = new Date(now.getTime() - 3 * 3_600_000)
    expect(ago(before, now, 'en')).toBe('3 hours ago')
    expect(ago(before, now, 'ko')).toBe('3시간 전')
    expect(ago(now, now, 'en')).toBe('now')
  })
})

describe('code', () => {
  test('segments joined are the code, and only the last one changes while it grows', () => {
    const code = Array.from({ length: 95 }, (_, line) => `line ${line}`).join('\n')
    const parts = segments(code, 40)
    expect(parts).toHaveLength(3)
    expect(parts.join('')).toBe(code)
    expect(segments(`${code} more`, 40).slice(0, 2)).toEqual(parts.slice(0, 2))
    expect(segments('', 40)).toEqual([''])
  })
  test('the language of a fence is its first word', () => {
    expect(fenceLanguage('Python title=x')).toBe('python')
    expect(fenceLanguage('c++')).toBe('c++')
    expect(fenceLanguage('ts{1,3}')).toBe('ts')
    expect(fenceLanguage(undefined)).toBe('')
  })
  test('labels and file names', () => {
    expect(languageLabel('ts')).toBe('TypeScript')
    expect(languageLabel('cobol')).toBe('cobol')
    expect(downloadName('python')).toBe('snippet.py')
    expect(downloadName('')).toBe('snippet.txt')
  })
  test('highlighted code contains no markup of its own', () => {
    const hostile = '<img src=x onerror=alert(1)> & "</span><script>"'
    for (const language of ['html', 'python', 'markdown', 'unknown', ''])
      expect(highlight(hostile, language).replace(/<\/?span[^<>]*>/g, '')).not.toMatch(/[<>]/)
    expect(highlight('def f(): pass', 'python')).toContain('hljs-keyword')
  })
})

describe('numbers', () => {
  test('bytes and durations', () => {
    expect(bytes(0, 'en')).toBe('0 bytes')
    expect(bytes(1536, 'en')).toBe('1.5 kB')
    expect(bytes(3 * 2 ** 30, 'en')).toBe('3 GB')
    expect(duration(45, 'en')).toBe('45 sec')
    expect(duration(180, 'en')).toBe('3 min')
  })
  test('shares sum to one, with the tail under other', () => {
    const parts = shares({ python: 6, go: 2, css: 1, sql: 1 }, 2)
    expect(parts).toEqual([
      { name: 'python', share: 0.6 },
      { name: 'go', share: 0.2 },
      { name: null, share: 0.2 },
    ])
    expect(shares({}, 5)).toEqual([])
  })
})

test('a preset is recognised whatever length and seed are', () => {
  expect(presetOf({})).toBe('balanced')
  expect(presetOf({ temperature: 0, max_tokens: 100, seed: 1 })).toBe('precise')
  expect(presetOf({ top_p: 0.98, temperature: 0.9, top_k: null })).toBe('creative')
  expect(presetOf({ temperature: 0.5 })).toBe('custom')
})

test('an amount below a cent is not called nothing', () => {
  expect([0, 0.00042, 1.5].map((amount) => dollars(amount, 'en'))).toEqual(['$0.00', '$0.00042', '$1.50'])
})

test('every snippet names this server and the key, except those of the local command line', () => {
  const target = { origin: 'http://host:8000', key: 'cw_key', model: 'codegen', infill: 'starter' }
  for (const { name, code } of snippets(target)) {
    if (name === 'Codeweft CLI') continue
    expect(code, name).toContain('http://host:8000/v1')
    if (name !== 'llm') expect(code, name).toContain('cw_key')
  }
})

test('every language has every text, none of them empty or left in English', () => {
  const files = import.meta.glob<object>('../words/**/*.ts', { eager: true, import: 'default' })
  const english = Object.keys(files).filter((path) => path.includes('/en/'))
  const languages = languagesOf(Object.keys(files))
  expect(english.length).toBeGreaterThan(5)
  expect(languages).toContain('ko')
  const same = new Set([
    'Top-p',
    'Top-k',
    'Python',
    'Git',
    'Codeweft',
    'parse_config, Store.open, auth::login',
  ])
  const compare = (a: unknown, b: unknown, path: string) => {
    if (typeof a === 'string') {
      expect(b, path).toBeTruthy()
      if (!same.has(a)) expect(b, path).not.toBe(a)
    } else if (a && typeof a === 'object')
      for (const [key, value] of Object.entries(a))
        compare(value, (b as Record<string, unknown>)?.[key], `${path}.${key}`)
  }
  for (const language of languages)
    for (const path of english)
      if (language !== 'en') {
        const whole = files[`../words/${language}.ts`] as Record<string, object> | undefined
        const part = path.replace(/.*\/|\.ts$/g, '')
        compare(files[path], whole ? whole[part] : files[path.replace('/en/', `/${language}/`)], path)
      }
})
