import { expect, test } from 'vitest'
import { bestOf, languagesOf, nameOf, wordsOf } from './languages'

test('a language is a folder of words or a single file', async () => {
  const parts = { '../../words/en/chat.ts': async () => ({ hello: 'Hello' }) }
  const wholes = { '../../words/ja.ts': async () => ({ shell: {}, chat: { hello: 'こんにちは' } }) }
  expect(languagesOf([...Object.keys(parts), ...Object.keys(wholes)])).toEqual(['en', 'ja'])
  expect(await wordsOf(parts, wholes, 'ja', 'chat')).toEqual({ hello: 'こんにちは' })
  expect(await wordsOf(parts, wholes, 'en', 'chat')).toEqual({ hello: 'Hello' })
})

test('a language is named in itself', () => {
  expect([nameOf('en'), nameOf('ko'), nameOf('ja')]).toEqual(['English', '한국어', '日本語'])
})

test('the first language that somebody reads is spoken, English where there is none', () => {
  expect(bestOf(['fr', 'ko-KR', 'en'], ['en', 'ko'])).toBe('ko')
  expect(bestOf(['en-GB', 'ko'], ['en', 'ko'])).toBe('en')
  expect(bestOf(['zh-TW'], ['en', 'zh', 'zh-TW'])).toBe('zh-TW')
  expect(bestOf(['fr'], ['en', 'ko'])).toBe('en')
})
