"""Deltas that arrive together are written together, each an event of its own in every protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from codeweft.server import emit
from codeweft.server.anthropic import message_chunks
from codeweft.server.ollama import _lines
from codeweft.types import Done, Event, Started, TextDelta, Usage


async def packed() -> AsyncIterator[tuple[int, Event]]:
    yield 0, Started("m")
    yield 0, TextDelta("def add", pieces=("def", " add"))
    yield 0, TextDelta("(a)")
    yield 0, Done(Usage(3, 3))


def completions() -> AsyncIterator[bytes]:
    return emit.completion_chunks(packed(), "m", [""], 1, logprobs=False, include_usage=False)


def messages() -> AsyncIterator[bytes]:
    return message_chunks(packed(), "m")


def lines() -> AsyncIterator[bytes]:
    return _lines(packed(), "m", lambda text, _: {"response": text})


def texts(write: bytes) -> list[str]:
    """The pieces of text in what was written at once."""
    found = []
    for line in write.decode().splitlines():
        line = line.removeprefix("data: ")
        if line.startswith("{"):
            told = json.loads(line)
            choices = told.get("choices") or [{}]
            found.append(
                told.get("response") or told.get("delta", {}).get("text") or choices[0].get("text") or ""
            )
    return [text for text in found if text]


@pytest.mark.parametrize("protocol", [completions, messages, lines])
async def test_pieces_stay_apart_and_go_out_together(protocol: object) -> None:
    assert callable(protocol)
    writes = [texts(write) async for write in protocol()]
    assert [write for write in writes if write] == [["def", " add"], ["(a)"]]
