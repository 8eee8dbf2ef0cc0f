"""One tiny model file and one running engine for the whole room; tests that break an engine start their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from codeweft.models.embedded import EmbeddedModel
from codeweft.models.plan import EngineOptions
from codeweft.types import Done, Event, Failed, Model, Request, Sampling, TextDelta

from .tiny_gguf import write_tiny_gguf

MakeModel = Callable[..., EmbeddedModel]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a million random weights; a thousand tokens take a second."""
    return write_tiny_gguf(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty million random weights, so that there is time to interrupt."""
    return write_tiny_gguf(tmp_path_factory.mktemp("models") / "slow.gguf", width=512, layers=6)


@pytest_asyncio.fixture
async def make_model() -> AsyncIterator[MakeModel]:
    """Makes embedded models that are closed after the test."""
    async with AsyncExitStack() as stack:

        def make(path: Path, **options: object) -> EmbeddedModel:
            chosen = EngineOptions(**({"threads": 1} | options))  # type: ignore[arg-type]
            model = EmbeddedModel("tiny", path, options=chosen)
            stack.push_async_callback(model.close)
            return model

        yield make


def endless(model: EmbeddedModel) -> Sampling:
    """Sampling that goes on until the limit: the special tokens, which could end the answer, are ruled out."""
    tokens = model._loaded().header.tokenizer
    specials = {number: -1000.0 for number, token in enumerate(tokens.tokens) if token in tokens.control}
    return Sampling(temperature=1.0, max_tokens=3000, seed=1, logit_bias=specials)


async def events_of(model: Model, request: Request) -> list[Event]:
    """Every event of an answer; checks that it ends with exactly one `Done` or `Failed`."""
    events = [event async for event in model.stream(request)]
    ends = [event for event in events if isinstance(event, Done | Failed)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    return events


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def done(events: list[Event]) -> Done:
    end = events[-1]
    assert isinstance(end, Done), end
    return end


def error_of(events: list[Event]) -> Exception:
    end = events[-1]
    assert isinstance(end, Failed), end
    return end.error
