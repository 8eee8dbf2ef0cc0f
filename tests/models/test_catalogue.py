"""The arithmetic of sizes, and that every entry is whole."""

from __future__ import annotations

import pytest

from codeweft.errors import NotFound
from codeweft.models.catalogue import CATALOGUE, entry
from codeweft.models.skills import family, named_family

GB = 1e9


def test_the_size_of_a_file_is_near_the_real_one() -> None:
    # Sizes at the hub: 4.68 GB, 8.10 GB and 4.08 GB.
    assert entry("qwen2.5-coder-7b").disk("Q4_K_M") == pytest.approx(4.68 * GB, rel=0.05)
    assert entry("qwen2.5-coder-7b").disk("Q8_0") == pytest.approx(8.10 * GB, rel=0.05)
    assert entry("code-llama-7b").disk("Q4_K_M") == pytest.approx(4.08 * GB, rel=0.05)


def test_the_cache_of_a_context_is_counted() -> None:
    # 28 layers, 4 heads of 128, keys and values, 2 bytes: 56 KiB a token.
    model = entry("qwen2.5-coder-7b")
    assert model.memory("Q4_K_M", 8192) - model.memory("Q4_K_M", 0) == 8192 * 56 * 1024
    # Without grouped heads it is nine times as much.
    old = entry("code-llama-7b")
    assert old.memory("Q4_K_M", 8192) - old.memory("Q4_K_M", 0) == 8192 * 512 * 1024


def test_a_longer_context_than_the_model_has_costs_nothing() -> None:
    model = entry("granite-code-3b")
    assert model.memory("Q4_K_M", 1_000_000) == model.memory("Q4_K_M", 2048)


@pytest.mark.parametrize(
    ("name", "gigabytes", "best"),
    [("qwen2.5-coder-7b", 8, "Q5_K_M"), ("qwen2.5-coder-7b", 32, "Q8_0"), ("qwen2.5-coder-32b", 16, None)],
)
def test_the_finest_quantisation_that_fits_is_offered(name: str, gigabytes: int, best: str | None) -> None:
    assert entry(name).best_fit(gigabytes << 30) == best


def test_every_entry_is_whole() -> None:
    assert len({item.name for item in CATALOGUE}) == len(CATALOGUE)
    for item in CATALOGUE:
        assert item.repository.count("/") == 1
        for quantisation in item.quantisations:
            file = item.file_of(quantisation)
            assert file.endswith(".gguf")
            assert quantisation.lower() in file.lower()
            assert "{" not in file
        assert named_family(item.family)
        assert family(item.file).name == item.family
        assert family(item.file).skills_of(item.file)


def test_skills_are_read_from_the_file_names_of_the_catalogue() -> None:
    file = entry("code-llama-34b-instruct").file_of("Q4_K_M")
    assert family(file).skills_of(file) == {"completion", "chat"}


def test_an_unknown_name_gets_the_near_ones() -> None:
    with pytest.raises(NotFound) as caught:
        entry("starcoder2-40b")
    assert "starcoder2-15b" in caught.value.fix
    assert "granite" not in caught.value.fix
