"""How the engine is sized."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from codeweft.models.gguf import GgufHeader, read_header
from codeweft.models.machine import Machine, limits, this_machine
from codeweft.models.plan import EngineOptions, generation_parameters, plan, speculation_length

BIG = Machine(cores=8, memory=64 << 30)


@pytest.fixture
def header(tiny: Path) -> GgufHeader:
    return read_header(tiny)


@pytest.mark.parametrize("batch", [32, 128, 512, 2048])
@pytest.mark.parametrize("slots", [1, 2, 4, 8, 32, 64, 128, 256])
def test_speculation_never_exceeds_the_batch(slots: int, batch: int) -> None:
    longest = speculation_length(slots, batch)
    assert longest == 0 or slots * (1 + longest) <= batch


def test_speculation_is_off_rather_than_useless() -> None:
    assert speculation_length(4, 128) == 31
    assert speculation_length(64, 128) == 0


def test_the_context_is_bounded_by_the_training(header: GgufHeader) -> None:
    assert plan(header, EngineOptions(context=100_000), BIG).context == 4096


def test_an_absurd_context_is_bounded_by_memory(header: GgufHeader) -> None:
    # The shape of a 7B model without grouped heads: half a megabyte of cache a token.
    large = replace(
        header, context=2_000_000_000, layers=32, kv_heads=(32,) * 32, key_length=128, value_length=128
    )
    sized = plan(large, EngineOptions(context=2_000_000_000), Machine(cores=4, memory=16 << 30))
    cache = sized.context * sized.slots * large.kv_bytes_per_token
    assert large.kv_bytes_per_token == 4 * 32 * 32 * 128
    assert 0 < cache <= 16 << 30


def test_slots_go_before_the_context_falls_below_the_floor(header: GgufHeader) -> None:
    large = replace(header, context=32768, layers=32, kv_heads=(32,) * 32, key_length=128, value_length=128)
    sized = plan(large, EngineOptions(parallel=4), Machine(cores=4, memory=3 << 30))
    assert (sized.slots, sized.context >= 2048) == (2, True)


def test_with_hardly_any_memory_one_slot_of_the_floor_remains(header: GgufHeader) -> None:
    large = replace(header, context=32768, size=8 << 30)
    sized = plan(large, EngineOptions(), Machine(cores=1, memory=1 << 30))
    assert (sized.slots, sized.context, sized.threads) == (1, 2048, 1)


def test_one_core_is_left_to_the_machine(header: GgufHeader) -> None:
    assert plan(header, EngineOptions(), BIG).threads == 7
    assert plan(header, EngineOptions(threads=3), BIG).threads == 3


def test_a_cpu_reads_prompts_in_small_batches_and_a_gpu_in_large(header: GgufHeader) -> None:
    assert plan(header, EngineOptions(), BIG).batch == 128
    assert plan(header, EngineOptions(), replace(BIG, gpu=True)).batch == 2048


def test_the_engine_gets_the_context_of_all_slots_together(header: GgufHeader) -> None:
    options = EngineOptions(parallel=3, context=1024, cache_mb=64)
    parameters = generation_parameters(header, options, plan(header, options, BIG))
    assert parameters["n_ctx"] == 3 * 1024
    assert parameters["kv_unified"] is False
    assert parameters["cache_ram_mib"] == 64


def test_weights_slots_and_the_cache_of_prompts_fit_the_memory_together(header: GgufHeader) -> None:
    large = replace(
        header, size=1 << 30, context=32768, layers=32, kv_heads=(32,) * 32, key_length=128, value_length=128
    )
    sized = plan(large, EngineOptions(parallel=4, context=32768, cache_mb=8192), Machine(4, 8 << 30))
    slots = sized.context * sized.slots * large.kv_bytes_per_token
    assert sized.cache_mb < 8192
    assert large.size + slots + (sized.cache_mb << 20) <= 8 << 30
    assert generation_parameters(large, EngineOptions(), sized)["cache_ram_mib"] == sized.cache_mb


def test_a_containers_limits_count_and_so_do_those_around_it(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/kubepods/pod7\n")
    pod = tmp_path / "kubepods" / "pod7"
    pod.mkdir(parents=True)
    assert limits(tmp_path, own).memory > 1 << 50
    (pod / "memory.max").write_text("max\n")
    (pod / "cpu.max").write_text("250000 100000\n")
    (pod.parent / "cpu.max").write_text("max 100000\n")
    (pod.parent / "memory.max").write_text(f"{4 << 30}\n")
    (pod.parent / "memory.current").write_text(f"{3 << 30}\n")
    (pod.parent / "memory.stat").write_text(f"anon 1\ninactive_file {1 << 30}\nfile 5\n")
    assert limits(tmp_path, own) == Machine(cores=2, memory=2 << 30)


def test_this_machine_has_a_core_and_memory() -> None:
    here = this_machine()
    assert here.cores >= 1
    assert here.memory > 0
