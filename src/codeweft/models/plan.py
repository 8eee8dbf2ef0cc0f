"""How the engine is sized for a model on a machine: context, slots, batches, speculation. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from codeweft.models.gguf import GgufHeader
from codeweft.models.machine import Machine

CONTEXT_STEP: Final = 256
"""llama.cpp rounds a slot's context up to a multiple of this."""
CONTEXT_FLOOR: Final = 2048
"""Slots are given up before a slot's context falls below this."""
MEMORY_SHARE: Final = 0.8
"""Part of the available memory that the engine may plan for; the rest is for the machine."""
WEIGHTS_FACTOR: Final = 1.2
"""Memory per byte of weights (compute buffers and repacking included; 0.35 GB of Q4_0 took 0.7 GB at worst)."""
CACHE_SHARE: Final = 0.1
"""Part of what the weights leave that the cache of earlier prompts may take at most; slots serve more people than it does."""
CPU_BATCH: Final = 128
"""Prompt tokens read in one go. On a CPU, a larger batch stalls running answers (512: 4.0 s, 128: 1.05 s) and gains nothing."""
GPU_BATCH: Final = 2048
GPU_MICRO_BATCH: Final = 512
SPARE_CONNECTIONS: Final = 8
"""HTTP threads of the engine beside those that write answers: for questions, health, and answers being left."""
SPECULATION_MATCH: Final = 8
"""Tokens that must repeat before their old continuation is proposed (6 to 12 measured alike on code)."""
SPECULATION_LENGTH: Final = 32
SPECULATION_SHORTEST: Final = 4


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a GGUF file. `context` is tokens of one request, `parallel` requests served at once.

    `python` is an interpreter that has xllamacpp (None: this one); `gpu_layers=None` lets the engine choose.
    """

    python: str | None = None
    threads: int | None = None
    parallel: int = 4
    queue: int = 64
    context: int = 8192
    cache_mb: int = 512
    idle_seconds: int = 0
    gpu_layers: int | None = None
    default_max_tokens: int = 1024
    start_timeout: float = 600


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """What the engine is started with. `context` is per slot."""

    context: int
    slots: int
    threads: int
    batch: int
    micro_batch: int
    speculation: int
    """Longest draft proposed from repeated text; 0 switches speculation off."""
    cache_mb: int
    """Memory for prompts that no slot holds any more."""


def speculation_length(slots: int, batch: int) -> int:
    """The longest draft for which every slot's token and draft fit one batch; the engine aborts on more."""
    longest = min(SPECULATION_LENGTH, batch // slots - 1)
    return longest if longest >= SPECULATION_SHORTEST else 0


def plan(header: GgufHeader, options: EngineOptions, machine: Machine) -> EnginePlan:
    """Bound what was asked by the model's training context and the machine's memory."""
    wanted = max(CONTEXT_STEP, min(options.context, header.context))
    floor = min(CONTEXT_FLOOR, wanted)
    budget = max(0.0, machine.memory * MEMORY_SHARE - header.size * WEIGHTS_FACTOR)
    cache_mb = min(options.cache_mb, int(budget * CACHE_SHARE) >> 20)
    tokens = int((budget - (cache_mb << 20)) // max(1, header.kv_bytes_per_token))
    slots = max(1, min(options.parallel, tokens // floor))
    # Rounded down, because llama.cpp rounds up.
    context = min(wanted, max(floor, tokens // slots)) // CONTEXT_STEP * CONTEXT_STEP
    batch = max(GPU_BATCH if machine.gpu else CPU_BATCH, slots)
    return EnginePlan(
        context=context,
        slots=slots,
        threads=options.threads or max(1, machine.cores - 1),
        batch=batch,
        micro_batch=min(batch, GPU_MICRO_BATCH),
        speculation=speculation_length(slots, batch),
        cache_mb=cache_mb,
    )


def generation_parameters(header: GgufHeader, options: EngineOptions, sized: EnginePlan) -> dict[str, Any]:
    """llama.cpp's parameters for writing text, as dotted attribute names."""
    parameters = _common(header, options, sized) | {
        "n_ctx": sized.context * sized.slots,
        "n_batch": sized.batch,
        "n_ubatch": sized.micro_batch,
        "cache_ram_mib": sized.cache_mb,
    }
    if sized.speculation:
        parameters |= {
            "speculative.types": ["NGRAM_SIMPLE"],
            "speculative.ngram_simple.size_n": SPECULATION_MATCH,
            "speculative.ngram_simple.size_m": sized.speculation,
        }
    return parameters


def embedding_parameters(header: GgufHeader, options: EngineOptions, sized: EnginePlan) -> dict[str, Any]:
    """llama.cpp's parameters for embeddings: a text must fit one batch, so the batch is the context."""
    parameters = _common(header, options, sized) | {
        "embedding": True,
        "n_ctx": sized.context * sized.slots,
        "n_batch": sized.context,
        "n_ubatch": sized.context,
    }
    if header.pooling is None:
        parameters["pooling_type"] = "MEAN"
    return parameters


def reranking_parameters(header: GgufHeader, options: EngineOptions, sized: EnginePlan) -> dict[str, Any]:
    """llama.cpp's parameters for re-ranking: embeddings whose pooling is the model's own head."""
    return embedding_parameters(header, options, sized) | {"pooling_type": "RANK"}


def _common(header: GgufHeader, options: EngineOptions, sized: EnginePlan) -> dict[str, Any]:
    return {
        "model.path": str(header.path),
        "n_parallel": sized.slots,
        "kv_unified": False,
        "n_threads_http": sized.slots + SPARE_CONNECTIONS,
        "cpuparams.n_threads": sized.threads,
        "cpuparams_batch.n_threads": sized.threads,
        "n_gpu_layers": -1 if options.gpu_layers is None else options.gpu_layers,
        "sleep_idle_seconds": options.idle_seconds or -1,
    }
