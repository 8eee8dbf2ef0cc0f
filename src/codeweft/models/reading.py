"""An endpoint's answer as it arrives: bytes in, events out. No waiting in here, so that it can be tested as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from codeweft.errors import CodeweftError, UpstreamFailed
from codeweft.models.last_resort import FenceStripper
from codeweft.models.sse import Lines, Parts, Whole
from codeweft.models.wire import StreamChunk
from codeweft.types import Event, FinishReason, PromptProgress, Request, Started, TextDelta, Usage

_KEEPS_WRITING: Final = "llama.cpp"
"""The `Server` header of an engine that notices a client leaving only while it streams (measured)."""


def in_one_piece(request: Request, server: str | None) -> bool:
    """Whether an endpoint is asked for the answer in one piece, for a token costs more to receive than to decode.

    Only if nobody reads along, and if leaving is known to stop the work: `server` is the `Server` header of the
    endpoint's last answer, None before the first.
    """
    return request.whole and server is not None and not server.startswith(_KEEPS_WRITING)


class Reading:
    """Reads one answer. `ended` is set when the endpoint has said that it is whole."""

    def __init__(
        self,
        content_type: str,
        decode: Callable[[bytes], StreamChunk],
        *,
        name: str,
        query: str = "",
        fence: FenceStripper | None = None,
        packed: bool = False,
    ) -> None:
        """`name` is the model's; `query` is what was asked, for answers with references; `decode` raises on errors.

        `packed`: see `Request.packed`.
        """
        self._parts: Parts = Whole() if content_type.startswith("application/json") else Lines()
        self._decode = decode
        self._name = name
        self._query = query
        self._fence = fence
        self._packed = packed and fence is None
        self._began = time.monotonic()
        self._written: list[str] = []
        self.chunks = 0
        self.ended = False
        self.reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.first_token_s: float | None = None

    @property
    def text(self) -> str:
        """What was written so far, as the endpoint wrote it."""
        return "".join(self._written)

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that `piece` completes; an empty one is the end of the body. Raises `UpstreamFailed`."""
        texts: list[str] = []
        for part in self._cut(piece):
            if part == b"[DONE]":
                self.reason = self.reason or "stop"
                self.ended = True
                break
            try:
                chunk = self._decode(part)
            except CodeweftError:
                if texts:
                    yield self._together(texts)
                raise
            if self._packed and (text := chunk.only_text):
                texts.append(text)
                continue
            if texts:
                yield self._together(texts)
                texts = []
            yield from self._events(chunk)
        if texts:
            yield self._together(texts)
        if not piece:
            self.ended = True

    def _together(self, texts: list[str]) -> TextDelta:
        """Deltas that arrived together as one event."""
        self.chunks += len(texts)
        if self.first_token_s is None:
            self.first_token_s = time.monotonic() - self._began
        self._written += texts
        return TextDelta("".join(texts), pieces=tuple(texts)) if len(texts) > 1 else TextDelta(texts[0])

    def flush(self) -> Iterator[Event]:
        """What was held back until the end."""
        if self._fence is not None and (rest := self._fence.flush()):
            yield TextDelta(rest)

    def _cut(self, piece: bytes) -> list[bytes]:
        try:
            return self._parts.feed(piece) if piece else self._parts.rest()
        except ValueError:
            raise UpstreamFailed(f"The endpoint of {self._name} does not send a stream of events.") from None

    def _events(self, chunk: StreamChunk) -> Iterator[Event]:
        self.chunks += 1
        if chunk.usage is not None:
            self.usage = chunk.usage.usage
        if chunk.choices:
            self.reason = chunk.finish_reason or self.reason
        if chunk.prompt_progress is not None:
            yield PromptProgress(chunk.prompt_progress.processed, chunk.prompt_progress.total)
        if chunk.note:
            # A Codeweft server tells at the end what a reader must know about its model.
            yield Started(self._name, chunk.note)
        for event in chunk.events(self._query):
            if self.first_token_s is None:
                self.first_token_s = time.monotonic() - self._began
            if type(event) is TextDelta:
                self._written.append(event.text)
                if self._fence is not None:
                    event = TextDelta(self._fence.feed(event.text))
                    if not event.text:
                        continue
            yield event
