import { CircleAlert, CircleCheck, CircleHelp } from 'lucide-react'
import type { Checked } from '../api/types'
import { useWords } from '../lib/i18n'
import { Badge } from './ui'

/** Whether the code of an answer stood its check. */
export function CheckBadge({ checked }: { checked: Checked }) {
  const { checked: words } = useWords('answer')
  const [tone, Icon, text] = !checked.tool
    ? (['neutral', CircleHelp, words.unchecked] as const)
    : checked.verified
      ? (['good', CircleCheck, words.verified(checked.tool)] as const)
      : (['danger', CircleAlert, words.notVerified(checked.tool)] as const)
  return (
    <Badge tone={tone}>
      <Icon className="size-3.5" aria-hidden /> {text}
    </Badge>
  )
}

/** What the tool said, in full; open where it found something. */
export function CheckNote({ checked }: { checked: Checked }) {
  const { checked: words } = useWords('answer')
  const bad = checked.tool !== '' && !checked.verified
  return (
    <details
      open={bad}
      className={`rounded-xl border px-4 py-2.5 text-sm ${bad ? 'border-danger' : 'border-line'}`}
    >
      <summary className="font-medium">{words.toolSaid}</summary>
      {checked.repaired && <p className="mt-2 text-ink-2">{words.repaired}</p>}
      <pre
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        tabIndex={0}
        className="code mt-2 max-h-60 overflow-auto whitespace-pre-wrap text-ink-2"
      >
        {checked.message}
      </pre>
    </details>
  )
}
