import type { Index, Narrowing } from '../../api/types'
import { languageLabel } from '../../lib/code'
import { useWords } from '../../lib/i18n'

const kinds = ['function', 'method', 'class', 'interface', 'enum', 'module', 'section', 'block']

interface NarrowProps {
  indexes: Index[]
  only?: string | undefined
  /** Whether a kind of chunk can be chosen. */
  kind?: boolean
}

/** Fields of a form that say where to look; `narrowing` reads them. */
export function Narrow({ indexes, only, kind = false }: NarrowProps) {
  const { knowledge: words } = useWords('knowledge')
  const languages = [...new Set(indexes.flatMap((index) => Object.keys(index.languages)))].toSorted()
  return (
    <>
      {!only && indexes.length > 1 && (
        <select name="index" className="field w-auto!" aria-label={words.searchAll}>
          <option value="">{words.searchAll}</option>
          {indexes.map((index) => (
            <option key={index.name}>{index.name}</option>
          ))}
        </select>
      )}
      <select name="language" className="field w-auto!" aria-label={words.language}>
        <option value="">{words.anyLanguage}</option>
        {languages.map((language) => (
          <option key={language} value={language}>
            {languageLabel(language)}
          </option>
        ))}
      </select>
      {kind && (
        <select name="kind" className="field w-auto!" aria-label={words.kindOf}>
          <option value="">{words.anyKind}</option>
          {kinds.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
      <input
        name="path"
        className="field w-44! font-mono text-[0.8125rem]"
        placeholder={words.pathPlaceholder}
        aria-label={words.path}
        autoComplete="off"
        spellCheck={false}
      />
    </>
  )
}

export function narrowing(data: FormData, only?: string): Narrowing {
  const given = (name: string) => String(data.get(name) ?? '').trim()
  const some = (name: string) => (given(name) ? [given(name)] : [])
  const index = only ?? given('index')
  return {
    ...(index && { index }),
    languages: some('language'),
    kinds: some('kind'),
    paths: some('path'),
  }
}
