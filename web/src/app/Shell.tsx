import { Menu, WifiOff } from 'lucide-react'
import { lazy, type ReactNode, Suspense, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { useLocation, useNavigate } from 'react-router'
import type { User } from '../api/types'
import { Logo } from '../components/Logo'
import { IconButton } from '../components/ui'
import { useWords } from '../lib/i18n'
import { isTyping } from '../lib/typing'
import { Sidebar } from './Sidebar'

const Palette = lazy(() => import('./Palette').then((m) => ({ default: m.Palette })))
const Shortcuts = lazy(() => import('./Shortcuts').then((m) => ({ default: m.Shortcuts })))

interface ShellProps {
  user: User
  version: string
  offline: boolean
  children: ReactNode
}

type Overlay = 'palette' | 'shortcuts' | null

const wideScreen = matchMedia('(min-width: 48rem)')
const onWidth = (changed: () => void) => {
  wideScreen.addEventListener('change', changed)
  return () => wideScreen.removeEventListener('change', changed)
}
/** Whether there is room for the sidebar beside the page. */
const useWide = () => useSyncExternalStore(onWidth, () => wideScreen.matches)

/** Sidebar (a drawer on a phone), page, and what opens over both. */
export function Shell({ user, version, offline, children }: ShellProps) {
  const words = useWords()
  const navigate = useNavigate()
  const location = useLocation()
  const wide = useWide()
  const drawer = useRef<HTMLDialogElement>(null)
  const [overlay, setOverlay] = useState<Overlay>(null)

  // biome-ignore lint/correctness/useExhaustiveDependencies: going anywhere closes the drawer.
  useEffect(() => drawer.current?.close(), [location.pathname])

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const command = event.ctrlKey || event.metaKey
      if (command && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        setOverlay((open) => (open === 'palette' ? null : 'palette'))
      } else if (command && event.shiftKey && event.key.toLowerCase() === 'o') {
        event.preventDefault()
        navigate('/')
      } else if (
        !command &&
        !event.altKey &&
        !isTyping(event.target) &&
        !document.querySelector('dialog[open]')
      ) {
        if (event.key === '?') setOverlay('shortcuts')
        if (event.key === '/') {
          const composer = document.getElementById('composer')
          if (composer) event.preventDefault()
          composer?.focus()
        }
      }
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [navigate])

  const sidebar = (
    <Sidebar
      user={user}
      version={version}
      onPalette={() => setOverlay('palette')}
      onShortcuts={() => setOverlay('shortcuts')}
    />
  )

  return (
    <div className="flex h-full flex-col">
      <a
        href="#page"
        className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:m-2 focus:rounded-lg focus:bg-surface focus:px-3 focus:py-2"
      >
        {words.app.skip}
      </a>
      {offline && (
        <div role="alert" className="flex items-center gap-3 bg-warn-soft px-4 py-2 text-sm">
          <WifiOff className="size-4 shrink-0 text-warn" aria-hidden />
          <p>
            <strong className="font-semibold text-warn">{words.app.offline}</strong>{' '}
            <span className="text-ink-2">{words.app.offlineFix}</span>
          </p>
        </div>
      )}
      <div className="flex min-h-0 flex-1">
        {wide ? (
          <aside aria-label={words.app.menu} className="w-60 shrink-0 border-e border-line bg-sunken lg:w-72">
            {sidebar}
          </aside>
        ) : (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the click is only on the backdrop, and Esc does the same.
          <dialog
            ref={drawer}
            aria-label={words.app.menu}
            onClick={(event) => event.target === drawer.current && drawer.current.close()}
            className="m-0 h-dvh open:animate-[open_0.18s_ease-out] max-h-none w-72 max-w-[85vw] border-e border-line bg-sunken text-ink"
          >
            {sidebar}
          </dialog>
        )}
        <div className="flex min-w-0 flex-1 flex-col">
          <header className="flex h-12 shrink-0 items-center gap-2 border-b border-line px-2 md:hidden">
            <IconButton
              label={words.app.menu}
              className="size-10"
              onClick={() => drawer.current?.showModal()}
            >
              <Menu aria-hidden />
            </IconButton>
            <Logo className="size-6" />
            <span className="font-semibold tracking-tight">Codeweft</span>
          </header>
          <main id="page" tabIndex={-1} className="min-h-0 flex-1 outline-none">
            {children}
          </main>
        </div>
      </div>
      <Suspense>
        {overlay === 'palette' && (
          <Palette user={user} onClose={() => setOverlay(null)} onShortcuts={() => setOverlay('shortcuts')} />
        )}
        {overlay === 'shortcuts' && <Shortcuts onClose={() => setOverlay(null)} />}
      </Suspense>
    </div>
  )
}
