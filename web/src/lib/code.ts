/** File endings for downloads, and names to show, by the language word that models and indexes use. */
const languages: Record<string, { label: string; ending: string }> = {
  bash: { label: 'Bash', ending: 'sh' },
  sh: { label: 'Shell', ending: 'sh' },
  shell: { label: 'Shell', ending: 'sh' },
  c: { label: 'C', ending: 'c' },
  cpp: { label: 'C++', ending: 'cpp' },
  csharp: { label: 'C#', ending: 'cs' },
  cs: { label: 'C#', ending: 'cs' },
  css: { label: 'CSS', ending: 'css' },
  diff: { label: 'Diff', ending: 'diff' },
  dockerfile: { label: 'Dockerfile', ending: 'Dockerfile' },
  go: { label: 'Go', ending: 'go' },
  html: { label: 'HTML', ending: 'html' },
  java: { label: 'Java', ending: 'java' },
  javascript: { label: 'JavaScript', ending: 'js' },
  js: { label: 'JavaScript', ending: 'js' },
  json: { label: 'JSON', ending: 'json' },
  jsx: { label: 'JSX', ending: 'jsx' },
  kotlin: { label: 'Kotlin', ending: 'kt' },
  lua: { label: 'Lua', ending: 'lua' },
  makefile: { label: 'Makefile', ending: 'mk' },
  markdown: { label: 'Markdown', ending: 'md' },
  perl: { label: 'Perl', ending: 'pl' },
  php: { label: 'PHP', ending: 'php' },
  powershell: { label: 'PowerShell', ending: 'ps1' },
  py: { label: 'Python', ending: 'py' },
  python: { label: 'Python', ending: 'py' },
  r: { label: 'R', ending: 'r' },
  ruby: { label: 'Ruby', ending: 'rb' },
  rust: { label: 'Rust', ending: 'rs' },
  scala: { label: 'Scala', ending: 'scala' },
  sql: { label: 'SQL', ending: 'sql' },
  swift: { label: 'Swift', ending: 'swift' },
  text: { label: 'Text', ending: 'txt' },
  toml: { label: 'TOML', ending: 'toml' },
  ts: { label: 'TypeScript', ending: 'ts' },
  tsx: { label: 'TSX', ending: 'tsx' },
  typescript: { label: 'TypeScript', ending: 'ts' },
  xml: { label: 'XML', ending: 'xml' },
  yaml: { label: 'YAML', ending: 'yaml' },
  yml: { label: 'YAML', ending: 'yaml' },
}

/** What a person calls the language, with its own word when it is not known here. */
export const languageLabel = (language: string): string =>
  languages[language.toLowerCase()]?.label ?? language

export const downloadName = (language: string): string =>
  `snippet.${languages[language.toLowerCase()]?.ending ?? 'txt'}`

/** The first word of a code fence ("python title=x", "ts{1,3}"), lower case. */
export const fenceLanguage = (info: string | undefined): string =>
  (/^[\w+#.-]+/.exec(info ?? '')?.[0] ?? '').toLowerCase()

/** `code` as a Markdown block that nothing in it can close. */
export function fenced(code: string, language: string): string {
  const longest = Math.max(2, ...(code.match(/`+/g) ?? []).map((run) => run.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${code.replace(/\n$/, '')}\n${fence}`
}

/** `code` in runs of `lines` lines. Joined, they are `code` again. */
export function segments(code: string, lines: number): string[] {
  const result: string[] = []
  let start = 0
  let count = 0
  for (let at = code.indexOf('\n'); at !== -1; at = code.indexOf('\n', at + 1)) {
    count += 1
    if (count % lines === 0) {
      result.push(code.slice(start, at + 1))
      start = at + 1
    }
  }
  if (start < code.length || result.length === 0) result.push(code.slice(start))
  return result
}
