"""A model that gets its prompts without the keys, tokens and passwords that people and editors put into them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Final

from codeweft.errors import NotReady
from codeweft.retrieval.redact import Redactor
from codeweft.stream import Deferred, count_tokens, only, reading
from codeweft.types import Event, Failed, Infill, Message, Model, ModelInfo, Request, Started, Usage, replace

SHORT: Final = 128_000
"""Characters that are looked through on the event loop: it takes half a millisecond."""
_PASTED = "prompt.txt"
"""What people paste is anything, settings without quotes included."""


class Redacting:
    """Satisfies `Model`: takes secrets out of each request before `model` sees it, and says so in `Started`."""

    def __init__(self, model: Model, redactor: Redactor) -> None:
        self._model = model
        self._redactor = redactor

    @property
    def info(self) -> ModelInfo:
        return self._model.info

    async def count(self, request: Request) -> Usage:
        """See `TokenCounter`."""
        return await count_tokens(self._model, request)

    def stream(self, request: Request) -> AsyncIterator[Event]:
        """See `Model.stream`."""
        return Deferred(partial(self._begun, request))

    async def _begun(self, request: Request) -> AsyncIterator[Event]:
        # Handing a short text to a thread and back takes longer than reading it.
        texts = _texts(request)
        if sum(map(len, texts)) <= SHORT and all(map(self._harmless, texts)):
            return self._model.stream(request)
        try:
            clean, hidden = await asyncio.to_thread(redacted, request, self._redactor)
        except NotReady as error:
            return only(Failed(error))
        return self._saying(clean, hidden) if hidden else self._model.stream(request)

    def _harmless(self, text: str) -> bool:
        """Whether there is no secret in `text`; False also where only a thread may wait for the rules that say it."""
        looked = self._redactor.redact_now(text, _PASTED)
        return looked is not None and not looked.found

    async def _saying(self, clean: Request, hidden: int) -> AsyncGenerator[Event]:
        said = f"Secrets were taken out of what this model was sent: {hidden}."
        async with reading(self._model.stream(clean)) as events:
            async for event in events:
                if isinstance(event, Started):
                    event = Started(event.model, f"{event.note} {said}".strip())
                yield event


def _texts(request: Request) -> list[str]:
    """What of a request is looked through for secrets."""
    texts = [turn.content for turn in request.messages]
    texts += [call.arguments for turn in request.messages for call in turn.tool_calls]
    if request.prompt is not None:
        texts.append(request.prompt)
    if request.infill is not None:
        texts += [
            request.infill.prefix,
            request.infill.suffix,
            *(one.text for one in request.infill.neighbours),
        ]
    return texts


def redacted(request: Request, redactor: Redactor) -> tuple[Request, int]:
    """The request without secrets, and how many there were. Raises `NotReady` when the rules cannot be loaded."""
    hidden = 0

    def clean(text: str) -> str:
        nonlocal hidden
        done = redactor.redact(text, _PASTED)
        hidden += len(done.found)
        return done.text

    messages = tuple(_turn(turn, clean) for turn in request.messages)
    infill = None if request.infill is None else _infill(request.infill, clean)
    prompt = None if request.prompt is None else clean(request.prompt)
    return (
        (replace(request, messages=messages, infill=infill, prompt=prompt), hidden)
        if hidden
        else (request, 0)
    )


def _turn(turn: Message, clean: Callable[[str], str]) -> Message:
    content = clean(turn.content)
    calls = tuple(replace(call, arguments=clean(call.arguments)) for call in turn.tool_calls)
    # Making an object anew costs as much as looking through a line; a long chat has many that stay.
    return turn if content is turn.content and not calls else replace(turn, content=content, tool_calls=calls)


def _infill(hole: Infill, clean: Callable[[str], str]) -> Infill:
    neighbours = tuple(replace(one, text=clean(one.text)) for one in hole.neighbours)
    return replace(hole, prefix=clean(hole.prefix), suffix=clean(hole.suffix), neighbours=neighbours)
