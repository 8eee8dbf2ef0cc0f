import { useMutation } from '@tanstack/react-query'
import { Ellipsis, MessageSquare, Play, RotateCw, Square, TextCursorInput, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { asProblem } from '../../api/client'
import { keys, queryClient } from '../../api/queries'
import { type EngineAct, shelf } from '../../api/shelf'
import type { Engine, Model, ModelFile } from '../../api/types'
import { MenuItem, Popover } from '../../components/Menu'
import { Badge, Button, Confirm, ProblemNote, type Tone } from '../../components/ui'
import { bytes, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { changeSettings } from '../../lib/settings'
import { canChat } from '../chat/Pickers'
import { refreshModels } from './usePull'

interface ModelCardProps {
  model: Model
  engine: Engine | undefined
  /** Its file, when it was pulled. */
  file: ModelFile | undefined
  admin: boolean
}

/** A model: what it is, how its engine does, and what can be done with it. */
export function ModelCard({ model, engine, file, admin }: ModelCardProps) {
  const words = useWords('models')
  const { models } = words
  const language = useLanguage()
  const navigate = useNavigate()
  const [deleting, setDeleting] = useState(false)
  const act = useMutation({
    mutationFn: (what: EngineAct) => shelf.engine(model.name, what),
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.system }),
  })
  const up = engine?.status === 'ready' || engine?.status === 'starting' || engine?.status === 'restarting'
  const crashed = engine && (engine.status === 'failed' || engine.status === 'restarting') && engine.reason
  return (
    <li className="card flex flex-col gap-3 p-5">
      <div className="flex flex-wrap items-center gap-2">
        <h3 className="min-w-0 font-semibold break-all">{model.name}</h3>
        {model.default && <Badge tone="accent">{models.default}</Badge>}
        {engine && <Badge tone={tones[engine.status]}>{models.engine[engine.status]}</Badge>}
        {admin && (engine || file) && (
          <span className="ms-auto">
            <Popover
              label={words.common.options(model.name)}
              role="menu"
              className="grid size-8 place-items-center rounded-lg text-ink-2 hover:bg-hover"
              panelClass="top-full end-0 w-48"
              trigger={<Ellipsis className="size-4" aria-hidden />}
            >
              {(close) => {
                const done = (what: () => void) => () => {
                  close()
                  what()
                }
                return (
                  <>
                    {engine && !up && (
                      <MenuItem icon={<Play aria-hidden />} onSelect={done(() => act.mutate('start'))}>
                        {models.start}
                      </MenuItem>
                    )}
                    {engine && up && (
                      <MenuItem icon={<Square aria-hidden />} onSelect={done(() => act.mutate('stop'))}>
                        {models.stop}
                      </MenuItem>
                    )}
                    {engine && (
                      <MenuItem icon={<RotateCw aria-hidden />} onSelect={done(() => act.mutate('restart'))}>
                        {models.restart}
                      </MenuItem>
                    )}
                    {file && (
                      <MenuItem icon={<Trash2 aria-hidden />} danger onSelect={done(() => setDeleting(true))}>
                        {words.common.delete}
                      </MenuItem>
                    )}
                  </>
                )
              }}
            </Popover>
          </span>
        )}
      </div>
      {model.description && <p className="text-sm text-ink-2">{model.description}</p>}
      {model.note && <p className="text-sm text-warn">{model.note}</p>}
      {crashed && (
        <ProblemNote
          problem={{ message: models.crashed(crashed), fix: admin ? models.crashedFix : null }}
          {...(admin && engine.status === 'failed' && { onRetry: () => act.mutate('restart') })}
        />
      )}
      {act.error && <ProblemNote problem={asProblem(act.error)} />}
      <ul className="flex flex-wrap gap-1.5">
        {model.skills.map((skill) => (
          <li key={skill}>
            <Badge>{models.skills[skill] ?? skill}</Badge>
          </li>
        ))}
      </ul>
      <div className="mt-auto flex flex-wrap items-center gap-x-4 gap-y-2 text-xs text-ink-3">
        {model.context !== null && <span>{models.context(number(model.context, language))}</span>}
        {engine && engine.slots > 0 && <span>{models.slots(engine.busy, engine.slots)}</span>}
        {engine && engine.waiting > 0 && <span>{models.waiting(engine.waiting)}</span>}
        {engine?.memory_mb ? (
          <span>
            {models.memory} {bytes(engine.memory_mb * 2 ** 20, language)}
          </span>
        ) : null}
        {file && <span>{models.onDisk(bytes(file.bytes, language))}</span>}
        {file?.licence && <span>{file.licence}</span>}
        <span className="ms-auto flex flex-wrap gap-2">
          {model.skills.includes('infilling') && (
            <Button
              look="ghost"
              onClick={() => navigate(`/playground?model=${encodeURIComponent(model.name)}`)}
            >
              <TextCursorInput aria-hidden />
              {models.tryIt}
            </Button>
          )}
          {canChat(model) && (
            <Button
              onClick={() => {
                changeSettings({ model: model.default ? null : model.name })
                navigate('/')
              }}
            >
              <MessageSquare aria-hidden />
              {models.use}
            </Button>
          )}
        </span>
      </div>
      {deleting && file && <DeleteModel file={file} onClose={() => setDeleting(false)} />}
    </li>
  )
}

const tones: Record<Engine['status'], Tone> = {
  stopped: 'neutral',
  starting: 'accent',
  ready: 'good',
  failed: 'danger',
  restarting: 'warn',
}

function DeleteModel({ file, onClose }: { file: ModelFile; onClose: () => void }) {
  const words = useWords('models')
  const language = useLanguage()
  const remove = useMutation({
    mutationFn: () => shelf.remove(file.name),
    onSuccess: async () => {
      await refreshModels()
      onClose()
    },
  })
  return (
    <Confirm
      title={words.models.deleteTitle(file.name)}
      text={words.models.deleteText(bytes(file.bytes, language))}
      action={words.common.delete}
      busy={remove.isPending}
      error={remove.error && asProblem(remove.error)}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    />
  )
}
