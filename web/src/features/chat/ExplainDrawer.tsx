import { useState } from 'react'
import { asProblem } from '../../api/client'
import { useExplanation } from '../../api/queries'
import type { Candidate, Explained } from '../../api/types'
import { Badge, CopyButton, Dialog, ProblemNote, Skeleton, Tabs } from '../../components/ui'
import { WhyBars } from '../../components/WhyBars'
import { useWords } from '../../lib/i18n'

const tabs = ['candidates', 'prompt'] as const

/** How an answer came about: what was looked up, what was found and why, what of it was shown, and the prompt. */
export function ExplainDrawer({ turn, onClose }: { turn: string; onClose: () => void }) {
  const words = useWords('chat')
  const explanation = useExplanation(turn)
  return (
    <Dialog title={words.chat.explain} width={44} side onClose={onClose}>
      {explanation.data ? (
        <Explanation explained={explanation.data} />
      ) : explanation.error ? (
        <ProblemNote problem={asProblem(explanation.error)} onRetry={() => explanation.refetch()} />
      ) : (
        <Skeleton widths={[40, 90, 75, 82, 60]} />
      )}
    </Dialog>
  )
}

function Explanation({ explained }: { explained: Explained }) {
  const words = useWords('chat')
  const [tab, setTab] = useState<(typeof tabs)[number]>('candidates')
  const { question, query } = explained
  return (
    <>
      <dl className="mb-4 flex flex-col gap-2 text-sm">
        <Asked name={words.explained.question} text={question} />
        <Asked
          name={words.explained.query}
          text={query}
          {...(query === '' && { instead: words.explained.noQuery })}
          {...(query === question && { instead: words.explained.sameQuery })}
        />
      </dl>
      <Tabs
        label={words.chat.explain}
        tabs={tabs.map((name) => ({ name, text: words.explained.tabs[name] }))}
        chosen={tab}
        onChoose={setTab}
      />
      <div className="mt-4">
        {tab === 'candidates' ? (
          <Candidates candidates={explained.candidates} />
        ) : (
          <Prompt prompt={explained.prompt} />
        )}
      </div>
    </>
  )
}

function Asked({ name, text, instead }: { name: string; text: string; instead?: string }) {
  return (
    <div>
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd
        className={
          instead ? 'text-ink-2' : 'max-h-40 overflow-auto font-medium break-words whitespace-pre-wrap'
        }
      >
        {instead ?? text}
      </dd>
    </div>
  )
}

function Candidates({ candidates }: { candidates: Candidate[] }) {
  const { explained: words } = useWords('chat')
  const shown = candidates
    .filter((one) => one.number !== null)
    .toSorted((a, b) => (a.number ?? 0) - (b.number ?? 0))
  const left = candidates.filter((one) => one.number === null)
  if (candidates.length === 0) return <p className="text-sm text-ink-2">{words.none}</p>
  return (
    <div className="flex flex-col gap-5">
      <Found title={words.shown(shown.length)} candidates={shown} none={words.noneShown} />
      <Found title={words.left(left.length)} candidates={left} none={words.noneLeft} />
    </div>
  )
}

function Found({ title, candidates, none }: { title: string; candidates: Candidate[]; none: string }) {
  const { explained: words } = useWords('chat')
  return (
    <section aria-label={title}>
      <h3 className="mb-2 text-sm font-semibold">{title}</h3>
      {candidates.length === 0 && <p className="text-sm text-ink-2">{none}</p>}
      {candidates.length > 0 && (
        <ol className="card divide-y divide-line overflow-hidden">
          {candidates.map((one) => (
            <li
              key={`${one.repository}:${one.path}:${one.start_line}:${one.end_line}`}
              className="grid gap-x-6 gap-y-2 px-4 py-3 sm:grid-cols-[1fr_14rem]"
            >
              <div className="min-w-0">
                <p className="flex flex-wrap items-center gap-2 text-sm">
                  {one.number !== null && (
                    <span className="grid h-5 min-w-5 place-items-center rounded-md bg-accent-soft px-1 text-xs font-semibold text-accent tabular-nums">
                      {one.number}
                    </span>
                  )}
                  <span className="font-medium break-all">{one.name || one.path.split('/').at(-1)}</span>
                  {one.kind && <Badge>{one.kind}</Badge>}
                  <span className="text-xs text-ink-3 tabular-nums">{one.score.toFixed(3)}</span>
                </p>
                <p className="mt-0.5 font-mono text-xs break-all text-ink-2">
                  {one.path}:{one.start_line}-{one.end_line}
                </p>
              </div>
              {Object.keys(one.why).length > 0 ? (
                <WhyBars why={one.why} />
              ) : (
                <p className="text-xs text-ink-3">{words.noWhy}</p>
              )}
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}

function Prompt({ prompt }: { prompt: Explained['prompt'] }) {
  const { explained: words } = useWords('chat')
  if (prompt.every(({ content }) => content === ''))
    return <p className="text-sm text-ink-2">{words.noPrompt}</p>
  const named = (role: string) => words.roles[role] ?? role
  return (
    <div className="flex flex-col gap-4">
      <div className="flex items-center gap-2 text-sm text-ink-2">
        <p className="flex-1">{words.prompt}</p>
        <CopyButton
          text={prompt.map(({ role, content }) => `${role}:\n${content}`).join('\n\n')}
          label={words.copyPrompt}
        />
      </div>
      {prompt.map(({ role, content }, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: messages have no identity beyond their place.
        <section key={at} aria-label={named(role)} className="card overflow-hidden">
          <header className="flex items-center border-b border-line ps-4 pe-1">
            <h3 className="flex-1 text-xs font-semibold text-ink-2">{named(role)}</h3>
            <CopyButton text={content} label={words.copyPart(named(role))} />
          </header>
          <pre
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard.
            tabIndex={0}
            className="max-h-96 overflow-auto px-4 py-3 font-mono text-xs leading-5 break-words whitespace-pre-wrap focus-visible:outline-offset-[-2px]"
          >
            {content}
          </pre>
        </section>
      ))}
    </div>
  )
}
