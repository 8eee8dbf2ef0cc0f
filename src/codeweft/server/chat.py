"""Answers in conversations. An answer is a task of the server: it goes on when the browser goes away.

Its events are kept while it runs and a while after, numbered, so that any number of readers can follow it and a
reader that comes back misses nothing. The turn is saved while it grows.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from codeweft.accounts import Turn
from codeweft.accounts.branches import path_to
from codeweft.accounts.conversations import title_from
from codeweft.errors import CodeweftError, Conflict, InvalidRequest, NotFound, NotReady
from codeweft.flows.nodes.retriever import looked_up
from codeweft.runtime.compose import Runtime
from codeweft.server.answer import Answer, Published
from codeweft.server.chat_views import AskBody, TurnView
from codeweft.server.failures import translate
from codeweft.server.fenced import code_blocks, enclosed
from codeweft.server.service import Service
from codeweft.server.views import Problem
from codeweft.server.wire import check_max_tokens
from codeweft.stream import close
from codeweft.types import (
    Caller,
    Done,
    Failed,
    Message,
    Model,
    Request,
    Retrieval,
    Retrieved,
    Sampling,
)

log = logging.getLogger("codeweft.server")

SAVE_SECONDS = 1.0
KEPT_SECONDS = 120
"""How long the events of a finished answer stay; later, its turn tells all that is worth knowing."""

KEEP_ATTEMPTS = 30
KEEP_PAUSE = 2.0
"""Seconds between attempts to save a finished answer: a database is held, or a disk full, for a while only."""

STOPPED = NotReady("The server stopped while this answer was being written.", fix="Regenerate the answer.")


class Answers:
    """The answers being written in this server."""

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._runtime = runtime
        self._service = service
        self._conversations = runtime.accounts.conversations
        self._answers: dict[str, Answer] = {}
        self._busy: set[str] = set()
        self._stopping = False

    async def recover(self) -> None:
        """Tell the turns that an earlier server left unfinished what happened to them."""
        count = await self._conversations.fail_unfinished(Problem.of(STOPPED).model_dump())
        if count:
            log.info("%d answers were cut off when the server stopped", count)

    async def stop(self) -> None:
        """End and save everything that is being written."""
        self._stopping = True
        tasks = []
        for answer in self._answers.values():
            if answer.task is not None and not answer.task.done():
                answer.ending = "server"
                answer.task.cancel()
                tasks.append(answer.task)
        await asyncio.gather(*tasks, return_exceptions=True)

    def view(self, turn: Turn) -> TurnView:
        """A turn as it is now, which for one being written is more than the database has."""
        answer = self._answers.get(turn.id)
        if answer is None or turn.reason is not None:
            return TurnView.of(turn)
        if answer.turn.reason is not None:
            return TurnView.of(answer.turn)
        return TurnView.of(answer.snapshot(), answer_id=turn.id)

    async def ask(
        self, user: str, conversation_id: str, body: AskBody, answer_id: str | None = None
    ) -> tuple[Turn | None, Turn]:
        """Begin an answer; the user's turn (None when regenerating) and the answer's, whose id is the answer's.

        Raises `Conflict` while another answer is being written in the conversation.
        """
        if (body.content is None) != body.regenerate:
            raise InvalidRequest("Send either `content` or `regenerate: true`.", param="content")
        if self._stopping:
            raise STOPPED
        await self._conversations.get(user, conversation_id)
        if conversation_id in self._busy:
            raise Conflict(
                "An answer is still being written in this conversation.", fix="Stop it, or wait for it."
            )
        if body.agent and body.index == "":
            raise InvalidRequest(
                "An agent looks things up, and the empty `index` forbids it.",
                fix="Leave one of them out.",
                param="agent",
            )
        check_max_tokens(body.sampling.max_tokens, self._runtime.settings.limits.max_tokens)
        model = self._service.model(body.model)
        self._busy.add(conversation_id)
        try:
            return await self._begin(user, conversation_id, body, model, answer_id or secrets.token_hex(8))
        except BaseException:
            self._busy.discard(conversation_id)
            raise

    async def _begin(
        self, user: str, conversation_id: str, body: AskBody, model: Model, answer_id: str
    ) -> tuple[Turn | None, Turn]:
        conversation = await self._conversations.get(user, conversation_id)
        everything = await self._conversations.turns(conversation_id)
        turns = list(before(everything, conversation.leaf_id, body))
        user_turn = None
        now = time.time()
        if body.content is not None:
            user_turn = Turn(
                secrets.token_hex(8), conversation_id, "user", body.content, now, reason="stop",
                parent_id=turns[-1].id if turns else "",
            )  # fmt: skip
            user_turn = beside(user_turn, everything)
            given = await self._conversations.attachments.give(user, user_turn.id, body.attachments)
            user_turn = replace(user_turn, attachments=given)
            turns.append(user_turn)
        sampling = body.sampling.model_dump(exclude_none=True)
        turn = Turn(
            answer_id, conversation_id, "assistant", "", now, model=model.info.name, sampling=sampling,
            parent_id=turns[-1].id,
        )  # fmt: skip
        turn = beside(turn, everything)
        await self._conversations.add_turns(*([user_turn] if user_turn else []), turn)
        changes: dict[str, str | None] = {"model": model.info.name, "index": body.index}
        if not conversation.title:
            changes["title"] = title_from(turns[0].content)
        await self._conversations.update(user, conversation_id, **changes)
        files = await self._files(turns)
        request = Request(
            model=model.info.name,
            messages=history(turns, files),
            sampling=Sampling(**sampling),
            retrieval=Retrieval(
                index=body.index or None,
                enabled=body.index != "",
                agent=body.agent,
                # Whole files say too much to look anything up by.
                query=looked_up([one.content for one in turns if one.role == "user"]) if files else None,
            ),
            explain=body.explain,
            label=False,
            caller=Caller(user),
        )
        answer = self._answers[turn.id] = Answer(turn, user)
        answer.task = asyncio.create_task(self._write(answer, model, request), name=f"answer-{turn.id}")
        return user_turn, turn

    async def _files(self, turns: Sequence[Turn]) -> dict[str, list[tuple[str, str, str]]]:
        """Name, language and text of the files that were given to each of these turns."""
        asked = [turn.id for turn in turns if turn.role == "user"]
        attachments = self._conversations.attachments
        given = await attachments.of(asked)
        texts = await attachments.texts(asked) if given else {}
        return {
            turn: [(one.name, one.language, texts[one.id]) for one in files] for turn, files in given.items()
        }

    async def _write(self, answer: Answer, model: Model, request: Request) -> None:
        done: Done | None = None
        error: CodeweftError | None = None
        reason = "failed"
        events = self._service.measured(model, request)
        saved = time.monotonic()
        saving: asyncio.Task[bool] | None = None
        try:
            async for _, event in events:
                if isinstance(event, Done):
                    done, reason = event, event.reason
                elif isinstance(event, Failed):
                    error = event.error
                elif isinstance(event, Retrieved):
                    await answer.refer(event)
                else:
                    await answer.take(event)
                if time.monotonic() - saved > SAVE_SECONDS and (saving is None or saving.done()):
                    # Beside the stream, which a database that somebody holds must neither stop nor end.
                    saving = asyncio.create_task(_tried(self._conversations.save_turn(answer.snapshot())))
                    saved = time.monotonic()
            if done is None and error is None:
                error = CodeweftError("The model ended without an answer.", fix="Try again.")
        except asyncio.CancelledError:
            if answer.ending == "server":
                error = STOPPED
            else:
                reason = "stopped"
        except Exception as bug:
            error = translate(bug)
        finally:
            await close(events)
        answer.conclude(
            "failed" if error is not None else reason, done, error, self._cost(answer, model, done)
        )
        kept = False
        with suppress(asyncio.CancelledError):
            if saving is not None:
                await saving
            kept = await _tried(self._keep(answer))
        # The reader gets the answer all the same; it is the keeping that failed.
        await answer.farewell()
        if kept:
            self._forget(answer)
        else:
            answer.task = asyncio.create_task(self._keep_later(answer), name=f"keep-{answer.turn.id}")

    async def _keep_later(self, answer: Answer) -> None:
        """Save an answer that could not be saved when it ended. The next one of its conversation waits for that."""
        try:
            for _ in range(KEEP_ATTEMPTS):
                await asyncio.sleep(KEEP_PAUSE)
                if await _tried(self._keep(answer)):
                    break
        finally:
            self._forget(answer)

    def _forget(self, answer: Answer) -> None:
        self._busy.discard(answer.turn.conversation_id)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._answers.pop, answer.turn.id, None)

    def _cost(self, answer: Answer, model: Model, done: Done | None) -> float | None:
        if done is None:
            return None
        info = self._runtime.writer_info(answer.turn.model or "") or model.info
        return self._runtime.prices.cost(info, done.usage)

    async def _keep(self, answer: Answer) -> None:
        """Save a finished answer, how it came about, and the code in it."""
        turn = answer.turn
        await self._conversations.save_turn(turn)
        if answer.explanation is not None:
            await self._conversations.keep_explanation(turn.id, answer.explanation)
        conversation = await self._conversations.get(answer.user, turn.conversation_id)
        await self._runtime.accounts.snippets.add(
            answer.user,
            code_blocks(turn.content),
            title=conversation.title,
            conversation_id=turn.conversation_id,
            turn_id=turn.id,
        )

    async def events(self, user: str, answer_id: str, after: int) -> AsyncIterator[Sequence[Published]]:
        """The events of an answer after number `after`. Raises `NotFound`."""
        answer = self._answers.get(answer_id)
        if answer is not None and answer.user == user:
            return answer.follow(after)
        turn = await self._conversations.turn(user, answer_id)
        if turn.role != "assistant":
            raise NotFound("There is no such answer.")
        # Its events are gone; the last one can be told again from what was kept.
        told = Answer(turn, user, begins=after)
        await told.farewell()
        return told.follow(after)

    async def cancel(self, user: str, answer_id: str) -> None:
        """Stop writing; what was written stays. Nothing happens when it is finished."""
        answer = self._answers.get(answer_id)
        if answer is None or answer.user != user:
            await self._conversations.turn(user, answer_id)
            return
        if answer.task is not None and not answer.finished:
            answer.task.cancel()
            await asyncio.wait([answer.task])

    async def forget(self, user: str, conversation_id: str) -> None:
        """Delete a conversation, ending what is being written in it."""
        await self._conversations.get(user, conversation_id)
        for answer in list(self._answers.values()):
            if answer.turn.conversation_id == conversation_id:
                await self.cancel(user, answer.turn.id)
        await self._conversations.delete(user, conversation_id)


async def _tried(saving: Awaitable[None]) -> bool:
    """Whether something could be saved; why not is logged."""
    try:
        await saving
        return True
    except NotFound:
        return True  # it was deleted meanwhile
    except Exception as failure:
        log.error("an answer could not be saved: %s", translate(failure))
        return False


def before(turns: Sequence[Turn], leaf_id: str, body: AskBody) -> tuple[Turn, ...]:
    """The turns that a new question or answer follows. Raises `NotFound` and `InvalidRequest`."""
    if body.beside is not None:
        path = path_to(turns, body.beside)
        if not path:
            raise NotFound("There is no such turn in this conversation.", param="beside")
        wanted = "assistant" if body.regenerate else "user"
        if path[-1].role != wanted:
            raise InvalidRequest(
                "An answer is written anew with `regenerate`, a question is edited with `content`.",
                param="beside",
            )
        return path[:-1]
    path = path_to(turns, leaf_id) or (path_to(turns, turns[-1].id) if turns else ())
    if body.regenerate and path and path[-1].role == "assistant":
        path = path[:-1]
    if body.regenerate and not path:
        raise InvalidRequest("There is nothing to answer in this conversation.", param="regenerate")
    return path


def beside(turn: Turn, turns: Sequence[Turn]) -> Turn:
    """A new turn with those that are in its place already."""
    others = [one.id for one in turns if one.parent_id == turn.parent_id]
    return replace(turn, siblings=(*others, turn.id))


def history(
    turns: Sequence[Turn], files: Mapping[str, Sequence[tuple[str, str, str]]]
) -> tuple[Message, ...]:
    """The turns as messages, each question below the (name, language, text) of its files.

    A question whose answer failed is left out with it: chat templates want turns in turn.
    """
    messages: list[Message] = []
    for turn in turns:
        if turn.role == "assistant" and not turn.content:
            if messages and messages[-1].role == "user":
                messages.pop()
            continue
        given = "".join(enclosed(*file) for file in files.get(turn.id, ()))
        messages.append(Message("assistant" if turn.role == "assistant" else "user", given + turn.content))
    return tuple(messages)
