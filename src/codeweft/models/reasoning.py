"""Tells a model's thinking (`<think>…</think>` at the start of an answer) from the answer, while it streams."""

from __future__ import annotations

from codeweft.types import ReasoningDelta, TextDelta, TokenLogprob

_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkSplitter:
    """Feed it text as it comes; `started=True` when the prompt itself opened the thinking.

    Line breaks behind a tag belong to the tag.
    """

    def __init__(self, *, started: bool = False) -> None:
        self._held = ""
        self._state = "thinking" if started else "beginning"
        self._after_tag = started

    def feed(self, text: str, logprobs: tuple[TokenLogprob, ...] = ()) -> list[TextDelta | ReasoningDelta]:
        """What can be told so far; a possible part of a tag is held back."""
        if self._state == "answering":
            return self._answer(text, logprobs)
        self._held += text
        if self._state == "beginning":
            opening = self._held.lstrip()
            if not opening.startswith(_OPEN):
                return [] if _OPEN.startswith(opening) else self._answer(self._take(), logprobs)
            self._held = opening.removeprefix(_OPEN)
            self._state, self._after_tag = "thinking", True
        before, tag, after = self._held.partition(_CLOSE)
        if tag:
            self._held = ""
            thought = self._thought(before)
            self._after_tag = True
            return thought + self._answer(after, logprobs)
        kept = next((n for n in range(len(_CLOSE) - 1, 0, -1) if before.endswith(_CLOSE[:n])), 0)
        self._held = before[len(before) - kept :]
        return self._thought(before[: len(before) - kept])

    def flush(self) -> list[TextDelta | ReasoningDelta]:
        """What was held back, when the answer ends."""
        if self._state == "thinking":
            return self._thought(self._take())
        return self._answer(self._take(), ())

    def _take(self) -> str:
        held, self._held = self._held, ""
        return held

    def _trimmed(self, text: str) -> str:
        if self._after_tag:
            text = text.lstrip("\n")
            self._after_tag = not text
        return text

    def _thought(self, text: str) -> list[TextDelta | ReasoningDelta]:
        text = self._trimmed(text)
        return [ReasoningDelta(text)] if text else []

    def _answer(self, text: str, logprobs: tuple[TokenLogprob, ...]) -> list[TextDelta | ReasoningDelta]:
        self._state = "answering"
        text = self._trimmed(text)
        return [TextDelta(text, logprobs)] if text or logprobs else []
