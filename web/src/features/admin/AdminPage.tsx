import { type ComponentType, lazy, Suspense } from 'react'
import { useNavigate, useParams } from 'react-router'
import { Page, Skeleton, Tabs } from '../../components/ui'
import { useWords } from '../../lib/i18n'

/** The parts of administration in the order of their tabs; each is fetched when it is opened. */
const parts = {
  people: lazy(() => import('./People').then((m) => ({ default: m.People }))),
  keys: lazy(() => import('./AllKeys').then((m) => ({ default: m.AllKeys }))),
  limits: lazy(() => import('./Limits').then((m) => ({ default: m.Limits }))),
  usage: lazy(() => import('./Usage').then((m) => ({ default: m.Usage }))),
  cost: lazy(() => import('./BreakEven').then((m) => ({ default: m.BreakEven }))),
  feedback: lazy(() => import('./FeedbackList').then((m) => ({ default: m.FeedbackList }))),
  audit: lazy(() => import('./Audit').then((m) => ({ default: m.Audit }))),
  endpoints: lazy(() => import('../endpoints/Endpoints').then((m) => ({ default: m.Endpoints }))),
  settings: lazy(() => import('./SettingsView').then((m) => ({ default: m.SettingsView }))),
} satisfies Record<string, ComponentType>
type Part = keyof typeof parts
const names = Object.keys(parts) as Part[]

export function AdminPage() {
  const { admin: words } = useWords('admin')
  const { part } = useParams()
  const navigate = useNavigate()
  const chosen = names.find((name) => name === part) ?? 'people'
  const View = parts[chosen]
  return (
    <Page title={words.title} text={words.text}>
      <Tabs
        label={words.title}
        tabs={names.map((name) => ({ name, text: words.parts[name] }))}
        chosen={chosen}
        onChoose={(name) => navigate(`/admin/${name}`, { replace: true })}
      />
      <Suspense fallback={<Skeleton widths={[40, 90, 75, 82]} />}>
        <View />
      </Suspense>
    </Page>
  )
}
