"""Conversations as files: JSON keeps everything, Markdown the branch that is shown. Both can be read back."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codeweft.accounts import Conversation, Turn
from codeweft.errors import InvalidRequest
from codeweft.server.chat_views import CheckedView, StepView
from codeweft.server.views import Problem, ReferenceView, iso

FORMAT = "codeweft.conversations"
MOST_CONVERSATIONS = 1000
MOST_TURNS = 10_000
_MARK_HEAD = "<!-- codeweft:"
_HIDDEN_HEAD = "<!--\u200b codeweft:"
_MARK = re.compile(r"<!-- codeweft:(user|assistant)(?: model=(\S+))? -->")
_TITLE = re.compile(r"# +(.+)")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class AttachedFile(_Part):
    name: str = Field(min_length=1, max_length=300)
    text: str


class WrittenTurn(_Part):
    """A turn in a file. `parent` is the id, inside the file, of the turn before it."""

    id: str = Field(min_length=1, max_length=100)
    parent: str = Field("", max_length=100)
    role: Literal["user", "assistant"]
    content: str
    model: str | None = Field(None, max_length=200)
    note: str = ""
    reason: Literal["stop", "length", "tool_calls", "stopped", "failed"] = "stop"
    references: list[ReferenceView] = []
    dropped: list[int] = []
    usage: dict[str, int] | None = None
    cost: Annotated[float, Field(ge=0)] | None = None
    error: Problem | None = None
    sampling: dict[str, float | None] = {}
    timings: dict[str, float] = {}
    rating: Literal["good", "bad"] | None = None
    comment: str = Field("", max_length=10_000)
    steps: list[StepView] = []
    withdrawn: list[str] = []
    checked: CheckedView | None = None
    created_at: str = ""
    attachments: list[AttachedFile] = Field(default=[], max_length=100)


class WrittenConversation(_Part):
    """A conversation in a file; `turns` come with a parent before its children."""

    title: str = Field("", max_length=200)
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(None, max_length=200)
    leaf: str = Field("", max_length=100)
    created_at: str = ""
    turns: list[WrittenTurn] = Field(default=[], max_length=MOST_TURNS)


class Transcript(_Part):
    """A file of conversations."""

    format: Literal["codeweft.conversations"]
    version: Literal[1]
    conversations: list[WrittenConversation] = Field(max_length=MOST_CONVERSATIONS)


@dataclass(frozen=True, slots=True)
class Read:
    """A conversation read from a file, with new ids. `files` are the name and text given to each turn."""

    title: str
    model: str | None
    index: str | None
    turns: tuple[Turn, ...]
    leaf_id: str
    files: Mapping[str, Sequence[tuple[str, str]]]


def written(
    conversation: Conversation, turns: Sequence[Turn], files: Mapping[str, Sequence[tuple[str, str, str]]]
) -> dict[str, Any]:
    """A conversation with all its branches, as JSON keeps it. `files`: name, language, text by turn."""
    plain = ("id", "role", "content", "model", "note", "usage", "cost", "error", "rating", "comment")
    return {
        "title": conversation.title,
        "model": conversation.model,
        "index": conversation.index,
        "leaf": conversation.leaf_id,
        "created_at": iso(conversation.created_at),
        "turns": [
            {
                **{name: getattr(turn, name) for name in plain},
                "parent": turn.parent_id,
                "reason": turn.reason or "stopped",
                "references": list(turn.references),
                "dropped": list(turn.dropped),
                "sampling": dict(turn.sampling),
                "timings": dict(turn.timings),
                "steps": list(turn.steps),
                "withdrawn": list(turn.withdrawn),
                "checked": turn.checked,
                "created_at": iso(turn.created_at),
                "attachments": [{"name": name, "text": text} for name, _, text in files.get(turn.id, ())],
            }
            for turn in turns
        ],
    }


def transcript(conversations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The file that holds written conversations."""
    return {"format": FORMAT, "version": 1, "conversations": list(conversations)}


def markdown(conversation: Conversation, turns: Sequence[Turn]) -> str:
    """The shown branch for people to read; comments mark the turns so that it can be read back."""
    parts = [f"# {_unmarked(' '.join(conversation.title.split())) or 'Conversation'}"]
    for turn in turns:
        model = f" model={turn.model}" if turn.model and not re.search(r"\s|-->", turn.model) else ""
        parts.append(f"<!-- codeweft:{turn.role}{model} -->")
        parts.append(
            "## You" if turn.role == "user" else f"## Answer{f' ({turn.model})' if turn.model else ''}"
        )
        parts += [f"*Attached: {one.name}*" for one in turn.attachments]
        parts.append(_unmarked(turn.content).strip("\n"))
        if turn.references:
            listed = [
                f"{one['number']}. `{one['path']}:{one['start_line']}-{one['end_line']}`"
                for one in turn.references
            ]
            parts.append("<!-- codeweft:references -->\nReferences:\n\n" + "\n".join(listed))
    return "\n\n".join(parts) + "\n"


def _unmarked(text: str) -> str:
    """`text` with nothing in it that could be taken for one of our marks."""
    return text.replace(_MARK_HEAD, _HIDDEN_HEAD)


def read_json(data: bytes) -> list[Read]:
    """Conversations of a JSON file. Raises `InvalidRequest` that names the place of what is wrong."""
    try:
        given = Transcript.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(
            f"This is no file of conversations: {place + ': ' if place else ''}{first['msg']}.",
            fix="Import what was exported here as JSON or Markdown.",
            param="file",
        ) from None
    return [_renamed(one) for one in given.conversations]


def read_markdown(text: str) -> list[Read]:
    """The conversation of a Markdown file that was exported here. Raises `InvalidRequest` for another."""
    marks = list(_MARK.finditer(text))
    if not marks:
        raise InvalidRequest(
            "This Markdown file holds no conversation that was exported here.",
            fix="Import what was exported here as JSON or Markdown.",
            param="file",
        )
    title = _TITLE.search(text[: marks[0].start()])
    turns: list[WrittenTurn] = []
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        body = text[mark.end() : end].split("\n<!-- codeweft:references -->")[0].strip("\n")
        body = re.sub(r"\A## [^\n]*\n*", "", body)
        body = re.sub(r"\A(?:\*Attached: [^\n]*\*\n*)+", "", body).replace(_HIDDEN_HEAD, _MARK_HEAD)
        parent = str(number - 1) if number else ""
        role: Literal["user", "assistant"] = "user" if mark[1] == "user" else "assistant"
        turns.append(WrittenTurn(id=str(number), parent=parent, role=role, content=body, model=mark[2]))
    return [
        _renamed(
            WrittenConversation(
                title=title[1].replace(_HIDDEN_HEAD, _MARK_HEAD)[:200] if title else "", turns=turns
            )
        )
    ]


def _renamed(given: WrittenConversation) -> Read:
    """With ids of our own. Raises `InvalidRequest` for turns that are no tree."""
    ids: dict[str, str] = {}
    roles: dict[str, str] = {"": "assistant"}
    turns: list[Turn] = []
    for turn in given.turns:
        if turn.id in ids or (turn.parent and turn.parent not in ids):
            raise InvalidRequest(f"The turn {turn.id!r} comes twice or before its parent.", param="file")
        if roles[turn.parent] == turn.role:
            raise InvalidRequest(f"The turn {turn.id!r} does not answer the one before it.", param="file")
        ids[turn.id], roles[turn.id] = secrets.token_hex(8), turn.role
        fields = turn.model_dump(exclude={"id", "parent", "attachments", "created_at"})
        turns.append(Turn(ids[turn.id], "", created_at=0.0, parent_id=ids.get(turn.parent, ""), **fields))
    files = {ids[turn.id]: [(one.name, one.text) for one in turn.attachments] for turn in given.turns}
    leaf = ids.get(given.leaf, turns[-1].id if turns else "")
    return Read(given.title, given.model, given.index, tuple(turns), leaf, files)


def placed(read: Read, conversation_id: str, now: float) -> tuple[Turn, ...]:
    """The turns as a conversation's own."""
    return tuple(replace(turn, conversation_id=conversation_id, created_at=now) for turn in read.turns)
