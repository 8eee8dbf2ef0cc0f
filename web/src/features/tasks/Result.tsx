import { useMutation } from '@tanstack/react-query'
import { Download, MessageSquare, Sparkles } from 'lucide-react'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { api, asProblem } from '../../api/client'
import type { CodeTask } from '../../api/types'
import { CheckBadge, CheckNote } from '../../components/Checked'
import { Markdown } from '../../components/Markdown'
import { ReferenceDialog } from '../../components/ReferenceDialog'
import { Button, CopyButton, Dialog, IconButton, ProblemNote } from '../../components/ui'
import { download } from '../../lib/download'
import { useWords } from '../../lib/i18n'
import { ReferenceChips } from '../chat/ReferenceChips'
import type { Run } from './useRun'

interface ResultProps {
  task: CodeTask
  run: Run
  inputs: Record<string, string>
}

/** What a task wrote, while it writes and after. */
export function Result({ task, run, inputs }: ResultProps) {
  const words = useWords('tasks')
  const { tasks } = words
  const [open, setOpen] = useState<number | null>(null)
  const [continuing, setContinuing] = useState(false)
  const running = run.state === 'running'
  const shown = run.references.find(({ number }) => number === open)
  return (
    <section aria-label={tasks.result} aria-busy={running} className="card flex min-w-0 flex-col">
      <div className="flex min-h-11 items-center gap-2 border-b border-line py-1 ps-4 pe-2">
        <h2 className="text-sm font-semibold">{tasks.result}</h2>
        <div className="min-w-0 flex-1">{run.checked && <CheckBadge checked={run.checked} />}</div>
        {run.text && !running && (
          <>
            <CopyButton text={run.text} label={tasks.copy} />
            <IconButton label={tasks.download} onClick={() => download(`${task.name}.md`, run.text)}>
              <Download aria-hidden />
            </IconButton>
            <IconButton label={tasks.continue} onClick={() => setContinuing(true)}>
              <MessageSquare aria-hidden />
            </IconButton>
          </>
        )}
      </div>
      <div className="flex min-h-64 flex-col gap-4 p-4">
        <span className="sr-only" role="status">
          {running ? tasks.running : run.state === 'done' ? tasks.done : ''}
        </span>
        {run.state === 'idle' && <Teach task={task} />}
        {running && !run.text && (
          <p className="text-sm text-ink-2">{tasks.nodes[run.node ?? ''] ?? tasks.running}</p>
        )}
        {run.text && (
          <Markdown text={run.text} writing={running} references={run.references} onCite={setOpen} />
        )}
        {running && run.text && run.node && run.node !== 'model' && (
          <p className="text-sm text-ink-2">{tasks.nodes[run.node] ?? tasks.running}</p>
        )}
        {run.checked?.message && <CheckNote checked={run.checked} />}
        {run.problem && <ProblemNote problem={run.problem} />}
        {run.state === 'stopped' && <p className="text-sm text-ink-3">{tasks.stopped}</p>}
        {run.references.length > 0 && (!running || run.text === '') && (
          <ReferenceChips text={run.text} references={run.references} onOpen={setOpen} />
        )}
        {run.state === 'done' && (
          <p className="text-xs text-ink-3">
            {tasks.writtenBy(run.model)} {run.note}
          </p>
        )}
      </div>
      {shown && <ReferenceDialog reference={shown} onClose={() => setOpen(null)} />}
      {continuing && (
        <ContinueDialog task={task} code={inputs.code ?? ''} run={run} onClose={() => setContinuing(false)} />
      )}
    </section>
  )
}

function Teach({ task }: { task: CodeTask }) {
  const { tasks: words } = useWords('tasks')
  return (
    <div className="m-auto flex max-w-sm flex-col items-center gap-2 py-8 text-center text-sm text-ink-2">
      <Sparkles className="size-7 text-accent" aria-hidden />
      <p className="text-base font-semibold text-ink">{words.empty}</p>
      <p>{words.emptyText}</p>
      {task.checks && <p>{words.emptyChecks}</p>}
      {task.looks_up && <p>{words.emptyLooksUp}</p>}
    </div>
  )
}

interface ContinueProps {
  task: CodeTask
  code: string
  run: Run
  onClose: () => void
}

const fenceOf = (text: string): string => {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length))
  return '`'.repeat(longest + 1)
}

/** Takes code and result along into a conversation, with the next question. */
function ContinueDialog({ task, code, run, onClose }: ContinueProps) {
  const words = useWords('tasks')
  const navigate = useNavigate()
  const [question, setQuestion] = useState('')
  const go = useMutation({
    mutationFn: async () => {
      const fence = fenceOf(code)
      const content = `${question}\n\n${words.tasks.theCode}\n\n${fence}\n${code}\n${fence}\n\n${words.tasks.theResult(task.name)}\n\n${run.text}`
      const conversation = await api.createConversation({ title: question.slice(0, 60) })
      await api.ask(conversation.id, { content })
      return conversation.id
    },
    onSuccess: (id) => navigate(`/c/${id}`),
  })
  return (
    <Dialog
      title={words.tasks.continue}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{words.common.cancel}</Button>
          <Button look="primary" busy={go.isPending} disabled={!question.trim()} onClick={() => go.mutate()}>
            {words.tasks.ask}
          </Button>
        </>
      }
    >
      <label className="flex flex-col gap-2 text-sm">
        <span className="text-ink-2">{words.tasks.continueText}</span>
        <textarea
          className="field"
          rows={3}
          value={question}
          aria-label={words.tasks.question}
          onChange={(event) => setQuestion(event.target.value)}
        />
      </label>
      {go.error && <ProblemNote className="mt-3" problem={asProblem(go.error)} />}
    </Dialog>
  )
}
