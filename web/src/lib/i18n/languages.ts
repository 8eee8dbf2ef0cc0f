/** Loads what a file of words exports. */
export type Load = () => Promise<object>

const place = /\/words\/([A-Za-z0-9-]+)(?:\/[^/]+)?\.ts$/

/** The languages that there are words for, by the addresses of their files: `words/ko/chat.ts`, or `words/ja.ts`. */
export const languagesOf = (files: readonly string[]): string[] =>
  [...new Set(files.flatMap((file) => place.exec(file)?.[1] ?? []))].sort()

/** What a language calls itself: 한국어 for ko. */
export const nameOf = (language: string): string =>
  new Intl.DisplayNames([language], { type: 'language' }).of(language) ?? language

/** The first language somebody reads that there are words for (`ko-KR` reads `ko`), or else English. */
export function bestOf(read: readonly string[], there: readonly string[]): string {
  for (const one of read) {
    const found =
      there.find((language) => language === one) ?? there.find((language) => language === one.split('-')[0])
    if (found) return found
  }
  return 'en'
}

/**
 * The words of one part of the interface: from the language's file of that part in `parts`, or out of the one file in
 * `wholes` that holds them all.
 */
export async function wordsOf(
  parts: Record<string, Load>,
  wholes: Record<string, Load>,
  language: string,
  part: string,
): Promise<object> {
  const whole = wholes[`../../words/${language}.ts`]
  if (whole) return (await whole())[part as never]
  return (await parts[`../../words/${language}/${part}.ts`]?.()) ?? {}
}
