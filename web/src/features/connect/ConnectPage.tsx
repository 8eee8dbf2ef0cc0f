import { useState } from 'react'
import { useModels } from '../../api/queries'
import { Snippet } from '../../components/Snippet'
import { CopyButton, Page } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { Keys } from '../account/Keys'
import { snippets } from './snippets'

export function ConnectPage() {
  const { connect: words } = useWords('connect')
  const models = useModels()
  const [key, setKey] = useState<string | null>(null)
  const [chosen, setChosen] = useState<string | null>(null)
  const [tab, setTab] = useState(0)
  const all = models.data ?? []
  const model = chosen ?? all.find((other) => other.default)?.name ?? 'codegen'
  const infill =
    all.find((other) => other.kind !== 'app' && other.skills.includes('infilling'))?.name ?? model
  const address = `${location.origin}/v1`
  const ready = snippets({ origin: location.origin, key: key ?? 'YOUR_KEY', model, infill })
  const current = ready[tab] ?? ready[0]
  return (
    <Page title={words.title} text={words.text}>
      <section className="card flex flex-wrap items-center gap-x-6 gap-y-2 px-5 py-3">
        <h2 className="text-sm font-semibold">{words.address}</h2>
        <div className="flex min-w-0 items-center gap-1">
          <code className="font-mono text-[0.8125rem] break-all">{address}</code>
          <CopyButton text={address} />
        </div>
      </section>
      <Keys onMade={setKey} />
      <section aria-labelledby="snippets" className="flex flex-col gap-3">
        <div className="flex flex-wrap items-end gap-4">
          <div className="min-w-0 flex-[1_1_16rem]">
            <h2 id="snippets" className="text-lg font-semibold">
              {words.snippets}
            </h2>
            <p className="text-sm text-ink-2">
              {words.snippetsText} {key ? words.keyFilled : words.snippetsKey}
            </p>
          </div>
          <label className="flex items-center gap-2 text-sm">
            {words.model}
            <select
              className="field w-auto!"
              value={model}
              onChange={(event) => setChosen(event.target.value)}
            >
              {all.map((other) => (
                <option key={other.name}>{other.name}</option>
              ))}
            </select>
          </label>
        </div>
        <div role="tablist" className="flex flex-wrap gap-1">
          {ready.map(({ name }, at) => (
            <button
              key={name}
              type="button"
              role="tab"
              aria-selected={at === tab}
              onClick={() => setTab(at)}
              className="min-h-9 rounded-lg px-3 text-sm text-ink-2 hover:bg-hover aria-selected:bg-accent-soft aria-selected:font-medium aria-selected:text-accent"
            >
              {name}
            </button>
          ))}
        </div>
        {current && (
          <>
            <p className="text-sm text-ink-2">
              <code className="font-mono text-[0.8125rem]">{current.where}</code>
            </p>
            <Snippet code={current.code} language={current.language} />
          </>
        )}
      </section>
    </Page>
  )
}
