import type {
  ApiKey,
  Ask,
  Asked,
  Attachment,
  ChunkOfFile,
  Conversation,
  ConversationWithTurns,
  Explained,
  Hits,
  Index,
  IndexFiles,
  Model,
  Narrowing,
  NewIndex,
  Places,
  Problem,
  Rating,
  SearchAnswer,
  SearchRequest,
  Secret,
  Session,
  Snippet,
  Source,
  Summaries,
  SummariesRequest,
  System,
} from './types'

/** A refusal by the server, or `status` 0 when the server could not be reached. */
export class ApiError extends Error implements Problem {
  readonly fix: string | null
  readonly code: string | null
  readonly param: string | null
  constructor(
    readonly status: number,
    problem: Problem,
  ) {
    super(problem.message)
    this.fix = problem.fix ?? null
    this.code = problem.code ?? null
    this.param = problem.param ?? null
  }
}

export const asProblem = (error: unknown): Problem =>
  error instanceof ApiError
    ? { message: error.message, fix: error.fix, code: error.code }
    : { message: error instanceof Error ? error.message : String(error) }

/** The server's own words where it gave any; a proxy's HTML page or an empty body become the HTTP status. */
async function problemOf(response: Response): Promise<Problem> {
  try {
    const body = (await response.json()) as { error?: Problem }
    if (body.error?.message) return body.error
  } catch {
    // Not JSON: fall through.
  }
  return { message: `HTTP ${response.status} ${response.statusText}`.trim() }
}

type Given = string | number | boolean | null | undefined
type Query = Record<string, Given | readonly string[]>

export function url(path: string, query: Query = {}): string {
  // A list is its name several times.
  const each = Object.entries(query).flatMap(([key, value]) =>
    Array.isArray(value)
      ? value.map((one): [string, Given] => [key, one])
      : [[key, value] as [string, Given]],
  )
  const given = each.filter(([, value]) => value !== undefined && value !== null && value !== '')
  const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString()
  return search ? `/api${path}?${search}` : `/api${path}`
}

interface Options {
  query?: Query
  body?: unknown
  signal?: AbortSignal | undefined
}

/** The server's answer to a request that it did not refuse. */
export async function send(
  method: string,
  path: string,
  { query, body, signal }: Options = {},
): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  // Another site cannot set this header without permission; the server asks for it on every change.
  if (method !== 'GET') headers['X-Codeweft'] = '1'
  const form = body instanceof FormData
  if (body !== undefined && !form) headers['Content-Type'] = 'application/json'
  let response: Response
  try {
    response = await fetch(url(path, query), {
      method,
      headers,
      credentials: 'same-origin',
      ...(body !== undefined && { body: form ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    })
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, { message: 'The server does not answer.', code: 'offline' })
  }
  if (!response.ok) throw new ApiError(response.status, await problemOf(response))
  return response
}

export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options)
  return (response.status === 204 ? undefined : await response.json()) as T
}

const part = encodeURIComponent

export const api = {
  session: () => call<Session>('GET', '/session'),
  signOut: () => call<void>('DELETE', '/session'),
  system: () => call<System>('GET', '/system'),
  models: () => call<Model[]>('GET', '/models'),

  indexes: () => call<Index[]>('GET', '/indexes'),
  index: (name: string) => call<Index>('GET', `/indexes/${part(name)}`),
  addIndex: (body: NewIndex) => call<Index>('POST', '/indexes', { body }),
  scheduleIndex: (name: string, minutes: number | null) =>
    call<Index>('PATCH', `/indexes/${part(name)}`, { body: { refresh_minutes: minutes } }),
  updateIndex: (name: string) => call<Index>('POST', `/indexes/${part(name)}/update`),
  deleteIndex: (name: string) => call<void>('DELETE', `/indexes/${part(name)}`),
  indexFiles: (name: string, query: { q?: string; offset?: number; limit?: number }, signal?: AbortSignal) =>
    call<IndexFiles>('GET', `/indexes/${part(name)}/files`, { query, signal }),
  deleteFile: (name: string, path: string) =>
    call<void>('DELETE', `/indexes/${part(name)}/files`, { query: { path } }),
  deleteAllFiles: (name: string) =>
    call<void>('DELETE', `/indexes/${part(name)}/files`, { query: { everything: true } }),
  chunks: (name: string, path: string) =>
    call<ChunkOfFile[]>('GET', `/indexes/${part(name)}/chunks`, { query: { path } }),
  secrets: (name: string) => call<Secret[]>('GET', `/indexes/${part(name)}/secrets`),
  summaries: (name: string) => call<Summaries>('GET', `/indexes/${part(name)}/summaries`),
  writeSummaries: (name: string, body: SummariesRequest) =>
    call<Summaries>('POST', `/indexes/${part(name)}/summaries`, { body }),
  deleteSummaries: (name: string, language: string) =>
    call<{ deleted: number }>('DELETE', `/indexes/${part(name)}/summaries`, { query: { language } }),
  source: (name: string, path: string, start?: number, end?: number) =>
    call<Source>('GET', `/indexes/${part(name)}/source`, { query: { path, start, end } }),
  search: (body: SearchRequest) => call<SearchAnswer>('POST', '/search', { body }),
  symbols: (query: Narrowing & { name: string; find: string }) => call<Places>('GET', '/symbols', { query }),
  grep: (
    query: Narrowing & {
      pattern: string
      ignore_case: boolean
      whole_word: boolean
      fixed: boolean
      context: number
    },
  ) => call<Hits>('GET', '/grep', { query }),

  conversations: (query: { q?: string; limit?: number; before?: string }, signal?: AbortSignal) =>
    call<Conversation[]>('GET', '/conversations', { query, signal }),
  createConversation: (body: { model?: string | null; index?: string | null; title?: string }) =>
    call<Conversation>('POST', '/conversations', { body }),
  conversation: (id: string) => call<ConversationWithTurns>('GET', `/conversations/${part(id)}`),
  changeConversation: (id: string, body: { title?: string; model?: string; index?: string }) =>
    call<Conversation>('PATCH', `/conversations/${part(id)}`, { body }),
  deleteConversation: (id: string) => call<void>('DELETE', `/conversations/${part(id)}`),
  ask: (id: string, body: Ask) => call<Asked>('POST', `/conversations/${part(id)}/answers`, { body }),
  showBranch: (id: string, turn: string) =>
    call<ConversationWithTurns>('PUT', `/conversations/${part(id)}/branch`, { body: { turn_id: turn } }),
  importConversations: (file: File) => {
    const body = new FormData()
    body.append('file', file)
    return call<Conversation[]>('POST', '/conversations/import', { body })
  },
  explanation: (turn: string) => call<Explained>('GET', `/turns/${part(turn)}/explanation`),
  attach: (file: File, signal?: AbortSignal) => {
    const body = new FormData()
    body.append('file', file)
    return call<Attachment>('POST', '/attachments', { body, signal })
  },
  attachment: (id: string) => call<Attachment & { text: string }>('GET', `/attachments/${part(id)}`),
  detach: (id: string) => call<void>('DELETE', `/attachments/${part(id)}`),
  stop: (answer: string) => call<void>('DELETE', `/answers/${part(answer)}`),
  rate: (turn: string, body: { rating: Rating; comment: string }) =>
    call<void>('PUT', `/turns/${part(turn)}/rating`, { body }),

  snippets: (query: { q?: string; limit?: number; before?: string }, signal?: AbortSignal) =>
    call<Snippet[]>('GET', '/snippets', { query, signal }),
  saveSnippet: (body: { code: string; language?: string; title?: string }) =>
    call<Snippet>('POST', '/snippets', { body }),
  deleteSnippet: (id: string) => call<void>('DELETE', `/snippets/${part(id)}`),
  clearSnippets: () => call<{ deleted: number }>('DELETE', '/snippets'),

  keys: () => call<ApiKey[]>('GET', '/keys'),
  deleteKey: (id: string) => call<void>('DELETE', `/keys/${part(id)}`),
}

/** Where a conversation is downloaded from; all of them without a name. */
export const exportUrl = (conversation?: string, format?: 'json' | 'markdown'): string =>
  url(conversation ? `/conversations/${part(conversation)}/export` : '/conversations/export', { format })

/** Where an answer's events come from, after event number `after`. */
export const eventsUrl = (answer: string, after: number): string =>
  url(`/answers/${part(answer)}/events`, { after: after || undefined })
