"""What a model read around a hole, told where a request wants explaining."""

from __future__ import annotations

from codeweft.models.embedded import EmbeddedModel
from codeweft.models.starter import STARTER, bundled
from codeweft.types import Done, Infill, Prompted, Request, Sampling, replace

HOLE = Infill("def add(a, b):\n    ", "\n\nprint(add(1, 2))\n")
ASKED = Request(STARTER, infill=HOLE, sampling=Sampling(max_tokens=4), explain=True)


async def test_the_engine_reads_exactly_the_prompt_that_is_told() -> None:
    model = EmbeddedModel(STARTER, bundled())
    try:
        told = [event async for event in model.stream(ASKED)]
        (prompt,) = [event for event in told if isinstance(event, Prompted)]
        (done,) = [event for event in told if isinstance(event, Done)]
        assert prompt.tokens == done.usage.prompt_tokens
        texts = [piece.text for piece in prompt.pieces if not piece.special]
        assert texts == [HOLE.suffix, "def add(a, b):\n", "    "]
        unasked = [event async for event in model.stream(replace(ASKED, explain=False))]
        assert not any(isinstance(event, Prompted) for event in unasked)
    finally:
        await model.close()
