import { Dialog } from '../components/ui'
import { useWords } from '../lib/i18n'

const command = /Mac|iP/.test(navigator.platform) ? '⌘' : 'Ctrl'

export function Shortcuts({ onClose }: { onClose: () => void }) {
  const { shortcuts: words } = useWords('overlays')
  const rows: [string[], string][] = [
    [[command, 'K'], words.palette],
    [[command, 'Shift', 'O'], words.newChat],
    [['/'], words.focus],
    [['Enter'], words.send],
    [['Shift', 'Enter'], words.newLine],
    [['↑'], words.editLast],
    [['Esc'], words.stop],
    [['?'], words.help],
  ]
  return (
    <Dialog title={words.title} onClose={onClose}>
      <dl className="divide-y divide-line">
        {rows.map(([keys, text]) => (
          <div key={text} className="flex items-center gap-4 py-2">
            <dt className="flex-1 text-sm">{text}</dt>
            <dd className="flex gap-1">
              {keys.map((key) => (
                <kbd
                  key={key}
                  className="rounded-md border border-line bg-sunken px-1.5 py-0.5 font-sans text-xs"
                >
                  {key}
                </kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
