"""What an answer used, read off its events: the line that it becomes in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable

from codeweft.accounts import Entry, Outcome
from codeweft.models.prices import Prices
from codeweft.types import (
    Caller,
    Cited,
    Done,
    Event,
    Failed,
    ModelInfo,
    PromptProgress,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)

_WRITTEN = (TextDelta, ReasoningDelta, ToolCallDelta)


class Bill:
    """Adds up one answer. Feed it every event with `add`."""

    def __init__(self, asked: ModelInfo, caller: Caller) -> None:
        self._asked = asked
        self._caller = caller
        self._began = time.monotonic()
        self._writer = asked.name
        self.first_token_s: float | None = None
        self.usage: Usage | None = None
        """As the model counted; None while it has not said."""
        self.cited = Cited()
        self._read = 0
        self.written = 0
        """Pieces of text, thought or calls so far."""
        self._outcome: Outcome = "cancelled"

    def add(self, event: Event) -> None:
        """Take one event in."""
        if isinstance(event, _WRITTEN):
            self.written += (len(event.pieces) or 1) if type(event) is TextDelta else 1
            if self.first_token_s is None:
                self.first_token_s = time.monotonic() - self._began
        elif isinstance(event, Done):
            self.usage, self._outcome = event.usage, event.reason
        elif isinstance(event, Started):
            self._writer = event.model
        elif isinstance(event, PromptProgress):
            self._read = max(self._read, event.done)
        elif isinstance(event, Cited):
            self.cited = event
        elif isinstance(event, Failed):
            self._outcome = "failed"

    @property
    def seconds(self) -> float:
        """Since the answer was asked for."""
        return time.monotonic() - self._began

    def entry(self, writer: Callable[[str], ModelInfo | None], prices: Prices) -> Entry:
        """The line of the ledger. An answer that was broken off is charged what is known of it: a token a piece."""
        used = self.usage or Usage(self._read, self.written, estimated=True)
        info = writer(self._writer) or self._asked
        return Entry(
            at=time.time(),
            user_id=self._caller.user,
            model=self._writer,
            app=self._asked.name,
            key_id=self._caller.key or "",
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            completion_tokens=used.completion_tokens,
            cost=prices.cost(info, used) if used.total_tokens else 0.0,
            first_token_s=self.first_token_s,
            total_s=self.seconds,
            outcome=self._outcome,
        )
