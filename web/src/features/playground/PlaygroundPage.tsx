import { CornerDownLeft, RotateCcw, Square, Wand2 } from 'lucide-react'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useSearchParams } from 'react-router'
import { asProblem } from '../../api/client'
import { useIndexes, useModels } from '../../api/queries'
import type { Model } from '../../api/types'
import { Editor, type EditorHandle } from '../../components/Editor'
import { Button, IconButton, ProblemNote, Skeleton } from '../../components/ui'
import { languageLabel } from '../../lib/code'
import { accept, dismiss, fill, ghostOf, ghostText, holeOf, showGhost } from '../../lib/editor/ghost'
import { editorLanguages } from '../../lib/editor/languages'
import { useWords } from '../../lib/i18n'
import { type Choices, example, firstChoices, keepChoices, readChoices } from './choices'
import { Inspector } from './Inspector'
import { SamplingFields } from './SamplingFields'
import { useInfill } from './useInfill'

/** Typing must rest so long (milliseconds) before a completion is asked for. */
const rest = 400

const fills = (model: Model) => model.skills.includes('infilling')

export function PlaygroundPage() {
  const words = useWords('playground')
  const { playground } = words
  const models = useModels()
  const indexes = useIndexes()
  const [query] = useSearchParams()
  const asked = query.get('model')
  const [choices, setChoices] = useState<Choices>(() => ({
    ...readChoices(),
    ...(asked && { model: asked }),
  }))
  const editor = useRef<EditorHandle>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const latest = useRef(choices)
  latest.current = choices
  const writer = useRef<string | null>(null)

  const show = useCallback((text: string) => {
    const view = editor.current?.view()
    if (!view) return
    const { from, to } = holeOf(view.state)
    view.dispatch({ effects: showGhost.of({ from, to, text }) })
  }, [])
  const { completion, start, stop } = useInfill(show)

  const complete = useCallback(() => {
    clearTimeout(timer.current)
    const view = editor.current?.view()
    if (!view) return
    dismiss(view)
    const { prefix, suffix } = holeOf(view.state)
    const { index, sampling } = latest.current
    const model = writer.current
    if (prefix.trim() || suffix.trim()) start({ prefix, suffix, model, index, sampling, explain: true })
  }, [start])

  const change = (change: Partial<Choices>) => setChoices((old) => ({ ...old, ...change }))
  const typed = (text: string) => {
    change({ text })
    clearTimeout(timer.current)
    const view = editor.current?.view()
    // What was offered and is being typed goes on being offered.
    if (view && ghostOf(view.state)) return
    stop()
    if (latest.current.live) timer.current = setTimeout(complete, rest)
  }
  useEffect(() => {
    keepChoices(choices)
  }, [choices])
  useEffect(() => () => clearTimeout(timer.current), [])

  const extensions = useMemo(
    () =>
      ghostText(() => {
        clearTimeout(timer.current)
        stop()
      }),
    [stop],
  )

  const able = (models.data ?? []).filter(fills)
  const chosen =
    able.find((model) => model.name === choices.model) ?? able.find((model) => model.default) ?? able[0]
  writer.current = chosen && !chosen.default ? chosen.name : null
  const busy = completion.state === 'waiting' || completion.state === 'writing'
  const setText = (text: string) => editor.current?.setText(text)
  return (
    <div className="flex h-full flex-col overflow-auto lg:overflow-hidden">
      <header className="flex flex-wrap items-end gap-x-6 gap-y-3 px-4 pt-6 pb-4 sm:px-8">
        <div className="min-w-0 flex-[1_1_16rem]">
          <h1 className="text-2xl font-semibold tracking-tight">{playground.title}</h1>
          <p className="mt-1 text-ink-2">{playground.text}</p>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <label className="flex min-h-9 items-center gap-2 text-sm">
            <input
              type="checkbox"
              role="switch"
              aria-checked={choices.live}
              className="size-4 accent-(--accent)"
              checked={choices.live}
              onChange={(event) => change({ live: event.target.checked })}
            />
            {playground.live}
          </label>
          {busy ? (
            <Button onClick={stop}>
              <Square aria-hidden />
              {playground.stop}
            </Button>
          ) : (
            <Button look="primary" disabled={models.isSuccess && !chosen} onClick={complete}>
              <Wand2 aria-hidden />
              {playground.complete}
            </Button>
          )}
        </div>
      </header>
      {models.isError && (
        <ProblemNote
          className="mx-4 mb-4 sm:mx-8"
          problem={asProblem(models.error)}
          onRetry={() => models.refetch()}
        />
      )}
      {models.isSuccess && able.length === 0 && (
        <ProblemNote
          className="mx-4 mb-4 sm:mx-8"
          problem={{ message: playground.noModel, fix: playground.noModelFix }}
        />
      )}
      <div className="grid min-h-0 flex-1 grid-cols-1 gap-4 px-4 pb-6 sm:px-8 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <section
          aria-label={playground.editor}
          className="card flex min-h-[24rem] min-w-0 flex-col overflow-hidden"
        >
          <div className="flex flex-wrap items-center gap-2 border-b border-line p-2">
            <Select
              label={playground.language}
              value={choices.language}
              onChange={(language) => change({ language })}
              options={Object.keys(editorLanguages).map((name) => [name, languageLabel(name)])}
            />
            {models.isPending ? (
              <div className="w-32">
                <Skeleton widths={[100]} />
              </div>
            ) : (
              <Select
                label={playground.model}
                value={chosen?.name ?? ''}
                onChange={(model) => change({ model })}
                options={able.map((model) => [model.name, model.name])}
              />
            )}
            <Select
              label={playground.index}
              value={choices.index ?? '*'}
              onChange={(index) => change({ index: index === '*' ? null : index })}
              options={[
                ['*', playground.anyIndex],
                ...(indexes.data ?? []).map(({ name }): [string, string] => [name, name]),
                ['', playground.noIndex],
              ]}
            />
            <SamplingFields sampling={choices.sampling} onChange={(sampling) => change({ sampling })} />
            <IconButton
              className="ms-auto"
              label={playground.insert}
              onClick={() => {
                const view = editor.current?.view()
                if (!view) return
                view.dispatch(view.state.replaceSelection(fill))
                view.focus()
              }}
            >
              <CornerDownLeft aria-hidden />
            </IconButton>
            <IconButton
              label={playground.reset}
              onClick={() => {
                setText(example)
                change({ language: firstChoices.language })
              }}
            >
              <RotateCcw aria-hidden />
            </IconButton>
          </div>
          {/* biome-ignore lint/a11y/noStaticElementInteractions: a shortcut of the editor inside. */}
          <div
            className="min-h-0 flex-1 overflow-auto"
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
              event.preventDefault()
              event.stopPropagation()
              complete()
            }}
          >
            <Editor
              handle={editor}
              initial={choices.text}
              language={choices.language}
              label={playground.code}
              placeholder={playground.placeholder}
              extensions={extensions}
              onChange={typed}
            />
          </div>
          <footer className="flex flex-wrap items-center gap-x-4 gap-y-1 border-t border-line px-4 py-2 text-xs text-ink-3">
            <span>{playground.keys}</span>
            <span className="sr-only" role="status">
              {completion.state === 'done' && completion.text ? playground.offered(completion.text) : ''}
            </span>
            {completion.text && !busy && (
              <Button
                look="ghost"
                className="ms-auto min-h-8!"
                onClick={() => {
                  const view = editor.current?.view()
                  if (view && accept(view)) view.focus()
                }}
              >
                {playground.accept}
              </Button>
            )}
          </footer>
        </section>
        <Inspector completion={completion} retrieves={chosen?.kind === 'app' && choices.index !== ''} />
      </div>
    </div>
  )
}

interface SelectProps {
  label: string
  value: string
  options: [string, string][]
  onChange: (value: string) => void
}

const Select = ({ label, value, options, onChange }: SelectProps) => (
  <select
    aria-label={label}
    title={label}
    className="field w-auto! max-w-44 truncate py-1! text-sm"
    value={value}
    onChange={(event) => onChange(event.target.value)}
  >
    {options.map(([name, text]) => (
      <option key={name} value={name}>
        {text}
      </option>
    ))}
  </select>
)
