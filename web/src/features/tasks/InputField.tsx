import { useId } from 'react'
import type { TaskInput } from '../../api/types'
import { languageLabel } from '../../lib/code'
import { useWords } from '../../lib/i18n'

const languages = [
  'python', 'typescript', 'javascript', 'java', 'kotlin', 'csharp', 'cpp', 'c', 'go', 'rust', 'ruby', 'php', 'swift',
  'scala', 'sql', 'bash',
] // biome-ignore format: a table

/** What an input is called here; one of the team's own apps brings its words. */
export function useInputWords(): (input: TaskInput) => { title: string; description: string } {
  const { tasks: words } = useWords('tasks')
  return ({ name, title, description }) => ({
    title: words.inputs[name]?.title ?? title,
    description: words.inputs[name]?.description ?? description,
  })
}

interface InputFieldProps {
  input: TaskInput
  value: string
  onChange: (value: string) => void
}

/** The control that a kind of input asks for. */
export function InputField({ input, value, onChange }: InputFieldProps) {
  const { tasks: words } = useWords('tasks')
  const { title, description } = useInputWords()(input)
  const list = useId()
  const shared = {
    id: `input-${input.name}`,
    value,
    'aria-describedby': `${list}-hint`,
    onChange: (event: { target: { value: string } }) => onChange(event.target.value),
  }
  return (
    <div className="flex flex-col gap-1 text-sm">
      <label htmlFor={shared.id} className="font-medium">
        {title}
        {input.required && <span className="text-danger"> *</span>}
      </label>
      {input.kind === 'choice' ? (
        <select className="field" {...shared} value={value || input.default}>
          {input.choices.map((choice) => (
            <option key={choice} value={choice}>
              {words.choices[choice] ?? choice}
            </option>
          ))}
        </select>
      ) : input.kind === 'line' || input.kind === 'language' ? (
        <>
          <input
            className="field"
            autoComplete="off"
            spellCheck={false}
            {...(input.kind === 'language' && { list })}
            {...shared}
          />
          {input.kind === 'language' && (
            <datalist id={list}>
              {languages.map((language) => (
                <option key={language} value={languageLabel(language)} />
              ))}
            </datalist>
          )}
        </>
      ) : (
        <textarea
          rows={input.kind === 'code' ? 5 : 2}
          spellCheck={input.kind === 'text'}
          className={`field ${input.kind === 'code' ? 'code' : ''}`}
          {...shared}
        />
      )}
      <span id={`${list}-hint`} className="text-xs text-ink-3">
        {description}
      </span>
    </div>
  )
}
