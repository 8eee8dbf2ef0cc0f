import { Highlighted } from './Code'
import { CopyButton } from './ui'

/** A few lines to paste somewhere else. */
export function Snippet({ code, language }: { code: string; language: string }) {
  return (
    <div className="relative rounded-xl border border-line bg-code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard. */}
      <pre tabIndex={0} className="code overflow-x-auto py-3 ps-4 pe-12">
        <Highlighted code={code} language={language} />
      </pre>
      <div className="absolute end-1.5 top-1.5 rounded-lg bg-code">
        <CopyButton text={code} />
      </div>
    </div>
  )
}
