import { Boxes, ChevronDown, Database } from 'lucide-react'
import type { ReactNode } from 'react'
import { useIndexes, useModels } from '../../api/queries'
import type { Model } from '../../api/types'
import { Option, Popover } from '../../components/Menu'
import { Badge } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { changeSettings, useSettings } from '../../lib/settings'

const trigger =
  'flex h-9 max-w-[9.5rem] max-[26rem]:max-w-[calc(50vw-5.25rem)] items-center gap-1.5 rounded-lg px-2.5 text-sm text-ink-2 hover:bg-hover hover:text-ink aria-expanded:bg-hover sm:max-w-[14rem]'

const Trigger = ({ icon, text }: { icon: ReactNode; text: string }) => (
  <>
    <span className="text-ink-3 max-[26rem]:hidden [&_svg]:size-4">{icon}</span>
    <span className="truncate">{text}</span>
    <ChevronDown className="size-3.5 shrink-0 text-ink-3" aria-hidden />
  </>
)

export const canChat = (model: Model): boolean => model.kind === 'app' || model.skills.includes('chat')

export function ModelPicker() {
  const words = useWords('chat')
  const models = useModels()
  const { model } = useSettings()
  const all = (models.data ?? []).filter((other) => canChat(other) || other.default)
  const current = all.find((other) => other.name === model) ?? all.find((other) => other.default) ?? all[0]
  const groups = [
    { title: words.picker.apps, models: all.filter((other) => other.kind === 'app') },
    { title: words.picker.models, models: all.filter((other) => other.kind !== 'app') },
  ]
  return (
    <Popover
      label={`${words.picker.model}: ${current?.name ?? ''}`}
      role="listbox"
      className={trigger}
      panelClass="bottom-full start-0 mb-2 w-[min(22rem,80vw)]"
      trigger={<Trigger icon={<Boxes aria-hidden />} text={current?.name ?? words.picker.model} />}
    >
      {(close) =>
        groups.map(
          (group) =>
            group.models.length > 0 && (
              // biome-ignore lint/a11y/useSemanticElements: a group of options, which fieldset is not.
              <div key={group.title} role="group" aria-label={group.title}>
                <p className="px-2.5 pt-2 pb-1 text-xs font-medium text-ink-3">{group.title}</p>
                {group.models.map((other) => (
                  <Option
                    key={other.name}
                    selected={other === current}
                    title={other.name}
                    text={other.note || other.description}
                    onSelect={() => {
                      changeSettings({ model: other.default ? null : other.name })
                      close()
                    }}
                  />
                ))}
              </div>
            ),
        )
      }
    </Popover>
  )
}

export function IndexPicker() {
  const words = useWords('chat')
  const language = useLanguage()
  const indexes = useIndexes()
  const { index } = useSettings()
  const all = indexes.data ?? []
  const chosen = all.find((other) => other.name === index)
  const name = index === '' ? words.picker.indexNone : (chosen?.name ?? words.picker.indexDefault)
  const pick = (close: () => void, to: string | null) => () => {
    changeSettings({ index: to })
    close()
  }
  return (
    <Popover
      label={`${words.picker.index}: ${name}`}
      role="listbox"
      className={trigger}
      panelClass="bottom-full -start-16 sm:start-0 mb-2 w-[min(20rem,80vw)]"
      trigger={<Trigger icon={<Database aria-hidden />} text={name} />}
    >
      {(close) => (
        <>
          <Option
            selected={index !== '' && !chosen}
            title={words.picker.indexDefault}
            text={words.picker.indexDefaultText}
            onSelect={pick(close, null)}
          />
          {all.map((other) => (
            <Option
              key={other.name}
              selected={other === chosen}
              title={other.name}
              text={words.picker.indexText(number(other.files, language), other.source)}
              badge={
                other.state !== 'ready' && (
                  <Badge tone={other.state === 'failed' ? 'danger' : 'warn'}>
                    {words.indexState[other.state]}
                  </Badge>
                )
              }
              onSelect={pick(close, other.name)}
            />
          ))}
          <Option
            selected={index === ''}
            title={words.picker.indexNone}
            text={words.picker.indexNoneText}
            onSelect={pick(close, '')}
          />
        </>
      )}
    </Popover>
  )
}
