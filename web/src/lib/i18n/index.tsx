import { createContext, type ReactNode, use, useEffect, useState } from 'react'
import { useSettings } from '../settings'
import { en } from './en'

/** The words of one interface language. A new language is one file of this type and one line in `languages`. */
export type Words = typeof en
export type Language = 'en' | 'ko'

const languages: Record<Language, { label: string; load: () => Promise<Words> }> = {
  en: { label: 'English', load: async () => en },
  ko: { label: '한국어', load: () => import('./ko').then((module) => module.ko) },
}

export const languageNames = Object.entries(languages).map(([code, { label }]) => ({
  code: code as Language,
  label,
}))

interface Spoken {
  language: Language
  words: Words
}

const Current = createContext<Spoken>({ language: 'en', words: en })

/** Gives the chosen language, or the browser's, to everything below. */
export function LanguageProvider({ children }: { children: ReactNode }) {
  const chosen = useSettings().language ?? (navigator.language.startsWith('ko') ? 'ko' : 'en')
  const [spoken, setSpoken] = useState<Spoken | null>(chosen === 'en' ? { language: 'en', words: en } : null)
  useEffect(() => {
    let current = true
    languages[chosen].load().then((words) => {
      if (!current) return
      document.documentElement.lang = chosen
      setSpoken({ language: chosen, words })
    })
    return () => {
      current = false
    }
  }, [chosen])
  return spoken && <Current value={spoken}>{children}</Current>
}

export const useWords = (): Words => use(Current).words
export const useLanguage = (): Language => use(Current).language
