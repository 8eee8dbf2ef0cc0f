"""What goes wrong with a disk is said in words, whoever notices it."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.errors import StorageFailed
from codeweft.retrieval.store.failures import storage_errors


def test_a_lexical_writer_that_the_disk_ended_is_a_failure_of_the_disk(tmp_path: Path) -> None:
    words = (
        "An error occurred in a thread: 'An index writer was killed.. A worker thread encountered an error'"
    )
    with (
        pytest.raises(StorageFailed, match="did not take what was written") as caught,
        storage_errors(tmp_path),
    ):
        raise ValueError(words)
    assert "free space" in caught.value.fix


def test_other_wrong_values_stay_bugs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="negative"), storage_errors(tmp_path):
        raise ValueError("negative")
