"""Writes numbers as llama.cpp's quantised blocks, with the very functions that llama.cpp is built of."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import xllamacpp
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType


@cache
def _library() -> ctypes.CDLL:
    """ggml as the engine's wheel carries it; raises FileNotFoundError where it is not there."""
    for path in Path(xllamacpp.__file__).parent.glob("*.so"):
        library = ctypes.CDLL(str(path))
        library.ggml_quantize_chunk.restype = ctypes.c_size_t
        library.ggml_quantize_chunk.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
            ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
        ]  # fmt: skip
        return library
    raise FileNotFoundError(f"no ggml beside {xllamacpp.__file__}")


def quantise(value: np.ndarray, kind: GGMLQuantizationType) -> np.ndarray:
    """(rows, n) float32 as (rows, bytes) uint8. Raises ValueError where n is no multiple of the kind's block."""
    block, size = GGML_QUANT_SIZES[kind]
    rows, length = value.shape
    if length % block:
        raise ValueError(f"rows of {length} cannot be written as {kind.name}, whose blocks hold {block}")
    source = np.ascontiguousarray(value, dtype=np.float32)
    out = np.empty((rows, length // block * size), dtype=np.uint8)
    _library().ggml_quantize_chunk(kind, source.ctypes.data, out.ctypes.data, 0, rows, length, None)
    return out
