import { Keyboard, MessageSquare, Search, SquarePen } from 'lucide-react'
import { type KeyboardEvent, type ReactNode, useDeferredValue, useEffect, useRef, useState } from 'react'
import { useNavigate } from 'react-router'
import { useConversations } from '../api/queries'
import type { User } from '../api/types'
import { useWords } from '../lib/i18n'
import { pagesOf } from './pages'

interface Command {
  id: string
  group: string
  icon: ReactNode
  title: string
  run: () => void
}

interface PaletteProps {
  user: User
  onClose: () => void
  onShortcuts: () => void
}

export function Palette({ user, onClose, onShortcuts }: PaletteProps) {
  const words = useWords('overlays')
  const navigate = useNavigate()
  const ref = useRef<HTMLDialogElement>(null)
  const [query, setQuery] = useState('')
  const [at, setAt] = useState(0)
  const asked = useDeferredValue(query.trim())
  const conversations = useConversations(asked, 20)
  const answered = asked === query.trim() && !conversations.isPlaceholderData
  useEffect(() => {
    if (!ref.current?.open) ref.current?.showModal()
  }, [])

  const go = (path: string) => () => {
    onClose()
    navigate(path)
  }
  const { app, palette } = words
  const fixed: Command[] = [
    { id: 'new', group: palette.commands, icon: <SquarePen />, title: app.newChat, run: go('/') },
    { id: 'keys', group: palette.commands, icon: <Keyboard />, title: app.shortcuts, run: onShortcuts },
    ...pagesOf(user).map(({ name, icon: Icon, routes }) => ({
      id: name,
      group: palette.pages,
      icon: <Icon />,
      title: words.pages[name],
      run: go(routes[0].path),
    })),
  ]
  const mentions = (title: string) => title.toLowerCase().includes(query.trim().toLowerCase())
  const matching = fixed.filter((command) => mentions(command.title))
  // Until the server has answered the new words, the last answer is shown; Enter must not open what does not match.
  const current = (conversations.data ?? []).filter(({ title }) => answered || mentions(title))
  const chats = current.map(({ id, title }) => ({
    id,
    group: app.chats,
    icon: <MessageSquare />,
    title: title || words.list.untitled,
    run: go(`/c/${id}`),
  }))
  const commands = [...matching, ...chats]
  const selected = Math.min(at, commands.length - 1)

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && commands.length) {
      event.preventDefault()
      const next = (selected + step + commands.length) % commands.length
      setAt(next)
      document.getElementById(`command-${next}`)?.scrollIntoView({ block: 'nearest' })
    }
    if (event.key === 'Enter' && !event.nativeEvent.isComposing) {
      event.preventDefault()
      commands[selected]?.run()
    }
  }

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the click is only on the backdrop, and Esc does the same.
    <dialog
      ref={ref}
      aria-label={app.palette}
      onClose={onClose}
      onClick={(event) => event.target === ref.current && ref.current.close()}
      className="mt-[12dvh] max-h-[70dvh] w-[min(36rem,calc(100vw-1.5rem))] overflow-hidden rounded-2xl border border-line bg-surface text-ink shadow-pop"
    >
      <div className="flex max-h-[70dvh] flex-col">
        <div className="flex items-center gap-3 border-b border-line px-4">
          <Search className="size-4 shrink-0 text-ink-3" aria-hidden />
          <input
            className="h-12 min-w-0 flex-1 bg-transparent outline-none"
            placeholder={palette.placeholder}
            aria-label={palette.placeholder}
            role="combobox"
            aria-expanded
            aria-controls="commands"
            aria-activedescendant={commands.length ? `command-${selected}` : undefined}
            value={query}
            onChange={(event) => {
              setQuery(event.target.value)
              setAt(0)
            }}
            onKeyDown={onKeyDown}
          />
        </div>
        <div id="commands" role="listbox" aria-label={app.palette} className="min-h-0 overflow-y-auto p-2">
          {commands.map((command, place) => (
            <div key={command.id}>
              {commands[place - 1]?.group !== command.group && (
                <p className="px-2.5 pt-2 pb-1 text-xs font-medium text-ink-3">{command.group}</p>
              )}
              <button
                type="button"
                role="option"
                id={`command-${place}`}
                tabIndex={-1}
                aria-selected={place === selected}
                onMouseMove={() => setAt(place)}
                onClick={command.run}
                className="flex w-full items-center gap-3 rounded-lg px-2.5 py-2 text-start text-sm aria-selected:bg-hover [&_svg]:size-4 [&_svg]:text-ink-3"
              >
                {command.icon}
                <span className="truncate">{command.title}</span>
              </button>
            </div>
          ))}
          {commands.length === 0 && <p className="p-4 text-center text-sm text-ink-3">{palette.none}</p>}
        </div>
      </div>
    </dialog>
  )
}
