"""What a long prompt does to its neighbours: the longest gap in a running answer, and a short prompt's first token.

One answer is being written; a long prompt arrives, and while it is read a short one. "whole" hands the long prompt to
the engine at once, "pieces" as the product does. Rounds alternate, figures are medians.

    python -m bench.engine.stall --model FILE.gguf [--prompt 3000] [--rounds 3] [--batch 128]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from codeweft.models.embedded import EmbeddedModel
from codeweft.models.plan import EngineOptions
from codeweft.models.prefill import Prefill
from codeweft.types import Done, Failed, Request, Sampling, TextDelta, replace

LONG = "value = value + 1\n"


class Whole(Prefill):
    """Reads every prompt in one go."""

    def piece(self, shared: bool) -> int:
        return 1 << 30


@dataclass
class Seen:
    """When the tokens of an answer came, and seconds until the first."""

    began: float
    times: list[float] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def first(self) -> float:
        return self.times[0] - self.began

    def longest_gap(self, begin: float, end: float) -> float:
        inside = [begin, *(time for time in self.times if begin <= time <= end), end]
        return max(later - earlier for earlier, later in pairwise(inside))


async def ask(model: EmbeddedModel, prompt: str, sampling: Sampling, seen: Seen) -> None:
    async with aclosing(model.stream(Request("bench", prompt=prompt, sampling=sampling))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                seen.times.append(time.perf_counter())
                seen.started.set()
            elif isinstance(event, Failed):
                raise SystemExit(str(event.error))
            elif isinstance(event, Done) and not seen.times:
                seen.times.append(time.perf_counter())


async def measure(model: EmbeddedModel, number: int, long: str) -> tuple[float, float, float]:
    """Seconds: the running answer's longest gap while the long prompt is read, the short's and the long's first token."""
    tokens = model._loaded().header.tokenizer
    bias = {at: -1e3 for at, token in enumerate(tokens.tokens) if token in tokens.control}
    endless = Sampling(temperature=1.0, seed=number, max_tokens=3500, logit_bias=bias)
    running = Seen(time.perf_counter())
    first = asyncio.create_task(ask(model, f"a{number} =", endless, running))
    await running.started.wait()
    begin = time.perf_counter()
    slow, short = Seen(begin), Seen(0)
    reading = asyncio.create_task(ask(model, f"# {number}\n{long}", replace(endless, max_tokens=1), slow))
    await asyncio.sleep(0.3)
    short.began = time.perf_counter()
    await ask(model, f"b{number} =", replace(endless, max_tokens=2), short)
    await reading
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    return running.longest_gap(begin, slow.times[-1]), short.first, slow.first


async def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--prompt", type=int, default=3000, help="tokens of the long prompt")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    options = EngineOptions(parallel=3, threads=1, context=arguments.prompt + 512)
    model = EmbeddedModel("bench", arguments.model, options=options)
    await model.start()
    file = model._loaded()
    ids = await model._tokens.of_text(LONG * 50)
    long = LONG * (arguments.prompt * 50 // len(ids))
    results: dict[str, list[tuple[float, float, float]]] = {"whole": [], "pieces": []}
    readers = {"whole": Whole(file.plan.batch), "pieces": Prefill(file.plan.batch)}
    try:
        for number in range(arguments.rounds):
            for name in results:
                file.prefill = readers[name]
                # A prompt of its own each time, so that nothing is in the cache.
                results[name].append(await measure(model, 2 * number + (name == "whole"), long))
    finally:
        await model.close()
    print(
        f"{file.header.name}, {file.header.size / 1e6:.0f} MB, batch {file.plan.batch}, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':>7} {'longest gap s':>14} {'short first s':>14} {'long first s':>13}")
    for name, rounds in results.items():
        gap, short, slow = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(
            f"{name:>7} {gap:>14.2f} {short:>14.2f} {slow:>13.2f}   (worst gap {max(one[0] for one in rounds):.2f})"
        )


if __name__ == "__main__":
    asyncio.run(main())
