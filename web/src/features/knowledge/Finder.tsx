import { useState } from 'react'
import type { Index } from '../../api/types'
import { useWords } from '../../lib/i18n'
import { GrepBox } from './GrepBox'
import { SearchBox } from './SearchBox'
import { SymbolBox } from './SymbolBox'

const ways = ['search', 'symbols', 'grep'] as const
const boxes = { search: SearchBox, symbols: SymbolBox, grep: GrepBox }

/** Three ways to find code: by meaning, by name, by text. Without `only`, an index can be chosen. */
export function Finder({ indexes, only }: { indexes: Index[]; only?: string }) {
  const { knowledge: words } = useWords()
  const [way, setWay] = useState<(typeof ways)[number]>('search')
  const Box = boxes[way]
  const texts = { search: words.searchText, symbols: words.symbolText, grep: words.grepText }
  return (
    <search aria-label={words.search} className="flex flex-col gap-3">
      <div>
        <h2 className="text-lg font-semibold">{words.search}</h2>
        <p className="text-sm text-ink-2">{texts[way]}</p>
      </div>
      <div role="tablist" className="flex gap-1 border-b border-line">
        {ways.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            aria-selected={way === name}
            onClick={() => setWay(name)}
            className="-mb-px min-h-10 border-b-2 border-transparent px-3 text-sm text-ink-2 hover:text-ink aria-selected:border-accent aria-selected:font-medium aria-selected:text-ink"
          >
            {words.find[name]}
          </button>
        ))}
      </div>
      <Box indexes={indexes} {...(only && { only })} />
    </search>
  )
}
