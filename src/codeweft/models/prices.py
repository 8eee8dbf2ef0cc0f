"""What an answer costs: own prices first, then a maintained table of providers' prices that needs no network.

The table is the package genai-prices (Pydantic, MIT); it is loaded in a thread when first needed, for that takes a
second. A model that runs on one's own machine costs what the machine costs: see `Machine`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from codeweft.types import ModelInfo, Price, Usage

MILLION: Final = 1_000_000
_SECONDS_PER_HOUR: Final = 3600


class Prices:
    """Prices of models. Thread-safe."""

    def __init__(self, own: Mapping[str, Price] | None = None, *, table: bool = True) -> None:
        """`own` are by our name of the model; with `table=False` nothing else is looked at."""
        self._own = dict(own or {})
        self._known: dict[tuple[str, str], Price | None] = {}
        self._lock = threading.Lock()
        self._loading: threading.Thread | None = None
        self._find: Callable[[str, str], Price | None] | None = None if table else _nothing

    def set_own(self, own: Mapping[str, Price]) -> None:
        """Other own prices, for answers from now on."""
        self._own = dict(own)

    def cost(self, info: ModelInfo, used: Usage) -> float | None:
        """USD of an answer of a model; None when its price is not known (yet). Models of this machine are free of charge."""
        price = self.of(info)
        return None if price is None else _of(price, used)

    def of(self, info: ModelInfo) -> Price | None:
        """The price of a model; None when it is not known (yet). Models of this machine are free of charge."""
        price = self._own.get(info.name)
        if price is not None:
            return price
        return Price() if info.kind != "upstream" else self.listed(info.served, info.host)

    def listed(self, model: str, host: str = "") -> Price | None:
        """The price in the table of a provider's model. None while the table is being loaded."""
        if self._find is None:
            self._load()
            return None
        key = (model, host)
        if key not in self._known:
            self._known[key] = self._find(model, host)
        return self._known[key]

    def load(self) -> None:
        """Load the table now."""
        self._load()
        if self._loading is not None:
            self._loading.join()

    def _load(self) -> None:
        with self._lock:
            if self._loading is None and self._find is None:
                self._loading = threading.Thread(target=self._import, name="prices", daemon=True)
                self._loading.start()

    def _import(self) -> None:
        from codeweft.models.price_table import find

        self._find = find


def _of(price: Price, used: Usage) -> float:
    return price.of(used.prompt_tokens, used.completion_tokens, used.cached_tokens)


def _nothing(model: str, host: str) -> Price | None:
    return None


# ── an API against a machine of one's own ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that serves a model: USD per hour, and tokens per second it writes with all its slots busy."""

    usd_per_hour: float
    tokens_per_second: float
    utilisation: float = 1.0
    """Part of the time it has work, 0 to 1."""

    def price(self) -> Price:
        """USD per million tokens written; reading prompts is in it, as it was in the measured throughput."""
        per_hour = self.tokens_per_second * self.utilisation * _SECONDS_PER_HOUR
        return Price(0.0, self.usd_per_hour / per_hour * MILLION)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From how many requests an hour a machine is cheaper than an API.

    `requests_per_hour` is where both cost the same, `capacity` what the machine can serve; above its capacity more
    than one machine is needed, and `reachable` is false.
    """

    api_usd_per_request: float
    machine_usd_per_hour: float
    requests_per_hour: float
    capacity: float

    @property
    def reachable(self) -> bool:
        return self.requests_per_hour <= self.capacity


def break_even(usd_per_request: float, machine: Machine, completion_tokens: float) -> BreakEven:
    """Compare an API at so many USD a request (`Price.of` says how many) with a machine.

    Raises ValueError for a request that costs nothing or writes nothing.
    """
    if usd_per_request <= 0 or completion_tokens <= 0:
        raise ValueError("a request must cost something at the API and write something")
    capacity = machine.tokens_per_second * machine.utilisation * _SECONDS_PER_HOUR / completion_tokens
    return BreakEven(usd_per_request, machine.usd_per_hour, machine.usd_per_hour / usd_per_request, capacity)


def host_of(base_url: str) -> str:
    """The host of an endpoint, by which the table tells providers apart."""
    return urlsplit(base_url).hostname or ""
