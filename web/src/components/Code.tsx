import { Download, WrapText } from 'lucide-react'
import { createContext, memo, type ReactNode, use, useEffect, useRef, useState } from 'react'
import { downloadName, htmlRuns, languageLabel, segments } from '../lib/code'
import { download } from '../lib/download'
import { onFrame } from '../lib/frame'
import { useWords } from '../lib/i18n'
import { whenIdle } from '../lib/idle'
import { changeSettings, useSettings } from '../lib/settings'
import { CopyButton, IconButton } from './ui'

/** What a page offers for a finished block of code, beside what every block can do. */
export const CodeActions = createContext<((code: string, language: string) => ReactNode) | null>(null)

type Highlight = (code: string, language: string) => string

let loaded: Highlight | null = null
const loading = () => import('../lib/highlight').then((module) => (loaded = module.highlight))

/** The highlighter once it is there; until then code is shown plain, in the same place. */
function useHighlight(): Highlight | null {
  const [highlight, setHighlight] = useState<Highlight | null>(() => loaded)
  useEffect(() => {
    if (!highlight) loading().then((ready) => setHighlight(() => ready))
  }, [highlight])
  return highlight
}

/** Highlighted code without any frame. */
export const Highlighted = memo(function Highlighted({ code, language }: { code: string; language: string }) {
  const highlight = useHighlight()
  if (!highlight || !language) return <code>{code}</code>
  // biome-ignore lint/security/noDangerouslySetInnerHtml: the highlighter escapes everything but its own spans.
  return <code dangerouslySetInnerHTML={{ __html: highlight(code, language) }} />
})

// Code is laid out and coloured in runs of this many lines: what is not in view costs nothing, and a token costs one run.
const linesAtOnce = 40
// A longer block is coloured run by run when it is finished, too: at once it would stop the page for a moment. The price
// is that a string or comment which crosses from one run into the next may lose its colour there.
const mostAtOnce = 12_000

interface Coloured {
  code: string
  html: string
}

/**
 * The lines of `code` that are coloured already, as HTML. Colouring is done in idle time and shown with the next frame.
 * It waits while the whole block is being coloured.
 */
function useColoured(code: string, language: string, settled: boolean, wait: boolean): Coloured | null {
  const highlight = useHighlight()
  const [coloured, setColoured] = useState<Coloured | null>(null)
  const cancel = useRef<(() => void) | null>(null)
  useEffect(() => {
    // What still grows is coloured up to its last whole line.
    const lines = settled ? code : code.slice(0, code.lastIndexOf('\n') + 1)
    if (!highlight || !language || wait || cancel.current || lines === (coloured?.code ?? '')) return
    cancel.current = whenIdle(() => {
      const now = { code: lines, html: highlight(lines, language) }
      cancel.current = onFrame(() => {
        cancel.current = null
        setColoured(now)
      })
    })
  })
  useEffect(() => () => cancel.current?.(), [])
  return coloured && code.startsWith(coloured.code) ? coloured : null
}

interface RunProps {
  code: string
  language: string
  /** Whether no more will follow. */
  settled: boolean
  /** Its colours, where the whole block was coloured at once; undefined until that is done. */
  html: string | null | undefined
}

/** Some lines of a block. They are plain until there is time to colour them, in the same place. */
const Run = memo(function Run({ code, language, settled, html }: RunProps) {
  const own = useColoured(code, language, settled, html !== null)
  const { code: done, html: shown } = html == null ? (own ?? { code: '', html: '' }) : { code, html }
  const lines = code.split('\n').length - (code.endsWith('\n') ? 1 : 0)
  return (
    <code style={{ containIntrinsicBlockSize: `auto ${lines}lh` }}>
      {/* biome-ignore lint/security/noDangerouslySetInnerHtml: the highlighter escapes everything but its own spans. */}
      <span dangerouslySetInnerHTML={{ __html: shown }} />
      {code.slice(done.length)}
    </code>
  )
})

/**
 * The colours of each run of a finished block, from reading it as a whole; null where each run is coloured by itself,
 * undefined until there was time for it.
 */
function useWhole(code: string, language: string, wanted: boolean): string[] | null | undefined {
  const highlight = useHighlight()
  const [whole, setWhole] = useState<{ code: string; runs: string[] } | null>(null)
  useEffect(() => {
    if (!highlight || !wanted) return
    let cancel = whenIdle(() => {
      const runs = htmlRuns(highlight(code, language), linesAtOnce)
      cancel = onFrame(() => setWhole({ code, runs }))
    })
    return () => cancel()
  }, [highlight, wanted, code, language])
  if (!wanted) return null
  return whole?.code === code ? whole.runs : undefined
}

interface CodeBlockProps {
  code: string
  language: string
  /** Whether more may follow. */
  open?: boolean
}

export const CodeBlock = memo(function CodeBlock({ code, language, open = false }: CodeBlockProps) {
  const words = useWords()
  const { wrap } = useSettings()
  const actions = use(CodeActions)
  const label = language ? languageLabel(language) : ''
  const runs = segments(code, linesAtOnce)
  const whole = useWhole(
    code,
    language,
    !open && language !== '' && runs.length > 1 && code.length <= mostAtOnce,
  )
  return (
    <figure className="rounded-xl border border-line bg-code">
      <figcaption className="flex h-10 items-center gap-0.5 border-b border-line ps-4 pe-1.5">
        <span className="flex-1 text-xs font-medium text-ink-3">{label}</span>
        <IconButton
          label={wrap ? words.common.noWrap : words.common.wrap}
          aria-pressed={wrap}
          onClick={() => changeSettings({ wrap: !wrap })}
        >
          <WrapText aria-hidden />
        </IconButton>
        <IconButton label={words.common.download} onClick={() => download(downloadName(language), code)}>
          <Download aria-hidden />
        </IconButton>
        <CopyButton text={code} />
        {!open && actions?.(code, language)}
      </figcaption>
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        tabIndex={0}
        className={`code overflow-x-auto p-4 ${runs.length > 1 ? 'run' : ''} ${wrap ? 'break-words whitespace-pre-wrap' : ''}`}
      >
        {runs.map((part, at) => (
          <Run
            // biome-ignore lint/suspicious/noArrayIndexKey: runs are only appended.
            key={at}
            code={part}
            language={language}
            settled={!open || at < runs.length - 1}
            html={whole === null ? null : whole?.[at]}
          />
        ))}
      </pre>
    </figure>
  )
})

const showMarked = (element: HTMLElement | null) => element?.scrollIntoView({ block: 'center' })

interface SourceCodeProps {
  code: string
  language: string
  firstLine: number
  /** Lines to mark, inclusive. */
  marked?: { start: number; end: number } | undefined
}

/** Code with its true line numbers. */
export function SourceCode({ code, language, firstLine, marked }: SourceCodeProps) {
  const text = code.replace(/\n$/, '')
  const count = text.split('\n').length
  const numbers = Array.from({ length: count }, (_, line) => firstLine + line)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
    <div tabIndex={0} className="code overflow-auto rounded-xl border border-line bg-code">
      <div className="relative flex w-max min-w-full py-3">
        {marked && (
          <div
            ref={showMarked}
            className="absolute inset-x-0 bg-accent-soft"
            style={{
              top: `calc(0.75rem + ${Math.max(0, marked.start - firstLine)} * 1lh)`,
              height: `${Math.min(count, marked.end - Math.max(firstLine, marked.start) + 1)}lh`,
            }}
          />
        )}
        <div
          aria-hidden
          className="sticky left-0 z-10 border-e border-line bg-code px-3 text-end text-ink-3 tabular-nums select-none"
        >
          {numbers.map((line) => (
            <div key={line}>{line}</div>
          ))}
        </div>
        <pre className="relative px-4">
          <Highlighted code={text} language={language} />
        </pre>
      </div>
    </div>
  )
}
