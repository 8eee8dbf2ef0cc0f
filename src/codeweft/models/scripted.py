"""A model that says what it was told to: for tests, demonstrations and dry runs of apps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from codeweft.types import (
    Done,
    Event,
    Failed,
    ModelInfo,
    Request,
    Skills,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)

ALL_SKILLS: Skills = frozenset({"completion", "infilling", "chat", "python", "tools"})


def calling(
    *calls: tuple[str, Mapping[str, Any] | str], saying: str = "", usage: Usage = Usage(10, 5)
) -> list[Event]:
    """An answer that calls tools; arguments that are text are sent as they are, in two pieces as engines do."""
    events: list[Event] = [TextDelta(saying)] if saying else []
    for index, (name, arguments) in enumerate(calls):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        events.append(ToolCallDelta(index, text[:5], id=f"call-{name}-{index}", name=name))
        events.append(ToolCallDelta(index, text[5:]))
    return [*events, Done(usage, "tool_calls")]


class ScriptedModel:
    """Replays answers in order, the last one for ever. Satisfies `Model`.

    An answer is a text (streamed word by word) or a sequence of events. `requests` holds what was asked,
    `cancelled` how many answers were left before their end.
    """

    def __init__(
        self,
        name: str,
        *answers: str | Sequence[Event],
        delay: float = 0.0,
        skills: Skills = ALL_SKILLS,
        note: str = "",
        context: int | None = None,
    ) -> None:
        """`delay` is in seconds before every event."""
        self._answers = answers or ("",)
        self._delay = delay
        self._info = ModelInfo(name, "scripted", skills, "Replays given answers.", note, context)
        self.requests: list[Request] = []
        self.cancelled = 0

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def stream(self, request: Request) -> AsyncGenerator[Event]:
        """Replay the next answer; see `Model.stream`."""
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        events = self._told(answer, request) if isinstance(answer, str) else list(answer)
        try:
            for event in events:
                if self._delay:
                    await asyncio.sleep(self._delay)
                yield event
                if isinstance(event, Done | Failed):
                    return
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise

    def _told(self, text: str, request: Request) -> list[Event]:
        words = [word + " " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        asked = request.prompt or "".join(turn.content for turn in request.messages)
        usage = Usage(prompt_tokens=len(asked.split()), completion_tokens=len(words), estimated=True)
        started: list[Event] = [Started(self._info.name, self._info.note)]
        return [*started, *(TextDelta(word) for word in words if word), Done(usage)]
