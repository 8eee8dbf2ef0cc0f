import { useQuery } from '@tanstack/react-query'
import { ArrowLeft, ArrowRight, Check } from 'lucide-react'
import { type ComponentType, type ReactNode, useState } from 'react'
import { useNavigate } from 'react-router'
import { type Setup, setup } from '../../api/admin'
import { asProblem } from '../../api/client'
import { Button, Page, ProblemNote, Skeleton } from '../../components/ui'
import { useWords } from '../../lib/i18n'
import { AccountStep } from './AccountStep'
import { AnswerStep } from './AnswerStep'
import { CodeStep } from './CodeStep'
import { EditorStep } from './EditorStep'
import { ModelStep } from './ModelStep'

/** The first steps in order. `password` and so on are what the server calls them. */
const steps: { name: keyof Setup['steps']; View: ComponentType<{ setup: Setup }> }[] = [
  { name: 'password', View: AccountStep },
  { name: 'model', View: ModelStep },
  { name: 'index', View: CodeStep },
  { name: 'answer', View: AnswerStep },
  { name: 'key', View: EditorStep },
]

/** What to do with a new installation, one step at a time. Any of them can be skipped. */
export function WelcomePage() {
  const { welcome: words } = useWords('welcome')
  const navigate = useNavigate()
  const state = useQuery({ queryKey: ['setup'], queryFn: setup.state })
  const [chosen, setChosen] = useState<number | null>(null)
  if (!state.data)
    return (
      <Page title={words.title} text={words.text}>
        {state.isPending && <Skeleton widths={[50, 90, 75, 82]} />}
        {state.isError && <ProblemNote problem={asProblem(state.error)} onRetry={() => state.refetch()} />}
      </Page>
    )
  const done = state.data.steps
  const open = steps.findIndex(({ name }) => !done[name])
  const at = chosen ?? Math.max(0, open)
  const { name, View } = steps[at] ?? (steps[0] as (typeof steps)[number])
  const last = at === steps.length - 1
  return (
    <Page
      title={words.title}
      text={words.text}
      actions={
        <Button look="ghost" onClick={() => navigate('/')}>
          {words.skipAll}
        </Button>
      }
    >
      <nav aria-label={words.progress}>
        <ol className="grid grid-cols-5 gap-1.5 sm:gap-3">
          {steps.map((step, number) => (
            <li key={step.name}>
              <button
                type="button"
                aria-current={number === at ? 'step' : undefined}
                onClick={() => setChosen(number)}
                className="flex w-full flex-col gap-1.5 rounded-lg pb-1 text-start text-xs text-ink-2 hover:text-ink aria-[current=step]:font-semibold aria-[current=step]:text-ink sm:text-sm"
              >
                <span
                  className={`h-1.5 w-full rounded-full ${done[step.name] ? 'bg-good' : number === at ? 'bg-accent' : 'bg-hover'}`}
                  aria-hidden
                />
                <span className="flex items-center gap-1">
                  {done[step.name] && (
                    <Check className="size-3.5 shrink-0 text-good" aria-label={words.done} />
                  )}
                  <span className="truncate">{words.steps[step.name].short}</span>
                </span>
              </button>
            </li>
          ))}
        </ol>
      </nav>
      <section aria-labelledby="step" className="card flex flex-col gap-5 p-5 sm:p-7">
        <div>
          <p className="text-xs font-medium text-ink-3">{words.stepOf(at + 1, steps.length)}</p>
          <h2 id="step" className="mt-1 text-xl font-semibold">
            {words.steps[name].title}
          </h2>
        </div>
        <Why text={words.steps[name].why} />
        <View key={name} setup={state.data} />
      </section>
      <div className="flex gap-2">
        {at > 0 && (
          <Button onClick={() => setChosen(at - 1)}>
            <ArrowLeft aria-hidden />
            {words.back}
          </Button>
        )}
        <Button
          look={done[name] ? 'primary' : 'plain'}
          className="ms-auto"
          onClick={() => (last ? navigate('/') : setChosen(at + 1))}
        >
          {last ? words.finish : done[name] ? words.next : words.skip}
          <ArrowRight aria-hidden />
        </Button>
      </div>
    </Page>
  )
}

function Why({ text }: { text: ReactNode }) {
  const { welcome: words } = useWords('welcome')
  return (
    <p className="border-s-2 border-accent ps-4 text-sm text-ink-2">
      <strong className="font-semibold text-ink">{words.why}</strong> {text}
    </p>
  )
}
