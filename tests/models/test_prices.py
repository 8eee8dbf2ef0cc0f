"""What answers cost, and when a machine of one's own is cheaper."""

from __future__ import annotations

import pytest

from codeweft.models.prices import Machine, Prices, break_even
from codeweft.types import ModelInfo, Price, Usage


def info(kind: str, served: str = "", host: str = "", name: str = "m") -> ModelInfo:
    return ModelInfo(name, kind, frozenset({"chat"}), served=served, host=host)  # type: ignore[arg-type]


def test_own_prices_win_and_cached_tokens_have_theirs() -> None:
    prices = Prices({"m": Price(2.0, 10.0, 0.5)}, table=False)
    assert prices.cost(info("upstream"), Usage(1_000_000, 100_000, 400_000)) == pytest.approx(1.2 + 0.2 + 1.0)
    assert prices.cost(info("embedded", name="other"), Usage(10, 10)) == 0.0
    assert prices.cost(info("upstream", "gpt-4o", name="other"), Usage(10, 10)) is None


def test_a_providers_price_is_in_the_table_and_an_unknown_model_has_none() -> None:
    prices = Prices()
    prices.load()
    cost = prices.cost(info("upstream", "gpt-4o", "api.openai.com"), Usage(1_000_000, 0))
    assert cost is not None and 0.5 < cost < 50
    assert prices.cost(info("upstream", "Qwen/Qwen2.5-Coder-32B", "gpu-1"), Usage(10, 10)) is None
    assert prices.listed("no-such-model-anywhere") is None


def test_the_break_even_of_the_first_analysis_is_reproduced() -> None:
    """GPT-4 at 30 and 60 USD a million tokens against two A100 at 4.05 USD an hour each, 2.5 cents a request."""
    gpt4 = Price(30, 60)
    assert gpt4.of(174, 405) == pytest.approx(0.02952)
    assert gpt4.of(174, 242) == pytest.approx(0.01974)
    assert break_even(0.025, Machine(8.1, 100), 300).requests_per_hour == pytest.approx(324)
    assert break_even(0.025, Machine(4.05, 100), 300).requests_per_hour == pytest.approx(162)


def test_a_machine_that_is_too_slow_never_breaks_even() -> None:
    slow = break_even(0.025, Machine(8.1, 10), 300)
    assert slow.capacity == pytest.approx(120)
    assert not slow.reachable
    assert break_even(0.025, Machine(8.1, 100), 300).reachable
    assert Machine(3.6, 100, utilisation=0.5).price().output == pytest.approx(20.0)
    with pytest.raises(ValueError):
        break_even(0.0, Machine(1, 1), 1)
