from pathlib import Path

import pytest
from training.starter import parts


def test_parts_join_to_the_file_that_was_split(tmp_path: Path) -> None:
    original = tmp_path / "weights.bin"
    original.write_bytes(bytes(range(256)) * 40)
    written = parts.split(original, tmp_path / "parts", part_bytes=1000)
    assert len(written) == 11
    assert max(part.stat().st_size for part in written) == 1000
    parts.join(tmp_path / "parts", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == original.read_bytes()


def test_a_missing_part_is_noticed(tmp_path: Path) -> None:
    original = tmp_path / "weights.bin"
    original.write_bytes(bytes(5000))
    parts.split(original, tmp_path / "parts", part_bytes=1000)[2].unlink()
    with pytest.raises(ValueError, match="incomplete"):
        parts.join(tmp_path / "parts", tmp_path / "again.bin")


def test_a_folder_without_parts_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        parts.join(tmp_path, tmp_path / "again.bin")
