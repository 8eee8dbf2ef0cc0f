import {
  ArrowLeft,
  BookmarkPlus,
  CircleHelp,
  ClipboardCheck,
  EllipsisVertical,
  FlaskConical,
  Languages,
} from 'lucide-react'
import { createContext, use, useLayoutEffect, useRef, useState } from 'react'
import { api } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import { MenuItem, Popover } from '../../components/Menu'
import { fenced, languageLabel } from '../../lib/code'
import { useWords } from '../../lib/i18n'

/** A follow-up about a block of code. `app` answers it where it is installed, otherwise the chosen model does. */
export interface Task {
  app: string
  content: string
}

interface CodeMenuProps {
  code: string
  language: string
}

/** Sends a follow-up; null while an answer is being written. Only a menu that is open asks. */
export const OnTask = createContext<((task: Task) => void) | null>(null)

const tasks = [
  { app: 'explain', icon: CircleHelp },
  { app: 'tests', icon: FlaskConical },
  { app: 'review', icon: ClipboardCheck },
] as const

const targets = [
  'python',
  'typescript',
  'javascript',
  'java',
  'csharp',
  'go',
  'rust',
  'cpp',
  'kotlin',
  'ruby',
  'php',
]

/** What can be done with a block of code beside copying it. */
export function CodeMenu({ code, language }: CodeMenuProps) {
  const { block, common } = useWords('chat')
  const [said, setSaid] = useState('')
  const save = () =>
    api.saveSnippet({ code, language, title: code.trim().split('\n')[0]?.slice(0, 80) ?? '' }).then(
      () => {
        setSaid(block.saved)
        return queryClient.invalidateQueries({ queryKey: keys.allSnippets })
      },
      () => setSaid(common.failed),
    )
  return (
    <>
      <Popover
        label={block.menu}
        role="menu"
        className="inline-grid size-8 place-items-center rounded-lg text-ink-2 hover:bg-hover hover:text-ink aria-expanded:bg-hover"
        panelClass="top-full end-0 mt-1 w-56 font-sans"
        trigger={<EllipsisVertical className="size-4" aria-hidden />}
      >
        {(close) => <Items code={code} language={language} onSave={save} onDone={close} />}
      </Popover>
      <span role="status" className={said ? 'pe-2 text-xs text-ink-2' : 'sr-only'}>
        {said}
      </span>
    </>
  )
}

interface ItemsProps extends CodeMenuProps {
  onSave: () => void
  onDone: () => void
}

function Items({ code, language, onSave, onDone }: ItemsProps) {
  const { block } = useWords('chat')
  const onTask = use(OnTask)
  const [translating, setTranslating] = useState(false)
  const first = useRef<HTMLButtonElement>(null)
  // What was chosen is gone when the level changes, and the focus with it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above.
  useLayoutEffect(() => first.current?.focus(), [translating])
  const done = (act: () => void) => () => {
    act()
    onDone()
  }
  const ask = (app: string, request: string) =>
    onTask?.({ app, content: `${request}\n\n${fenced(code, language)}` })
  if (translating)
    return (
      <>
        <MenuItem icon={<ArrowLeft aria-hidden />} onSelect={() => setTranslating(false)}>
          {block.back}
        </MenuItem>
        {targets
          .filter((target) => target !== language)
          .map((target, at) => (
            <MenuItem
              key={target}
              ref={at === 0 ? first : null}
              onSelect={done(() => ask('translate', block.translateText(languageLabel(target))))}
            >
              {languageLabel(target)}
            </MenuItem>
          ))}
      </>
    )
  return (
    <>
      {onTask &&
        tasks.map(({ app, icon: Icon }) => (
          <MenuItem key={app} icon={<Icon aria-hidden />} onSelect={done(() => ask(app, block.texts[app]))}>
            {block[app]}
          </MenuItem>
        ))}
      {onTask && (
        <MenuItem ref={first} icon={<Languages aria-hidden />} onSelect={() => setTranslating(true)}>
          {block.translate}
        </MenuItem>
      )}
      <MenuItem icon={<BookmarkPlus aria-hidden />} onSelect={done(onSave)}>
        {block.save}
      </MenuItem>
    </>
  )
}
