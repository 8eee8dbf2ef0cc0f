"""What a source may use, and how much it may bring."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from codeweft.errors import InvalidRequest

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True, slots=True)
class Access:
    """The token of a private source, and limits in bytes, files, pages and seconds.

    `private_hosts` are the host names of web pages that may lie inside this machine's network.
    """

    token: str = field(default="", repr=False)
    private_hosts: tuple[str, ...] = ()
    max_file_bytes: int = 1_000_000
    max_document_bytes: int = 32_000_000
    max_files: int = 200_000
    max_total_bytes: int = 4_000_000_000
    max_pages: int = 2_000
    max_seconds: float = 3_600.0

    def max_bytes(self, *, document: bool) -> int:
        return self.max_document_bytes if document else self.max_file_bytes


def save_token(path: Path, token: str) -> None:
    """Keep a token for the next updates, readable by this user only; "" forgets it. Raises `InvalidRequest`.

    `${NAME}` is kept as it is and looked up whenever it is used, so that the token itself is nowhere on disk.
    """
    if not token:
        path.unlink(missing_ok=True)
        return
    if not _TOKEN.fullmatch(token):
        raise InvalidRequest(
            "The token holds white space or characters that no token has.",
            fix="Copy it again, without the line break at its end.",
            param="token",
        )
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    partial.replace(path)


def load_token(path: Path) -> str:
    """The token that was kept, "" for none. Raises `InvalidRequest` when it names a variable that is not set."""
    try:
        token = path.read_text()
    except FileNotFoundError:
        return ""
    if not (match := _VARIABLE.fullmatch(token)):
        return token
    if not (value := os.environ.get(match[1], "")):
        raise InvalidRequest(
            f"The token of this source is in the environment variable {match[1]}, which is not set.",
            fix=f"Set {match[1]} where the update runs, or give the token again.",
            param="token",
        )
    return value
