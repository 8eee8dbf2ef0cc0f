export type Piece = { text: string } | { reference: number }

const citation = /\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/g

/** `text` cut at its citations: "see [1, 3]." becomes text, references 1 and 3, text. Unknown numbers stay text. */
export function linkReferences(text: string, known: ReadonlySet<number>): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(citation)) {
    const numbers = (match[1] ?? '').split(',').map(Number)
    if (!numbers.every((number) => known.has(number))) continue
    if (match.index > end) pieces.push({ text: text.slice(end, match.index) })
    pieces.push(...numbers.map((reference) => ({ reference })))
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push({ text: text.slice(end) })
  return pieces
}

/** The numbers that `text` cites among `known`, in the order of their first mention. */
export function citedNumbers(text: string, known: ReadonlySet<number>): number[] {
  const cited = linkReferences(text, known).flatMap((piece) =>
    'reference' in piece ? [piece.reference] : [],
  )
  return [...new Set(cited)]
}
