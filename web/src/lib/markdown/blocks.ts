import { Marked, type Token, type Tokens } from 'marked'

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

// What could close a block of code, or begin to.
const fenceLine = /(?:^|\n) {0,3}(?:`{3}|~{3})/

/** The code of an unfinished block, without the newline that ends its last line, as the reader gives it. */
function codeOf(raw: string): string {
  const code = raw.slice(raw.indexOf('\n') + 1)
  return code.endsWith('\n') && code !== '\n' && !code.endsWith('\n\n') ? code.slice(0, -1) : code
}

/**
 * The unfinished block of code of `previous` with what `text` has more; null when that may be more than code. A block of
 * a thousand lines is so not read anew for every token of it.
 */
function grownCode({ open, text: before }: Blocks, text: string): Token | null {
  if (open?.type !== 'code' || !/^(?:`{3,}|~{3,})[^\n]*\n/.test(open.raw) || isFenceClosed(open.raw))
    return null
  // The last line may have been the beginning of a fence.
  if (fenceLine.test(text.slice(before.lastIndexOf('\n') + 1))) return null
  const raw = text.slice(before.length - open.raw.length)
  return { ...open, raw, text: codeOf(raw) } as Tokens.Code
}

/**
 * The blocks of `source`, reusing `previous` when `source` continues it: only the last, unfinished block is read
 * again, so a long answer costs the same per token as a short one.
 */
export function extendBlocks(previous: Blocks, source: string): Blocks {
  const text = unixLines(source)
  if (text === previous.text) return previous
  const goesOn = text.startsWith(previous.text)
  const grown = goesOn ? grownCode(previous, text) : null
  if (grown) return { ...previous, text, open: grown }
  const base = goesOn ? previous : noBlocks
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
  const lines = raw.trimEnd()
  const last = lines.lastIndexOf('\n')
  const closing = lines.slice(last + 1).trim()
  return last !== -1 && closing.length >= fence.length && [...closing].every((c) => c === fence[0])
}
