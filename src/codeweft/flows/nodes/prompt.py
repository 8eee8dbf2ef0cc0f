"""Lay out system text, turns and references so that the prefix stays the same from turn to turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import field_validator

from codeweft.errors import InvalidRequest
from codeweft.flows.fences import fenced
from codeweft.flows.nodes.base import Node
from codeweft.flows.state import UNKNOWN_CONTEXT, Services, State
from codeweft.flows.text import cut, size
from codeweft.stream import BYTES_PER_TOKEN
from codeweft.types import Event, Message, SearchResult

ANSWER_SHARE = 0.4
"""Part of the context that is left for the answer when the request does not say how long it may be."""
REFERENCE_SHARE = 0.5
"""No single reference takes more than this part of what is free, so that one long class cannot crowd out the rest."""
SMALLEST_REFERENCE = 160
"""Bytes below which a piece of code says too little to be worth its place."""


class Prompt(Node):
    """Write the system turn, and put the references in front of the user's last turn.

    `user` is a sandboxed Jinja2 template over `references` and `request`. Only as many references are laid out as
    the model's context holds beside the conversation and the answer.
    """

    type: Literal["prompt"]
    system: str = ""
    user: str = "{{ references }}{{ request }}"

    @field_validator("user")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            _template(value)
        except TemplateError as error:
            raise ValueError(f"the template is not valid: {error}") from None
        return value

    def applies(self, state: State) -> bool:
        return bool(state.request.messages) and not state.answered

    async def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        state.turns, state.lay_out = state.request.messages, self.lay_out
        for event in state.show(fit(state.results, self._room(state))):
            yield event
        state.detail = {
            "references": len(state.shown),
            "bytes": sum(size(m.content) for m in state.request.messages),
        }

    def lay_out(self, turns: Sequence[Message], shown: Sequence[SearchResult]) -> tuple[Message, ...]:
        """The turns as the model will read them. A caller's own system turn is kept behind the app's."""
        system = "\n\n".join(
            [self.system.strip(), *(turn.content for turn in turns if turn.role == "system")]
        ).strip()
        rest = [turn for turn in turns if turn.role != "system"]
        last = max((i for i, turn in enumerate(rest) if turn.role == "user"), default=None)
        if last is not None:
            try:
                asked = _template(self.user).render(references=block(shown), request=rest[last].content)
            except TemplateError as error:
                raise InvalidRequest(f"The template of the node {self.id} failed: {error}") from None
            rest[last] = Message("user", asked, rest[last].name)
        return (*([Message("system", system)] if system else []), *rest)

    def _room(self, state: State) -> int:
        """Bytes free for references."""
        context = state.writer.info.context or UNKNOWN_CONTEXT
        answer = min(state.request.sampling.max_tokens or context, int(context * ANSWER_SHARE))
        spoken = size(self.system) + sum(size(turn.content) for turn in state.request.messages)
        return max(0, int((context - answer) * BYTES_PER_TOKEN) - spoken)


def fit(results: Sequence[SearchResult], room: int) -> tuple[SearchResult, ...]:
    """The results that fit in `room` bytes, best first; long ones are cut at a line to leave room for others."""
    shown: list[SearchResult] = []
    for result in results:
        share = int(room * REFERENCE_SHARE)
        if share < SMALLEST_REFERENCE:
            break
        fitting = replace(result, chunk=replace(result.chunk, text=cut(result.chunk.text, share)))
        shown.append(fitting)
        room -= size(_reference(len(shown), fitting))
    return tuple(shown)


def block(shown: Sequence[SearchResult]) -> str:
    """The references as the prompt holds them (the starter model was trained on this layout)."""
    return "".join(_reference(number, result) for number, result in enumerate(shown, 1))


def _reference(number: int, result: SearchResult) -> str:
    chunk = result.chunk
    return (
        f"Reference [{number}] {chunk.path}:{chunk.start_line}-{chunk.end_line}\n"
        f"{fenced(chunk.text, chunk.language)}\n\n"
    )


_environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@lru_cache(maxsize=64)
def _template(text: str) -> Template:
    return _environment.from_string(text)
