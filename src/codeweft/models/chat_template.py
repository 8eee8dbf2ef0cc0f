"""Renders a model's own chat template so that what people wrote can never pass for the template's special tokens."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from codeweft.errors import InvalidRequest
from codeweft.models.skills import Piece
from codeweft.types import Message

_JOINT: Final = "\n\n"


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


class ChatTemplate:
    """A compiled Jinja template in the conventions of Hugging Face's tokenizers."""

    def __init__(self, source: str, *, bos: str = "", eos: str = "") -> None:
        """Raises `jinja2.TemplateSyntaxError` for a template in another dialect."""
        self._template = _environment().from_string(source)
        self._tokens = {"bos_token": bos, "eos_token": eos}

    def render(self, messages: Sequence[Message]) -> list[Piece]:
        """The prompt: the template's text as special pieces, contents as plain ones.

        A template that has no system role, or wants turns to alternate, gets the turns folded accordingly.
        Raises `InvalidRequest` when it refuses these too.
        """
        try:
            return self._pieces(messages)
        except jinja2.TemplateError:
            pass
        try:
            return self._pieces(folded(messages))
        except jinja2.TemplateError as error:
            raise InvalidRequest(
                f"The model's chat template refuses these messages: {error}.",
                fix="Start with a user turn and let user and assistant alternate.",
                param="messages",
            ) from None

    def _pieces(self, messages: Sequence[Message]) -> list[Piece]:
        marker = f"codeweft{secrets.token_hex(8)}x"
        contents = [message.content for message in messages]
        turns: list[dict[str, Any]] = [
            {"role": message.role, "content": f"{marker}{number}x" if message.content else ""}
            for number, message in enumerate(messages)
        ]
        text = self._template.render(messages=turns, add_generation_prompt=True, **self._tokens)
        parts = re.split(rf"{marker}(\d+)x", text)
        pieces = [
            Piece(contents[int(part)]) if position % 2 else Piece(part, special=True)
            for position, part in enumerate(parts)
        ]
        return [piece for piece in pieces if piece.text]


def folded(messages: Sequence[Message]) -> list[Message]:
    """The same turns without a system role (its text opens the first user turn) and with no role twice in a row."""
    system = _JOINT.join(message.content for message in messages if message.role == "system")
    turns: list[Message] = []
    for message in messages:
        if message.role == "system":
            continue
        if turns and turns[-1].role == message.role:
            turns[-1] = Message(message.role, turns[-1].content + _JOINT + message.content)
        else:
            turns.append(message)
    if not system:
        return turns
    if turns and turns[0].role == "user":
        return [Message("user", system + _JOINT + turns[0].content), *turns[1:]]
    return [Message("user", system), *turns]
