import { Download } from 'lucide-react'
import { useState } from 'react'
import { asProblem } from '../../api/client'
import { useCatalogue, useShelf } from '../../api/shelf'
import type { CatalogueModel } from '../../api/types'
import { Badge, Button, ProblemNote, Skeleton } from '../../components/ui'
import { bytes, number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import type { usePull } from './usePull'

/** What could be pulled, and whether it fits this machine. */
export function Catalogue({ pull, admin }: { pull: ReturnType<typeof usePull>; admin: boolean }) {
  const { models: words } = useWords('models')
  const catalogue = useCatalogue()
  const [fitting, setFitting] = useState(true)
  const [query, setQuery] = useState('')
  const wanted = query.trim().toLowerCase()
  const all = (catalogue.data ?? []).filter((one) =>
    `${one.name} ${one.title} ${one.licence}`.toLowerCase().includes(wanted),
  )
  const shown = fitting ? all.filter((one) => one.best_fit) : all
  return (
    <section aria-labelledby="catalogue" className="flex flex-col gap-3">
      <div className="flex flex-wrap items-end gap-3">
        <div className="min-w-0 flex-[1_1_16rem]">
          <h2 id="catalogue" className="text-lg font-semibold">
            {words.downloadable}
          </h2>
          <p className="text-sm text-ink-2">{words.downloadableText}</p>
        </div>
        <input
          type="search"
          className="field w-52!"
          aria-label={words.searchModels}
          placeholder={words.searchModels}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <label className="flex min-h-9 items-center gap-2 text-sm">
          <input
            type="checkbox"
            className="size-4 accent-(--accent)"
            checked={fitting}
            onChange={(event) => setFitting(event.target.checked)}
          />
          {words.onlyFitting}
        </label>
      </div>
      {pull.error && <ProblemNote problem={asProblem(pull.error)} />}
      {!admin && <p className="text-sm text-ink-3">{words.adminsPull}</p>}
      {catalogue.isPending && <Skeleton widths={[100, 100, 100]} />}
      {catalogue.isError && (
        <ProblemNote problem={asProblem(catalogue.error)} onRetry={() => catalogue.refetch()} />
      )}
      {catalogue.isSuccess && shown.length === 0 && (
        <p className="py-4 text-sm text-ink-3">{wanted ? words.noMatch : words.nothingFits}</p>
      )}
      {shown.length > 0 && (
        <ul className="card divide-y divide-line">
          {shown.map((model) => (
            <Row key={model.name} model={model} pull={pull} admin={admin} />
          ))}
        </ul>
      )}
    </section>
  )
}

function Row({
  model,
  pull,
  admin,
}: {
  model: CatalogueModel
  pull: ReturnType<typeof usePull>
  admin: boolean
}) {
  const { models: words } = useWords('models')
  const language = useLanguage()
  const shelf = useShelf()
  const [quantisation, setQuantisation] = useState(model.best_fit ?? model.usual)
  const chosen = model.quantisations.find(({ name }) => name === quantisation)
  const local = quantisation === model.usual ? model.name : `${model.name}-${quantisation.toLowerCase()}`
  const here = shelf.data?.files.some(({ name }) => name === local)
  const coming = shelf.data?.pulls.some(({ name, state }) => name === local && state === 'running')
  if (!chosen) return null
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3">
      <div className="min-w-0 flex-[1_1_18rem]">
        <h3 className="flex flex-wrap items-center gap-2 text-sm font-semibold">
          {model.title}
          <Badge tone={chosen.fits ? 'good' : 'warn'}>{chosen.fits ? words.fits : words.tooLarge}</Badge>
        </h3>
        <p className="mt-0.5 text-xs text-ink-3">
          {[
            model.licence,
            words.context(number(model.context, language)),
            words.needs(bytes(chosen.disk_bytes, language), bytes(chosen.memory_bytes, language)),
            model.skills.map((skill) => words.skills[skill] ?? skill).join(', '),
          ].join(' · ')}
        </p>
      </div>
      <select
        className="field w-auto! py-1! text-sm"
        aria-label={words.quantisationOf(model.title)}
        value={quantisation}
        onChange={(event) => setQuantisation(event.target.value)}
      >
        {model.quantisations.map(({ name, fits }) => (
          <option key={name} value={name}>
            {fits ? name : `${name} (${words.tooLarge})`}
          </option>
        ))}
      </select>
      {here ? (
        <Badge tone="accent">{words.installed}</Badge>
      ) : (
        <Button
          aria-label={words.pullOf(model.title)}
          disabled={!admin || coming}
          busy={coming || (pull.isPending && pull.variables === `${model.name}:${quantisation}`)}
          onClick={() => pull.mutate(`${model.name}:${quantisation}`)}
        >
          <Download aria-hidden />
          {words.pullAct}
        </Button>
      )}
    </li>
  )
}
