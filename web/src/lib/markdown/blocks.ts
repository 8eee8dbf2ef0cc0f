import { Marked, type Token } from 'marked'

// Model output is hostile. HTML is never parsed: both tokenizers refuse, and the characters stay text. Link
// definitions are refused as well, because models list their sources as `[1]: path` and would so turn every [1] of
// an answer into a link of their choice.
const marked = new Marked({
  gfm: true,
  tokenizer: { html: () => undefined, tag: () => undefined, def: () => undefined },
})

/** A Markdown text as blocks. The finished ones keep their identity while the text grows; `open` may still change. */
export interface Blocks {
  readonly text: string
  readonly done: readonly Token[]
  readonly doneLength: number
  readonly open: Token | null
}

export const noBlocks: Blocks = { text: '', done: [], doneLength: 0, open: null }

const unixLines = (text: string): string => (text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text)

/** The blocks of a text. The reader is recursive: what is nested too deep for it stays the text that it is. */
function blocksOf(text: string): Token[] {
  try {
    return marked.lexer(text)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return [{ type: 'code', raw: text, text, lang: '' }]
  }
}

/**
 * The blocks of `source`, reusing `previous` when `source` continues it: only the last, unfinished block is read
 * again, so a long answer costs the same per token as a short one.
 */
export function extendBlocks(previous: Blocks, source: string): Blocks {
  const text = unixLines(source)
  if (text === previous.text) return previous
  const base = text.startsWith(previous.text) ? previous : noBlocks
  const tokens = blocksOf(text.slice(base.doneLength))
  // Blank lines may still turn into a continuation of the block before them (lists, indented code).
  let last = tokens.length - 1
  while (last > 0 && tokens[last]?.type === 'space') last -= 1
  const finished = tokens.slice(0, Math.max(0, last))
  const length = finished.reduce((sum, token) => sum + token.raw.length, 0)
  return {
    text,
    done: finished.length ? [...base.done, ...finished.filter((token) => token.type !== 'space')] : base.done,
    doneLength: base.doneLength + length,
    open: tokens[last] ?? null,
  }
}

/** Whether a fenced code block has its closing fence; an indented block is closed by whatever follows it. */
export function isFenceClosed(raw: string): boolean {
  const fence = /^ {0,3}(`{3,}|~{3,})/.exec(raw)?.[1]
  if (!fence) return true
  const lines = raw.trimEnd().split('\n')
  const closing = lines.at(-1)?.trim() ?? ''
  return lines.length > 1 && closing.length >= fence.length && [...closing].every((c) => c === fence[0])
}
