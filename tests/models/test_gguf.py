"""Files that are models and files that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.errors import EngineFailed
from codeweft.models.gguf import read_header

from .tiny_gguf import CHAT_TEMPLATE


def test_the_header_tells_shape_vocabulary_and_template(tiny: Path) -> None:
    header = read_header(tiny)
    assert (header.architecture, header.name, header.context) == ("llama", "tiny-coder-instruct", 4096)
    assert (header.layers, header.kv_heads, header.key_length) == (2, (2, 2), 16)
    assert header.kv_bytes_per_token == 2 * 2 * 2 * (16 + 16)
    assert header.chat_template == CHAT_TEMPLATE
    assert "<|im_end|>" in header.tokenizer.control
    assert header.tokenizer.tokens[header.tokenizer.eos or 0] == "<|im_end|>"
    assert not header.tokenizer.add_bos


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"hello, this is no model at all", "it starts with b'hell'"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"PK\x03\x04" + bytes(40), "PyTorch"),
        (b'\x10\0\0\0\0\0\0\0{"weights": 1}' + bytes(20), "safetensors"),
        (b"GGUF" + (99).to_bytes(4, "little") + bytes(40), "version is 99"),
        (b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 64, "damaged or cut off"),
        (b"GGUF" + (3).to_bytes(4, "little") + bytes(16), "no language model"),
    ],
)
def test_what_is_not_a_model_is_named_with_the_reason(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "wrong.gguf"
    path.write_bytes(content)
    with pytest.raises(EngineFailed) as caught:
        read_header(path)
    assert str(path) in caught.value.message
    assert why in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize("part", [0.01, 0.1, 0.5])
def test_a_cut_off_file_is_recognised(tiny: Path, tmp_path: Path, part: float) -> None:
    data = tiny.read_bytes()
    path = tmp_path / "part.gguf"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(EngineFailed, match="cut off"):
        read_header(path)


def test_a_missing_file_is_an_error_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="cannot be read: No such file"):
        read_header(tmp_path / "nothing.gguf")
