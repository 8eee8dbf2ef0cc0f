// What the stand-in server knows. Checked against the API's types, so that it cannot drift from the server.
const daysAgo = (/** @type {number} */ days, hours = 0) =>
  new Date(Date.now() - days * 86_400_000 - hours * 3_600_000).toISOString()

const note = 'starter, for trying things offline; pull a real model for work'
/** @type {import('../src/api/types').Model[]} */
export const models = [
  {
    name: 'codegen',
    kind: 'app',
    description: 'Answers with functions from your indexed code, and says which.',
    note,
    skills: ['chat', 'completion', 'infilling'],
    context: 4096,
    family: '',
    default: true,
  },
  {
    name: 'chat',
    kind: 'app',
    description: 'The model alone, with a short instruction.',
    note,
    skills: ['chat'],
    context: 4096,
    family: '',
    default: false,
  },
  {
    name: 'starter',
    kind: 'embedded',
    description: 'A small Python model inside the package.',
    note,
    skills: ['completion', 'infilling', 'chat', 'python'],
    context: 4096,
    family: 'codeweft',
    default: false,
  },
  {
    name: 'qwen3-coder-30b',
    kind: 'upstream',
    description: 'vLLM on gpu-1',
    note: '',
    skills: ['completion', 'infilling', 'chat', 'tools'],
    context: 262_144,
    family: 'qwen3-coder',
    default: false,
  },
]

/** @type {import('../src/api/types').System} */
export const system = {
  version: '0.1.0',
  models_ready: true,
  engine: [
    {
      name: 'starter',
      status: 'ready',
      reason: '',
      context: 4096,
      slots: 4,
      busy: 1,
      waiting: 0,
      memory_mb: 318,
    },
  ],
  machine: { cores: 8, memory_mb: 32_100, disk_free_mb: 412_000 },
  home: '/home/ada/.local/share/codeweft',
}

/** @returns {import('../src/api/types').Index} */
const index = (
  /** @type {string} */ name,
  /** @type {Partial<import('../src/api/types').Index>} */ extra,
) => ({
  name,
  source: `/srv/code/${name}`,
  kind: 'folder',
  repository: name,
  commit: '',
  state: 'ready',
  files: 0,
  indexed: 0,
  chunks: 0,
  bytes: 0,
  summarised: 0,
  secrets_count: 0,
  languages: {},
  failed: [],
  skipped: [],
  failed_count: 0,
  skipped_count: 0,
  updated_at: daysAgo(0, 2),
  error: '',
  job: null,
  default: false,
  follows: 'watched',
  refresh_minutes: 0,
  ...extra,
})
/** @type {import('../src/api/types').Index[]} */
export const indexes = [
  index('codeweft', {
    commit: '8c81295f02b1d3',
    files: 342,
    indexed: 340,
    chunks: 4127,
    bytes: 2_918_400,
    default: true,
    state: 'incomplete',
    languages: { python: 214, typescript: 61, yaml: 28, markdown: 21, css: 6, bash: 5, toml: 4, json: 3 },
    failed: [
      { path: 'tests/data/latin1.py', reason: 'not UTF-8 at byte 1044' },
      { path: 'tests/data/private.key', reason: 'permission denied' },
    ],
    skipped: [
      { path: 'web/package-lock.json', reason: 'lock file' },
      { path: 'docs/screen.png', reason: 'binary' },
      { path: 'node_modules/', reason: 'ignored by .gitignore' },
    ],
    failed_count: 2,
    skipped_count: 1204,
    secrets_count: 3,
  }),
  index('payments-api', {
    kind: 'git',
    source: 'https://git.example.com/shop/payments-api.git',
    commit: 'f4e2a90c11',
    files: 1289,
    indexed: 1289,
    chunks: 18_402,
    bytes: 14_200_000,
    languages: { go: 820, typescript: 301, sql: 88, yaml: 80 },
    updated_at: daysAgo(1),
    follows: 'polled',
    refresh_minutes: 30,
  }),
  index('handbook', {
    kind: 'uploads',
    source: 'uploads',
    files: 12,
    indexed: 12,
    chunks: 140,
    bytes: 90_112,
    languages: { markdown: 9, python: 3 },
    updated_at: daysAgo(9),
    follows: 'told',
  }),
]

export const sourceText = Array.from({ length: 420 }, (_, at) =>
  at % 14 === 0
    ? `def load_part_${at}(path: Path, *, strict: bool = True) -> Settings:`
    : at % 14 === 1
      ? '    """Read one part of the settings; raises SettingsError naming the line."""'
      : at % 14 === 2
        ? '    text = path.read_text(encoding="utf-8")  # the only place that reads'
        : at % 14 === 3
          ? '    if strict and not text.strip():'
          : at % 14 === 4
            ? '        raise SettingsError(f"{path} is empty", fix="write at least one model")'
            : at % 14 === 12 || at % 14 === 13
              ? ''
              : `    value_${at} = parse(text, start=${at})`,
).join('\n')

const snippet = `def load(path: Path, *, overrides: Mapping[str, str] = {}) -> Settings:
    """Settings from one YAML file. Raises SettingsError with the line that is wrong."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise SettingsError(f"{path} does not exist", fix="create it with codeweft init") from missing
    except yaml.YAMLError as broken:
        raise SettingsError(f"{path} is not YAML: {broken}", fix="see codeweft config schema") from broken
    return Settings.model_validate({**(raw or {}), **overrides})
`
/** @type {(number: number, path: string, name: string, kind: string, start: number, lines: number, score: number) => import('../src/api/types').Reference} */
const reference = (number, path, name, kind, start, lines, score) => ({
  number,
  index: 'codeweft',
  repository: 'codeweft',
  path,
  start_line: start,
  end_line: start + lines - 1,
  name,
  kind,
  language: 'python',
  signature: `def ${name}(…)`,
  commit: '8c81295f02b1d3',
  score,
  text: snippet,
  summary: `Says what ${name} is for, in the words of the task.`,
  why: { lexical: 0.41, vector: 0.78, 'same directory': 0.05 },
  verified: null,
})
/** @type {import('../src/api/types').Reference[]} */
export const references = [
  reference(1, 'src/codeweft/config.py', 'load', 'function', 88, 9, 0.912),
  reference(2, 'src/codeweft/errors.py', 'SettingsError', 'class', 41, 9, 0.774),
  reference(3, 'src/codeweft/cli/serve.py', 'serve', 'function', 19, 9, 0.631),
  reference(4, 'src/codeweft/server/app.py', 'create_app', 'function', 61, 9, 0.522),
  reference(5, 'tests/test_config.py', 'test_a_missing_file_names_the_fix', 'function', 12, 9, 0.498),
]

/** @type {(path: string, name: string, line: number, score: number, why: Record<string, number>) => import('../src/api/types').Candidate} */
const leftOut = (path, name, line, score, why) => ({
  number: null,
  repository: 'codeweft',
  path,
  start_line: line,
  end_line: line + 8,
  name,
  kind: 'function',
  language: 'python',
  score,
  why,
})
/** What an agent did before it answered. @type {import('../src/api/types').Step[]} */
export const steps = [
  {
    number: 1,
    tool: 'find_symbol',
    arguments: { name: 'Settings.load', find: 'callers' },
    seconds: 0.042,
    results: 3,
    tokens: 812,
    thought: 'Who loads the settings?',
    error: '',
  },
  {
    number: 2,
    tool: 'read_file',
    arguments: { path: 'src/codeweft/settings.py' },
    seconds: 0.004,
    results: 0,
    tokens: 930,
    thought: '',
    error: 'The index codeweft has no file. Did you mean src/codeweft/config.py?',
  },
]

/** How an answer came about. @type {(question: string) => import('../src/api/types').Explained} */
export const explained = (question) => ({
  question,
  query: /again/.test(question) ? 'settings file load' : question,
  candidates: [
    ...references,
    leftOut('src/codeweft/config.py', 'dump', 120, 0.301, { lexical: 0.2, test: -0.1 }),
    leftOut('src/codeweft/flows/spec.py', 'parse', 8, 0.287, {}),
  ],
  prompt: [
    { role: 'system', content: 'Answer with the references below and cite them by number, such as [1].' },
    { role: 'user', content: `Reference [1] src/codeweft/config.py:88-96\n\n${snippet}\n\n${question}` },
  ],
})

/** @type {import('../src/api/types').Secret[]} */
export const secrets = [
  { path: 'tests/data/deploy.env', line: 4, rule: 'AWS access key' },
  { path: 'tests/data/deploy.env', line: 5, rule: 'AWS secret key' },
  { path: 'docs/setup.md', line: 31, rule: 'GitHub token' },
]

/** @type {(finds: string[], path: string, line: number, role: string, name: string, text: string, more?: object) => object} */
const place = (finds, path, line, role, name, text, more = {}) => ({
  finds,
  index: 'codeweft',
  repository: 'codeweft',
  commit: '8c81295f02',
  path,
  language: 'python',
  line,
  column: 5,
  end_line: line + 8,
  role,
  name,
  kind: role === 'definition' ? 'function' : '',
  within: '',
  text,
  certain: true,
  count: 1,
  ...more,
})

export const places = [
  place(
    ['definitions'],
    'src/codeweft/config.py',
    88,
    'definition',
    'load',
    'def load(path: Path) -> Settings:',
  ),
  place(
    ['references'],
    'src/codeweft/cli/serve.py',
    19,
    'import',
    'load',
    'from codeweft.config import Settings, load',
  ),
  place(['references'], 'src/codeweft/cli/serve.py', 31, 'call', 'load', '    settings = load(config)'),
  place(['references'], 'tests/test_config.py', 12, 'call', 'load', '    store.load(path)', {
    certain: false,
  }),
  place(['callers'], 'src/codeweft/cli/serve.py', 31, 'call', 'serve', '    settings = load(config)', {
    count: 2,
  }),
  place(
    ['callees'],
    'src/codeweft/errors.py',
    41,
    'definition',
    'SettingsError',
    'class SettingsError(Exception):',
  ),
]

/** @type {(path: string, number: number, text: string, spans: number[][], language?: string) => object} */
const hit = (path, number, text, spans, language = 'python') => ({
  index: 'codeweft',
  repository: 'codeweft',
  commit: '8c81295f02',
  path,
  language,
  number,
  text,
  spans,
  before: ['# settings are read once'],
  after: [''],
})

export const hits = [
  hit('src/codeweft/config.py', 88, 'def load(path: Path) -> Settings:', [[4, 8]]),
  hit('src/codeweft/config.py', 102, 'def load_all(paths): return [load(path) for path in paths]', [
    [4, 8],
    [29, 33],
  ]),
  hit('web/src/lib/settings.ts', 7, 'export const load = () => read()', [[13, 17]], 'typescript'),
]

const fence = '```'
const normal = `Settings are read in one place, \`load\` [1], and every refusal is a \`SettingsError\` that names the fix [2]. A validator in the same style:

${fence}python
from collections.abc import Iterator
from pathlib import Path

from codeweft.config import Settings, load
from codeweft.errors import SettingsError


def problems(settings: Settings) -> Iterator[SettingsError]:
    """Everything that would stop the server from starting, most important first."""
    if not settings.models:
        yield SettingsError("no model is configured", fix="run codeweft models pull, or add models: to the file")
    for name, model in settings.models.items():
        if model.base_url and not model.base_url.startswith(("http://", "https://")):
            yield SettingsError(f"models.{name}.base_url is not a web address", fix="start it with http:// or https://")
        if model.context is not None and model.context < 512:
            yield SettingsError(f"models.{name}.context is {model.context}", fix="use at least 512 tokens")


def validate(path: Path) -> Settings:
    """The settings in \`path\`, or the first problem that they have."""
    settings = load(path)
    for problem in problems(settings):
        raise problem
    return settings
${fence}

How it fits in:

1. \`problems\` **decides** and reads nothing, so a test needs no file.
2. \`validate\` is what the command line calls, as \`serve\` does today [3].
3. The same errors reach the browser through \`create_app\` [3, 4].

| Case | Before | After |
|---|---|---|
| no model | fails at the first question | refused at start |
| wrong address | a time-out | named, with the fix |

A test that follows the existing ones [5]:

${fence}python
def test_a_file_without_models_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "codeweft.yaml"
    file.write_text("models: {}\\n")
    with pytest.raises(SettingsError, match="no model"):
        validate(file)
${fence}

Run it with \`pytest tests/test_config.py\`.`

const long = `Here is a long file.\n\n${fence}python\n${Array.from({ length: 2000 }, (_, at) => (at % 8 ? `    value_${at} = compute(${at}, scale=0.5)  # step ${at}` : `def part_${at}(values: list[int]) -> int:`)).join('\n')}\n${fence}\n\nThat was long.`

const hostile = `<script>window.pwned = 1</script> <img src=x onerror="window.pwned = 2"> <b>bold?</b>

[click](javascript:window.pwned=3) and [data](data:text/html,<script>window.pwned=4</script>), ![pixel](https://evil.example/pixel.png)

[1]: javascript:window.pwned=5

${fence}html
<script>window.pwned = 6</script><img src=x onerror="window.pwned = 7">
${fence}

[caps](JaVaScRiPt:window.pwned=9) [tab](java\tscript:window.pwned=10) <javascript:window.pwned=11> [vb](vbscript:x) [file](file:///etc/passwd)

<svg onload="window.pwned=12"><a xlink:href="javascript:window.pwned=13">x</a></svg> <math><mi xlink:href="javascript:window.pwned=14">y</mi></math>

[entity](&#106;avascript:window.pwned=15) ![svg](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+) <style>body{display:none}</style> <base href="https://evil.example/">

| <img src=x onerror="window.pwned=16"> | [t](javascript:window.pwned=17) |
| --- | --- |
| <form action="https://evil.example"><input name=q></form> | <meta http-equiv=refresh content="0;url=https://evil.example"> |

\`<iframe srcdoc="<script>window.pwned=8</script>">\` &lt;script&gt; see [1].`

// Nested as deep as a broken or hostile model can, within what a small answer holds.
const nested = `${'> '.repeat(2000)}deep\n\n${'- '.repeat(2000)}item\n\n${'['.repeat(3000)}x${']'.repeat(3000)}\n\n${'*'.repeat(3001)}a\n\nthe end of it`

// 2,000 lines with headings, lists and ninety blocks of code: what a long answer looks like.
const guide = Array.from({ length: 96 }, (_, part) =>
  [
    `## ${part + 1}. How part ${part} is loaded`,
    '',
    `Part ${part} is read by \`load_${part}\` **once**, when the server starts, as \`config.py\` does it [1].`,
    '',
    `- It names the line that is wrong.`,
    `- It names the *fix*.`,
    '',
    `${fence}python`,
    `def load_${part}(path: Path, *, strict: bool = True) -> Settings:`,
    `    """Part ${part} of the settings. Raises SettingsError naming the line."""`,
    `    text = path.read_text(encoding="utf-8")  # the only place that reads`,
    `    if strict and not text.strip():`,
    `        raise SettingsError(f"{path} is empty", fix="write at least one model")`,
    `    values = parse(text, start=${part * 10}) | {"part": ${part}}`,
    `    for name in sorted(values.keys() - KNOWN):`,
    `        log.warning("%s: %s is not a setting of part ${part}", path, name)`,
    `    return Settings.model_validate(values)`,
    `${fence}`,
    '',
    `It is called in ${part % 7} places, and a test holds each of them; see part ${(part * 3) % 100}.`,
    '',
    '',
  ].join('\n'),
).join('')

/** What a model writes, by a word in the question. @type {Record<string, string>} */
export const answers = { fail: normal, long, inject: hostile, nested, guide, normal }

/** A first answer that its tests refute, and what becomes of the second. */
export const draft = `${fence}python\ndef total(prices):\n    return sum(prices) + 1\n${fence}\n\nits tests fail: 7 != 6 (pytest). Corrected:\n\n`
export const corrected = `${fence}python\ndef total(prices):\n    return sum(prices)\n${fence}\n`
/** @type {import('../src/api/types').Checked} */
export const verified = {
  verified: true,
  tool: 'pytest',
  message: '3 tests pass (pytest)',
  language: 'python',
  repaired: true,
}
/** @type {import('../src/api/types').Checked} */
export const unchecked = {
  verified: false,
  tool: '',
  message: 'its language is not known',
  language: '',
  repaired: false,
}

/** @typedef {import('../src/api/types').Turn} Turn */

/** @type {(id: string, role: Turn['role'], content: string, extra?: Partial<Turn>) => Turn} */
export const turn = (id, role, content, extra = {}) => ({
  id,
  role,
  content,
  created_at: daysAgo(0, 3),
  model: null,
  note: '',
  references: [],
  usage: null,
  reason: null,
  error: null,
  sampling: {},
  timings: {},
  rating: null,
  comment: '',
  cost: null,
  dropped: [],
  explained: false,
  steps: [],
  withdrawn: [],
  checked: null,
  siblings: [],
  attachments: [],
  answer_id: null,
  ...extra,
})
/** @type {(id: string, content: string, extra?: Partial<Turn>) => Turn} */
const answered = (id, content, extra = {}) =>
  turn(id, 'assistant', content, {
    model: 'starter',
    note,
    references,
    reason: 'stop',
    usage: { prompt_tokens: 1873, completion_tokens: 412, cached_tokens: 1204 },
    timings: { first_token_s: 0.21, tokens_per_s: 48.2 },
    ...extra,
  })
/** @type {(id: string, title: string, days: number, turns?: Turn[]) => import('../src/api/types').ConversationWithTurns} */
export const conversation = (id, title, days, turns = []) => ({
  id,
  title,
  model: 'codegen',
  index: null,
  created_at: daysAgo(days, 3),
  updated_at: daysAgo(days, 1),
  excerpt: '',
  turns,
})
/** @type {import('../src/api/types').ConversationWithTurns[]} */
export const conversations = [
  conversation('c1', 'Validate the settings file', 0, [
    turn(
      't1',
      'user',
      'Write a function that validates the settings file before the server starts, in the style of this project.',
    ),
    answered('t2', normal, { rating: 'good' }),
  ]),
  conversation('c2', 'Where are git remotes checked?', 0, [
    turn('t3', 'user', 'Where are git remotes checked?'),
    answered('t4', 'They are checked in one place', { reason: 'length' }),
  ]),
  conversation('c3', 'Explain the ranking of search results and which constants it was tuned with', 1, [
    turn('t5', 'user', 'Explain the ranking of search results.'),
    answered('t6', 'The engine', {
      reason: 'failed',
      references: [],
      usage: null,
      timings: {},
      error: {
        code: 'engine_failed',
        message: 'The engine stopped while it was writing.',
        fix: 'It was started again; ask once more.',
      },
    }),
  ]),
  conversation('c4', '한국어 요약을 만드는 함수', 3),
  conversation('c5', 'Unit tests for the chunker', 5),
  conversation('c6', 'Translate utils.js to TypeScript', 12),
  conversation('c7', 'Retry with back-off in the upstream client', 21),
  conversation('c8', 'Old ideas', 80),
]
