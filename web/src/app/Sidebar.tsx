import { useMutation } from '@tanstack/react-query'
import { Command, Download, Ellipsis, LogOut, Pencil, Search, SquarePen, Trash2, Upload } from 'lucide-react'
import { useDeferredValue, useRef, useState } from 'react'
import { NavLink, useMatch, useNavigate } from 'react-router'
import { api, asProblem, exportUrl } from '../api/client'
import { keys, queryClient, useConversations } from '../api/queries'
import type { Conversation, User } from '../api/types'
import { Logo } from '../components/Logo'
import { MenuItem, Popover } from '../components/Menu'
import { Button, Confirm, IconButton, ProblemNote, Skeleton } from '../components/ui'
import { downloadFrom } from '../lib/download'
import { useWords } from '../lib/i18n'
import { groupByDay } from '../lib/time'
import { Preferences } from './Preferences'
import { pagesOf } from './pages'

interface SidebarProps {
  user: User
  version: string
  onPalette: () => void
  onShortcuts: () => void
}

export function Sidebar({ user, version, onPalette, onShortcuts }: SidebarProps) {
  const words = useWords()
  const navigate = useNavigate()
  const signOut = useMutation({
    mutationFn: api.signOut,
    onSuccess: () => {
      queryClient.clear()
      location.assign('/')
    },
  })
  return (
    <div className="flex h-full flex-col">
      <div className="flex items-center gap-2.5 px-4 pt-4 pb-3">
        <Logo />
        <span className="flex-1 text-[1.0625rem] font-semibold tracking-tight">Codeweft</span>
        <IconButton label={`${words.app.palette} (Ctrl K)`} onClick={onPalette}>
          <Command aria-hidden />
        </IconButton>
      </div>
      <nav aria-label={words.app.menu} className="flex flex-col gap-0.5 px-2">
        <Button look="primary" className="mx-1 mb-2 justify-start" onClick={() => navigate('/')}>
          <SquarePen aria-hidden />
          {words.app.newChat}
        </Button>
        {pagesOf(user).map(({ name, icon: Icon, routes }) => (
          <PageLink key={name} to={routes[0].path} icon={<Icon aria-hidden />} text={words.pages[name]} />
        ))}
      </nav>
      <Conversations />
      <footer className="flex items-center gap-1 border-t border-line px-3 py-2">
        <div className="min-w-0 flex-1 ps-1">
          <p className="truncate text-sm font-medium">{user.name}</p>
          <p className="truncate text-xs text-ink-3">{words.app.version(version)}</p>
        </div>
        <Preferences onShortcuts={onShortcuts} />
        <IconButton label={words.app.signOut} onClick={() => signOut.mutate()}>
          <LogOut aria-hidden />
        </IconButton>
      </footer>
    </div>
  )
}

function PageLink({ to, icon, text }: { to: string; icon: React.ReactNode; text: string }) {
  return (
    <NavLink
      to={to}
      className="flex min-h-9 items-center gap-2.5 rounded-lg px-3 text-sm text-ink-2 hover:bg-hover hover:text-ink aria-[current=page]:bg-hover aria-[current=page]:font-medium aria-[current=page]:text-ink [&_svg]:size-4"
    >
      {icon}
      {text}
    </NavLink>
  )
}

const pageSize = 50

function Conversations() {
  const words = useWords()
  const [query, setQuery] = useState('')
  const [limit, setLimit] = useState(pageSize)
  const wanted = useDeferredValue(query.trim())
  const conversations = useConversations(wanted, limit)
  const list = conversations.data ?? []
  const chooser = useRef<HTMLInputElement>(null)
  const imported = useMutation({
    mutationFn: api.importConversations,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: keys.allConversations }),
  })
  return (
    <section aria-label={words.app.chats} className="mt-3 flex min-h-0 flex-1 flex-col border-t border-line">
      <div className="relative flex items-center gap-1 px-3 pt-3 pb-1">
        <Search className="pointer-events-none absolute start-5.5 top-5.5 size-4 text-ink-3" aria-hidden />
        <input
          type="search"
          className="field min-w-0 flex-1 border-line! ps-9 text-sm"
          placeholder={words.app.searchChats}
          aria-label={words.app.searchChats}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <Popover
          label={words.list.more}
          role="menu"
          className="grid size-8 place-items-center rounded-lg text-ink-3 hover:bg-hover hover:text-ink"
          panelClass="top-full end-0 mt-1 w-48"
          trigger={<Ellipsis className="size-4" aria-hidden />}
        >
          {(close) => (
            <>
              <MenuItem
                icon={<Upload aria-hidden />}
                onSelect={() => {
                  close()
                  chooser.current?.click()
                }}
              >
                {words.list.import}
              </MenuItem>
              <MenuItem
                icon={<Download aria-hidden />}
                onSelect={() => {
                  close()
                  downloadFrom(exportUrl())
                }}
              >
                {words.list.exportAll}
              </MenuItem>
            </>
          )}
        </Popover>
        <input
          ref={chooser}
          type="file"
          accept=".json,.md,.markdown"
          hidden
          aria-label={words.list.import}
          onChange={(event) => {
            const file = event.target.files?.[0]
            if (file) imported.mutate(file)
            event.target.value = ''
          }}
        />
      </div>
      {imported.error && <ProblemNote problem={asProblem(imported.error)} className="mx-3 mt-1" />}
      <span role="status" className={imported.data ? 'px-4 pt-1 text-xs text-good' : 'sr-only'}>
        {imported.data ? words.list.imported(imported.data.length) : ''}
      </span>
      <div className="min-h-0 flex-1 overflow-y-auto px-2 pb-3">
        {conversations.isPending && (
          <div className="p-3">
            <Skeleton widths={[80, 65, 90, 55]} />
          </div>
        )}
        {conversations.isError && !conversations.data && (
          <ProblemNote
            problem={asProblem(conversations.error)}
            onRetry={() => conversations.refetch()}
            className="m-1"
          />
        )}
        {conversations.isSuccess && list.length === 0 && (
          <p className="p-3 text-sm text-ink-3">{wanted ? words.list.noMatch(wanted) : words.list.empty}</p>
        )}
        {groupByDay(list, (conversation) => conversation.updated_at, new Date()).map(([day, group]) => (
          <div key={day}>
            <h2 className="px-3 pt-4 pb-1 text-xs font-medium text-ink-3">{words.days[day]}</h2>
            <ul>
              {group.map((conversation) => (
                <Entry key={conversation.id} conversation={conversation} />
              ))}
            </ul>
          </div>
        ))}
        {list.length >= limit && (
          <Button look="ghost" className="mt-2 w-full" onClick={() => setLimit(limit + pageSize)}>
            {words.list.older}
          </Button>
        )}
      </div>
    </section>
  )
}

function Entry({ conversation }: { conversation: Conversation }) {
  const words = useWords()
  const navigate = useNavigate()
  const here = useMatch('/c/:id')?.params.id === conversation.id
  const [state, setState] = useState<'shown' | 'renaming' | 'deleting'>('shown')
  const title = conversation.title || words.list.untitled
  const changed = () => queryClient.invalidateQueries({ queryKey: keys.allConversations })
  const rename = useMutation({
    mutationFn: (to: string) => api.changeConversation(conversation.id, { title: to }),
    onSettled: () => {
      setState('shown')
      return Promise.all([
        changed(),
        queryClient.invalidateQueries({ queryKey: keys.conversation(conversation.id) }),
      ])
    },
  })
  const remove = useMutation({
    mutationFn: () => api.deleteConversation(conversation.id),
    onSuccess: () => {
      if (here) navigate('/')
      return changed()
    },
  })

  if (state === 'renaming')
    return (
      <li className="px-1 py-0.5">
        <input
          className="field text-sm"
          aria-label={words.common.rename}
          defaultValue={title}
          // biome-ignore lint/a11y/noAutofocus: the user just chose to type here.
          autoFocus
          onFocus={(event) => event.target.select()}
          onBlur={() => setState('shown')}
          onKeyDown={(event) => {
            if (event.nativeEvent.isComposing) return
            if (event.key === 'Escape') setState('shown')
            const to = event.currentTarget.value.trim()
            if (event.key === 'Enter' && to) rename.mutate(to)
          }}
        />
      </li>
    )
  return (
    <li className={`group relative flex items-center rounded-lg hover:bg-hover ${here ? 'bg-hover' : ''}`}>
      <NavLink
        to={`/c/${conversation.id}`}
        title={title}
        className="min-w-0 flex-1 rounded-lg px-3 py-1.5 text-sm"
      >
        <span className="block truncate">{title}</span>
        {conversation.excerpt && (
          <span className="line-clamp-2 text-xs text-ink-3">{conversation.excerpt}</span>
        )}
      </NavLink>
      <Popover
        label={words.common.options(title)}
        role="menu"
        className="me-1 grid size-7 place-items-center rounded-md text-ink-3 hover:text-ink focus-visible:opacity-100 aria-expanded:opacity-100 md:opacity-0 md:group-hover:opacity-100"
        panelClass="top-full end-0 w-52"
        trigger={<Ellipsis className="size-4" aria-hidden />}
      >
        {(close) => (
          <>
            <MenuItem icon={<Pencil aria-hidden />} onSelect={() => setState('renaming')}>
              {words.common.rename}
            </MenuItem>
            {(['json', 'markdown'] as const).map((format) => (
              <MenuItem
                key={format}
                icon={<Download aria-hidden />}
                onSelect={() => {
                  close()
                  downloadFrom(exportUrl(conversation.id, format))
                }}
              >
                {format === 'json' ? words.list.exportJson : words.list.exportMarkdown}
              </MenuItem>
            ))}
            <MenuItem
              icon={<Trash2 aria-hidden />}
              danger
              onSelect={() => {
                close()
                setState('deleting')
              }}
            >
              {words.common.delete}
            </MenuItem>
          </>
        )}
      </Popover>
      {state === 'deleting' && (
        <Confirm
          title={words.list.deleteTitle}
          text={words.list.deleteText(title)}
          action={words.common.delete}
          busy={remove.isPending}
          error={remove.error && asProblem(remove.error)}
          onConfirm={() => remove.mutate()}
          onClose={() => setState('shown')}
        />
      )}
    </li>
  )
}
