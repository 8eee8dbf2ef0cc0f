import { ListChecks } from 'lucide-react'
import { useEffect, useState } from 'react'
import type { Step } from '../../api/types'
import { useWords } from '../../lib/i18n'

/** What an agent did before it answered: open while it works, then one line that can be opened again. */
export function Steps({ steps, working }: { steps: Step[]; working: boolean }) {
  const { steps: words } = useWords('chat')
  const [open, setOpen] = useState(working)
  useEffect(() => setOpen(working), [working])
  return (
    <details
      open={open}
      onToggle={(event) => setOpen(event.currentTarget.open)}
      className="mb-3 rounded-xl border border-line px-4 py-2 text-sm"
    >
      <summary className="flex cursor-pointer items-center gap-2 py-1 font-medium text-ink-2">
        <ListChecks className="size-4 shrink-0 text-ink-3" aria-hidden />
        {words.title(steps.length)}
      </summary>
      <ol className="mt-1 flex flex-col gap-2 pb-2" aria-label={words.title(steps.length)}>
        {steps.map((step) => (
          <li key={step.number} className="min-w-0">
            {step.thought && <p className="text-ink-2">{step.thought}</p>}
            <p className="flex flex-wrap items-baseline gap-x-2">
              <span className="font-medium">{words.tools[step.tool] ?? step.tool}</span>
              <code className="min-w-0 font-mono text-xs break-all text-ink-2">{given(step)}</code>
              {step.error === '' && (
                <span className="text-xs text-ink-3 tabular-nums">{words.results(step.results)}</span>
              )}
              <span className="text-xs text-ink-3 tabular-nums">
                {words.seconds(step.seconds.toFixed(1))}
              </span>
            </p>
            {step.error && <p className="text-xs break-words text-warn">{step.error}</p>}
          </li>
        ))}
      </ol>
    </details>
  )
}

/** A step's arguments in one line, without their names where there is but one. */
function given({ arguments: named }: Step): string {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  const all = Object.entries(named)
  return all.map(([name, value]) => (all.length > 1 ? `${name}: ${text(value)}` : text(value))).join(', ')
}
