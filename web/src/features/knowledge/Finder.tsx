import { useState } from 'react'
import type { Index } from '../../api/types'
import { Tabs } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { GrepBox } from './GrepBox'
import { SearchBox } from './SearchBox'
import { SymbolBox } from './SymbolBox'

const ways = ['search', 'symbols', 'grep'] as const
const boxes = { search: SearchBox, symbols: SymbolBox, grep: GrepBox }

/** Three ways to find code: by meaning, by name, by text. Without `only`, an index can be chosen. */
export function Finder({ indexes, only }: { indexes: Index[]; only?: string }) {
  const { knowledge: words } = useWords('knowledge')
  const [way, setWay] = useState<(typeof ways)[number]>('search')
  const Box = boxes[way]
  const texts = { search: words.searchText, symbols: words.symbolText, grep: words.grepText }
  return (
    <search aria-label={words.search} className="flex flex-col gap-3">
      <div>
        <h2 className="text-lg font-semibold">{words.search}</h2>
        <p className="text-sm text-ink-2">{texts[way]}</p>
      </div>
      <Tabs
        label={words.search}
        tabs={ways.map((name) => ({ name, text: words.find[name] }))}
        chosen={way}
        onChoose={setWay}
      />
      <Box indexes={indexes} {...(only && { only })} />
    </search>
  )
}
