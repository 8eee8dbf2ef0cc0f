"""Server-sent events as they arrive: the data of each, nothing parsed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Final, Protocol

MAX_LINE: Final = 32 << 20
"""Bytes of one event; a peer that sends more without a line break is not speaking the protocol."""


class Parts(Protocol):
    """Cuts a body into the parts that mean something, while it arrives."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The parts that `piece` completes. Raises `ValueError` when there is no end to one."""
        ...

    def rest(self) -> list[bytes]:
        """The part that the end of the body completes, if any."""
        ...


class Lines:
    """The value of every `data:` line, and of llama.cpp's `error:` lines."""

    def __init__(self) -> None:
        # In pieces: joining them as each arrives costs the square of a line's length.
        self._held: list[bytes] = []
        self._length = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """See `Parts.feed`."""
        *lines, rest = piece.split(b"\n")
        if lines:
            if self._held:
                lines[0] = b"".join((*self._held, lines[0]))
            self._held, self._length = [], 0
        if rest:
            self._held.append(rest)
            self._length += len(rest)
            if self._length > MAX_LINE:
                raise ValueError("an event without end")
        return [
            line[5 if line.startswith(b"data:") else 6 :].strip()
            for line in lines
            if line and line.startswith((b"data:", b"error:"))
        ]

    def rest(self) -> list[bytes]:
        """See `Parts.rest`."""
        line = b"".join(self._held)
        return [line[5:].strip()] if line.startswith(b"data:") else []


class Whole:
    """A body that means something only as a whole."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """See `Parts.feed`."""
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > MAX_LINE:
            raise ValueError("an answer without end")
        return []

    def rest(self) -> list[bytes]:
        """See `Parts.rest`."""
        return [b"".join(self._pieces)] if self._length else []


async def data_lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The values of `Lines` as they arrive. Raises `ValueError` for an endless line."""
    lines = Lines()
    async for chunk in chunks:
        for line in lines.feed(chunk):
            yield line
    for line in lines.rest():
        yield line
