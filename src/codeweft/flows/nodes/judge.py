"""Let the model judge what was found, and keep only what it calls relevant (OPEA CodeGen's agent).

For models that do not call tools: one that does has judged by what it chose to read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal

from pydantic import Field

from codeweft.flows.nodes.base import Node
from codeweft.flows.state import Services, State
from codeweft.stream import fold
from codeweft.types import Event, Message, Request, Retrieval, Sampling, SearchResult

QUESTION = """\
Does this code help with the task? Answer yes or no.

{path}
```{language}
{text}
```

Task: {task}"""
SHOWN_CHARACTERS = 1600
"""Enough of a function to judge it by; a judge call must stay cheap."""
YES_OR_NO = 'root ::= "yes" | "no"'


class Judge(Node):
    """Ask the model yes or no about each result. Runs only for requests that want an agent."""

    type: Literal["judge"]
    parallel: int = Field(4, ge=1, le=32, description="Questions asked at once.")

    def applies(self, state: State) -> bool:
        return state.request.retrieval.agent and bool(state.results) and not state.weighed

    async def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        began, spent = time.perf_counter(), state.usage.total_tokens
        gate = asyncio.Semaphore(self.parallel)

        async def relevant(result: SearchResult) -> bool:
            async with gate:
                return await self._ask(result, state)

        async with asyncio.TaskGroup() as group:
            verdicts = [group.create_task(relevant(result)) for result in state.results]
        judged = list(zip(state.results, verdicts, strict=True))
        kept = tuple(result for result, verdict in judged if verdict.result())
        state.detail = {"judged": len(judged), "kept": len(kept)}
        yield state.step(
            "judge",
            {"results": len(judged)},
            time.perf_counter() - began,
            results=len(kept),
            tokens=state.usage.total_tokens - spent,
        )
        if state.found is not None:
            state.found = replace(state.found, results=kept)
            yield state.found

    async def _ask(self, result: SearchResult, state: State) -> bool:
        chunk = result.chunk
        asked = QUESTION.format(
            path=chunk.path, language=chunk.language, text=chunk.text[:SHOWN_CHARACTERS], task=state.question
        )
        # Grammars exist in the embedded engine only; elsewhere the first word of a free answer decides.
        grammar = YES_OR_NO if state.writer.info.kind == "embedded" else None
        request = Request(
            model=state.writer.info.name,
            messages=(Message("user", asked),),
            sampling=Sampling(max_tokens=8, temperature=0.0, grammar=grammar),
            retrieval=replace(Retrieval(), enabled=False),
            caller=state.request.caller,
        )
        answer = await fold(state.writer.stream(request))
        state.spend(answer.usage)
        return answer.text.strip().strip("\"'*`.").lower().startswith("yes")
