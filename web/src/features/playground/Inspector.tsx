import { FileCode2, ScanText } from 'lucide-react'
import { useState } from 'react'
import type { Reference } from '../../api/types'
import { ReferenceDialog } from '../../components/ReferenceDialog'
import { CopyButton, ProblemNote, Tabs } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import type { Completion } from './useInfill'

/** What the model read, what was looked up for it, and how fast it wrote. */
export function Inspector({ completion, retrieves }: { completion: Completion; retrieves: boolean }) {
  const { playground: words } = useWords('playground')
  const language = useLanguage()
  const [tab, setTab] = useState<'prompt' | 'references'>('prompt')
  const { firstToken, rate, tokens, promptTokens, references, problem, note } = completion
  const count = (value: number | null) => (value === null ? '–' : number(value, language))
  const facts = [
    {
      name: words.firstToken,
      value: firstToken === null ? '–' : words.ms(number(Math.round(firstToken * 1000), language)),
    },
    { name: words.rate, value: rate === null ? '–' : number(Math.round(rate * 10) / 10, language) },
    { name: words.read, value: count(promptTokens) },
    { name: words.written, value: count(tokens) },
  ]
  return (
    <section
      aria-label={words.inspector}
      className="card flex min-h-[20rem] min-w-0 flex-col overflow-hidden"
    >
      <dl className="grid grid-cols-2 gap-px border-b border-line sm:grid-cols-4 lg:grid-cols-2 2xl:grid-cols-4">
        {facts.map(({ name, value }) => (
          <div key={name} className="px-4 py-2.5">
            <dt className="text-xs text-ink-3">{name}</dt>
            <dd className="text-lg font-semibold whitespace-nowrap tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      <div className="px-2">
        <Tabs
          label={words.inspector}
          tabs={[
            { name: 'prompt' as const, text: words.prompt },
            {
              name: 'references' as const,
              text: `${words.references}${references?.length ? ` ${references.length}` : ''}`,
            },
          ]}
          chosen={tab}
          onChoose={setTab}
        />
      </div>
      <div className="min-h-0 flex-1 overflow-auto p-4">
        {problem && <ProblemNote problem={problem} className="mb-4" />}
        {note && <p className="mb-3 text-sm text-warn">{note}</p>}
        {tab === 'prompt' ? (
          <Prompt completion={completion} />
        ) : (
          <References references={references} retrieves={retrieves} />
        )}
      </div>
    </section>
  )
}

function Prompt({ completion: { prompt, state } }: { completion: Completion }) {
  const { playground: words } = useWords('playground')
  if (!prompt)
    return (
      <div className="grid place-items-center gap-2 px-4 py-10 text-center text-sm text-ink-2">
        <ScanText className="size-7 text-accent" aria-hidden />
        <p className="max-w-sm">{state === 'done' ? words.promptUnknown : words.promptEmpty}</p>
      </div>
    )
  const whole = prompt.map((piece) => piece.text).join('')
  return (
    <>
      <div className="mb-2 flex items-center gap-2">
        <p className="flex-1 text-xs text-ink-3">{words.promptText}</p>
        <CopyButton text={whole} label={words.copyPrompt} />
      </div>
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        tabIndex={0}
        data-prompt
        className="code rounded-xl border border-line bg-code p-3 break-words whitespace-pre-wrap"
      >
        {prompt.map(({ text, special }, at) =>
          special ? (
            // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no identity beyond their place.
            <mark key={at} className="rounded bg-accent-soft px-1 font-semibold text-accent">
              {text}
            </mark>
          ) : (
            // biome-ignore lint/suspicious/noArrayIndexKey: see above.
            <span key={at}>{text}</span>
          ),
        )}
      </pre>
    </>
  )
}

function References({ references, retrieves }: { references: Reference[] | null; retrieves: boolean }) {
  const { playground: words } = useWords('playground')
  const [open, setOpen] = useState<Reference | null>(null)
  if (!references?.length)
    return (
      <p className="px-4 py-10 text-center text-sm text-ink-2">
        {retrieves ? words.noReferences : words.noRetrieval}
      </p>
    )
  return (
    <>
      <ul className="flex flex-col gap-2">
        {references.map((one) => (
          <li key={one.number}>
            <button
              type="button"
              onClick={() => setOpen(one)}
              className="flex w-full items-start gap-3 rounded-lg border border-line px-3 py-2 text-start text-sm hover:border-accent hover:bg-accent-soft"
            >
              <FileCode2 className="mt-0.5 size-4 shrink-0 text-ink-3" aria-hidden />
              <span className="min-w-0">
                <span className="block truncate font-medium">{one.name || one.path.split('/').at(-1)}</span>
                <span className="block truncate font-mono text-xs text-ink-3">
                  {one.path}:{one.start_line}
                </span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      {open && <ReferenceDialog reference={open} onClose={() => setOpen(null)} />}
    </>
  )
}
