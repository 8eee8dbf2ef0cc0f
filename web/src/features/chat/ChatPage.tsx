import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useNavigate, useParams } from 'react-router'
import { ApiError, api, asProblem } from '../../api/client'
import { keys, useChangeTurns, useConversation, useModels } from '../../api/queries'
import type { Asked, ConversationWithTurns, Model, Turn } from '../../api/types'
import { CodeActions } from '../../components/Code'
import { ProblemNote, Skeleton } from '../../components/ui'
import { useAnswerStream } from '../../lib/answer/useAnswer'
import { useWords } from '../../lib/i18n'
import { useSettings } from '../../lib/settings'
import { CodeMenu, OnTask, type Task } from './CodeMenu'
import { Composer, type ComposerHandle } from './Composer'
import { Thread } from './Thread'
import { Welcome } from './Welcome'

export function ChatPage() {
  const { id } = useParams()
  return id ? <Existing key={id} id={id} /> : <New />
}

/** `model` answers this one message only; `beside` is the turn that it stands beside. */
type Message = { model?: string | undefined; beside?: string } & (
  | { content: string; attachments?: string[] }
  | { regenerate: true }
)

/** Sends a message into conversation `id`, or into a new one, and shows what the server made of it. */
function useAsk(id: string | null) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const models = useModels()
  const { model, index, sampling, explain, agent } = useSettings()
  return useMutation({
    mutationFn: async ({ model: wanted, ...message }: Message) => {
      const known = models.data?.some((other) => other.name === model)
      const answerer = (known && model) || (models.data?.find((other) => other.default)?.name ?? null)
      const conversation = id ? null : await api.createConversation({ model: answerer, index })
      const target = id ?? (conversation as NonNullable<typeof conversation>).id
      if (conversation)
        client.setQueryData<ConversationWithTurns>(keys.conversation(target), { ...conversation, turns: [] })
      const asked = await api.ask(target, {
        ...message,
        model: wanted ?? answerer,
        index,
        sampling,
        ...(explain && { explain }),
        ...(agent && index !== '' && { agent }),
      })
      return { target, asked }
    },
    onSuccess: ({ target, asked }, message) => {
      client.setQueryData<ConversationWithTurns>(
        keys.conversation(target),
        (old) => old && { ...old, turns: withAnswer(old.turns, asked, message.beside) },
      )
      client.invalidateQueries({ queryKey: keys.allConversations })
      if (target !== id) navigate(`/c/${target}`)
    },
  })
}

/** The shown turns once the server accepted a message: up to the one that it stands beside, then the new ones. */
function withAnswer(turns: Turn[], { user_turn, turn, answer_id }: Asked, beside?: string): Turn[] {
  const running = { ...turn, answer_id: turn.answer_id ?? answer_id }
  const at = beside === undefined ? -1 : turns.findIndex((other) => other.id === beside)
  const before = at === -1 ? turns : turns.slice(0, at)
  return user_turn ? [...before, user_turn, running] : [...before, running]
}

const isApp = (models: Model[] | undefined, name: string | null | undefined): boolean =>
  models?.find((model) => (name ? model.name === name : model.default))?.kind === 'app'

function New() {
  const words = useWords('chat')
  const ask = useAsk(null)
  const composer = useRef<ComposerHandle>(null)
  return (
    <div className="flex h-full flex-col">
      <div className="min-h-0 flex-1 overflow-y-auto">
        <Welcome onExample={(text) => composer.current?.fill(text)} />
      </div>
      <Composer
        ref={composer}
        busy={ask.isPending}
        onSend={(content, attachments) => ask.mutateAsync({ content, attachments })}
        problem={ask.error && asProblem(ask.error)}
        label={words.chat.composer}
      />
    </div>
  )
}

const codeMenu = (code: string, language: string) => <CodeMenu code={code} language={language} />

function Existing({ id }: { id: string }) {
  const words = useWords('chat')
  const client = useQueryClient()
  const conversation = useConversation(id)
  const models = useModels()
  const changeTurns = useChangeTurns(id)
  const ask = useAsk(id)
  const composer = useRef<ComposerHandle>(null)
  const turns = conversation.data?.turns
  const running = turns?.findLast((turn) => turn.answer_id)?.answer_id ?? null

  const stream = useAnswerStream(
    running,
    (finished, { explained }) => {
      if (explained) client.setQueryData(keys.explanation(finished.id), explained)
      client.invalidateQueries({ queryKey: keys.allSnippets })
      changeTurns((old) =>
        old.map((turn) => (turn.answer_id === running ? { ...finished, answer_id: null } : turn)),
      )
      client.invalidateQueries({ queryKey: keys.allConversations })
    },
    () => conversation.refetch(),
  )

  const [stopProblem, setStopProblem] = useState<unknown>(null)
  const [stopped, setStopped] = useState<string | null>(null)
  const stop = useCallback(() => {
    setStopProblem(null)
    setStopped(running)
    if (running)
      api.stop(running).catch((problem) => {
        setStopProblem(problem)
        setStopped(null)
      })
  }, [running])
  useEffect(() => {
    if (!running) return
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) stop()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [running, stop])

  const show = useMutation({
    mutationFn: (turn: string) => api.showBranch(id, turn),
    onSuccess: (shown) => client.setQueryData(keys.conversation(id), shown),
  })
  const idle = !running && !ask.isPending && !show.isPending
  const { mutate, mutateAsync } = ask
  const regenerate = useCallback((turn: Turn) => mutate({ regenerate: true, beside: turn.id }), [mutate])
  const edit = useCallback(
    (turn: Turn, content: string) =>
      mutateAsync({ content, beside: turn.id, attachments: turn.attachments.map((one) => one.id) }),
    [mutateAsync],
  )
  const task = useCallback(
    ({ content, app }: Task) => {
      const known = models.data?.some((model) => model.name === app)
      mutate({ content, model: known ? app : undefined })
    },
    [mutate, models.data],
  )
  const goOn = useCallback(
    () => mutate({ content: words.chat.continuePrompt }),
    [mutate, words.chat.continuePrompt],
  )

  const title = conversation.data?.title || words.list.untitled
  useEffect(() => {
    document.title = `${title} · Codeweft`
    return () => {
      document.title = 'Codeweft'
    }
  }, [title])

  if (conversation.isError && !conversation.data) {
    const missing = conversation.error instanceof ApiError && conversation.error.status === 404
    return (
      <div className="mx-auto w-full max-w-3xl p-6">
        <h1 className="sr-only">{words.chat.conversation}</h1>
        <ProblemNote
          problem={missing ? { message: words.chat.notFound } : asProblem(conversation.error)}
          {...(!missing && { onRetry: () => conversation.refetch() })}
        />
      </div>
    )
  }
  const problem = ask.error ?? show.error ?? stopProblem
  return (
    <div className="flex h-full flex-col">
      <h1 className="sr-only">{title}</h1>
      {turns ? (
        <CodeActions value={codeMenu}>
          <OnTask value={idle ? task : null}>
            <Thread
              conversation={id}
              turns={turns}
              stream={stream}
              looksUp={conversation.data?.index !== '' && isApp(models.data, conversation.data?.model)}
              onRegenerate={idle ? regenerate : undefined}
              onContinue={goOn}
              onEdit={idle ? edit : undefined}
              onShow={idle ? show.mutate : undefined}
            />
          </OnTask>
        </CodeActions>
      ) : (
        <div className="mx-auto w-full max-w-3xl flex-1 px-4 py-8">
          <Skeleton widths={[50, 90, 80, 85, 60]} />
        </div>
      )}
      <Composer
        ref={composer}
        busy={ask.isPending}
        onSend={(content, attachments) => ask.mutateAsync({ content, attachments })}
        {...(running && { onStop: stop, stopping: stopped === running })}
        lastMessage={turns?.findLast((turn) => turn.role === 'user')?.content ?? null}
        problem={problem ? asProblem(problem) : null}
        label={words.chat.composer}
      />
    </div>
  )
}
