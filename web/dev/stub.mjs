// A stand-in for the server, for work on the UI alone: `npm run stub`, then `npm run dev` or http://127.0.0.1:8000.
// It keeps everything in memory and speaks the same API, with the same content policy. It is never shipped.
//
//   STUB_PORT=8000 (0: any)  STUB_PACE=12 (ms between events)  STUB_TOGETHER=1 (tokens an event)
//   STUB_STATIC=FOLDER (another build of the UI)
//   STUB_SCENE=normal|empty|signed-out|indexing|tasks|first-run|factor-needed|read-only|held (until /stub/go)
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { adminRoutes, factorNeeded, me, ways } from './admin.mjs'
import { chatRoutes, cut, follow } from './chat.mjs'
import { hits, indexes, models, places, references, secrets, sourceText, system } from './data.mjs'
import { settingsRoutes } from './settings.mjs'
import { go, nextId, now, Refusal, scene } from './shared.mjs'
import { workRoutes } from './work.mjs'

const port = Number(process.env.STUB_PORT ?? 8000)
const staticRoot = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)),
  process.env.STUB_STATIC ?? '../../src/codeweft/server/static',
)

let signedIn = scene !== 'signed-out'
const unused = scene === 'empty' || scene === 'first-run'
const state = {
  indexes: unused ? [] : structuredClone(indexes),
  keys: unused
    ? []
    : [
        {
          id: 'k1',
          name: 'laptop editor',
          prefix: 'cw_3fA9',
          created_at: '2026-11-02T09:12:00Z',
          last_used_at: now(),
          expires_at: null,
          scopes: ['generate'],
        },
      ],
  // Of other people; an administrator sees them.
  others: unused
    ? []
    : [
        {
          id: 'k9',
          owner: 'Grace',
          name: 'ci',
          prefix: 'cw_7bQ1',
          created_at: '2026-10-02T09:12:00Z',
          last_used_at: null,
          expires_at: null,
          scopes: [],
        },
      ],
}

const findIndex = (name) => {
  const index = state.indexes.find((other) => other.name === name)
  if (!index)
    throw new Refusal(
      404,
      `There is no index called ${name}.`,
      'Codeweft knows the indexes that GET /api/indexes lists.',
      'not_found',
    )
  return index
}
function startJob(index, total = 340) {
  index.state = 'indexing'
  index.job = {
    id: nextId('j'),
    kind: 'index',
    subject: index.name,
    state: 'running',
    phase: 'reading',
    done: 0,
    total,
    eta_s: 12,
    rate: 28,
    message: '',
    error: null,
  }
  const timer = setInterval(() => {
    const { job } = index
    job.done = Math.min(total, job.done + 7)
    job.eta_s = Math.ceil((total - job.done) / 28)
    Object.assign(index, { files: job.done, indexed: job.done, chunks: job.done * 9 })
    if (job.done < total) return
    clearInterval(timer)
    job.state = 'done'
    index.state = 'ready'
    index.updated_at = now()
  }, 250)
  return index
}
let begun = scene !== 'indexing'
/** All indexes. In the scene `indexing` one of them is built from the first look at it on, however late a page opens. */
function listIndexes() {
  if (!begun) Object.assign(startJob(state.indexes[0]).job, { done: 120 })
  begun = true
  return state.indexes
}

const newIndex = (name, source, kind) => ({
  name,
  source,
  kind,
  repository: name,
  commit: '',
  state: 'empty',
  files: 0,
  indexed: 0,
  chunks: 0,
  bytes: 0,
  languages: {},
  failed: [],
  skipped: [],
  failed_count: 0,
  skipped_count: 0,
  secrets_count: 0,
  summarised: 0,
  follows: kind === 'folder' ? 'watched' : kind === 'uploads' ? 'told' : 'polled',
  refresh_minutes: kind === 'git' || kind === 'web' ? 30 : 0,
  updated_at: null,
  error: '',
  job: null,
  default: false,
})

const writing = new Map()
const summariesOf = (index) => {
  const { job = null, spent = null, last = null } = writing.get(index.name) ?? {}
  return {
    index: index.name,
    summarised: index.summarised,
    chunks: index.chunks,
    job,
    running: job?.state === 'running' ? spent : null,
    last,
    estimate: null,
  }
}
function startSummaries(index, { language = 'en', models: names }, total) {
  const spent = {
    done: 0,
    failed: 0,
    total,
    prompt_tokens: 0,
    completion_tokens: 0,
    usd: 0,
    left_s: 20,
    failures: [],
  }
  const run = {
    spent,
    last: null,
    job: { id: nextId('j'), kind: 'summarise', subject: index.name, state: 'running', phase: 'summarising' },
  }
  Object.assign(run.job, { done: 0, total, eta_s: null, rate: null, message: '', error: null })
  writing.set(index.name, run)
  run.timer = setInterval(() => {
    const step = Math.min(Math.ceil(total / 16), total - spent.done)
    spent.done += step
    index.summarised += step
    Object.assign(spent, {
      prompt_tokens: spent.done * 310,
      completion_tokens: spent.done * 42,
      usd: spent.done * 0.00004,
      left_s: Math.ceil((total - spent.done) / step / 4),
    })
    if (spent.done < total) return
    clearInterval(run.timer)
    run.job.state = 'done'
    run.last = {
      language,
      models: names?.length ? names : ['starter'],
      spent: { ...spent, failed: 1, failures: [{ path: 'a.py', name: 'f', reason: 'no usable answer' }] },
      ended_at: now(),
      error: '',
    }
  }, 250)
}

const filesOf = (index) => {
  const failed = index.failed.map(({ path: name, reason }) => ({
    path: name,
    language: '',
    chunks: 0,
    lines: 0,
    status: 'failed',
    reason,
  }))
  const names = [
    'errors.py',
    'config.py',
    'types.py',
    'models/engine.py',
    'models/pool.py',
    'retrieval/chunk.py',
    'retrieval/rank.py',
    'retrieval/store/embedded.py',
    'server/app.py',
    'server/openai.py',
    'cli/ask.py',
    'flows/run.py',
  ]
  const read = names.map((name, at) => ({
    path: `src/codeweft/${name}`,
    language: 'python',
    chunks: 7 + at * 3,
    lines: 80 + at * 37,
    status: 'indexed',
    reason: '',
  }))
  return [...failed, ...read]
}

const session = () => ({
  user: signedIn ? me : null,
  version: '0.1.0',
  sign_in: ways,
  factor_needed: signedIn && factorNeeded(),
})

const routes = [
  ['GET', '/session', session],
  [
    'DELETE',
    '/session',
    () => {
      signedIn = false
    },
  ],
  ...workRoutes({ models, system, findIndex }),
  ['GET', '/system', () => system],
  ['GET', '/models', () => (scene === 'tasks' ? [...models, { ...models[1], name: 'explain' }] : models)],
  ['GET', '/indexes', listIndexes],
  [
    'POST',
    '/indexes',
    ({ body }) => {
      if (!/^(\/|https?:|git@|ssh:)/.test(body.source))
        throw new Refusal(
          400,
          `“${body.source}” is neither a folder on this server nor a git address.`,
          'Give an absolute path, or an address that git can clone.',
          'bad_source',
        )
      const name =
        body.name ||
        body.source
          .replace(/\.git$/, '')
          .split('/')
          .filter(Boolean)
          .at(-1)
      const index = newIndex(name, body.source, body.source.startsWith('/') ? 'folder' : 'git')
      state.indexes.push(index)
      return [202, startJob(index)]
    },
  ],
  ['GET', '/indexes/:name', ({ params }) => findIndex(params.name)],
  [
    'DELETE',
    '/indexes/:name',
    ({ params }) => {
      state.indexes = state.indexes.filter((index) => index !== findIndex(params.name))
    },
  ],
  ['POST', '/indexes/:name/update', ({ params }) => [202, startJob(findIndex(params.name))]],
  [
    'GET',
    '/indexes/:name/files',
    ({ params, query }) => {
      const files = filesOf(findIndex(params.name)).filter((file) => file.path.includes(query.get('q') ?? ''))
      const offset = Number(query.get('offset') ?? 0)
      return { total: files.length, files: files.slice(offset, offset + Number(query.get('limit') ?? 100)) }
    },
  ],
  [
    'POST',
    '/indexes/:name/files',
    ({ params }) => {
      const known = state.indexes.find((other) => other.name === params.name)
      const index = known ?? newIndex(params.name, 'uploads', 'uploads')
      if (!known) state.indexes.push(index)
      return [202, startJob(index, 21)]
    },
  ],
  [
    'DELETE',
    '/indexes/:name/files',
    ({ params, query }) => {
      if (query.get('everything')) Object.assign(findIndex(params.name), { files: 0, chunks: 0, bytes: 0 })
    },
  ],
  ['GET', '/indexes/:name/secrets', ({ params }) => (findIndex(params.name).secrets_count ? secrets : [])],
  ['GET', '/indexes/:name/summaries', ({ params }) => summariesOf(findIndex(params.name))],
  [
    'POST',
    '/indexes/:name/summaries',
    ({ params, body }) => {
      const index = findIndex(params.name)
      const functions = Math.min(body.limit ?? index.chunks, index.chunks - index.summarised)
      const estimate = {
        functions,
        known: index.summarised,
        prompt_tokens: functions * 310,
        completion_tokens: functions * 42,
        usd: body.models?.includes('qwen3-coder-30b') ? functions * 0.00004 : null,
      }
      if (body.language === 'xx')
        throw new Refusal(400, 'There is no language “xx”.', 'Give a code such as en or ko.', 'invalid')
      if (!body.dry_run) startSummaries(index, body, functions)
      return [202, { ...summariesOf(index), estimate }]
    },
  ],
  [
    'DELETE',
    '/indexes/:name/summaries',
    ({ params }) => {
      const index = findIndex(params.name)
      const deleted = index.summarised
      clearInterval(writing.get(index.name)?.timer)
      writing.delete(index.name)
      index.summarised = 0
      return { deleted }
    },
  ],
  [
    'GET',
    '/indexes/:name/source',
    ({ query }) => {
      const lines = sourceText.split('\n')
      const start = Number(query.get('start') ?? 1)
      const end = Math.min(lines.length, Number(query.get('end') ?? 200))
      return {
        path: query.get('path'),
        language: 'python',
        start_line: start,
        end_line: end,
        total_lines: lines.length,
        text: lines.slice(start - 1, end).join('\n'),
        repository: 'codeweft',
        commit: '8c81295f02',
      }
    },
  ],
  [
    'POST',
    '/search',
    ({ body }) => ({
      results: /nothing/.test(body.query)
        ? []
        : references.map((reference, at) => ({
            ...reference,
            number: 0,
            why:
              body.search_type === 'similarity'
                ? { vector: 0.83 - at * 0.11 }
                : { lexical: 0.61 / (at + 1), vector: 0.83 - at * 0.11, name: at ? 0 : 0.2 },
          })),
      explanation: body.explain
        ? {
            type: body.search_type,
            indexes: ['codeweft'],
            terms: [
              { term: 'load', forms: ['loads', 'loaded'] },
              { term: 'settings', forms: [] },
            ],
            symbols: [],
            candidates: 231,
            seconds: { encode: 0.0004, candidates: 0.0051, rank: 0.0019, read: 0.0007 },
          }
        : null,
    }),
  ],
  [
    'GET',
    '/symbols',
    ({ query }) => {
      if (/\s/.test(query.get('name')))
        throw new Refusal(400, `'${query.get('name')}' is no name that can be looked up.`, 'Give one name.')
      return {
        places:
          query.get('name') === 'nothing'
            ? []
            : places.filter((one) => one.finds.includes(query.get('find'))),
        more: false,
      }
    },
  ],
  [
    'GET',
    '/grep',
    ({ query }) => {
      if (query.get('pattern').includes('(?='))
        throw new Refusal(
          400,
          'The pattern uses look-around, which is not supported.',
          'Match the whole text instead.',
        )
      const found = query.get('pattern') === 'nothing' ? [] : hits
      return {
        hits: found.filter((hit) => !query.get('languages') || hit.language === query.get('languages')),
        more: false,
      }
    },
  ],
  ...chatRoutes,
  ...adminRoutes(
    state.keys,
    () => state.indexes,
    () => {
      signedIn = true
      return session()
    },
  ),
  ...settingsRoutes(models),
  [
    'GET',
    '/keys',
    ({ query }) => [
      ...state.keys.map((key) => ({ owner: me.name, ...key })),
      ...(query.get('who') === 'everyone' ? state.others : []),
    ],
  ],
  [
    'POST',
    '/keys',
    ({ body }) => {
      const key = {
        id: nextId('k'),
        name: body.name,
        prefix: 'cw_9xQ2',
        created_at: now(),
        last_used_at: null,
        expires_at: null,
        scopes: body.scopes ?? [],
      }
      state.keys.push(key)
      return { id: key.id, name: key.name, key: 'cw_9xQ2stubstubstubstubstubstubstubstubstub0' }
    },
  ],
  [
    'DELETE',
    '/keys/:id',
    ({ params }) => {
      for (const list of [state.keys, state.others])
        list.splice(0, list.length, ...list.filter((key) => key.id !== params.id))
    },
  ],
].map(([method, pattern, handle]) => ({ method, handle, match: matcher(pattern) }))

/** `/a/:b` as a function from a path to its parameters, or null. */
function matcher(pattern) {
  const names = [...pattern.matchAll(/:(\w+)/g)].map((match) => match[1])
  const expression = new RegExp(`^${pattern.replace(/:\w+/g, '([^/]+)')}$`)
  return (text) => {
    const match = expression.exec(text)
    return match && Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(match[at + 1])]))
  }
}

async function bodyOf(request) {
  const parts = []
  for await (const part of request) parts.push(part)
  const text = Buffer.concat(parts).toString()
  const type = request.headers['content-type'] ?? ''
  if (type.startsWith('application/json')) return JSON.parse(text || '{}')
  // Of a form only the first file, which is all that the page sends where its content matters.
  const file = /filename="([^"]*)".*?\r\n\r\n(.*?)\r\n--/s.exec(text)
  return file ? { file: { name: file[1], text: file[2] } } : {}
}

async function answerApi(request, response, url) {
  const here = url.pathname.slice('/api'.length)
  const events = /^\/answers\/([^/]+)\/events$/.exec(here)
  if (events)
    return follow(
      request,
      response,
      events[1],
      Number(request.headers['last-event-id'] ?? url.searchParams.get('after') ?? 0),
    )
  if (!signedIn && here !== '/session' && here !== '/registration')
    throw new Refusal(401, 'You are not signed in.', 'Run “codeweft signin”.', 'unauthorized')
  if (request.method !== 'GET' && request.headers['x-codeweft'] !== '1')
    throw new Refusal(403, 'The X-Codeweft header is missing.', null, 'csrf')
  for (const route of routes) {
    const params = route.method === request.method && route.match(here)
    if (!params) continue
    const result = route.handle({ params, query: url.searchParams, body: await bodyOf(request), response })
    // A stream answers by itself.
    if (result instanceof Promise) return await result
    const [status, value] =
      Array.isArray(result) && typeof result[0] === 'number'
        ? result
        : [result === undefined ? 204 : 200, result]
    response.writeHead(status, { 'content-type': 'application/json' })
    return response.end(value === undefined ? undefined : JSON.stringify(value))
  }
  throw new Refusal(404, `There is no ${request.method} ${url.pathname}.`, null, 'not_found')
}

const mime = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
}
function answerStatic(response, pathname) {
  const wanted = path.join(staticRoot, path.normalize(pathname))
  const file =
    wanted.startsWith(staticRoot) && fs.existsSync(wanted) && fs.statSync(wanted).isFile()
      ? wanted
      : path.join(staticRoot, 'index.html')
  response.writeHead(200, {
    'content-type': mime[path.extname(file)] ?? 'application/octet-stream',
    'content-security-policy': "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
  })
  response.end(fs.readFileSync(file))
}

http
  .createServer(async (request, response) => {
    const url = new URL(request.url, 'http://stub')
    try {
      if (url.pathname === '/stub/drop') {
        // Cuts every event stream, as a broken network would.
        cut()
        response.end()
      } else if (url.pathname === '/stub/go') {
        go()
        response.end()
      } else if (url.pathname === '/signin') {
        signedIn = true
        response.writeHead(303, { location: '/' })
        response.end()
      } else if (url.pathname.startsWith('/api/')) await answerApi(request, response, url)
      else answerStatic(response, url.pathname)
    } catch (error) {
      const { status = 500, message, fix = null, code = 'internal' } = error
      if (status === 500) console.error(error)
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message, fix, code, param: null } }))
    }
  })
  .listen(port, '127.0.0.1', function listening() {
    console.log(`stub on http://127.0.0.1:${this.address().port} (scene ${scene})`)
  })
