"""Server-sent events as they arrive: the data of each, nothing parsed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Final

MAX_LINE: Final = 32 << 20
"""Bytes of one event; a peer that sends more without a line break is not speaking the protocol."""


async def data_lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The value of every `data:` line (and of llama.cpp's `error:` lines). Raises `ValueError` for an endless line."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith((b"data:", b"error:")):
                yield line.split(b":", 1)[1].strip()
        if len(rest) > MAX_LINE:
            raise ValueError("an event without end")
    if rest.startswith(b"data:"):
        yield rest[5:].strip()
