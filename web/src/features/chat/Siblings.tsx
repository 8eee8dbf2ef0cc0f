import { ChevronLeft, ChevronRight } from 'lucide-react'
import type { Turn } from '../../api/types'
import { IconButton } from '../../components/ui'
import { useWords } from '../../lib/i18n'

interface SiblingsProps {
  turn: Turn
  /** Shows the branch through another turn; absent while an answer is being written. */
  onShow?: ((turn: string) => void) | undefined
}

/** Which of the turns in this place is shown, and the way to the others. */
export function Siblings({ turn, onShow }: SiblingsProps) {
  const words = useWords('chat')
  const { siblings } = turn
  const at = siblings.indexOf(turn.id)
  if (siblings.length < 2) return null
  const step = (label: string, by: -1 | 1, icon: React.ReactNode) => {
    const to = siblings[at + by]
    return (
      <IconButton
        label={label}
        disabled={!to || !onShow}
        onClick={() => to && onShow?.(to)}
        className="size-7!"
      >
        {icon}
      </IconButton>
    )
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: two buttons around a number, which fieldset is not.
    <div
      role="group"
      aria-label={words.chat.versions}
      className="flex items-center text-xs text-ink-2 tabular-nums"
    >
      {step(words.chat.versionBefore, -1, <ChevronLeft aria-hidden />)}
      <span>
        {at + 1}/{siblings.length}
      </span>
      {step(words.chat.versionAfter, 1, <ChevronRight aria-hidden />)}
    </div>
  )
}
