import { createContext, type ReactNode, use, useEffect, useState } from 'react'
import shell from '../../words/en/shell'
import { useSettings } from '../settings'
import { bestOf, languagesOf, nameOf, wordsOf } from './languages'

/**
 * The words of the interface, one dictionary for each part of it, loaded when that part is. A new part is one file in
 * `words/en` (and in the other languages) and one line here. A new language is one file: `words/ja.ts`, a `Words`; or a
 * folder like `words/ko`, whose parts are loaded one by one.
 */
interface Dictionaries {
  access: typeof import('../../words/en/access').default
  account: typeof import('../../words/en/account').default
  admin: typeof import('../../words/en/admin').default
  answer: typeof import('../../words/en/answer').default
  chat: typeof import('../../words/en/chat').default
  connect: typeof import('../../words/en/connect').default
  endpoints: typeof import('../../words/en/endpoints').default
  knowledge: typeof import('../../words/en/knowledge').default
  models: typeof import('../../words/en/models').default
  overlays: typeof import('../../words/en/overlays').default
  playground: typeof import('../../words/en/playground').default
  tasks: typeof import('../../words/en/tasks').default
  snippets: typeof import('../../words/en/snippets').default
  signin: typeof import('../../words/en/signin').default
  welcome: typeof import('../../words/en/welcome').default
}
type Shell = typeof shell
export type Part = keyof Dictionaries
/** All words of a language. */
export type Words = Dictionaries & { shell: Shell }

const parts = import.meta.glob<object>(['../../words/*/*.ts', '!../../words/en/shell.ts'], {
  import: 'default',
})
const wholes = import.meta.glob<object>('../../words/*.ts', { import: 'default' })
const languages = languagesOf([...Object.keys(parts), ...Object.keys(wholes)])

export const languageNames = languages.map((code) => ({ code, label: nameOf(code) }))

/** Marks a promise the way React does, so that `use` reads it without waiting. */
const settled = (promise: Promise<object>, value: object): Promise<object> =>
  Object.assign(promise, { status: 'fulfilled', value })

// English words of the shell are part of it: there is something to say before anything else is loaded.
const asked = new Map<string, Promise<object>>([['en/shell', settled(Promise.resolve(shell), shell)]])

/** The dictionary of one part with the shell's beside it. */
function dictionary(language: string, part: Part | 'shell'): Promise<object> {
  const key = `${language}/${part}`
  const before = asked.get(key)
  if (before) return before
  const fetched = async () => {
    const own = await wordsOf(parts, wholes, language, part)
    return part === 'shell' ? own : { ...(await dictionary(language, 'shell')), ...own }
  }
  const promise: Promise<object> = fetched()
  asked.set(key, promise)
  promise.then(
    (words) => settled(promise, words),
    // A file that could not be fetched is asked for again the next time.
    () => asked.delete(key),
  )
  return promise
}

const chosenLanguage = (chosen: string | null): string =>
  bestOf(chosen ? [chosen, ...navigator.languages] : navigator.languages, languages)

let spoken = 'en'
const Current = createContext(spoken)

/** Fetch words ahead of the page that says them, so that it does not wait for them once it is there. */
export const loadWords = (...parts: Part[]): Promise<unknown> =>
  Promise.all(parts.map((part) => dictionary(spoken, part)))

/** Gives the chosen language, or the browser's, to everything below. It changes when all that is shown can change. */
export function LanguageProvider({ children }: { children: ReactNode }) {
  const chosen = chosenLanguage(useSettings().language)
  const [language, setLanguage] = useState<string | null>(chosen === 'en' ? 'en' : null)
  useEffect(() => {
    let current = true
    const shown = [...asked.keys()].map((key) => key.split('/')[1] as Part | 'shell')
    Promise.all([...new Set(shown)].map((part) => dictionary(chosen, part))).then(() => {
      if (!current) return
      spoken = chosen
      document.documentElement.lang = chosen
      setLanguage(chosen)
    })
    return () => {
      current = false
    }
  }, [chosen])
  return language && <Current value={language}>{children}</Current>
}

/** The words of the shell, and those of `part` when one is named; suspends while they are fetched. */
export function useWords(): Shell
export function useWords<P extends Part>(part: P): Shell & Dictionaries[P]
export function useWords(part: Part | 'shell' = 'shell'): object {
  return use(dictionary(useLanguage(), part))
}

export const useLanguage = (): string => use(Current)
