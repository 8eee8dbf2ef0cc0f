import { Database, FileUp, Play, Square } from 'lucide-react'
import { useId, useRef, useState } from 'react'
import { useNavigate } from 'react-router'
import { useIndexes, useModels } from '../../api/queries'
import type { CodeTask, CodeTasks, TaskInput } from '../../api/types'
import { Editor, type EditorHandle } from '../../components/Editor'
import { Button, IconButton } from '../../components/ui'
import { useDrop } from '../../lib/drop'
import { guessLanguage, languageOfFile } from '../../lib/editor/languages'
import { useWords } from '../../lib/i18n'
import { examples } from './examples'
import { InputField, useInputWords } from './InputField'
import { PastRuns } from './PastRuns'
import { PickCode } from './PickCode'
import { type Past, rememberRun, usePast } from './past'
import { Result } from './Result'
import { noRun, useRun } from './useRun'

/** Inputs that are shown at once; the others are a click away. */
const prominent = new Set(['language_to', 'instruction', 'error'])
/** The page shows the check itself. */
const unasked = new Set(['code', 'label'])
const longestFile = 1_000_000

interface WorkbenchProps {
  task: CodeTask
  sandbox: CodeTasks['sandbox']
  tasks: CodeTask[]
}

/** The code, what is wanted, and what came of it. */
export function Workbench({ task, sandbox, tasks }: WorkbenchProps) {
  const { tasks: words } = useWords('tasks')
  const navigate = useNavigate()
  const models = useModels()
  const indexes = useIndexes()
  const says = useInputWords()
  const past = usePast()
  const [inputs, setInputs] = useState<Record<string, string>>({})
  const [model, setModel] = useState('')
  const [index, setIndex] = useState('*')
  const [picking, setPicking] = useState(false)
  const [missing, setMissing] = useState<TaskInput | null>(null)
  const [tooLong, setTooLong] = useState('')
  const [ran, setRan] = useState<Record<string, string>>({})
  const editor = useRef<EditorHandle>(null)
  const file = useRef<HTMLInputElement>(null)
  const more = useId()

  const sent = useRef<{ task: string; inputs: Record<string, string> }>({ task: '', inputs: {} })
  const { run, start, stop, show } = useRun(({ model: writer, note, text, references, checked }) =>
    rememberRun({
      id: crypto.randomUUID?.() ?? String(Date.now()),
      at: new Date().toISOString(),
      ...sent.current,
      model: writer,
      note,
      text,
      references,
      checked,
    }),
  )

  const set = (change: Record<string, string>) => {
    setMissing(null)
    setInputs((old) => ({ ...old, ...change }))
  }
  const put = (code: string, change: Record<string, string> = {}) => {
    editor.current?.setText(code)
    set({ code, ...change })
  }
  const open = async (files: readonly File[]) => {
    const [first] = files
    if (!first) return
    setTooLong(first.size > longestFile ? first.name : '')
    if (first.size <= longestFile) put(await first.text(), { path: first.name })
  }
  const { over, handlers } = useDrop(open)

  const offered = task.inputs.filter((input) => !unasked.has(input.name))
  const shown = offered.filter((input) => input.required || prominent.has(input.name))
  const rest = offered.filter((input) => !shown.includes(input))
  const go = () => {
    const given: Record<string, string> = {}
    for (const input of task.inputs) {
      const value = input.name === 'label' ? 'no' : (inputs[input.name] ?? '')
      if (value.trim()) given[input.name] = value
      else if (input.required) {
        setMissing(input)
        if (input.name === 'code') editor.current?.view()?.focus()
        else document.getElementById(`input-${input.name}`)?.focus()
        return
      }
    }
    sent.current = { task: task.name, inputs: given }
    setRan(given)
    start(task.name, { inputs: given, model: model || null, index: index === '*' ? null : index })
  }
  const recall = (run: Past) => {
    navigate(`/tasks/${run.task}`)
    setInputs(run.inputs)
    setRan(run.inputs)
    sent.current = { task: run.task, inputs: run.inputs }
    editor.current?.setText(run.inputs.code ?? '')
    show({ ...noRun, ...run, state: 'done' })
  }

  const code = inputs.code ?? ''
  const language =
    inputs.language ||
    inputs.language_from ||
    (inputs.path && languageOfFile(inputs.path)) ||
    guessLanguage(code) ||
    ''
  const writers = (models.data ?? []).filter((one) => one.kind !== 'app' && one.skills.includes('chat'))
  const running = run.state === 'running'
  return (
    <div className="flex flex-col gap-4">
      <p className="text-sm text-ink-2">
        {words.descriptions[task.name] ?? task.description}{' '}
        {task.checks && !sandbox.ready && <span className="text-warn">{words.noSandbox(sandbox.why)}</span>}
      </p>
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        <section
          aria-label={words.input}
          className="card flex min-w-0 flex-col overflow-hidden"
          onKeyDownCapture={(event) => {
            if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || running) return
            event.preventDefault()
            event.stopPropagation()
            go()
          }}
          {...handlers}
        >
          <div className="flex items-center gap-1 border-b border-line py-1 ps-4 pe-2">
            <h2 className="min-w-0 flex-1 truncate text-sm font-semibold">{inputs.path || words.code}</h2>
            {code === '' && (
              <Button look="ghost" onClick={() => put(examples[task.name] ?? examples.explain ?? '')}>
                {words.example}
              </Button>
            )}
            <IconButton label={words.pick} onClick={() => setPicking(true)}>
              <Database aria-hidden />
            </IconButton>
            <IconButton label={words.upload} onClick={() => file.current?.click()}>
              <FileUp aria-hidden />
            </IconButton>
            <input
              ref={file}
              type="file"
              className="hidden"
              tabIndex={-1}
              aria-label={words.upload}
              onChange={(event) => open([...(event.target.files ?? [])])}
            />
          </div>
          <div
            className={`h-80 min-h-40 resize-y overflow-auto ${over ? 'bg-accent-soft' : ''} ${missing?.name === 'code' ? 'ring-2 ring-danger ring-inset' : ''}`}
          >
            <Editor
              handle={editor}
              initial=""
              language={language}
              label={words.code}
              placeholder={words.placeholder}
              onChange={(text) => set({ code: text })}
            />
          </div>
          <form
            className="flex flex-col gap-3 border-t border-line p-4"
            onSubmit={(event) => {
              event.preventDefault()
              go()
            }}
          >
            {tooLong && <p className="text-sm text-danger">{words.tooLong(tooLong)}</p>}
            {shown.map((input) => (
              <InputField
                key={`${task.name} ${input.name}`}
                input={input}
                value={inputs[input.name] ?? ''}
                onChange={(value) => set({ [input.name]: value })}
              />
            ))}
            <details>
              <summary className="w-fit text-sm text-ink-2 hover:text-ink" id={more}>
                {words.more}
              </summary>
              <div className="mt-3 flex flex-col gap-3">
                {rest.map((input) => (
                  <InputField
                    key={`${task.name} ${input.name}`}
                    input={input}
                    value={inputs[input.name] ?? ''}
                    onChange={(value) => set({ [input.name]: value })}
                  />
                ))}
                <div className="grid gap-3 sm:grid-cols-2">
                  <label className="flex flex-col gap-1 text-sm">
                    <span className="font-medium">{words.model}</span>
                    <select
                      className="field"
                      value={model}
                      onChange={(event) => setModel(event.target.value)}
                    >
                      <option value="">{words.defaultModel}</option>
                      {writers.map(({ name }) => (
                        <option key={name}>{name}</option>
                      ))}
                    </select>
                  </label>
                  {task.looks_up && (
                    <label className="flex flex-col gap-1 text-sm">
                      <span className="font-medium">{words.index}</span>
                      <select
                        className="field"
                        value={index}
                        onChange={(event) => setIndex(event.target.value)}
                      >
                        <option value="*">{words.anyIndex}</option>
                        {(indexes.data ?? []).map(({ name }) => (
                          <option key={name}>{name}</option>
                        ))}
                        <option value="">{words.noIndex}</option>
                      </select>
                    </label>
                  )}
                </div>
              </div>
            </details>
            {missing && (
              <p role="alert" className="text-sm text-danger">
                {missing.name === 'code' ? words.noCode : words.missing(says(missing).title)}
              </p>
            )}
            <div className="flex items-center gap-2">
              {running ? (
                // Keys keep the two apart: one element that became the other under the click would submit the form.
                <Button key="stop" onClick={stop}>
                  <Square aria-hidden />
                  {words.stop}
                </Button>
              ) : (
                <Button key="run" type="submit" look="primary">
                  <Play aria-hidden />
                  {words.titles[task.name] ?? task.title}
                </Button>
              )}
              <span className="flex-1" />
              {past.length > 0 && <PastRuns runs={past} tasks={tasks} onOpen={recall} />}
            </div>
          </form>
        </section>
        <Result task={task} run={run} inputs={ran} />
      </div>
      {picking && (
        <PickCode
          onClose={() => setPicking(false)}
          onPick={(reference) => {
            put(reference.text, { path: reference.path })
            setPicking(false)
          }}
        />
      )}
    </div>
  )
}
