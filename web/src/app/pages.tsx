import {
  BookOpen,
  Boxes,
  CircleUser,
  Code,
  ListChecks,
  type LucideIcon,
  Plug,
  ShieldUser,
  TextCursorInput,
} from 'lucide-react'
import { type ComponentType, lazy } from 'react'
import type { User } from '../api/types'
import { loadWords, type Part, type useWords } from '../lib/i18n'

/** A page comes with its words: both are fetched at once, when it is first opened. */
function page(load: () => Promise<ComponentType>, ...words: Part[]): ComponentType {
  return lazy(async () => {
    const [view] = await Promise.all([load(), loadWords(...words)])
    return { default: view }
  })
}

interface Route {
  path: string
  View: ComponentType
}

/** A page that the menu and the palette lead to. `routes` begins with the one that they open. */
export interface Page {
  name: keyof ReturnType<typeof useWords>['pages']
  icon: LucideIcon
  routes: [Route & { path: `/${string}` }, ...Route[]]
  /** Who may see it; without it everybody. For all others it does not exist. */
  may?: (user: User) => boolean
}

// One page at both addresses, so that code stays in its editor when another task is chosen for it.
const tasks = page(async () => (await import('../features/tasks/TasksPage')).TasksPage, 'tasks', 'answer')
const AdminPage = page(
  async () => (await import('../features/admin/AdminPage')).AdminPage,
  'admin',
  'account',
  'endpoints',
)
export const Account = page(
  async () => (await import('../features/account/AccountPage')).AccountPage,
  'account',
)

/** The pages in the order of the menu. A new page is a row here and its name in the shell's words. */
export const pages: readonly Page[] = [
  {
    name: 'knowledge',
    icon: BookOpen,
    routes: [
      {
        path: '/knowledge',
        View: page(
          async () => (await import('../features/knowledge/KnowledgePage')).KnowledgePage,
          'knowledge',
          'answer',
        ),
      },
      {
        path: '/knowledge/:name',
        View: page(
          async () => (await import('../features/knowledge/IndexPage')).IndexPage,
          'knowledge',
          'access',
          'answer',
        ),
      },
    ],
  },
  {
    name: 'tasks',
    icon: ListChecks,
    routes: [
      { path: '/tasks', View: tasks },
      { path: '/tasks/:name', View: tasks },
    ],
  },
  {
    name: 'playground',
    icon: TextCursorInput,
    routes: [
      {
        path: '/playground',
        View: page(
          async () => (await import('../features/playground/PlaygroundPage')).PlaygroundPage,
          'playground',
          'answer',
        ),
      },
    ],
  },
  {
    name: 'snippets',
    icon: Code,
    routes: [
      {
        path: '/snippets',
        View: page(
          async () => (await import('../features/snippets/SnippetsPage')).SnippetsPage,
          'snippets',
          'answer',
        ),
      },
    ],
  },
  {
    name: 'models',
    icon: Boxes,
    routes: [
      {
        path: '/models',
        View: page(async () => (await import('../features/models/ModelsPage')).ModelsPage, 'models'),
      },
    ],
  },
  {
    name: 'connect',
    icon: Plug,
    routes: [
      {
        path: '/connect',
        View: page(
          async () => (await import('../features/connect/ConnectPage')).ConnectPage,
          'connect',
          'account',
        ),
      },
    ],
  },
  {
    name: 'admin',
    icon: ShieldUser,
    may: ({ role }) => role === 'admin',
    routes: [
      { path: '/admin', View: AdminPage },
      { path: '/admin/:part', View: AdminPage },
      {
        path: '/welcome',
        View: page(
          async () => (await import('../features/welcome/WelcomePage')).WelcomePage,
          'welcome',
          'account',
          'endpoints',
          'models',
          'knowledge',
          'answer',
        ),
      },
    ],
  },
  { name: 'account', icon: CircleUser, routes: [{ path: '/account', View: Account }] },
]

export const pagesOf = (user: User): Page[] => pages.filter(({ may }) => !may || may(user))

const chat = async () => (await import('../features/chat/ChatPage')).ChatPage
export const Chat = page(chat, 'chat', 'answer')

/** Fetches the chat before it is known who asks, where the address leads to it: it comes while the session does. */
export function fetchAhead(path: string): void {
  // Whoever shows the page asks for it again, and tells what is wrong.
  if (path === '/' || path.startsWith('/c/')) chat().catch(() => {})
}
export const SignIn = page(async () => (await import('./SignIn')).SignIn, 'signin')
