// The stand-in server's settings and endpoints, which are changed on the page.
import { Refusal, scene } from './shared.mjs'

const fresh = scene === 'first-run' || scene === 'empty'
const refusal =
  scene === 'read-only'
    ? 'The folder /etc/codeweft may not be written, so the file in it cannot be replaced.'
    : ''
const path = '/home/ada/.codeweft/codeweft.yaml'

const setting = (name, value, usual, description, more = {}) => ({
  name,
  value,
  saved: value,
  default: usual,
  changed: value !== usual,
  description,
  kind: 'text',
  choices: [],
  secret: false,
  editable: true,
  live: false,
  ...more,
})
const settings = [
  setting('server.port', 8000, 8000, 'TCP port.', { kind: 'number', editable: false }),
  setting('sign_in.registration', 'approval', 'closed', 'Whether people may register.', {
    kind: 'choice',
    choices: ['closed', 'approval', 'open'],
    live: true,
  }),
  setting('index.max_file_mb', 1, 1, 'Larger files are skipped.', { kind: 'number' }),
  setting('index.exclude', [], [], 'Patterns to leave out.', { kind: 'list', changed: false }),
  setting('hub.token', null, null, 'Access token for licensed models.', { secret: true, live: true }),
  setting('database', '••••', null, 'Where accounts are kept; SQLite when empty.', {
    secret: true,
    editable: false,
  }),
]
const shownSettings = () => ({
  path,
  refusal,
  restart: settings.filter(({ saved, value }) => saved !== value).map(({ name }) => name),
  settings,
})

const endpoint = (name, some) => ({
  name,
  kind: some.pool ? 'pool' : 'endpoint',
  protocol: some.pool ? null : 'openai',
  base_url: null,
  region: null,
  key: 'none',
  key_variable: '',
  model: null,
  context: null,
  parallel: null,
  timeout: 120,
  skills: null,
  pool: null,
  fallback: [],
  attempts: 4,
  cooldown_s: 15,
  first_token_s: null,
  price: null,
  default: false,
  used_by: [],
  ...some,
})
let endpoints = fresh
  ? []
  : [
      endpoint('qwen3-coder-30b', {
        base_url: 'https://llm.example.com/v1',
        key: 'environment',
        key_variable: 'LLM_KEY',
        price: { input: 0.2, output: 0.8, cached: null },
        default: true,
      }),
      endpoint('gpu-1', {
        base_url: 'http://10.0.0.5:8000/v1',
        key: 'saved',
        parallel: 8,
        used_by: ['models.coder-pool'],
      }),
      endpoint('coder-pool', { pool: ['gpu-1'], fallback: ['qwen3-coder-30b'] }),
    ]
const shownEndpoints = () => ({
  refusal,
  path,
  models: [...endpoints.filter(({ kind }) => kind === 'endpoint').map(({ name }) => name), 'starter'],
  endpoints,
})
const given = (body) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))

/** `models` are those of the stand-in server: what is saved answers. */
export const settingsRoutes = (models) => [
  ['GET', '/settings', shownSettings],
  [
    'PATCH',
    '/settings',
    ({ body }) => {
      for (const [name, value] of Object.entries(body.values)) {
        const found = settings.find((one) => one.name === name)
        if (name === 'index.max_file_mb' && value !== null && !(value > 0))
          throw new Refusal(
            400,
            `The settings in ${path} are not valid: ${name}: Input should be greater than 0`,
            '`codeweft config schema` prints what is allowed.',
          )
        found.saved = found.secret && value !== null ? '••••' : (value ?? found.default)
        if (found.live) found.value = found.saved
        found.changed = found.value !== found.default
      }
      return shownSettings()
    },
  ],
  ['GET', '/endpoints', shownEndpoints],
  [
    'PUT',
    '/endpoints/:name',
    ({ params, body }) => {
      const old = endpoints.find(({ name }) => name === params.name)
      if (!old && models.some(({ name }) => name === params.name))
        throw new Refusal(
          409,
          `There is a model or app called '${params.name}' already.`,
          'Choose another name.',
        )
      if (old?.key === 'saved' && !body.api_key && body.base_url !== old.base_url)
        throw new Refusal(
          400,
          'The saved key belongs to the old address and is not sent to another.',
          'Enter the key for the new address, or leave it empty there.',
        )
      const { api_key, default: writes, ...rest } = given(body)
      const made = endpoint(params.name, {
        ...rest,
        key: api_key ? 'saved' : (old?.key ?? 'none'),
        key_variable: api_key ? '' : (old?.key_variable ?? ''),
        default: writes ?? old?.default ?? false,
      })
      if (made.default) endpoints = endpoints.map((one) => ({ ...one, default: false }))
      endpoints = old ? endpoints.map((one) => (one.name === made.name ? made : one)) : [...endpoints, made]
      return shownEndpoints()
    },
  ],
  [
    'DELETE',
    '/endpoints/:name',
    ({ params }) => {
      const { used_by } = endpoints.find(({ name }) => name === params.name)
      if (used_by.length > 0)
        throw new Refusal(409, `${params.name} is used by ${used_by.join(', ')}.`, 'Take it out there first.')
      endpoints = endpoints.filter(({ name }) => name !== params.name)
      return shownEndpoints()
    },
  ],
  [
    'POST',
    '/endpoints/test',
    ({ body }) => {
      const error = body.base_url?.includes('gone')
        ? {
            message: `Nothing answers at ${body.base_url}.`,
            fix: 'Check the address.',
            code: 'upstream_failed',
          }
        : null
      return {
        ok: !error,
        models: error ? [] : ['qwen3-coder-30b', 'gpt-oss-20b'],
        answer: !error && body.model ? 'Hello there, friend.' : null,
        seconds: 0.42,
        error,
      }
    },
  ],
]
