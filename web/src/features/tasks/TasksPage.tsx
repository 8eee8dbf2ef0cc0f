import {
  BookText,
  ClipboardCheck,
  FlaskConical,
  Languages,
  type LucideIcon,
  MessageCircleQuestion,
  Shapes,
  TextQuote,
  Wrench,
} from 'lucide-react'
import { useNavigate, useParams } from 'react-router'
import { asProblem } from '../../api/client'
import { useTasks } from '../../api/shelf'
import type { CodeTask } from '../../api/types'
import { Page, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { Workbench } from './Workbench'

const icons: Record<string, LucideIcon> = {
  explain: MessageCircleQuestion,
  fix: Wrench,
  refactor: Shapes,
  tests: FlaskConical,
  document: BookText,
  summarise: TextQuote,
  translate: Languages,
  review: ClipboardCheck,
}

/** What the interface calls a task; a task of the team's own brings its title. */
export function useTaskTitle(): (task: CodeTask) => string {
  const { tasks: words } = useWords('tasks')
  return (task) => words.titles[task.name] ?? task.title
}

export function TasksPage() {
  const { tasks: words } = useWords('tasks')
  const { name } = useParams()
  const navigate = useNavigate()
  const title = useTaskTitle()
  const tasks = useTasks()
  const all = tasks.data?.tasks ?? []
  const chosen = all.find((task) => task.name === name) ?? all[0]
  return (
    <Page wide title={words.title} text={words.text}>
      {tasks.isPending && <Skeleton widths={[100, 60, 90, 75]} />}
      {tasks.isError && <ProblemNote problem={asProblem(tasks.error)} onRetry={() => tasks.refetch()} />}
      {tasks.isSuccess && !chosen && <ProblemNote problem={{ message: words.none, fix: words.noneFix }} />}
      {tasks.data && chosen && (
        <>
          <nav aria-label={words.which}>
            <ul className="grid grid-cols-2 gap-2 sm:flex sm:flex-wrap">
              {all.map((task) => {
                const Icon = icons[task.name] ?? Shapes
                return (
                  <li key={task.name}>
                    <button
                      type="button"
                      aria-current={task === chosen ? 'page' : undefined}
                      onClick={() => navigate(`/tasks/${task.name}`)}
                      className="flex min-h-11 w-full items-center gap-2.5 rounded-xl border border-line bg-surface px-3 py-2 text-start text-sm font-medium hover:bg-hover aria-[current]:border-accent aria-[current]:bg-accent-soft aria-[current]:text-accent"
                    >
                      <Icon className="size-4 shrink-0" aria-hidden />
                      <span className="truncate">{title(task)}</span>
                    </button>
                  </li>
                )
              })}
            </ul>
          </nav>
          {/* The code stays when another task is chosen for it. */}
          <Workbench task={chosen} sandbox={tasks.data.sandbox} tasks={all} />
        </>
      )}
    </Page>
  )
}
