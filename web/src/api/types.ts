export type State = 'empty' | 'indexing' | 'ready' | 'incomplete' | 'failed'
export type Rating = 'good' | 'bad' | null

export interface Problem {
  message: string
  fix?: string | null
  code?: string | null
  param?: string | null
}

export interface User {
  id: string
  name: string
  role: string
}

export interface Session {
  user: User | null
  version: string
}

export interface Engine {
  name: string
  status: 'stopped' | 'starting' | 'ready' | 'failed' | 'restarting'
  reason: string | null
  context: number | null
  slots: number
  busy: number
  waiting: number
  memory_mb: number | null
}

export interface System {
  version: string
  models_ready: boolean
  engine: Engine[]
  machine: { cores: number; memory_mb: number; disk_free_mb: number }
  home: string
}

export interface Model {
  name: string
  kind: 'embedded' | 'upstream' | 'app'
  description: string | null
  note: string | null
  skills: string[]
  context: number | null
  family: string | null
  default: boolean
}

export interface Job {
  id: string
  kind: string
  subject: string
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled'
  phase: string | null
  done: number
  total: number
  eta_s: number | null
  message: string | null
  error: string | null
}

export interface PathReason {
  path: string
  reason: string
}

export interface Index {
  name: string
  source: string
  kind: 'folder' | 'git' | 'uploads'
  repository: string | null
  commit: string | null
  state: State
  files: number
  indexed: number
  chunks: number
  bytes: number
  languages: Record<string, number>
  failed: PathReason[]
  skipped: PathReason[]
  failed_count: number
  skipped_count: number
  updated_at: string | null
  job: Job | null
  default: boolean
}

export interface IndexFile {
  path: string
  language: string | null
  chunks: number
  lines: number | null
  status: string
  reason: string | null
}

export interface Source {
  path: string
  language: string | null
  start_line: number
  end_line: number
  total_lines: number
  text: string
  repository: string | null
  commit: string | null
}

export interface Reference {
  number: number
  index: string
  repository: string | null
  path: string
  start_line: number
  end_line: number
  name: string | null
  kind: string | null
  language: string | null
  signature: string | null
  commit: string | null
  score: number
  text: string
  why?: Record<string, number> | null
}

export interface Usage {
  prompt_tokens: number
  completion_tokens: number
  cached_tokens: number
}

export interface Sampling {
  temperature?: number | null
  top_p?: number | null
  top_k?: number | null
  max_tokens?: number | null
  seed?: number | null
}

/** Seconds and rates measured by the server; a server may leave any of them out. */
export type Timings = Record<string, number | null>

export interface Turn {
  id: string
  role: 'user' | 'assistant'
  content: string
  created_at: string
  model: string | null
  note: string | null
  references: Reference[]
  usage: Usage | null
  reason: string | null
  error: Problem | null
  sampling: Sampling | null
  timings: Timings | null
  rating: Rating
  comment: string | null
  answer_id?: string | null
}

export interface Conversation {
  id: string
  title: string
  model: string | null
  index: string | null
  created_at: string
  updated_at: string
}

export interface ConversationWithTurns extends Conversation {
  turns: Turn[]
}

export interface Ask {
  content?: string
  regenerate?: boolean
  model: string | null
  index: string | null
  sampling: Sampling
}

export interface Asked {
  answer_id: string
  user_turn: Turn | null
  turn: Turn
}

export interface ApiKey {
  id: string
  name: string
  prefix: string
  created_at: string
  last_used_at: string | null
}

export interface NewKey {
  id: string
  name: string
  key: string
}
