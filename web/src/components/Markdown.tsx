import type { Token, Tokens } from 'marked'
import {
  createContext,
  Fragment,
  memo,
  type ReactNode,
  use,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react'
import { fenceLanguage } from '../lib/code'
import { afterDraw } from '../lib/frame'
import { useWords } from '../lib/i18n'
import { type Blocks, extendBlocks, isFenceClosed, noBlocks } from '../lib/markdown/blocks'
import { decodeEntities, safeHref } from '../lib/markdown/links'
import { linkReferences } from '../lib/markdown/references'
import { CodeBlock } from './Code'

interface Citations {
  known: ReadonlySet<number>
  open: (number: number) => void
}

const CitationContext = createContext<Citations>({ known: new Set(), open: () => {} })

interface MarkdownProps {
  text: string
  /** Whether more text may follow. */
  writing?: boolean
  /** What the text may cite. */
  references?: readonly { number: number }[]
  /** Opens what was cited; the same function each time. */
  onCite?: (number: number) => void
}

const nowhere = () => {}

/** Hostile Markdown as elements, never as HTML. While it grows, only its last block is rendered again. */
export function Markdown({ text, writing = false, references = [], onCite = nowhere }: MarkdownProps) {
  const last = useRef<Blocks>(noBlocks)
  const blocks = useMemo(() => extendBlocks(last.current, text), [text])
  last.current = blocks
  // Every citation is drawn anew when other numbers are known, not when something else of a reference changes.
  const numbers = references.map(({ number }) => number).join()
  const citations = useMemo(
    () => ({ known: new Set(numbers.split(',').filter(Boolean).map(Number)), open: onCite }),
    [numbers, onCite],
  )
  return (
    <CitationContext value={citations}>
      <div className="prose">
        {parts(blocks).map((tokens, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: blocks are only appended.
          <Part key={at} tokens={tokens} last={writing ? blocks.open : null} />
        ))}
      </div>
    </CitationContext>
  )
}

// A long answer has hundreds of blocks. When text is added, only the part with the last one is looked through, and the
// finished parts that are out of view cost neither layout nor painting.
const partSize = 8

function parts({ done, open }: Blocks): Token[][] {
  const all = open ? [...done, open] : done
  return Array.from({ length: Math.ceil(all.length / partSize) }, (_, at) =>
    all.slice(at * partSize, (at + 1) * partSize),
  )
}

interface PartProps {
  tokens: Token[]
  /** The block that is being written, in whatever part it is. */
  last: Token | null
}

const holds = ({ tokens, last }: PartProps): boolean => last !== null && tokens.includes(last)

const Part = memo(
  function Part(props: PartProps) {
    const growing = holds(props)
    const [still, setStill] = useState(false)
    // Not before the browser has drawn it once: it then knows the size to keep for it while it is out of view.
    useEffect(() => (growing ? undefined : afterDraw(() => setStill(true))), [growing])
    return (
      <div className={`part ${growing ? 'growing' : still ? 'still' : ''}`}>
        {props.tokens.map((token, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: blocks are only appended.
          <Block key={at} token={token} open={token === props.last} />
        ))}
      </div>
    )
  },
  (before, after) =>
    before.tokens.length === after.tokens.length &&
    before.tokens.every((token, at) => token === after.tokens[at]) &&
    holds(before) === holds(after),
)

const Block = memo(function Block({ token, open }: { token: Token; open: boolean }) {
  return renderBlock(token, open)
})

// People do not nest deeper; what a broken or hostile model nests without end is shown as it was written.
const deepest = 40

const children = (tokens: Token[] | undefined, depth: number): ReactNode =>
  tokens?.map((token, at) => {
    const deeper = () => (isBlock(token) ? renderBlock(token, false, depth) : renderInline(token, depth))
    // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no identity beyond their place.
    return <Fragment key={at}>{depth > deepest ? token.raw : deeper()}</Fragment>
  })

const blockTypes = new Set(['heading', 'paragraph', 'list', 'code', 'blockquote', 'table', 'hr', 'space'])
const isBlock = (token: Token): boolean => blockTypes.has(token.type)

function renderBlock(token: Token, open: boolean, depth = 0): ReactNode {
  switch (token.type) {
    case 'space':
      return null
    case 'hr':
      return <hr />
    case 'heading': {
      // The page's own headings heading is h1; an answer's start below it.
      const Heading = `h${Math.min(6, (token as Tokens.Heading).depth + 1)}` as 'h2'
      return <Heading>{children(token.tokens, depth + 1)}</Heading>
    }
    case 'paragraph':
      return <p>{children(token.tokens, depth + 1)}</p>
    case 'blockquote':
      return <blockquote>{children(token.tokens, depth + 1)}</blockquote>
    case 'code': {
      const { lang, text, raw } = token as Tokens.Code
      return <CodeBlock code={text} language={fenceLanguage(lang)} open={open && !isFenceClosed(raw)} />
    }
    case 'list':
      return renderList(token as Tokens.List, depth)
    case 'table':
      return renderTable(token as Tokens.Table, depth)
    default:
      return <p>{renderInline(token, depth)}</p>
  }
}

function renderList(list: Tokens.List, depth: number): ReactNode {
  const items = list.items.map((item, at) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: items have no identity beyond their place.
    <li key={at} className={item.task ? 'list-none' : undefined}>
      {children(item.tokens, depth + 1)}
    </li>
  ))
  return list.ordered ? <ol start={list.start || 1}>{items}</ol> : <ul>{items}</ul>
}

function renderTable(table: Tokens.Table, depth: number): ReactNode {
  const cell = (Tag: 'th' | 'td', content: Tokens.TableCell, at: number) => (
    <Tag key={at} style={content.align ? { textAlign: content.align } : undefined}>
      {children(content.tokens, depth + 1)}
    </Tag>
  )
  return (
    <div className="overflow-x-auto">
      <table>
        <thead>
          <tr>{table.header.map((content, at) => cell('th', content, at))}</tr>
        </thead>
        <tbody>
          {table.rows.map((row, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no identity beyond their place.
            <tr key={at}>{row.map((content, column) => cell('td', content, column))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function renderInline(token: Token, depth: number): ReactNode {
  switch (token.type) {
    case 'strong':
      return <strong>{children(token.tokens, depth + 1)}</strong>
    case 'em':
      return <em>{children(token.tokens, depth + 1)}</em>
    case 'del':
      return <del>{children(token.tokens, depth + 1)}</del>
    case 'codespan':
      return <code>{token.text}</code>
    case 'br':
      return <br />
    case 'checkbox':
      return <input type="checkbox" checked={token.checked} readOnly disabled className="me-2" />
    case 'link': {
      const href = safeHref(token.href)
      if (!href) return children(token.tokens, depth + 1)
      return (
        <a href={href} target="_blank" rel="noopener noreferrer nofollow">
          {children(token.tokens, depth + 1)}
        </a>
      )
    }
    case 'image':
      return <BlockedImage alt={token.text} href={safeHref(token.href)} />
    case 'escape':
      return token.text
    case 'text':
      if (token.tokens?.length) return children(token.tokens, depth + 1)
      return <CitedText text={decodeEntities(token.text)} />
    default:
      return token.raw
  }
}

/** An image from outside would tell its host who reads what; it becomes a link. */
function BlockedImage({ alt, href }: { alt: string; href: string | null }) {
  const words = useWords('answer')
  const text = `${alt || href || ''} (${words.source.imageBlocked})`
  return href ? (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {text}
    </a>
  ) : (
    text
  )
}

function CitedText({ text }: { text: string }) {
  const { known, open } = use(CitationContext)
  const words = useWords('answer')
  if (known.size === 0) return text
  return linkReferences(text, known).map((piece, at) =>
    'text' in piece ? (
      piece.text
    ) : (
      <button
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no identity beyond their place.
        key={at}
        type="button"
        aria-label={words.source.reference(piece.reference)}
        onClick={() => open(piece.reference)}
        // In whole pixels above the line's own baseline: wherever the line begins, number and text are rounded alike.
        className="mx-0.5 inline-block h-3.5 min-w-3.5 rounded-md bg-accent-soft px-1 text-center align-[2px] text-[0.6875rem] leading-3.5 font-semibold text-accent tabular-nums hover:bg-accent hover:text-on-accent"
      >
        {piece.reference}
      </button>
    ),
  )
}
