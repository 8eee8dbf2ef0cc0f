"""What an agent keeps while it looks things up, and how it is told to a model. Pure: nothing here calls anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from codeweft.flows.text import cut, size
from codeweft.types import Message, SearchResult, Tool, ToolOutput, replace

ANSWER: Final = "answer"
"""The choice of a model that knows enough."""
LONGEST_TEXT: Final = 200
"""Characters of a text in a choice that a grammar holds a model to: small models otherwise ramble on."""
SMALLEST_RESULT: Final = 200
"""Bytes below which a part of a result says too little to be worth its place."""
_LEFT_OUT: Final = "(left out to make room; call the tool again if you need it)"
_SIMPLE: Final = frozenset({"string", "integer", "boolean"})


@dataclass(frozen=True, slots=True)
class Choice:
    """What the model wants done next; `fault` says why it cannot be done as it stands."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""

    @property
    def key(self) -> str:
        return f"{self.tool} {json.dumps(self.arguments, sort_keys=True, ensure_ascii=False)}"


@dataclass
class Notebook:
    """Everything that was read, numbered in the order of reading, and which calls were made."""

    sources: list[SearchResult] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    """Numbers of what was read because a file or a name was asked for, not because a search ranked it."""
    calls: set[str] = field(default_factory=set)
    _numbers: dict[tuple[str, str, int, int], int] = field(default_factory=dict)

    def number(self, source: SearchResult) -> int:
        """The source's reference number; a new one when it was not read before."""
        chunk = source.chunk
        key = (chunk.repository, chunk.path, chunk.start_line, chunk.end_line)
        if key not in self._numbers:
            self.sources.append(source)
            self._numbers[key] = len(self.sources)
        return self._numbers[key]

    def repeats(self, choice: Choice) -> bool:
        """Whether this very call was made before; if not, it counts as made now."""
        known = choice.key in self.calls
        self.calls.add(choice.key)
        return known

    def told(self, output: ToolOutput, room: int, *, asked: bool = False) -> str:
        """A tool's answer with numbers in front of what can be cited, in at most about `room` bytes.

        What does not fit is no reference. `asked` says that it was asked for by name.
        """
        said: list[str] = []
        for piece in output.pieces:
            text = cut(piece.text, room)
            if said and size(piece.text) > room:
                left = len(output.pieces) - len(said)
                said.append(f"… and {left} more that did not fit; narrow the call down")
                break
            if piece.source is not None:
                number = self.number(piece.source)
                text = f"[{number}] {text}"
                if asked:
                    self.asked.add(number)
            said.append(text)
            room -= size(text)
        between = "\n\n" if any("\n" in text for text in said) else "\n"
        return between.join([*said, *([output.rest] if output.rest else [])])

    def by_use(self) -> tuple[SearchResult, ...]:
        """What was read, what was asked for by name before what a search ranked."""
        ordered = sorted(range(1, len(self.sources) + 1), key=lambda number: number not in self.asked)
        return tuple(self.sources[number - 1] for number in ordered)


# ── models that call tools ───────────────────────────────────────────────────────────────────────────────────


def read_call(name: str, arguments: str, tools: Sequence[Tool]) -> Choice:
    """A call as the model wrote it."""
    if name not in [tool.name for tool in tools]:
        return Choice(
            name, {}, f"There is no tool {name!r}. There are: {', '.join(tool.name for tool in tools)}."
        )
    try:
        given = json.loads(arguments or "{}")
    except ValueError as error:
        return Choice(name, {}, f"The arguments are not JSON ({error}). Send one JSON object.")
    if not isinstance(given, dict):
        return Choice(name, {}, "The arguments must be one JSON object.")
    return Choice(name, given)


def shortened(turns: Sequence[Message], room: int) -> tuple[Message, ...]:
    """The conversation with the oldest answers of tools left out, until it is about `room` bytes long."""
    kept = list(turns)
    over = sum(size(turn.content) for turn in kept) - room
    # The newest answer is what the next choice rests on.
    for position in [n for n, turn in enumerate(kept) if turn.role == "tool"][:-1]:
        if over <= 0:
            break
        over -= max(0, size(kept[position].content) - size(_LEFT_OUT))
        kept[position] = replace(kept[position], content=_LEFT_OUT)
    return tuple(kept)


# ── models that do not: JSON under a grammar ─────────────────────────────────────────────────────────────────


def choices(tools: Sequence[Tool]) -> dict[str, Any]:
    """The JSON Schema of a choice: one of the tools with its arguments, or to answer."""
    options = [_option(tool.name, _simple(tool)) for tool in tools]
    return {"anyOf": [*options, _option(ANSWER, {"type": "object", "additionalProperties": False})]}


def _option(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"tool": {"const": name}, "arguments": dict(arguments)},
        "required": ["tool", "arguments"],
        "additionalProperties": False,
    }


def _simple(tool: Tool) -> dict[str, Any]:
    """The parameters of a tool that a small model can fill in: single values."""
    properties = {
        name: ({**schema, "maxLength": LONGEST_TEXT} if _is_free_text(schema) else schema)
        for name, schema in tool.parameters["properties"].items()
        if schema.get("type") in _SIMPLE
    }
    # Descriptions stand in the prompt; in a grammar they say nothing.
    bare = {
        name: {key: value for key, value in schema.items() if key not in ("description", "default")}
        for name, schema in properties.items()
    }
    return {**tool.parameters, "properties": bare}


def _is_free_text(schema: Mapping[str, Any]) -> bool:
    return schema["type"] == "string" and "enum" not in schema


def menu(tools: Sequence[Tool]) -> str:
    """The tools in a line each: name, parameters (optional ones with `?`) and what it does."""
    lines = []
    for tool in tools:
        simple = _simple(tool)
        names = (name if name in simple.get("required", ()) else f"{name}?" for name in simple["properties"])
        lines.append(f"{tool.name}({', '.join(names)}): {tool.description.split('. ')[0].rstrip('.')}.")
    return "\n".join([*lines, f"{ANSWER}(): Enough is known."])


def read_choice(text: str) -> Choice:
    """A choice as the model wrote it; what is no choice means that it wants to answer."""
    try:
        given = json.loads(text)
    except ValueError:
        return Choice(ANSWER)
    if not isinstance(given, dict) or not isinstance(given.get("tool"), str):
        return Choice(ANSWER)
    arguments = given.get("arguments")
    return Choice(given["tool"], arguments if isinstance(arguments, dict) else {})


def brief(
    question: str,
    done: Sequence[str],
    known: Sequence[SearchResult],
    last: str,
    tools: Sequence[Tool],
    room: int,
) -> str:
    """One turn that tells a small model all it needs to choose the next step, in about `room` bytes.

    `done` are the calls so far, `last` what the last one answered.
    """
    head = f"Task: {cut(question, room // 4)}\n\n"
    tail = f"\nTools:\n{menu(tools)}\n\nChoose the next step. Answer with JSON."
    room -= size(head) + size(tail)
    calls = "".join(f"{number}. {call}\n" for number, call in enumerate(done, 1))
    listed = cut("\n".join(_heading(number, one) for number, one in enumerate(known, 1)), room // 2)
    middle = f"Done so far:\n{calls}Known:\n{listed}\n" if done else ""
    room -= size(middle)
    shown = f"Last result:\n{cut(last, room)}\n" if last and room > SMALLEST_RESULT else ""
    return f"{head}{middle}{shown}{tail}"


def _heading(number: int, result: SearchResult) -> str:
    chunk = result.chunk
    first = next((line.strip() for line in chunk.text.splitlines() if line.strip()), "")
    return f"[{number}] {chunk.path}:{chunk.start_line}-{chunk.end_line} {(chunk.signature or first)[:100]}"
