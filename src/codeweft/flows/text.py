"""How much room a text takes, and cutting it to less."""

from __future__ import annotations


def size(text: str) -> int:
    """Bytes of a text."""
    return len(text.encode("utf-8", "replace"))


def cut(text: str, room: int) -> str:
    """`text`, or as many of its first lines as `room` bytes hold, with a mark where it was cut."""
    data = text.encode("utf-8", "replace")
    if len(data) <= room:
        return text
    head = data[: max(room, 0)].decode("utf-8", "ignore").rsplit("\n", 1)[0]
    return f"{head}\n…"
