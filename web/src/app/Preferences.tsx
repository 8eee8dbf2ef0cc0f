import { Keyboard, Monitor, Moon, Settings2, Sun } from 'lucide-react'
import { Popover } from '../components/Menu'
import { languageNames, useLanguage, useWords } from '../lib/i18n'
import { changeSettings, useSettings } from '../lib/settings'

const themes = [
  { name: 'system', icon: Monitor },
  { name: 'light', icon: Sun },
  { name: 'dark', icon: Moon },
] as const

const choice =
  'flex min-h-9 flex-1 items-center justify-center gap-1.5 rounded-lg border border-line px-2 text-sm hover:bg-hover aria-checked:border-accent aria-checked:bg-accent-soft aria-checked:text-accent [&_svg]:size-4'

/** Theme, language and the list of shortcuts, remembered by this browser. */
export function Preferences({ onShortcuts }: { onShortcuts: () => void }) {
  const words = useWords()
  const language = useLanguage()
  const { theme } = useSettings()
  return (
    <Popover
      label={words.app.theme.label}
      className="grid size-8 place-items-center rounded-lg text-ink-2 hover:bg-hover hover:text-ink"
      panelClass="bottom-full -end-9 mb-2 w-64 p-3!"
      trigger={<Settings2 className="size-4" aria-hidden />}
    >
      {(close) => (
        <div className="flex flex-col gap-3">
          <div role="radiogroup" aria-label={words.app.theme.label} className="flex gap-1">
            {themes.map(({ name, icon: Icon }) => (
              // biome-ignore lint/a11y/useSemanticElements: a drawn choice, operated as buttons.
              <button
                key={name}
                type="button"
                role="radio"
                aria-checked={theme === name}
                onClick={() => changeSettings({ theme: name })}
                className={`${choice} flex-col py-2 text-xs!`}
              >
                <Icon aria-hidden />
                {words.app.theme[name]}
              </button>
            ))}
          </div>
          <div role="radiogroup" aria-label={words.app.language} className="flex gap-1">
            {languageNames.map(({ code, label }) => (
              // biome-ignore lint/a11y/useSemanticElements: a drawn choice, operated as buttons.
              <button
                key={code}
                type="button"
                role="radio"
                lang={code}
                aria-checked={language === code}
                onClick={() => changeSettings({ language: code })}
                className={choice}
              >
                {label}
              </button>
            ))}
          </div>
          <button
            type="button"
            className="flex items-center gap-2 rounded-lg px-2 py-2 text-sm hover:bg-hover"
            onClick={() => {
              close()
              onShortcuts()
            }}
          >
            <Keyboard className="size-4" aria-hidden />
            {words.app.shortcuts}
            <kbd className="ms-auto text-ink-3">?</kbd>
          </button>
        </div>
      )}
    </Popover>
  )
}
