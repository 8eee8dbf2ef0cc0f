"""What disks and damaged files raise, as errors that say what to do."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codeweft.errors import CodeweftError, StorageFailed


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what disks and damaged files raise into `StorageFailed` that says what to do."""
    try:
        yield
    except CodeweftError:
        raise
    except (OSError, sqlite3.Error, ValueError) as error:
        text = str(error)
        full = (
            getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            or "full" in text
            or "No space" in text
            or "File too large" in text
        )
        if full:
            free = shutil.disk_usage(folder).free if folder.exists() else 0
            raise StorageFailed(
                f"The disk of {folder} is full ({free // 1_000_000} MB free); what was indexed before is intact.",
                fix="Free some space and run the same command again; it goes on where it stopped.",
            ) from error
        if isinstance(error, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
            raise StorageFailed(
                f"The index in {folder} is damaged ({text}).",
                fix="Remove the index and add its source again.",
            ) from error
        if _not_taken(error):
            raise StorageFailed(
                f"The disk of {folder} did not take what was written ({text}); what was indexed before is intact.",
                fix="Check its free space, your quota and its health, then run the same command again.",
            ) from error
        if isinstance(error, ValueError):
            raise
        raise StorageFailed(
            f"The index in {folder} cannot be read or written ({text}).",
            fix="Check the folder's owner and permissions.",
        ) from error


def _not_taken(error: Exception) -> bool:
    """Whether a disk did not take what was written. Tantivy writes in a thread, of which it only says that it ended."""
    if isinstance(error, sqlite3.Error):
        return error.sqlite_errorname.startswith("SQLITE_IOERR")
    return isinstance(error, ValueError) and "index writer was killed" in str(error)
