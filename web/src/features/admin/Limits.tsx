import { useQuery } from '@tanstack/react-query'
import { Gauge, Pencil, Plus, Trash2 } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { admin, type Limit, type LimitBody } from '../../api/admin'
import { asProblem } from '../../api/client'
import { useKeys } from '../../api/queries'
import {
  Badge,
  Button,
  Confirm,
  Dialog,
  Field,
  IconButton,
  ProblemNote,
  Progress,
  Skeleton,
} from '../../components/ui'
import { dollars, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { useTeams, useUsers } from './People'
import { Empty, Section, useChange } from './parts'

const kinds = ['everyone', 'user', 'team', 'key'] as const
type Kind = (typeof kinds)[number]
const periods = ['day', 'month', 'total'] as const
const amounts = [
  'requests_per_minute',
  'tokens_per_minute',
  'parallel',
  'budget_usd',
  'budget_tokens',
] as const

/** Names of everybody and everything that a limit may be for, by kind and id. */
function useSubjects(): Record<Kind, { id: string; name: string }[]> {
  const { admin: words } = useWords('admin')
  return {
    everyone: [{ id: '', name: words.everyone }],
    user: useUsers().data ?? [],
    team: useTeams().data ?? [],
    key: useKeys().data ?? [],
  }
}

export function Limits() {
  const { admin: words, common } = useWords('admin')
  const limits = useQuery({ queryKey: ['limits'], queryFn: admin.limits })
  const subjects = useSubjects()
  const [editing, setEditing] = useState<Limit | 'new' | null>(null)
  const [deleting, setDeleting] = useState<Limit | null>(null)
  const remove = useChange(({ kind, subject }: Limit) => admin.removeLimit(kind, subject), 'limits')
  const nameOf = ({ kind, subject }: Limit) =>
    subjects[kind].find(({ id }) => id === subject)?.name ?? subject
  const add = (
    <Button look="primary" onClick={() => setEditing('new')}>
      <Plus aria-hidden />
      {words.addLimit}
    </Button>
  )
  return (
    <Section title={words.limits} text={words.limitsText} actions={limits.data?.length ? add : null}>
      {limits.isPending && <Skeleton widths={[80, 60]} />}
      {limits.isError && <ProblemNote problem={asProblem(limits.error)} onRetry={() => limits.refetch()} />}
      {limits.data?.length === 0 && (
        <Empty icon={<Gauge aria-hidden />} title={words.noLimits} text={words.noLimitsText}>
          {add}
        </Empty>
      )}
      <ul className="grid gap-3 lg:grid-cols-2">
        {limits.data?.map((limit) => (
          <Row
            key={`${limit.kind}/${limit.subject}`}
            limit={limit}
            name={nameOf(limit)}
            onEdit={() => setEditing(limit)}
            onDelete={() => setDeleting(limit)}
          />
        ))}
      </ul>
      {editing && (
        <LimitDialog
          limit={editing === 'new' ? null : editing}
          subjects={subjects}
          onClose={() => setEditing(null)}
        />
      )}
      {deleting && (
        <Confirm
          title={words.deleteLimit(nameOf(deleting))}
          text={words.deleteLimitText}
          action={common.delete}
          busy={remove.isPending}
          error={remove.error && asProblem(remove.error)}
          onConfirm={() => remove.mutate(deleting, { onSuccess: () => setDeleting(null) })}
          onClose={() => setDeleting(null)}
        />
      )}
    </Section>
  )
}

interface RowProps {
  limit: Limit
  name: string
  onEdit: () => void
  onDelete: () => void
}

function Row({ limit, name, onEdit, onDelete }: RowProps) {
  const { admin: words, common } = useWords('admin')
  const language = useLanguage()
  const budgets = [
    { of: limit.budget_usd, spent: limit.spent_usd, text: (value: number) => dollars(value, language) },
    {
      of: limit.budget_tokens,
      spent: limit.spent_tokens,
      text: (value: number) => words.tokens(number(value, language)),
    },
  ]
  const period = words.period[limit.period]
  return (
    <li className="card flex flex-col gap-3 p-4">
      <div className="flex items-center gap-2">
        <p className="min-w-0 flex-1 font-medium break-words">{name}</p>
        <Badge>{words.kind[limit.kind]}</Badge>
        <IconButton label={`${words.editLimit}: ${name}`} onClick={onEdit}>
          <Pencil aria-hidden />
        </IconButton>
        <IconButton label={`${common.delete}: ${name}`} onClick={onDelete}>
          <Trash2 aria-hidden />
        </IconButton>
      </div>
      {budgets.map(
        ({ of, spent, text }) =>
          of !== null &&
          of !== undefined && (
            <div key={text(of)} className="flex flex-col gap-1 text-sm">
              <p className="flex justify-between gap-3 tabular-nums">
                <span>{words.spent(text(spent), text(of))}</span>
                <span className="text-ink-3">{period}</span>
              </p>
              <Progress value={of ? spent / of : 1} label={words.spent(text(spent), text(of))} />
            </div>
          ),
      )}
      <p className="flex flex-wrap gap-x-4 gap-y-1 text-sm text-ink-2">
        {amounts.slice(0, 3).map((amount) => {
          const value = limit[amount]
          return value === null || value === undefined ? null : (
            <span key={amount}>
              {words.amounts[amount]}: {number(value, language)}
            </span>
          )
        })}
      </p>
    </li>
  )
}

interface LimitDialogProps {
  limit: Limit | null
  subjects: ReturnType<typeof useSubjects>
  onClose: () => void
}

function LimitDialog({ limit, subjects, onClose }: LimitDialogProps) {
  const { admin: words, common } = useWords('admin')
  const [kind, setKind] = useState<Kind>(limit?.kind ?? 'everyone')
  const save = useChange((form: FormData) => {
    const value = (name: string) => (form.get(name) ? Number(form.get(name)) : null)
    const body: LimitBody = {
      ...Object.fromEntries(amounts.map((name) => [name, value(name)])),
      period: form.get('period') as (typeof periods)[number],
    }
    return admin.setLimit(kind, limit?.subject ?? String(form.get('subject') ?? ''), body)
  }, 'limits')
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    save.mutate(new FormData(event.currentTarget), { onSuccess: onClose })
  }
  return (
    <Dialog
      title={limit ? words.editLimit : words.addLimit}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" form="limit" look="primary" busy={save.isPending}>
            {words.save}
          </Button>
        </>
      }
    >
      <form id="limit" onSubmit={submit} className="flex flex-col gap-4">
        {!limit && (
          <div className="grid gap-3 sm:grid-cols-2">
            <Field label={words.limitFor}>
              <select
                className="field"
                value={kind}
                onChange={(event) => setKind(event.target.value as Kind)}
              >
                {kinds.map((name) => (
                  <option key={name} value={name}>
                    {words.kind[name]}
                  </option>
                ))}
              </select>
            </Field>
            {kind !== 'everyone' && (
              <Field label={words.which}>
                <select name="subject" required className="field">
                  {subjects[kind].map(({ id, name }) => (
                    <option key={id} value={id}>
                      {name}
                    </option>
                  ))}
                </select>
              </Field>
            )}
          </div>
        )}
        <p className="text-sm text-ink-2">{words.limitHint}</p>
        <div className="grid gap-3 sm:grid-cols-2">
          {amounts.map((amount) => (
            <Field key={amount} label={words.amounts[amount]}>
              <input
                name={amount}
                type="number"
                min={0}
                step={amount === 'budget_usd' ? 'any' : 1}
                defaultValue={limit?.[amount] ?? ''}
                className="field"
              />
            </Field>
          ))}
          <Field label={words.budgetPer}>
            <select name="period" className="field" defaultValue={limit?.period ?? 'month'}>
              {periods.map((period) => (
                <option key={period} value={period}>
                  {words.period[period]}
                </option>
              ))}
            </select>
          </Field>
        </div>
        {save.error && <ProblemNote problem={asProblem(save.error)} />}
      </form>
    </Dialog>
  )
}
