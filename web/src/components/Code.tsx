import { Download, WrapText } from 'lucide-react'
import { createContext, memo, type ReactNode, use, useEffect, useState } from 'react'
import { downloadName, languageLabel, segments } from '../lib/code'
import { download } from '../lib/download'
import { useWords } from '../lib/i18n'
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

// A block that still grows is highlighted in runs of this many lines, so that a token costs one run, not the block.
const linesAtOnce = 40
// A longer block stays in runs when it is finished: highlighting it at once would stop the page for a moment. The
// price is that a string or comment which crosses from one run into the next may lose its colour there.
const mostAtOnce = 12_000

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
  const inRuns = open || code.length > mostAtOnce
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
        {/* The place is kept, so that nothing moves when the block is finished. */}
        {actions && <div className="size-8">{!open && actions(code, language)}</div>}
      </figcaption>
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        tabIndex={0}
        className={`code overflow-x-auto p-4 ${wrap ? 'break-words whitespace-pre-wrap' : ''} ${inRuns ? 'run' : ''}`}
      >
        {inRuns ? (
          segments(code, linesAtOnce).map((part, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: runs are only appended.
            <Highlighted key={at} code={part} language={language} />
          ))
        ) : (
          <Highlighted code={code} language={language} />
        )}
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
