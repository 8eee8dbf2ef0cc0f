// Conversations of the stand-in server: a tree of turns, answers that are written while nobody reads, files, snippets.
import {
  answers,
  conversation as conversationOf,
  conversations,
  corrected,
  draft,
  explained,
  models,
  references,
  steps,
  turn as turnOf,
  unchecked,
  verified,
} from './data.mjs'
import { hold, nextId, now, pace, Refusal, scene, together } from './shared.mjs'

const state = {
  conversations: scene === 'empty' ? [] : structuredClone(conversations),
  snippets: [],
}
const running = new Map()
const told = new Map()
const files = new Map()

/** Shows the branch that ends with a turn, each turn knowing what stands beside it. */
function show(conversation, leaf) {
  const { all } = conversation
  const path = []
  for (let turn = all.find((one) => one.id === leaf); turn; ) {
    const { parent_id } = turn
    turn.siblings = all.filter((one) => one.parent_id === parent_id).map((one) => one.id)
    path.unshift(turn)
    turn = all.find((one) => one.id === parent_id)
  }
  conversation.turns = path
}
for (const conversation of state.conversations) {
  conversation.all = conversation.turns
  conversation.all.forEach((turn, at) => {
    turn.parent_id = conversation.all[at - 1]?.id ?? ''
    if (turn.explained) told.set(turn.id, explained(conversation.title))
  })
  show(conversation, conversation.all.at(-1)?.id)
}

function keepSnippets(conversation, turn) {
  for (const [, language, code] of turn.content.matchAll(/^`{3}(\w*)\n(.*?)^`{3}$/gms))
    state.snippets.unshift({
      id: nextId('s'),
      conversation_id: conversation.id,
      turn_id: turn.id,
      language,
      title: conversation.title,
      code: code.trimEnd(),
      created_at: now(),
    })
}
for (const conversation of state.conversations)
  for (const turn of conversation.all) if (turn.role === 'assistant') keepSnippets(conversation, turn)

const findConversation = (id) => {
  const conversation = state.conversations.find((other) => other.id === id)
  if (!conversation) throw new Refusal(404, 'There is no such conversation.', null, 'not_found')
  return conversation
}

// What one event brings: tokens, of about six characters each.
const pieces = new RegExp(`(?:\\s*\\S{1,6}){1,${together}}(?:\\s*$)?`, 'g')

function emit(answer, type, data) {
  const event = { seq: answer.events.length + 1, type, data }
  answer.events.push(event)
  for (const write of answer.readers) write(event)
}

async function runAnswer(answer, question, { index, model, explain, agent }) {
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const { turn } = answer
  const model_ = models.find((other) => other.name === model) ?? models[0]
  const writer = model_.kind === 'app' ? models.find((other) => other.kind === 'embedded') : model_
  emit(answer, 'started', { model: writer.name, note: writer.note })
  if (model_.kind === 'app' && index !== '') {
    emit(answer, 'node', { node: 'retriever', kind: 'retriever', state: 'started' })
    await wait(pace * 40)
    turn.references = references
    emit(answer, 'retrieved', { query: question, index: index || 'codeweft', results: references })
    emit(answer, 'node', { node: 'retriever', kind: 'retriever', state: 'finished', seconds: 0.012 })
  }
  if (agent) {
    for (const step of steps) {
      await wait(pace * 40)
      turn.steps.push(step)
      emit(answer, 'step', step)
      await hold(() => answer.stopped)
    }
  }
  for (let done = 256; done <= 1024; done += 256) {
    await wait(pace * 12)
    emit(answer, 'progress', { done, total: 1024 })
  }
  const started = Date.now()
  const word = Object.keys(answers).find((one) => question.toLowerCase().includes(one)) ?? 'normal'
  // A question with “verify” in it gets a first answer that does not stand; one with “doubt” nobody can check.
  const checked = /verify/i.test(question) ? verified : /doubt/i.test(question) ? unchecked : null
  let written = 0
  const texts = checked === verified ? [draft, corrected] : [answers[word]]
  for (const [at, text] of texts.entries()) {
    if (at > 0) {
      turn.withdrawn.push(turn.content.trim())
      turn.content = ''
      emit(answer, 'withdrawn', {})
    }
    const begun = Date.now()
    const all = text.match(pieces)
    for (const [told, piece] of all.entries()) {
      if (told === all.length >> 1) await hold(() => answer.stopped)
      if (answer.stopped) break
      if (word === 'fail' && told > 20) {
        turn.error = {
          message: 'The engine stopped while it was writing.',
          fix: 'It was started again; ask once more. If it happens often, choose a smaller model.',
        }
        Object.assign(turn, { reason: 'failed', answer_id: null })
        emit(answer, 'failed', { error: { ...turn.error, code: 'engine_failed' }, turn })
        return finish(answer)
      }
      turn.content += piece
      emit(answer, 'text', { text: piece })
      written += 1
      // A timer fires late; what is owed by then is written at once, so that the pace is kept.
      const early = begun + told * pace - Date.now()
      if (early > 0) await wait(early)
    }
  }
  if (checked && !answer.stopped) {
    turn.checked = checked
    emit(answer, 'checked', checked)
  }
  if (turn.references.length && !answer.stopped) {
    // A question with “stale” in it finds that the source of reference 2 was edited.
    const gone = /stale/i.test(question) ? [2] : []
    turn.references = turn.references.map((one) => ({ ...one, verified: !gone.includes(one.number) }))
    if (gone.length) turn.content = turn.content.replace(' [2]', '')
    emit(answer, 'cited', { verified: [1, 3, 4, 5], dropped: gone, gone })
    turn.dropped = gone
    if (explain) {
      turn.explained = true
      told.set(turn.id, explained(question))
      emit(answer, 'explained', explained(question))
    }
  }
  const seconds = Math.max(0.01, (Date.now() - started) / 1000)
  Object.assign(turn, {
    model: writer.name,
    note: writer.note,
    answer_id: null,
    reason: answer.stopped ? 'stopped' : /cut/i.test(question) ? 'length' : 'stop',
    usage: { prompt_tokens: 1024, completion_tokens: written, cached_tokens: 612 },
    timings: { first_token_s: 0.21, tokens_per_s: written / seconds },
    cost: writer.kind === 'upstream' ? 0.0042 : 0,
  })
  keepSnippets(answer.conversation, turn)
  emit(answer, 'done', { reason: turn.reason, usage: turn.usage, timings: turn.timings, turn })
  finish(answer)
}

function finish(answer) {
  for (const write of answer.readers) write(null)
  // As long as the server keeps them.
  setTimeout(() => running.delete(answer.id), 120_000).unref()
}

function ask(conversation, body) {
  if (!body.regenerate && !body.content?.trim())
    throw new Refusal(400, 'The message is empty.', 'Write something.', 'empty')
  if (body.content?.length > 50_000)
    throw new Refusal(
      400,
      'The prompt has 14,212 tokens, but the context has room for 4,096.',
      'Shorten the message, or choose a model with a longer context.',
      'context_length_exceeded',
    )
  const { turns, all } = conversation
  const replaced = body.beside
    ? all.find((turn) => turn.id === body.beside)
    : body.regenerate
      ? turns.findLast((turn) => turn.role === 'assistant')
      : null
  let parent = replaced ? replaced.parent_id : (turns.at(-1)?.id ?? '')
  let userTurn = all.find((turn) => turn.id === parent)
  if (!body.regenerate) {
    const given = (body.attachments ?? []).map((id) => files.get(id)).filter(Boolean)
    userTurn = turnOf(nextId('t'), 'user', body.content, {
      created_at: now(),
      parent_id: parent,
      attachments: given,
      reason: 'stop',
    })
    all.push(userTurn)
    parent = userTurn.id
    if (!conversation.title) conversation.title = body.content.slice(0, 60)
  }
  const id = nextId('a')
  const turn = turnOf(nextId('t'), 'assistant', '', {
    created_at: now(),
    answer_id: id,
    sampling: body.sampling,
    parent_id: parent,
  })
  all.push(turn)
  show(conversation, turn.id)
  conversation.updated_at = now()
  const answer = {
    id,
    turn,
    conversation,
    events: [],
    readers: new Set(),
    sockets: new Set(),
    stopped: false,
  }
  running.set(id, answer)
  runAnswer(answer, userTurn.content, body)
  return { answer_id: id, user_turn: body.regenerate ? null : userTurn, turn }
}

export function follow(request, response, id, after) {
  const answer = running.get(id)
  if (!answer) throw new Refusal(404, 'This answer is over.', 'Read the conversation.', 'not_found')
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const write = (event) => {
    if (!event) return response.end()
    response.write(`id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event.data)}\n\n`)
  }
  for (const event of answer.events) if (event.seq > after) write(event)
  if (!answer.turn.answer_id) return response.end()
  answer.readers.add(write)
  answer.sockets.add(request.socket)
  request.on('close', () => {
    answer.readers.delete(write)
    answer.sockets.delete(request.socket)
  })
}

const plain = ({ turns: _turns, all: _all, ...conversation }) => conversation
const whole = ({ all: _all, ...conversation }) => conversation
/** Cuts every event stream, as a broken network would. */
export function cut() {
  for (const answer of running.values()) for (const socket of answer.sockets) socket.destroy()
}

export const chatRoutes = [
  [
    'GET',
    '/conversations',
    ({ query }) =>
      state.conversations
        .filter((one) => one.title.toLowerCase().includes((query.get('q') ?? '').toLowerCase()))
        .map((one) => ({ ...plain(one), excerpt: query.get('q') ? `…as asked about ${one.title}…` : '' })),
  ],
  [
    'POST',
    '/conversations',
    ({ body }) => {
      const conversation = {
        ...conversationOf(nextId('c'), body.title ?? '', 0),
        model: body.model,
        index: body.index,
        created_at: now(),
        updated_at: now(),
        all: [],
      }
      state.conversations.push(conversation)
      return plain(conversation)
    },
  ],
  ['GET', '/conversations/:id', ({ params }) => whole(findConversation(params.id))],
  [
    'PATCH',
    '/conversations/:id',
    ({ params, body }) => plain(Object.assign(findConversation(params.id), body)),
  ],
  [
    'DELETE',
    '/conversations/:id',
    ({ params }) => {
      state.conversations = state.conversations.filter((one) => one !== findConversation(params.id))
    },
  ],
  ['POST', '/conversations/:id/answers', ({ params, body }) => [202, ask(findConversation(params.id), body)]],
  [
    'DELETE',
    '/answers/:id',
    ({ params }) => {
      const answer = running.get(params.id)
      if (answer) answer.stopped = true
    },
  ],
  [
    'PUT',
    '/turns/:id/rating',
    ({ params, body }) => {
      for (const one of state.conversations)
        for (const turn of one.all) if (turn.id === params.id) Object.assign(turn, body)
    },
  ],
  [
    'PUT',
    '/conversations/:id/branch',
    ({ params, body }) => {
      const conversation = findConversation(params.id)
      let leaf = body.turn_id
      for (let next = leaf; next; next = conversation.all.findLast((one) => one.parent_id === leaf)?.id)
        leaf = next
      show(conversation, leaf)
      return whole(conversation)
    },
  ],
  [
    'POST',
    '/conversations/import',
    ({ body }) => {
      if (!body.file?.text.includes('codeweft'))
        throw new Refusal(
          400,
          'This is no file of conversations.',
          'Import what was exported here.',
          'invalid',
        )
      const made = { ...structuredClone(state.conversations[0]), id: nextId('c'), title: 'Imported chat' }
      state.conversations.push(Object.assign(made, { updated_at: now() }))
      return [201, [plain(made)]]
    },
  ],
  ['GET', '/conversations/:id/export', ({ params }) => whole(findConversation(params.id))],
  [
    'GET',
    '/turns/:id/explanation',
    ({ params }) => {
      if (!told.has(params.id)) throw new Refusal(404, 'This answer was not explained.', null, 'not_found')
      return told.get(params.id)
    },
  ],
  [
    'POST',
    '/attachments',
    ({ body }) => {
      const { name, text } = body.file
      if (text.includes('\0'))
        throw new Refusal(
          400,
          `${name} cannot be attached: binary content.`,
          'Attach code or text.',
          'invalid',
        )
      const secrets = /AKIA/.test(text) ? 1 : 0
      const file = { id: nextId('f'), name, language: 'python', size: text.length, secrets }
      files.set(file.id, { ...file, text })
      return [201, file]
    },
  ],
  ['GET', '/attachments/:id', ({ params }) => files.get(params.id)],
  [
    'DELETE',
    '/attachments/:id',
    ({ params }) => {
      files.delete(params.id)
    },
  ],
  [
    'GET',
    '/snippets',
    ({ query }) => state.snippets.filter((one) => `${one.title}${one.code}`.includes(query.get('q') ?? '')),
  ],
  [
    'POST',
    '/snippets',
    ({ body }) => {
      const snippet = { id: nextId('s'), conversation_id: '', turn_id: '', created_at: now(), ...body }
      state.snippets.unshift(snippet)
      return [201, snippet]
    },
  ],
  [
    'DELETE',
    '/snippets/:id',
    ({ params }) => {
      state.snippets = state.snippets.filter((one) => one.id !== params.id)
    },
  ],
  [
    'DELETE',
    '/snippets',
    () => {
      const deleted = state.snippets.length
      state.snippets = []
      return { deleted }
    },
  ],
]
