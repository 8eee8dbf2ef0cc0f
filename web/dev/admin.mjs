// The stand-in server's people, limits, usage, feedback, log and settings, one's own account, and the first run.
import { nextId, Refusal, scene } from './shared.mjs'

const fresh = scene === 'first-run' || scene === 'empty'
const day = 86_400_000
const before = (days) => new Date(Date.now() - days * day).toISOString()

export const me = { id: 'u1', name: scene === 'first-run' ? 'admin' : 'Ada', role: 'admin' }
export const ways = {
  password: true,
  registration: 'approval',
  totp: scene === 'factor-needed' ? 'required' : 'optional',
  provider: scene === 'signed-out' ? { name: 'Keycloak', path: '/signin/oidc' } : null,
}

const person = (id, name, role, team, status = 'active') => ({ id, name, role, team, status })
const state = {
  users: fresh
    ? [person('u1', me.name, 'admin', '')]
    : [
        person('u1', 'Ada', 'admin', 'platform'),
        person('u2', 'Grace', 'member', 'payments'),
        person('u3', 'Linus', 'viewer', ''),
        person('u4', 'Margaret', 'member', 'platform', 'disabled'),
        person('u5', 'Newcomer', 'member', '', 'waiting'),
        person('u6', 'Barbara', 'member', 'payments'),
      ],
  teams: fresh
    ? []
    : [
        { id: 't1', name: 'payments' },
        { id: 't2', name: 'platform' },
      ],
  limits: fresh
    ? []
    : [
        limit('everyone', '', { requests_per_minute: 30, budget_usd: 20, spent_usd: 0 }),
        limit('team', 't1', {
          budget_usd: 200,
          spent_usd: 143.2,
          budget_tokens: 5e7,
          spent_tokens: 31_204_118,
        }),
        limit('user', 'u3', { parallel: 2, tokens_per_minute: 20_000 }),
      ],
  access: new Map(),
  hasPassword: !fresh,
  hasTotp: false,
  enrolled: scene !== 'factor-needed',
  sessions: [
    {
      id: 's1',
      how: 'password',
      created_at: before(0.1),
      expires_at: before(-30),
      address: '10.0.3.14',
      agent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
      current: true,
    },
    {
      id: 's2',
      how: 'link',
      created_at: before(4),
      expires_at: before(-26),
      address: '10.0.9.2',
      agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Safari/605.1',
      current: false,
    },
  ],
}

function limit(kind, subject, some) {
  const free = { requests_per_minute: null, tokens_per_minute: null, parallel: null, budget_usd: null }
  return {
    ...free,
    budget_tokens: null,
    period: 'month',
    spent_usd: 0,
    spent_tokens: 0,
    kind,
    subject,
    ...some,
  }
}

const groupNames = {
  model: ['codegen', 'qwen3-coder-30b', 'starter'],
  user: ['Ada', 'Grace', 'Linus', 'Barbara'],
  team: ['platform', 'payments'],
  key: ['laptop editor', 'ci'],
  app: ['codegen', 'explain'],
}
const total = (group, answers, failed = 0) => ({
  group,
  name: group,
  answers,
  failed,
  prompt_tokens: answers * 3100,
  cached_tokens: answers * 1200,
  completion_tokens: answers * 420,
  cost: answers * 0.0041,
  unpriced: group === 'starter' ? answers : 0,
})
const byDay = (by, days) =>
  fresh
    ? []
    : Array.from({ length: Math.min(days, 45) }, (_, ago) =>
        (groupNames[by] ?? []).map((group, at) => ({
          day: before(ago).slice(0, 10),
          ...total(
            group,
            Math.round(((34 - ago * 0.4) * (1 + Math.sin(ago * 1.7 + at)) ** 2) / (at + 1) / 2),
          ),
        })),
      ).flat()

const changes = Array.from({ length: 120 }, (_, at) => {
  const [action, target, detail] = [
    ['user.signin', 'Grace', { how: 'password' }],
    ['key.create', 'laptop editor', { scopes: ['generate'] }],
    ['user.change', 'Linus', { role: 'viewer' }],
    ['index.restrict', 'payments-api', { teams: ['payments'] }],
  ][at % 4]
  return {
    id: `l${at}`,
    at: before(at / 6),
    actor: at % 3 ? 'Ada' : 'Grace',
    address: '10.0.3.14',
    action,
    target,
    detail,
  }
})

const feedback = fresh
  ? []
  : [
      [
        'good',
        'Found the right helper at once.',
        'Where do we retry failed payments?',
        'In `charge_with_retry` [1].',
      ],
      [
        'bad',
        'That parameter does not exist.',
        'Write a client for the ledger.',
        '```python\nLedger(url, retry=3)\n```',
      ],
      ['good', '', 'Explain the ranking', 'Candidates are fused and re-ranked [1][2].'],
    ].map(([rating, comment, question, answer], at) => ({
      turn_id: `f${at}`,
      rated_at: before(at + 0.2),
      user: 'Grace',
      model: 'codegen',
      rating,
      comment,
      question,
      answer,
    }))

const find = (list, id) => {
  const found = list.find((one) => one.id === id)
  if (!found)
    throw new Refusal(404, 'There is no such thing.', 'It may have been deleted already.', 'not_found')
  return found
}
const checkCode = ({ code }) => {
  if (code !== '123456')
    throw new Refusal(
      401,
      'That code is wrong.',
      'Codes change every 30 seconds; check the clock of your phone.',
    )
}
const codes = () => Array.from({ length: 6 }, (_, at) => `k7q${at}-9fx${at}`)
const model = (name, title, parameters, fits, memory) => ({
  name,
  title,
  licence: 'Apache-2.0',
  parameters,
  context: 32768,
  quantisation: 'Q4_K_M',
  disk_mb: parameters * 620,
  memory_mb: memory,
  fits,
  reference: `${name}:Q4_K_M`,
})
const client = (name, title, path, format, snippet) => ({
  name,
  title,
  path,
  format,
  snippet,
  command: `codeweft connect ${name} --server http://127.0.0.1:8000 --key cw_…`,
  // biome-ignore lint/suspicious/noThenProperty: the API calls it so, and it is text.
  then: 'Restart the editor.',
})

/** What keeps the signed-in state is with the server; it hands over how to enter. */
export const adminRoutes = (keys, indexes, enter) => [
  [
    'POST',
    '/session',
    ({ body }) => {
      if (body.password !== 'correct horse')
        throw new Refusal(
          401,
          'Name or password is wrong.',
          'Ask an administrator for a new link if you forgot it.',
        )
      if (body.name === 'Grace' && !body.code)
        throw new Refusal(401, 'A code is needed.', 'Enter one of your authenticator app.', 'code_needed')
      if (body.code) checkCode(body)
      return enter()
    },
  ],
  ['POST', '/registration', ({ body }) => [201, { name: body.name, status: 'waiting' }]],
  [
    'GET',
    '/me',
    () => ({
      user: me,
      has_password: state.hasPassword,
      has_totp: state.hasTotp,
      recovery_codes_left: state.hasTotp ? 6 : 0,
      issuers: [],
      current_password_needed: state.hasPassword,
    }),
  ],
  [
    'PUT',
    '/me/password',
    ({ body }) => {
      if (state.hasPassword && body.current !== 'correct horse')
        throw new Refusal(
          403,
          'The current password is wrong.',
          'Sign in by a new link to set one without it.',
        )
      if (body.password.length < 8)
        throw new Refusal(400, 'A password needs at least 8 characters.', 'Take several words.')
      state.hasPassword = true
      return enter()
    },
  ],
  [
    'POST',
    '/me/totp',
    () => [
      201,
      {
        secret: 'JBSWY3DPEHPK3PXP',
        uri: 'otpauth://totp/Codeweft:Ada?secret=JBSWY3DPEHPK3PXP&issuer=Codeweft',
      },
    ],
  ],
  [
    'POST',
    '/me/totp/confirm',
    ({ body }) => {
      checkCode(body)
      state.hasTotp = true
      state.enrolled = true
      return [201, { recovery_codes: codes() }]
    },
  ],
  [
    'POST',
    '/me/totp/remove',
    ({ body }) => {
      checkCode(body)
      state.hasTotp = false
    },
  ],
  ['POST', '/me/totp/recovery-codes', ({ body }) => checkCode(body) ?? [201, { recovery_codes: codes() }]],
  ['GET', '/me/sessions', () => state.sessions],
  [
    'DELETE',
    '/me/sessions',
    () => {
      const ended = state.sessions.length - 1
      state.sessions = state.sessions.filter(({ current }) => current)
      return { ended }
    },
  ],
  [
    'DELETE',
    '/me/sessions/:id',
    ({ params }) => {
      state.sessions = state.sessions.filter(({ id }) => id !== params.id)
    },
  ],
  [
    'POST',
    '/keys/:id/rotate',
    ({ params }) => {
      const key = find(keys, params.id)
      return [201, { id: key.id, name: key.name, key: 'cw_7rTzrotatedrotatedrotatedrotatedrotated0' }]
    },
  ],
  ['GET', '/users', () => state.users],
  [
    'POST',
    '/users',
    ({ body }) => {
      if (state.users.some(({ name }) => name === body.name))
        throw new Refusal(409, `There is a user '${body.name}' already.`, 'Choose another name.', 'conflict')
      const made = person(nextId('u'), body.name, body.role, body.team ?? '')
      state.users.push(made)
      return [201, made]
    },
  ],
  [
    'PATCH',
    '/users/:id',
    ({ params, body }) => {
      const user = find(state.users, params.id)
      if (user.id === me.id && ((body.role ?? 'admin') !== 'admin' || (body.status ?? 'active') !== 'active'))
        throw new Refusal(
          403,
          'This is the last administrator.',
          'Make somebody else one first.',
          'not_allowed',
        )
      const given = Object.entries(body).filter(([, value]) => value !== null)
      Object.assign(user, Object.fromEntries(given))
      if (user.id === me.id) me.name = user.name
      return user
    },
  ],
  [
    'DELETE',
    '/users/:id',
    ({ params }) => {
      state.users = state.users.filter(({ id }) => id !== params.id)
    },
  ],
  ['POST', '/users/:id/signin', () => [201, { path: '/signin?token=once' }]],
  ['DELETE', '/users/:id/sessions', () => ({ ended: 2 })],
  ['DELETE', '/users/:id/totp', () => {}],
  ['DELETE', '/users/:id/password', () => {}],
  ['GET', '/teams', () => state.teams],
  [
    'POST',
    '/teams',
    ({ body }) => {
      const team = { id: nextId('t'), name: body.name }
      state.teams.push(team)
      return [201, team]
    },
  ],
  [
    'DELETE',
    '/teams/:id',
    ({ params }) => {
      state.teams = state.teams.filter(({ id }) => id !== params.id)
    },
  ],
  ['GET', '/limits', () => state.limits],
  [
    'PUT',
    '/limits/:kind/:subject',
    ({ params, body }) => {
      const subject = params.kind === 'everyone' ? '' : params.subject
      const amounts = Object.entries(body).filter(([name]) => name !== 'period')
      if (amounts.every(([, value]) => value === null))
        throw new Refusal(400, 'That limits nothing.', 'Give at least one number, or delete the limit.')
      const old = state.limits.find((one) => one.kind === params.kind && one.subject === subject)
      if (old) Object.assign(old, body)
      else state.limits.push(limit(params.kind, subject, body))
    },
  ],
  [
    'DELETE',
    '/limits/:kind/:subject',
    ({ params }) => {
      const subject = params.kind === 'everyone' ? '' : params.subject
      state.limits = state.limits.filter((one) => one.kind !== params.kind || one.subject !== subject)
    },
  ],
  [
    'GET',
    '/indexes/:name/access',
    ({ params }) => state.access.get(params.name) ?? { open: true, users: [], teams: [] },
  ],
  [
    'PUT',
    '/indexes/:name/access',
    ({ params, body }) => {
      state.access.set(params.name, body)
      return body
    },
  ],
  [
    'GET',
    '/usage',
    ({ query }) =>
      fresh ? [] : (groupNames[query.get('by')] ?? []).map((name, at) => total(name, 900 >> at, at)),
  ],
  ['GET', '/usage/by-day', ({ query }) => byDay(query.get('by'), Number(query.get('days')))],
  [
    'POST',
    '/cost/break-even',
    ({ body }) => {
      const request = (body.prompt_tokens * body.input_usd + body.completion_tokens * body.output_usd) / 1e6
      if (request <= 0) throw new Refusal(400, 'At that price a request costs nothing.', 'Raise a price.')
      const capacity = (body.machine_tokens_per_second * body.utilisation * 3600) / body.completion_tokens
      const needed = body.machine_usd_per_hour / request
      return {
        api_usd_per_request: request,
        machine_usd_per_hour: body.machine_usd_per_hour,
        machine_usd_per_million_tokens:
          (body.machine_usd_per_hour / (capacity * body.completion_tokens)) * 1e6,
        requests_per_hour: needed,
        capacity,
        reachable: needed <= capacity,
      }
    },
  ],
  [
    'GET',
    '/audit',
    ({ query }) => {
      if (fresh) return []
      const [actor, action, since, until, q] = ['actor', 'action', 'since', 'until', 'q'].map((name) =>
        query.get(name),
      )
      const found = changes.filter(
        (one) =>
          (!actor || one.actor === actor) &&
          (!action || one.action === action || one.action.startsWith(`${action}.`)) &&
          (!since || one.at >= since) &&
          (!until || one.at < until) &&
          (!q || JSON.stringify(one).toLowerCase().includes(q.toLowerCase())),
      )
      const from = found.findIndex(({ id }) => id === query.get('before')) + 1
      return found.slice(from, from + Number(query.get('limit')))
    },
  ],
  [
    'GET',
    '/audit/names',
    () => ({
      actors: fresh ? [] : ['Ada', 'Grace'],
      actions: fresh ? [] : [...new Set(changes.map(({ action }) => action))].sort(),
    }),
  ],
  [
    'PUT',
    '/users/:id/identity',
    ({ body }) => {
      if (body.subject === 'taken')
        throw new Refusal(409, 'That identity belongs to a user already.', '', 'conflict')
    },
  ],
  [
    'GET',
    '/feedback',
    ({ query }) => feedback.filter(({ rating }) => !query.get('rating') || rating === query.get('rating')),
  ],
  ['GET', '/feedback/export', () => feedback],
  [
    'GET',
    '/setup',
    () => ({
      steps: {
        password: state.hasPassword,
        model: !fresh,
        index: indexes().length > 0,
        answer: !fresh,
        key: keys.length > 0,
      },
      writer: fresh ? 'starter' : 'qwen3-coder-30b',
      hardware: { cores: 8, memory_mb: 14_200, gpu: false },
      models: [
        model('qwen2.5-coder-7b', 'Qwen2.5 Coder 7B', 7.6, true, 6100),
        model('qwen2.5-coder-3b', 'Qwen2.5 Coder 3B', 3.1, true, 2900),
        model('qwen3-coder-30b', 'Qwen3 Coder 30B', 30.5, false, 21_000),
      ],
    }),
  ],
  [
    'GET',
    '/setup/clients',
    () => [
      client('continue', 'Continue', '~/.continue/config.yaml', 'yaml', 'name: Codeweft\napiKey: cw_…\n'),
      client('zed', 'Zed', '~/.config/zed/settings.json', 'json', '{"api_key": "cw_…"}\n'),
    ],
  ],
]

export const factorNeeded = () => !state.enrolled
