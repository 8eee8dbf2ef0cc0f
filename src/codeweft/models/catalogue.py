"""Code models worth pulling: where they are, under which licence, and what they need.

Sizes are computed from parameters and bits a weight; the hub's own figure replaces them when a model is pulled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psutil

from codeweft.errors import NotFound

BITS_PER_WEIGHT: Final = {"Q4_0": 4.6, "Q4_K_M": 4.9, "Q5_K_M": 5.7, "Q6_K": 6.6, "Q8_0": 8.5, "F16": 16.0}
"""Averages over whole files of llama.cpp's quantisations (embeddings and norms included)."""
DEFAULT_CONTEXT: Final = 8192
WORKING_MEMORY: Final = 1.1
"""Memory per byte of weights while running: buffers on top of the mapped file."""
MEMORY_SHARE: Final = 0.8
"""Part of the machine's memory that a model may take."""

_COMMON: Final = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue. `kv_width` is the keys and values of one token in one layer, in numbers.

    `file` is the file's name with `{quantisation}`; `parameters` is in billions.
    """

    name: str
    title: str
    repository: str
    file: str
    licence: str
    parameters: float
    context: int
    layers: int
    kv_width: int
    family: str
    quantisations: tuple[str, ...] = _COMMON

    def disk(self, quantisation: str) -> int:
        """Bytes of the file, about."""
        return round(self.parameters * 1e9 * BITS_PER_WEIGHT[quantisation] / 8)

    def memory(self, quantisation: str, context: int = DEFAULT_CONTEXT) -> int:
        """Bytes needed to answer one request with `context` tokens (16-bit key and value cache), about."""
        return round(self.disk(quantisation) * WORKING_MEMORY) + 2 * self.layers * self.kv_width * min(
            context, self.context
        )

    def fits(self, quantisation: str, memory: int | None = None) -> bool:
        """Whether it runs in `memory` bytes (None: this machine's), leaving some for the rest."""
        total = psutil.virtual_memory().total if memory is None else memory
        return self.memory(quantisation) <= total * MEMORY_SHARE

    def best_fit(self, memory: int | None = None) -> str | None:
        """The finest quantisation that fits, or None."""
        fitting = [item for item in self.quantisations if self.fits(item, memory)]
        return fitting[-1] if fitting else None

    def file_of(self, quantisation: str) -> str:
        """The file's name at the hub. Raises `NotFound` for a quantisation that is not offered."""
        wanted = quantisation.upper()
        if wanted not in self.quantisations:
            raise NotFound(
                f"{self.name} is not offered as {quantisation}.",
                fix=f"There is: {', '.join(self.quantisations)}.",
            )
        return self.file.format(quantisation=wanted, lower=wanted.lower())


def _qwen(size: str, parameters: float, layers: int, kv_width: int, licence: str = "Apache-2.0") -> Entry:
    return Entry(
        name=f"qwen2.5-coder-{size.lower()}",
        title=f"Qwen2.5-Coder {size} Instruct",
        repository=f"bartowski/Qwen2.5-Coder-{size}-Instruct-GGUF",
        file=f"Qwen2.5-Coder-{size}-Instruct-{{quantisation}}.gguf",
        licence=licence,
        parameters=parameters,
        context=32768,
        layers=layers,
        kv_width=kv_width,
        family="qwen2.5-coder",
    )


def _qwen_base(
    size: str, parameters: float, layers: int, kv_width: int, licence: str = "Apache-2.0"
) -> Entry:
    return Entry(
        name=f"qwen2.5-coder-{size.lower()}-base",
        title=f"Qwen2.5-Coder {size} (completion and infilling only)",
        repository=f"ggml-org/Qwen2.5-Coder-{size}-Q8_0-GGUF",
        file=f"qwen2.5-coder-{size.lower()}-{{lower}}.gguf",
        licence=licence,
        parameters=parameters,
        context=32768,
        layers=layers,
        kv_width=kv_width,
        family="qwen2.5-coder",
        quantisations=("Q8_0",),
    )


def _code_llama(size: str, flavour: str, parameters: float, layers: int, kv_width: int) -> Entry:
    tail = f"-{flavour}" if flavour else ""
    return Entry(
        name=f"code-llama-{size.lower()}{tail.lower()}",
        title=f"Code Llama {size} {flavour}".rstrip(),
        repository=f"TheBloke/CodeLlama-{size}{tail}-GGUF",
        file=f"codellama-{size.lower()}{tail.lower()}.{{quantisation}}.gguf",
        licence="Llama 2 Community",
        parameters=parameters,
        context=16384,
        layers=layers,
        kv_width=kv_width,
        family="code-llama",
    )


def _starcoder2(size: str, parameters: float, layers: int, kv_width: int) -> Entry:
    return Entry(
        name=f"starcoder2-{size.lower()}",
        title=f"StarCoder2 {size}",
        repository=f"second-state/StarCoder2-{size}-GGUF",
        file=f"starcoder2-{size.lower()}-{{quantisation}}.gguf",
        licence="BigCode OpenRAIL-M v1",
        parameters=parameters,
        context=16384,
        layers=layers,
        kv_width=kv_width,
        family="starcoder2",
    )


def _deepseek(size: str, flavour: str, parameters: float, layers: int, kv_width: int) -> Entry:
    return Entry(
        name=f"deepseek-coder-{size.lower()}-{flavour}",
        title=f"DeepSeek-Coder {size} {flavour}",
        repository=f"TheBloke/deepseek-coder-{size}-{flavour}-GGUF",
        file=f"deepseek-coder-{size.lower()}-{flavour}.{{quantisation}}.gguf",
        licence="DeepSeek License",
        parameters=parameters,
        context=16384,
        layers=layers,
        kv_width=kv_width,
        family="deepseek-coder",
    )


def _granite(size: str, window: str, parameters: float, layers: int, kv_width: int) -> Entry:
    return Entry(
        name=f"granite-code-{size.lower()}",
        title=f"Granite Code {size} Instruct",
        repository=f"ibm-granite/granite-{size.lower()}-code-instruct-{window}-GGUF",
        file=f"granite-{size.lower()}-code-instruct.{{quantisation}}.gguf",
        licence="Apache-2.0",
        parameters=parameters,
        context=int(window.removesuffix("k")) * 1024,
        layers=layers,
        kv_width=kv_width,
        family="granite-code",
    )


CATALOGUE: Final = (
    _qwen("0.5B", 0.49, 24, 256),
    _qwen("1.5B", 1.54, 28, 512),
    _qwen("3B", 3.09, 36, 512, licence="Qwen Research"),
    _qwen("7B", 7.62, 28, 1024),
    _qwen("14B", 14.8, 48, 2048),
    _qwen("32B", 32.8, 64, 2048),
    _qwen_base("0.5B", 0.49, 24, 256),
    _qwen_base("1.5B", 1.54, 28, 512),
    _qwen_base("3B", 3.09, 36, 512, licence="Qwen Research"),
    _qwen_base("7B", 7.62, 28, 1024),
    Entry(
        name="qwen3-coder-30b",
        title="Qwen3-Coder 30B-A3B Instruct",
        repository="unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF",
        file="Qwen3-Coder-30B-A3B-Instruct-{quantisation}.gguf",
        licence="Apache-2.0",
        parameters=30.5,
        context=262144,
        layers=48,
        kv_width=1024,
        family="qwen3-coder",
    ),
    _code_llama("7B", "", 6.74, 32, 8192),
    _code_llama("7B", "Python", 6.74, 32, 8192),
    _code_llama("7B", "Instruct", 6.74, 32, 8192),
    _code_llama("13B", "", 13.0, 40, 10240),
    _code_llama("13B", "Python", 13.0, 40, 10240),
    _code_llama("13B", "Instruct", 13.0, 40, 10240),
    _code_llama("34B", "", 33.7, 48, 2048),
    _code_llama("34B", "Python", 33.7, 48, 2048),
    _code_llama("34B", "Instruct", 33.7, 48, 2048),
    _starcoder2("3B", 3.03, 30, 512),
    _starcoder2("7B", 7.17, 32, 1024),
    _starcoder2("15B", 15.96, 40, 1024),
    _deepseek("1.3b", "base", 1.35, 24, 4096),
    _deepseek("1.3b", "instruct", 1.35, 24, 4096),
    _deepseek("6.7B", "base", 6.74, 32, 8192),
    _deepseek("6.7B", "instruct", 6.74, 32, 8192),
    Entry(
        name="deepseek-coder-v2-lite",
        title="DeepSeek-Coder V2 Lite Instruct",
        repository="bartowski/DeepSeek-Coder-V2-Lite-Instruct-GGUF",
        file="DeepSeek-Coder-V2-Lite-Instruct-{quantisation}.gguf",
        licence="DeepSeek License",
        parameters=15.7,
        context=163840,
        layers=27,
        # Keys of 16 heads of 192, values of 128: what engines without latent attention keep.
        kv_width=5120,
        family="deepseek-coder",
    ),
    _granite("3B", "2k", 3.48, 32, 5120),
    _granite("8B", "4k", 8.05, 36, 2048),
)
_BY_NAME: Final = {entry.name: entry for entry in CATALOGUE}


def entry(name: str) -> Entry:
    """The entry called `name` (case ignored). Raises `NotFound` with the nearest names."""
    found = _BY_NAME.get(name.lower())
    if found is None:
        near = [item for item in _BY_NAME if name.lower().split("-")[0] in item] or list(_BY_NAME)
        raise NotFound(
            f"The catalogue has no model {name!r}.",
            fix=f"It has {', '.join(near)}. A URL, OWNER/REPOSITORY/FILE.gguf or a local file works too.",
        )
    return found
