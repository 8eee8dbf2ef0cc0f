"""Turns as providers with content blocks want them (Anthropic's Messages, Bedrock's Converse). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from codeweft.errors import InvalidRequest
from codeweft.models import last_resort
from codeweft.types import Message, Request, Sampling


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """A tool that the model called, with its arguments as JSON values."""

    id: str
    name: str
    input: Any


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered."""

    id: str
    text: str


Block = Text | Use | Result


@dataclass(frozen=True, slots=True)
class BlockTurn:
    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]


def asked(request: Request) -> tuple[tuple[Message, ...], str]:
    """The turns of a request and a note. A hole is asked for in words: these providers have no infilling."""
    if request.infill is not None:
        return last_resort.ask(request.infill), last_resort.NOTE
    return request.messages, ""


def laid_out(messages: Sequence[Message]) -> tuple[str, list[BlockTurn]]:
    """The system text, and turns that alternate between user and assistant, beginning with the user."""
    system = "\n\n".join(turn.content for turn in messages if turn.role == "system")
    turns: list[BlockTurn] = []
    for turn in messages:
        if turn.role == "system":
            continue
        role: Literal["user", "assistant"] = "assistant" if turn.role == "assistant" else "user"
        blocks = tuple(_blocks(turn))
        if turns and turns[-1].role == role:
            turns[-1] = BlockTurn(role, (*turns[-1].blocks, *blocks))
        elif blocks:
            turns.append(BlockTurn(role, blocks))
    if turns and turns[0].role == "assistant":
        turns.insert(0, BlockTurn("user", (Text("…"),)))
    return system, turns


def _blocks(turn: Message) -> list[Block]:
    if turn.role == "tool":
        return [Result(turn.tool_call_id or "", turn.content)]
    text: list[Block] = [Text(turn.content)] if turn.content.strip() else []
    return [*text, *(Use(call.id, call.name, _arguments(call.arguments)) for call in turn.tool_calls)]


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return {"arguments": text}


def refuse(sampling: Sampling, allowed: frozenset[str], name: str) -> None:
    """Raise `InvalidRequest` for the first sampling parameter that is set and not `allowed` at this provider."""
    for field in sampling.__struct_fields__:
        value = getattr(sampling, field)
        if field not in allowed and value is not None and value != () and value != {}:
            raise InvalidRequest(
                f"The endpoint of {name} does not take `{field}`.", fix="Leave it out.", param=field
            )
