import { Component, type ReactNode, Suspense } from 'react'
import { BrowserRouter, Route, Routes, useNavigate } from 'react-router'
import { useSession } from '../api/queries'
import { Button, ProblemNote, Skeleton } from '../components/ui'
import { useWords } from '../lib/i18n'
import { Account, Chat, pagesOf, SignIn } from './pages'
import { Shell } from './Shell'

export const App = () => (
  <ErrorBoundary>
    <BrowserRouter>
      <Frame />
    </BrowserRouter>
  </ErrorBoundary>
)

/** The shell around every page for a signed-in user; everybody else sees how to sign in. */
function Frame() {
  const session = useSession()
  const words = useWords()
  if (session.isPending)
    return (
      <div className="mx-auto max-w-md p-8" role="status" aria-label={words.app.loading}>
        <span className="sr-only">{words.app.loading}</span>
      </div>
    )
  if (!session.data)
    return (
      <main className="mx-auto max-w-lg p-8">
        <ProblemNote
          problem={{ message: words.app.offline, fix: words.app.offlineFix }}
          onRetry={() => session.refetch()}
        />
      </main>
    )
  if (!session.data.user)
    return (
      <Suspense>
        <SignIn />
      </Suspense>
    )
  // Until the second factor stands, the server answers nothing but what sets it up.
  if (session.data.factor_needed)
    return (
      <main className="h-full">
        <Suspense fallback={<PageSkeleton />}>
          <Account />
        </Suspense>
      </main>
    )
  return (
    <Shell user={session.data.user} version={session.data.version} offline={session.isError}>
      <Suspense fallback={<PageSkeleton />}>
        <Routes>
          <Route path="/" element={<Chat />} />
          <Route path="/c/:id" element={<Chat />} />
          {pagesOf(session.data.user).flatMap(({ routes }) =>
            routes.map(({ path, View }) => <Route key={path} path={path} element={<View />} />),
          )}
          <Route path="*" element={<NotFound />} />
        </Routes>
      </Suspense>
    </Shell>
  )
}

const PageSkeleton = () => (
  <div className="mx-auto w-full max-w-3xl px-4 py-10 sm:px-8">
    <Skeleton widths={[40, 90, 75, 82, 60]} />
  </div>
)

function NotFound() {
  const words = useWords()
  const navigate = useNavigate()
  return (
    <div className="grid h-full place-items-center p-6 text-center">
      <div>
        <p className="font-mono text-5xl text-ink-3">404</p>
        <h1 className="mt-4 text-xl font-semibold">{words.notFound.title}</h1>
        <p className="mt-1 mb-6 text-ink-2">{words.notFound.text}</p>
        <Button look="primary" onClick={() => navigate('/')}>
          {words.notFound.home}
        </Button>
      </div>
    </div>
  )
}

/** A bug of this UI, or a file of an older version that the updated server no longer has: loading again helps both. */
class ErrorBoundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false }
  static getDerivedStateFromError = () => ({ broken: true })
  override render() {
    return this.state.broken ? <Broken /> : this.props.children
  }
}

function Broken() {
  const words = useWords()
  return (
    <main className="mx-auto max-w-lg p-8">
      <ProblemNote problem={{ message: words.common.failed }} onRetry={() => location.reload()} />
    </main>
  )
}
