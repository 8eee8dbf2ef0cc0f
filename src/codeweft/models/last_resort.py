"""Infilling by asking a chat model, for endpoints that offer nothing better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from codeweft.types import Infill, Message, PromptPiece

NOTE: Final = (
    "This endpoint cannot fill in the middle; the model was asked in a chat instead, which is less exact."
)
_INSTRUCTION: Final = (
    "You complete code at a cursor. Answer with exactly the text that belongs at the cursor, so that the code before "
    "it, your answer and the code after it form one correct file. Keep the indentation. No explanation, no Markdown "
    "fence, and nothing of the code that is there already."
)
_FENCE: Final = "```"


def ask(infill: Infill) -> tuple[Message, ...]:
    """The turns that ask for the text of the hole."""
    files = "".join(f"File {item.path}:\n{item.text}\n\n" for item in infill.neighbours)
    question = f"{files}Code before the cursor:\n{infill.prefix}\n\nCode after the cursor:\n{infill.suffix}"
    return (Message("system", _INSTRUCTION), Message("user", question))


def labelled(parts: Iterable[tuple[str, str]]) -> tuple[PromptPiece, ...]:
    """Named texts of a request as pieces of a prompt; the endpoint itself lays them out."""
    return tuple(
        piece for name, text in parts for piece in (PromptPiece(name, special=True), PromptPiece(text))
    )


def pieces(turns: Sequence[Message]) -> tuple[PromptPiece, ...]:
    """Turns as pieces of a prompt."""
    return labelled((turn.role, turn.content) for turn in turns)


class FenceStripper:
    """Removes the Markdown fence that chat models put around code all the same, while the text streams."""

    def __init__(self) -> None:
        self._held = ""
        self._decided = False
        self._fenced = False

    def feed(self, text: str) -> str:
        """The text that is certain to belong to the code."""
        self._held += text
        if not self._decided:
            opening = self._held.lstrip()
            if len(opening) < len(_FENCE) and _FENCE.startswith(opening):
                return ""
            if opening.startswith(_FENCE):
                if "\n" not in opening:
                    return ""
                self._fenced = True
                self._held = opening.split("\n", 1)[1]
            self._decided = True
        if not self._fenced:
            ready, self._held = self._held, ""
            return ready
        end = self._held.rfind("\n" + _FENCE)
        if end < 0:
            end = self._held.rfind("\n")
        if end < 0:
            return ""
        ready, self._held = self._held[:end], self._held[end:]
        return ready

    def flush(self) -> str:
        """What was held back, less the closing fence."""
        held, self._held = self._held, ""
        if self._fenced:
            return held.rstrip().removesuffix(_FENCE).rstrip("\n")
        return held
