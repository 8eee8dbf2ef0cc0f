"""Taking secrets out of a text: each is replaced in place by its kind, and every line stays where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codeweft.retrieval.secrets import Formats, Found, Secrets
from codeweft.retrieval.store.base import FoundSecret

_FORMATS = Formats()
"""Loaded at most once in a process."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its secrets, and which were in it."""

    text: str
    found: tuple[FoundSecret, ...] = ()


class Redactor:
    """Takes secrets out of texts. Can be sent to another process; thread-safe."""

    def __init__(self, allow: Sequence[str] = (), *, formats: Formats = _FORMATS) -> None:
        """What one of the regular expressions `allow` is found in stays. Raises `InvalidRequest` for a bad one."""
        self.allow = tuple(allow)
        self._formats = formats
        self._secrets = Secrets(formats, allow)

    def __reduce__(self) -> tuple[type[Redactor], tuple[tuple[str, ...]]]:
        return Redactor, (self.allow,)

    def begin(self, *, compiled_only: bool = False) -> None:
        """Begin to load the rules in the background; with `compiled_only` unless they must be compiled first."""
        self._formats.begin(compiled_only=compiled_only)

    def sure(self, text: str) -> bool:
        """Whether `redact` answers at once, for the rules are loaded or cannot matter to `text`."""
        return self._secrets.sure(text)

    def redact(self, text: str, path: str = "") -> Redacted:
        """`text` with as many lines as before, and `[redacted: KIND]` in place of each secret.

        `path` says what kind of file it is. Waits for the rules unless `sure`; raises `NotReady` when they cannot be
        loaded.
        """
        return _without(text, self._secrets.find(text, path))

    def redact_now(self, text: str, path: str = "") -> Redacted | None:
        """What `redact` gives, or None where that would wait for the rules."""
        found = self._secrets.find_now(text, path)
        return None if found is None else _without(text, found)


def _without(text: str, found: Sequence[Found]) -> Redacted:
    """`text` without what was `found`, which is in order and does not overlap."""
    if not found:
        return Redacted(text)
    pieces: list[str] = []
    told: list[FoundSecret] = []
    at, line = 0, 1
    for one in found:
        line += text.count("\n", at, one.start)
        told.append(FoundSecret(one.rule, line))
        lines = text.count("\n", one.start, one.end)
        pieces += [text[at : one.start], f"[redacted: {one.rule}]", "\n" * lines]
        at, line = one.end, line + lines
    return Redacted("".join((*pieces, text[at:])), tuple(told))
