"""What a GGUF file says about itself, read without loading it.

Only the header is read (metadata and tensor table), so a wrong, old or cut-off file is named as such before an engine
is started for it. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from codeweft.errors import EngineFailed

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_NUMBERS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_STRING: Final = 8
_ARRAY: Final = 9
_LENGTH: Final = struct.Struct("<Q")
_WORD: Final = struct.Struct("<I")
_MAX_DIMENSIONS: Final = 8
_NORMAL_TOKEN: Final = 1
_CONTROL_TOKEN: Final = 3
_USER_DEFINED_TOKEN: Final = 4
"""Token types of llama.cpp: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte."""
_OTHER_FORMATS: Final = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; run `git lfs pull`"),
    (b"PK\x03\x04", "a zip or PyTorch checkpoint"),
    (b"<", "a web page (a failed download?)"),
    (b"lmgg", "an old GGML file from before August 2023"),
    (b"tjgg", "an old GGJT file from before August 2023"),
)


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The vocabulary, by token id, and how text becomes tokens (`kind` is "gpt2" for BPE, "llama" for SentencePiece)."""

    kind: str
    tokens: tuple[str, ...]
    control: frozenset[str]
    user_defined: frozenset[str]
    bos: int | None
    eos: int | None
    add_bos: bool
    add_space_prefix: bool

    @property
    def is_sentencepiece(self) -> bool:
        return self.kind == "llama"


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """A model file: its shape, vocabulary and chat template. `kv_heads` has one entry per layer."""

    path: Path
    size: int
    architecture: str
    name: str
    context: int
    layers: int
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int
    dimensions: int
    pooling: int | None
    chat_template: str | None
    tokenizer: Tokenizer

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of 16-bit key and value cache that one token takes."""
        return 2 * sum(self.kv_heads) * (self.key_length + self.value_length)


def read_header(path: Path) -> GgufHeader:
    """Read the header of `path`. Raises `EngineFailed` naming the file and why it is not a usable model."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            start = file.read(32)
            if not start.startswith(_MAGIC):
                raise _refusal(path, _what_else(start, size))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse(path, data)
    except OSError as error:
        raise EngineFailed(
            f"The model file {path} cannot be read: {error.strerror}.",
            fix="Check the path, or pull a model with `codeweft models pull NAME`.",
        ) from None


def _what_else(start: bytes, size: int) -> str:
    if size == 0:
        return "it is empty"
    for magic, what in _OTHER_FORMATS:
        if start.startswith(magic):
            return f"it is {what}"
    if len(start) > 9 and start[8:9] == b"{":
        return "it looks like a safetensors file; convert it to GGUF first"
    return f"it starts with {start[:4]!r} instead of b'GGUF'"


def _refusal(path: Path, why: str) -> EngineFailed:
    return EngineFailed(
        f"{path} is not a usable GGUF model: {why}.",
        fix="Give a complete .gguf file, or pull one with `codeweft models pull NAME`.",
    )


class _Cursor:
    """Reads values one after the other; running off the end of the file raises `struct.error`."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self.data = data
        self.size = len(data)
        self.at = at

    def number(self, layout: struct.Struct) -> Any:
        (value,) = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return value

    def text(self) -> str:
        length = self.number(_LENGTH)
        end = self.at + length
        if end > self.size:
            raise struct.error
        value = self.data[self.at : end].decode("utf-8", "replace")
        self.at = end
        return value

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self.array()
        if kind not in _NUMBERS:
            raise struct.error
        return self.number(_NUMBERS[kind])

    def array(self) -> list[Any]:
        kind, count = self.number(_WORD), self.number(_LENGTH)
        if kind in _NUMBERS:
            layout = _NUMBERS[kind]
            end = self.at + count * layout.size
            if end > self.size:
                raise struct.error
            values = [value for (value,) in layout.iter_unpack(self.data[self.at : end])]
            self.at = end
            return values
        if kind != _STRING or count > self.size:
            raise struct.error
        return [self.text() for _ in range(count)]


def _parse(path: Path, data: mmap.mmap) -> GgufHeader:
    cursor = _Cursor(data, len(_MAGIC))
    try:
        version = cursor.number(_WORD)
        if version not in _VERSIONS:
            raise _refusal(path, f"its GGUF version is {version}; versions 2 and 3 are supported")
        tensors, pairs = cursor.number(_LENGTH), cursor.number(_LENGTH)
        if max(tensors, pairs) > cursor.size:
            raise struct.error
        values: dict[str, Any] = {}
        for _ in range(pairs):
            key = cursor.text()
            values[key] = cursor.value(cursor.number(_WORD))
        last = max((_tensor_offset(cursor) for _ in range(tensors)), default=-1)
    except (struct.error, OverflowError, MemoryError):
        raise _refusal(path, "its header is damaged or cut off (an incomplete download?)") from None
    if values.get("general.type", "model") != "model" or "general.architecture" not in values:
        raise _refusal(path, "it holds no language model (an adapter or a projector?)")
    if last < 0:
        raise _refusal(path, "it has no weights")
    if cursor.at + last >= len(data):
        raise _refusal(path, "it is cut off (an incomplete download?)")
    return _header(path, len(data), values)


def _of_type(tokens: tuple[str, ...], types: list[int], wanted: int) -> frozenset[str]:
    return frozenset(token for token, kind in zip(tokens, types, strict=False) if kind == wanted and token)


def _tensor_offset(cursor: _Cursor) -> int:
    cursor.text()
    dimensions = cursor.number(_WORD)
    if dimensions > _MAX_DIMENSIONS:
        raise struct.error
    cursor.at += _LENGTH.size * dimensions + _WORD.size
    offset: int = cursor.number(_LENGTH)
    return offset


def _header(path: Path, size: int, values: dict[str, Any]) -> GgufHeader:
    architecture = str(values["general.architecture"])

    def shape(key: str, default: int) -> int:
        value = values.get(f"{architecture}.{key}", default)
        return max(value) if isinstance(value, list) else int(value)

    layers, dimensions = shape("block_count", 1), shape("embedding_length", 0)
    heads = max(1, shape("attention.head_count", 1))
    kv_heads = values.get(f"{architecture}.attention.head_count_kv", heads)
    head = dimensions // heads
    tokens = tuple(values.get("tokenizer.ggml.tokens", ()))
    types = values.get("tokenizer.ggml.token_type") or [_NORMAL_TOKEN] * len(tokens)
    kind = str(values.get("tokenizer.ggml.model", ""))
    return GgufHeader(
        path=path,
        size=size,
        architecture=architecture,
        name=str(values.get("general.name") or path.stem),
        context=shape("context_length", 2048),
        layers=layers,
        kv_heads=tuple(kv_heads) if isinstance(kv_heads, list) else (int(kv_heads),) * layers,
        key_length=shape("attention.key_length", head),
        value_length=shape("attention.value_length", head),
        dimensions=dimensions,
        pooling=values.get(f"{architecture}.pooling_type"),
        chat_template=values.get("tokenizer.chat_template"),
        tokenizer=Tokenizer(
            kind=kind,
            tokens=tokens,
            control=_of_type(tokens, types, _CONTROL_TOKEN),
            user_defined=_of_type(tokens, types, _USER_DEFINED_TOKEN),
            bos=values.get("tokenizer.ggml.bos_token_id"),
            eos=values.get("tokenizer.ggml.eos_token_id"),
            add_bos=bool(values.get("tokenizer.ggml.add_bos_token", kind == "llama")),
            add_space_prefix=bool(values.get("tokenizer.ggml.add_space_prefix", kind == "llama")),
        ),
    )
