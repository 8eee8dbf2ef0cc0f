"""Passwords: Argon2id in a thread, and what may be one."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Final

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from codeweft.errors import InvalidRequest

SHORTEST: Final = 10
LONGEST: Final = 256
"""A bound on what is hashed; NIST SP 800-63B asks for at least 64."""
AT_ONCE: Final = 2
"""Hashes computed at once: each takes 64 MiB, and strangers can ask for them."""


class Passwords:
    """Hashing and checking, at most `AT_ONCE` at once."""

    def __init__(self, cost: Parameters) -> None:
        self._hasher = PasswordHasher.from_parameters(cost)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """The encoded hash of a password."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Whether it is the password. None takes as long as a wrong one, so that names cannot be told apart by time."""
        if encoded is None:
            self._nobody = self._nobody or await self.hash("nobody's password")
        async with self._turns:
            same = await asyncio.to_thread(self._same, encoded or self._nobody, _normal(password))
        return same and encoded is not None

    def outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)

    def _same(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False


def check_password(password: str, name: str) -> None:
    """Raises `InvalidRequest` for what is too easily guessed to be `name`'s password."""
    given = _normal(password)
    if not SHORTEST <= len(given) <= LONGEST:
        raise InvalidRequest(
            f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(given)}.",
            fix="A few words that do not belong together make a good one.",
            param="password",
        )
    if len(set(given)) < 5 or given.casefold() in (name.casefold() * LONGEST)[:LONGEST]:
        raise InvalidRequest(
            "This password is too easily guessed.",
            fix="A few words that do not belong together make a good one.",
            param="password",
        )


def _normal(password: str) -> str:
    """The same password typed on another keyboard (NIST SP 800-63B, 5.1.1.2); lone surrogates cannot be hashed."""
    return unicodedata.normalize("NFKC", password.encode("utf-8", "replace").decode())
