"""Tells a model's thinking (`<think>…</think>` at the start of an answer) from the answer, while it streams."""

from __future__ import annotations

from codeweft.types import ReasoningDelta, TextDelta, TokenLogprob

_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkSplitter:
    """Feed it text as it comes; `started=True` when the prompt itself opened the thinking."""

    def __init__(self, *, started: bool = False) -> None:
        self._held = ""
        self._state = "thinking" if started else "beginning"

    def feed(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> list[TextDelta | ReasoningDelta]:
        """What can be told so far; a possible part of a tag is held back."""
        if self._state == "answering":
            return [TextDelta(text, logprobs)] if text or logprobs else []
        self._held += text
        if self._state == "beginning":
            opening = self._held.lstrip()
            if opening.startswith(_OPEN):
                self._held = opening.removeprefix(_OPEN).lstrip("\n")
                self._state = "thinking"
            elif _OPEN.startswith(opening):
                return []
            else:
                return self._answer(logprobs)
        before, tag, after = self._held.partition(_CLOSE)
        if tag:
            self._held = after.lstrip("\n")
            thought: list[TextDelta | ReasoningDelta] = [ReasoningDelta(before)] if before else []
            return thought + self._answer(logprobs)
        kept = next((n for n in range(len(_CLOSE) - 1, 0, -1) if before.endswith(_CLOSE[:n])), 0)
        ready, self._held = before[: len(before) - kept], before[len(before) - kept :]
        return [ReasoningDelta(ready)] if ready else []

    def flush(self) -> list[TextDelta | ReasoningDelta]:
        """What was held back, when the answer ends."""
        if not self._held:
            return []
        if self._state == "thinking":
            held, self._held = self._held, ""
            return [ReasoningDelta(held)]
        return self._answer(())

    def _answer(self, logprobs: tuple[TokenLogprob, ...]) -> list[TextDelta | ReasoningDelta]:
        self._state = "answering"
        held, self._held = self._held, ""
        return [TextDelta(held, logprobs)] if held or logprobs else []
