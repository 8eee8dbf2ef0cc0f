// The stand-in server's code tasks, completions, model files and engines.
import { references } from './data.mjs'
import { hold, now, pace, Refusal, scene } from './shared.mjs'

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Server-sent events from a generator of [name, data]; it ends when the reader leaves. */
async function stream(response, events) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  let gone = false
  response.on('close', () => {
    gone = true
  })
  for await (const [name, data] of events) {
    if (gone) return
    response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
  }
  response.end()
}

const input = (name, kind, title, description, extra = {}) => ({
  name,
  title,
  description,
  kind,
  required: false,
  choices: [],
  default: '',
  ...extra,
})
const code = input('code', 'code', 'Code', 'The code to work on.', { required: true })
const path = input('path', 'line', 'File', 'Path of the file; tells its language.')
const instruction = input('instruction', 'text', 'Instruction', 'What matters, in your own words.')
const explain = input('explain', 'choice', 'Explain the result', 'How much is said about the result.', {
  choices: ['no', 'short', 'long'],
  default: 'short',
})
const task = (name, title, description, inputs, looks_up, checks) => ({
  name,
  title,
  description,
  inputs,
  looks_up,
  checks,
})
const error = input('error', 'text', 'Error message', 'A message, a stack trace, a log.')
const tasks = [
  task('explain', 'Explain', 'Explains code step by step.', [code, path, instruction], true, false),
  task(
    'fix',
    'Fix',
    'Finds what is wrong and mends it.',
    [code, path, error, instruction, explain],
    true,
    true,
  ),
  task('refactor', 'Refactor', 'Makes code easier to read.', [code, path, instruction, explain], true, true),
  task('tests', 'Write tests', 'Writes unit tests.', [code, path, instruction, explain], true, true),
  task('document', 'Document', 'Writes documentation.', [code, path, instruction], true, true),
  task('summarise', 'Summarise', 'Says in a few sentences what code does.', [code, path], false, false),
  task(
    'translate',
    'Translate',
    'Translates code to another programming language; the result is checked.',
    [
      input('language_from', 'language', 'From', 'Left out, it is read off the code.'),
      code,
      path,
      input('language_to', 'language', 'To', 'The language to translate to.', { required: true }),
      instruction,
      explain,
    ],
    false,
    true,
  ),
  task(
    'review',
    'Review',
    'Says what is wrong or risky, and what to do.',
    [code, path, instruction],
    true,
    false,
  ),
]

const answers = {
  translate:
    '```go\nfunc GroupByFirstLetter(words []string) map[byte][]string {\n\tgroups := map[byte][]string{}\n\tfor _, word := range words {\n\t\tgroups[word[0]] = append(groups[word[0]], word)\n\t}\n\treturn groups\n}\n```\n',
  fix: '```python\ndef average(numbers):\n    if not numbers:\n        raise ValueError("no numbers")\n    return sum(numbers) / len(numbers)\n```\n\n`total =+ number` assigned instead of adding [1].\n',
}
const prose =
  'The function goes through the words once and puts each into the list of its first letter.\n\n- A **missing key** makes a new list, as `load` does [1].\n- An empty word raises `IndexError`.\n'

async function* ran({ name, looks_up, checks }, { inputs, index }) {
  yield ['started', { model: 'starter', note: 'This is the starter, for trying things offline.' }]
  const shown = looks_up && index !== '' ? references.slice(0, 3) : []
  if (looks_up && index !== '') {
    yield ['node', { node: 'retrieve', kind: 'retriever', state: 'started' }]
    await wait(pace * 20)
    yield ['retrieved', { query: 'code', index: 'codeweft', results: shown }]
  }
  yield ['node', { node: 'answer', kind: 'model', state: 'started' }]
  const text = answers[name] ?? prose
  const all = text.match(/\s*\S{1,8}/g)
  for (const [told, piece] of all.entries()) {
    await wait(pace)
    yield ['text', { text: piece }]
    if (told === all.length >> 1) await hold()
    if (/fail/.test(inputs.code)) {
      yield [
        'failed',
        {
          error: {
            message: 'The engine stopped while it was writing.',
            fix: 'It restarts by itself; try again.',
            code: 'engine_failed',
          },
        },
      ]
      return
    }
  }
  if (checks) {
    yield ['node', { node: 'check', kind: 'check', state: 'started' }]
    await wait(pace * 20)
    const wrong = /wrong/.test(inputs.code)
    const tool = name === 'translate' ? 'gofmt' : 'python'
    const said = wrong ? 'line 3: error: expected }' : `${tool} accepts its syntax`
    yield ['checked', { verified: !wrong, tool, message: said, language: 'go', repaired: wrong }]
  }
  const turn = {
    id: 't1',
    role: 'assistant',
    content: text,
    created_at: now(),
    model: 'starter',
    note: '',
    references: shown,
    usage: { prompt_tokens: 210, completion_tokens: 40, cached_tokens: 0 },
    reason: 'stop',
  }
  yield ['done', { reason: 'stop', usage: turn.usage, timings: {}, turn }]
}

async function* filled({ prefix, suffix, model, index }) {
  if (/fail/.test(prefix)) {
    yield [
      'failed',
      {
        error: {
          message: 'The prompt is 9,000 tokens long; 4,080 fit.',
          fix: 'Shorten the code around the hole.',
          code: 'context_length_exceeded',
        },
      },
    ]
    return
  }
  yield ['started', { model: 'starter', note: '' }]
  const looks = (!model || model === 'codegen') && index !== ''
  if (looks) yield ['retrieved', { query: 'fibonacci', index: 'codeweft', results: references.slice(0, 2) }]
  yield [
    'prompt',
    {
      pieces: [
        { text: '<|fim_prefix|>', special: true },
        { text: '<|fim_suffix|>', special: true },
        ...(suffix ? [{ text: suffix, special: false }] : []),
        { text: '<|fim_middle|>', special: true },
        { text: prefix, special: false },
      ],
      tokens: 57,
    },
  ]
  const text = 'numbers = [0, 1]\n    while len(numbers) < n:\n        numbers.append(sum(numbers[-2:]))'
  await wait(pace * 10)
  for (const piece of text.match(/\s*\S+/g)) {
    yield ['text', { text: piece }]
    await hold()
    await wait(pace)
  }
  yield [
    'done',
    {
      reason: 'stop',
      usage: { prompt_tokens: 57, completion_tokens: 27, cached_tokens: 0 },
      timings: { total_s: 0.4, tokens_per_s: 71.5 },
    },
  ]
}

const entry = (name, title, billions, licence, fits) => ({
  name,
  title,
  licence,
  context: 32_768,
  family: 'qwen2.5-coder',
  skills: ['chat', 'completion', 'infilling', 'tools'],
  quantisations: [
    { name: 'Q4_K_M', disk_bytes: billions * 0.61e9, memory_bytes: billions * 0.7e9 + 5e8, fits: fits > 0 },
    { name: 'Q8_0', disk_bytes: billions * 1.06e9, memory_bytes: billions * 1.2e9 + 5e8, fits: fits > 1 },
  ],
  usual: 'Q4_K_M',
  best_fit: ['Q4_K_M', 'Q8_0'][fits - 1] ?? null,
})
const catalogue = [
  entry('qwen2.5-coder-1.5b', 'Qwen2.5-Coder 1.5B Instruct', 1.5, 'Apache-2.0', 2),
  entry('qwen2.5-coder-7b', 'Qwen2.5-Coder 7B Instruct', 7.6, 'Apache-2.0', 2),
  entry('qwen2.5-coder-14b', 'Qwen2.5-Coder 14B Instruct', 14.8, 'Apache-2.0', 1),
  entry('qwen2.5-coder-32b', 'Qwen2.5-Coder 32B Instruct', 32.8, 'Apache-2.0', 0),
]

const file = (name, bytes) => ({ name, bytes, source: '', licence: 'Apache-2.0', pulled_at: now() })
const shelf = { files: [], pulls: [] }
const timers = new Map()

function pull(reference, models) {
  const [name, quantisation = 'q4_k_m'] = reference.toLowerCase().split(':')
  const local = quantisation === 'q4_k_m' ? name : `${name}-${quantisation}`
  if (!catalogue.some((one) => one.name === name) && !reference.includes('/'))
    throw new Refusal(
      404,
      `There is no model ${reference} in the catalogue.`,
      'Give a name of the catalogue, OWNER/REPOSITORY/FILE.gguf, or an https address.',
      'not_found',
    )
  shelf.pulls = shelf.pulls.filter((one) => one.name !== local)
  const one = {
    name: local,
    reference,
    state: 'running',
    phase: 'downloading',
    done: 0,
    total: 4.7e9,
    rate: 61e6,
    eta_s: 70,
    error: null,
  }
  shelf.pulls.push(one)
  timers.set(
    local,
    setInterval(() => {
      one.done += 0.16e9
      one.eta_s = Math.max(1, Math.round((one.total - one.done) / one.rate))
      if (name.includes('14b') && one.done > 0.5e9) {
        clearInterval(timers.get(local))
        one.state = 'failed'
        one.error = {
          message: 'The model needs 9.07 GB, but only 3.20 GB are free.',
          fix: 'Free some space, or choose a smaller version.',
          code: 'storage_failed',
        }
      } else if (one.done >= one.total) {
        clearInterval(timers.get(local))
        one.state = 'done'
        shelf.files.push(file(local, one.total))
        models.push({
          name: local,
          kind: 'embedded',
          description: 'Pulled.',
          note: '',
          skills: ['chat', 'completion', 'infilling'],
          context: 32_768,
          family: 'qwen2.5-coder',
          default: false,
        })
      }
    }, 150),
  )
  return one
}

const engineOf = (system, name) => {
  const engine = system.engine.find((one) => one.name === name)
  if (!engine) throw new Refusal(404, `No engine on this machine runs '${name}'.`, 'There is: starter.')
  return engine
}
const act = (system, name, status) => {
  const engine = engineOf(system, name)
  Object.assign(engine, { status, reason: '', busy: 0 })
  if (status === 'starting') setTimeout(() => Object.assign(engine, { status: 'ready' }), 1500)
  return [202, engine]
}

const functions = ['Settings', 'load', 'Settings.check', '']
const chunks = functions.map((name, at) => ({
  start_line: at * 12 + 1,
  end_line: at * 12 + 12,
  kind: ['class', 'function', 'method', 'block'][at],
  name,
  signature: '',
  summary: at === 1 ? 'Reads the settings file and checks every value.' : '',
  text: Array.from({ length: 12 }, (_, line) => `    line_${at * 12 + line + 1} = ${line}`).join('\n'),
}))

/** @param {{models: any[], system: any, findIndex: (name: string) => any}} parts */
export function workRoutes({ models, system, findIndex }) {
  if (scene === 'crashed')
    Object.assign(system.engine[0], {
      status: 'failed',
      reason: 'it was killed, most likely because memory ran out',
    })
  const pools =
    scene === 'empty'
      ? []
      : [
          {
            name: 'gpu',
            endpoints: [
              { name: 'gpu-1', running: 3, parallel: 16, failures: 0, resting_s: 0, error: '' },
              {
                name: 'gpu-2',
                running: 0,
                parallel: 16,
                failures: 2,
                resting_s: 24,
                error: 'The endpoint of gpu-2 cannot be reached.',
              },
            ],
          },
        ]
  return [
    [
      'GET',
      '/tasks',
      () => ({
        tasks: scene === 'empty' ? [] : tasks,
        sandbox: { ready: true, why: '', languages: ['go', 'python'] },
      }),
    ],
    [
      'POST',
      '/tasks/:name',
      ({ params, body, response }) => {
        const found = tasks.find((one) => one.name === params.name)
        if (/refuse/.test(body.inputs.code))
          throw new Refusal(400, '`code` must be code.', 'Send some code.', 'invalid')
        return stream(response, ran(found, body))
      },
    ],
    ['POST', '/infill', ({ body, response }) => stream(response, filled(body))],
    ['GET', '/models/catalogue', () => catalogue],
    ['GET', '/models/files', () => shelf],
    ['POST', '/models/pulls', ({ body }) => [202, pull(body.reference, models)]],
    [
      'DELETE',
      '/models/pulls/:name',
      ({ params }) => {
        clearInterval(timers.get(params.name))
        shelf.pulls.find((one) => one.name === params.name).state = 'cancelled'
      },
    ],
    [
      'DELETE',
      '/models/files/:name',
      ({ params }) => {
        shelf.files = shelf.files.filter((one) => one.name !== params.name)
        models.splice(
          models.findIndex((one) => one.name === params.name),
          1,
        )
      },
    ],
    ['POST', '/models/:name/start', ({ params }) => act(system, params.name, 'starting')],
    ['POST', '/models/:name/stop', ({ params }) => act(system, params.name, 'stopped')],
    ['POST', '/models/:name/restart', ({ params }) => act(system, params.name, 'starting')],
    ['GET', '/pools', () => pools],
    [
      'PATCH',
      '/indexes/:name',
      ({ params, body }) => {
        const index = findIndex(params.name)
        const minutes = body.refresh_minutes ?? 60
        return Object.assign(index, {
          refresh_minutes: minutes,
          follows: minutes ? 'polled' : index.kind === 'folder' ? 'watched' : 'told',
        })
      },
    ],
    ['GET', '/indexes/:name/chunks', () => chunks],
  ]
}
