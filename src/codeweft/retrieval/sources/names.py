"""Names of files that somebody else chose."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from codeweft.errors import InvalidRequest

LONGEST_PATH: Final = 2000
"""Bytes; with the folder that it is put into, a path has 4,096."""


def upload_path(path: str) -> str:
    """A relative path that stays inside the folder it is put into. Raises `InvalidRequest` for any other."""
    pure = PurePosixPath(path.replace("\\", "/"))
    parts = pure.parts
    odd = any(part in ("..", ".git", "") or (part.endswith((" ", ".")) and part != ".") for part in parts)
    unprintable = any(ord(character) < 32 or character == "\x7f" for character in path)
    try:
        too_long = len(path.encode()) > LONGEST_PATH or any(len(part.encode()) > 255 for part in parts)
    except UnicodeEncodeError:
        too_long = True
    if not parts or pure.is_absolute() or odd or unprintable or too_long or ":" in parts[0]:
        raise InvalidRequest(
            f"{path!r} cannot be a file name here.", fix="Use a relative path without `..`.", param="path"
        )
    return str(pure)
