import { Check } from 'lucide-react'
import type { Model } from '../../api/types'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'

const skills = ['chat', 'completion', 'infilling', 'tools', 'embeddings'] as const

/** Which model can do what, side by side. */
export function Capabilities({ models }: { models: Model[] }) {
  const { models: words } = useWords('models')
  const language = useLanguage()
  return (
    <section aria-labelledby="capabilities" className="flex flex-col gap-3">
      <h2 id="capabilities" className="text-lg font-semibold">
        {words.capabilities}
      </h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard. */}
      <div tabIndex={0} className="card relative overflow-x-auto">
        <table className="w-full text-sm">
          <thead>
            <tr className="border-b border-line text-start text-xs text-ink-3">
              <th scope="col" className="px-4 py-2 text-start font-medium">
                {words.name}
              </th>
              {skills.map((skill) => (
                <th key={skill} scope="col" className="px-3 py-2 text-center font-medium">
                  {words.skills[skill]}
                </th>
              ))}
              <th scope="col" className="px-4 py-2 text-end font-medium whitespace-nowrap">
                {words.contextTitle}
              </th>
            </tr>
          </thead>
          <tbody className="divide-y divide-line">
            {models.map((model) => (
              <tr key={model.name}>
                <th scope="row" className="px-4 py-2 text-start font-medium break-all">
                  {model.name}
                </th>
                {skills.map((skill) => (
                  <td key={skill} className="px-3 py-2 text-center">
                    {model.skills.includes(skill) ? (
                      <Check className="mx-auto size-4 text-good" aria-label={words.yes} />
                    ) : (
                      <span className="text-ink-3">
                        <span aria-hidden>–</span>
                        <span className="sr-only">{words.no}</span>
                      </span>
                    )}
                  </td>
                ))}
                <td className="px-4 py-2 text-end text-ink-2 tabular-nums">
                  {model.context === null ? '–' : number(model.context, language)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
