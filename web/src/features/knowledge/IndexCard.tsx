import { Ellipsis, File, Folder, GitBranch, Globe, RefreshCw, Trash2, Upload } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'react-router'
import { asProblem } from '../../api/client'
import { useSession } from '../../api/queries'
import type { Index } from '../../api/types'
import { MenuItem, Popover } from '../../components/Menu'
import { Badge, ProblemNote } from '../../components/ui'
import { number } from '../../lib/format'
import { useLanguage, useWords } from '../../lib/i18n'
import { ago } from '../../lib/time'
import {
  DeleteIndex,
  Freshness,
  isWorking,
  JobState,
  LanguageBar,
  Numbers,
  StateBadge,
  useUpdate,
} from './parts'

export const kindIcons = { folder: Folder, git: GitBranch, file: File, web: Globe, uploads: Upload }

export function IndexCard({ index }: { index: Index }) {
  const words = useWords('knowledge')
  const language = useLanguage()
  const [deleting, setDeleting] = useState(false)
  const update = useUpdate(index.name)
  const { knowledge } = words
  const Icon = kindIcons[index.kind]
  const admin = useSession().data?.user?.role === 'admin'
  const page = `/knowledge/${encodeURIComponent(index.name)}`
  return (
    <li className="card flex min-w-0 flex-col gap-4 p-5">
      <div className="flex items-start gap-3">
        <Icon className="mt-1 size-4 shrink-0 text-ink-3" aria-label={knowledge.kind[index.kind]} />
        <div className="min-w-0 flex-1">
          <h2 className="flex flex-wrap items-center gap-2">
            <Link to={page} className="font-semibold break-all hover:text-accent">
              {index.name}
            </Link>
            <StateBadge state={index.state} />
            {index.default && <Badge>{knowledge.default}</Badge>}
          </h2>
          <p className="mt-0.5 truncate text-xs text-ink-3" title={index.source}>
            {index.source}
          </p>
        </div>
        {admin && (
          <Popover
            label={words.common.options(index.name)}
            role="menu"
            className="grid size-8 place-items-center rounded-lg text-ink-2 hover:bg-hover"
            panelClass="top-full end-0 w-48"
            trigger={<Ellipsis className="size-4" aria-hidden />}
          >
            {(close) => (
              <>
                {!isWorking(index) && (
                  <MenuItem
                    icon={<RefreshCw aria-hidden />}
                    onSelect={() => {
                      close()
                      update.mutate()
                    }}
                  >
                    {knowledge.update}
                  </MenuItem>
                )}
                <MenuItem
                  icon={<Trash2 aria-hidden />}
                  danger
                  onSelect={() => {
                    close()
                    setDeleting(true)
                  }}
                >
                  {words.common.delete}
                </MenuItem>
              </>
            )}
          </Popover>
        )}
      </div>
      <JobState index={index} />
      {update.error && <ProblemNote problem={asProblem(update.error)} />}
      <Numbers
        items={[
          { name: knowledge.files, value: number(index.files, language) },
          { name: knowledge.chunks, value: number(index.chunks, language) },
          ...(index.commit
            ? [{ name: knowledge.commit, value: index.commit.slice(0, 7), title: index.commit }]
            : []),
          {
            name: knowledge.updated,
            value: index.updated_at ? ago(new Date(index.updated_at), new Date(), language) : knowledge.never,
            title: index.updated_at ?? undefined,
          },
        ]}
      />
      <LanguageBar languages={index.languages} />
      <Freshness index={index} />
      {(index.failed_count > 0 || index.skipped_count > 0 || index.secrets_count > 0) && (
        <p className="flex flex-wrap gap-3 text-xs">
          {index.failed_count > 0 && (
            <Link to={`${page}?tab=failed`} className="font-medium text-danger hover:underline">
              {knowledge.failedFiles(number(index.failed_count, language))}
            </Link>
          )}
          {index.secrets_count > 0 && (
            <Link to={`${page}?tab=secrets`} className="font-medium text-warn hover:underline">
              {knowledge.secretsFound(number(index.secrets_count, language))}
            </Link>
          )}
          {index.skipped_count > 0 && (
            <Link to={`${page}?tab=skipped`} className="text-ink-2 hover:underline">
              {knowledge.skippedFiles(number(index.skipped_count, language))}
            </Link>
          )}
        </p>
      )}
      {deleting && <DeleteIndex index={index} onClose={() => setDeleting(false)} />}
    </li>
  )
}
