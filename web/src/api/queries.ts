import {
  keepPreviousData,
  MutationCache,
  QueryCache,
  QueryClient,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import { ApiError, api } from './client'
import type { ConversationWithTurns, Job, Session, Turn } from './types'

/** Whoever finds the server gone, or the session over, has the session asked for again; the shell shows what it says. */
const onError = (error: unknown) => {
  if (error instanceof ApiError && (error.status === 0 || error.status === 401))
    queryClient.invalidateQueries({ queryKey: keys.session })
}

export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => query.queryKey[0] !== 'session' && onError(error),
  }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    // The server may be this very machine, which can be reached when the browser believes to be offline.
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      staleTime: 15_000,
      // A refusal stays a refusal; only an unreachable server is worth asking again (the offline banner does).
      retry: false,
    },
  },
})

export const keys = {
  session: ['session'],
  system: ['system'],
  models: ['models'],
  indexes: ['indexes'],
  files: (name: string, query: string) => ['files', name, query],
  conversations: (query: string) => ['conversations', query],
  allConversations: ['conversations'],
  conversation: (id: string) => ['conversation', id],
  apiKeys: ['keys'],
  secrets: (name: string) => ['secrets', name],
  summaries: (name: string) => ['summaries', name],
  explanation: (turn: string) => ['explanation', turn],
  snippets: (query: string) => ['snippets', query],
  allSnippets: ['snippets'],
} as const

/** Whether a job is waiting or at work. */
export const isBusy = (job: Job | null): boolean => job?.state === 'queued' || job?.state === 'running'

export const useSession = () =>
  useQuery({
    queryKey: keys.session,
    queryFn: async (): Promise<Partial<Session> & Pick<Session, 'user' | 'version'>> => {
      try {
        return await api.session()
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return { user: null, version: '' }
        throw error
      }
    },
    // While the server is away this is the question that notices its return.
    refetchInterval: (query) => (query.state.status === 'error' ? 2000 : 60_000),
  })

export const useSystem = () =>
  useQuery({
    queryKey: keys.system,
    queryFn: api.system,
    refetchInterval: ({ state: { data } }) => {
      const moving = data?.engine.some(({ status }) => status === 'starting' || status === 'restarting')
      return data?.models_ready && !moving ? 20_000 : 2000
    },
  })

export const useModels = () => useQuery({ queryKey: keys.models, queryFn: api.models })

export const useIndexes = () =>
  useQuery({
    queryKey: keys.indexes,
    queryFn: api.indexes,
    refetchInterval: (query) => (query.state.data?.some(({ job }) => isBusy(job)) ? 1000 : 30_000),
  })

export const useConversations = (query: string, limit: number) =>
  useQuery({
    queryKey: [...keys.conversations(query), limit],
    queryFn: ({ signal }) => api.conversations({ q: query, limit }, signal),
    placeholderData: keepPreviousData,
  })

export const useConversation = (id: string) =>
  useQuery({ queryKey: keys.conversation(id), queryFn: () => api.conversation(id) })

export const useKeys = () => useQuery({ queryKey: keys.apiKeys, queryFn: api.keys })

export const useSummaries = (name: string) =>
  useQuery({
    queryKey: keys.summaries(name),
    queryFn: () => api.summaries(name),
    refetchInterval: (query) => (isBusy(query.state.data?.job ?? null) ? 1000 : false),
  })

/** How an answer came about, which never changes. */
export const useExplanation = (turn: string) =>
  useQuery({
    queryKey: keys.explanation(turn),
    queryFn: () => api.explanation(turn),
    staleTime: Number.POSITIVE_INFINITY,
  })

export const useSnippets = (query: string, limit: number) =>
  useQuery({
    queryKey: [...keys.snippets(query), limit],
    queryFn: ({ signal }) => api.snippets({ q: query, limit }, signal),
    placeholderData: keepPreviousData,
  })

/** Changes one conversation's turns in the cache, which is what the page shows. */
export function useChangeTurns(id: string): (change: (turns: Turn[]) => Turn[]) => void {
  const client = useQueryClient()
  return (change) =>
    client.setQueryData<ConversationWithTurns>(
      keys.conversation(id),
      (old) => old && { ...old, turns: change(old.turns) },
    )
}
