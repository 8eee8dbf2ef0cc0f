import type { Extension } from '@codemirror/state'

/** What an editor can colour; each grammar is loaded with the first text in it. */
export const editorLanguages = {
  python: () => import('@codemirror/lang-python').then((m) => m.python()),
  javascript: () => import('@codemirror/lang-javascript').then((m) => m.javascript({ jsx: true })),
  typescript: () =>
    import('@codemirror/lang-javascript').then((m) => m.javascript({ jsx: true, typescript: true })),
  java: () => import('@codemirror/lang-java').then((m) => m.java()),
  cpp: () => import('@codemirror/lang-cpp').then((m) => m.cpp()),
  go: () => import('@codemirror/lang-go').then((m) => m.go()),
  rust: () => import('@codemirror/lang-rust').then((m) => m.rust()),
  php: () => import('@codemirror/lang-php').then((m) => m.php()),
  sql: () => import('@codemirror/lang-sql').then((m) => m.sql()),
} as const satisfies Record<string, () => Promise<Extension>>

export type EditorLanguage = keyof typeof editorLanguages

const alike: Record<string, EditorLanguage> = {
  py: 'python',
  js: 'javascript',
  jsx: 'javascript',
  mjs: 'javascript',
  ts: 'typescript',
  tsx: 'typescript',
  c: 'cpp',
  h: 'cpp',
  cc: 'cpp',
  hpp: 'cpp',
  'c++': 'cpp',
  rs: 'rust',
  golang: 'go',
}

/** The grammar for a language's word or a file's ending; null when there is none. */
export function grammarOf(language: string): EditorLanguage | null {
  const word = language.toLowerCase().trim()
  if (Object.hasOwn(editorLanguages, word)) return word as EditorLanguage
  return alike[word] ?? null
}

/** What a file's name says about its language. */
export const languageOfFile = (name: string): EditorLanguage | null =>
  grammarOf(name.includes('.') ? (name.split('.').at(-1) ?? '') : '')

const signs: [EditorLanguage, RegExp][] = [
  ['php', /<\?php/],
  ['rust', /^\s*(pub )?fn \w+|\blet mut\b|^\s*impl\b/m],
  ['go', /^package \w+|^func [(\w]/m],
  ['java', /^\s*(public|private|protected) [\w<>[\] ]+[({]|^import java/m],
  ['cpp', /^#include|\bstd::/m],
  ['typescript', /^\s*(interface|type) \w+|: (string|number|boolean)\b/m],
  ['javascript', /\b(const|let) \w+ =|=> |^\s*function \w+\(/m],
  ['python', /^\s*(def|class|async def) \w+.*:\s*$|^(from|import) [\w.]+/m],
  ['sql', /^\s*(select|insert|create|update|with)\b/im],
]

/** A guess from the code itself, for colours only. */
export const guessLanguage = (code: string): EditorLanguage | null =>
  signs.find(([, sign]) => sign.test(code))?.[0] ?? null
