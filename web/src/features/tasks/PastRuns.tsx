import { CircleAlert, CircleCheck, History, Trash2 } from 'lucide-react'
import type { CodeTask } from '../../api/types'
import { MenuItem, Popover } from '../../components/Menu'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'
import { forgetRuns, type Past } from './past'

interface PastRunsProps {
  runs: Past[]
  tasks: CodeTask[]
  onOpen: (run: Past) => void
}

/** What was run before in this browser. */
export function PastRuns({ runs, tasks, onOpen }: PastRunsProps) {
  const { tasks: words } = useWords('tasks')
  const language = useLanguage()
  return (
    <Popover
      label={words.history}
      role="menu"
      className="flex min-h-9 items-center gap-2 rounded-lg px-3 text-sm text-ink-2 hover:bg-hover hover:text-ink"
      panelClass="bottom-full end-0 mb-1 w-80 max-w-[85vw]"
      trigger={
        <>
          <History className="size-4" aria-hidden />
          {words.history}
        </>
      }
    >
      {(close) => (
        <>
          {runs.map((run) => (
            <MenuItem
              key={run.id}
              icon={
                run.checked?.tool ? (
                  run.checked.verified ? (
                    <CircleCheck className="text-good" aria-hidden />
                  ) : (
                    <CircleAlert className="text-danger" aria-hidden />
                  )
                ) : (
                  <History aria-hidden />
                )
              }
              onSelect={() => {
                close()
                onOpen(run)
              }}
            >
              <span className="min-w-0 flex-1">
                <span className="block truncate">
                  {words.titles[run.task] ?? tasks.find(({ name }) => name === run.task)?.title ?? run.task}
                  {' · '}
                  <span className="font-mono text-xs">
                    {run.inputs.path || (run.inputs.code ?? '').trim().split('\n')[0]}
                  </span>
                </span>
                <span className="block text-xs text-ink-3">
                  {ago(new Date(run.at), new Date(), language)}
                </span>
              </span>
            </MenuItem>
          ))}
          <MenuItem
            danger
            icon={<Trash2 aria-hidden />}
            onSelect={() => {
              close()
              forgetRuns()
            }}
          >
            {words.forget}
          </MenuItem>
        </>
      )}
    </Popover>
  )
}
