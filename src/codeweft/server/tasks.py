"""Code tasks for the web page: which there are, what each takes, and running one."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as InPath
from pydantic import Field
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response

from codeweft.accounts import Turn
from codeweft.errors import CodeweftError, NotFound
from codeweft.flows import FlowSpec, Input, checkable
from codeweft.flows.inputs import Kind
from codeweft.server.answer import Answer
from codeweft.server.chat_views import SamplingBody
from codeweft.server.deps import UserId
from codeweft.server.emit import dumps
from codeweft.server.failures import translate
from codeweft.server.service import Service, caller
from codeweft.server.streams import Choices
from codeweft.server.views import Body, Problem, View
from codeweft.server.wire import check_max_tokens
from codeweft.types import Done, Failed, Request, Retrieval, Retrieved, Sampling

LONGEST_INPUT = 1_000_000


class InputView(View):
    name: str
    title: str
    description: str
    kind: Kind
    required: bool
    choices: list[str]
    default: str

    @classmethod
    def of(cls, one: Input) -> InputView:
        return cls(
            name=one.name,
            title=one.title or one.name,
            description=one.description,
            kind=one.kind,
            required=one.required,
            choices=list(one.choices),
            default=one.default,
        )


class TaskView(View):
    """A task is also a model of that name for every other protocol."""

    name: str
    title: str
    description: str
    inputs: list[InputView]
    looks_up: bool = Field(description="Whether it looks up the team's code.")
    checks: bool = Field(description="Whether the code of its answer is checked in the sandbox.")

    @classmethod
    def of(cls, spec: FlowSpec) -> TaskView:
        types = {node.type for node in spec.nodes}
        return cls(
            name=spec.name,
            title=spec.title or spec.name,
            description=spec.description,
            inputs=[InputView.of(one) for one in spec.inputs],
            looks_up="retriever" in types,
            checks="check" in types,
        )


class SandboxView(View):
    ready: bool
    why: str = Field(description="Why no code can be checked here; empty when it can.")
    languages: list[str] = Field(description="Those whose tools are installed.")


class TasksView(View):
    tasks: list[TaskView]
    sandbox: SandboxView


class TaskBody(Body):
    inputs: dict[str, Annotated[str, Field(max_length=LONGEST_INPUT)]] = Field(max_length=32)
    model: str | None = Field(
        None, max_length=200, description="The model that writes; null takes the default."
    )
    index: str | None = Field(
        None, max_length=200, description='null takes the app\'s default, "" looks nothing up.'
    )
    sampling: SamplingBody = SamplingBody()
    explain: bool = Field(False, description="Tell what was looked up and why, and what the model read.")


def task_routes(service: Service) -> APIRouter:
    routes = APIRouter(tags=["tasks"])
    runtime = service.runtime

    @routes.get("/tasks")
    async def list_tasks(user: UserId) -> TasksView:
        """The code tasks, what each takes, and which languages' code can be checked."""
        sandbox = runtime.sandbox
        why = "It is switched off in the settings." if sandbox is None else await sandbox.missing()
        languages = [] if why or sandbox is None else await asyncio.to_thread(checkable, sandbox)
        return TasksView(
            tasks=[TaskView.of(spec) for spec in runtime.tasks()],
            sandbox=SandboxView(ready=not why, why=why, languages=languages),
        )

    @routes.post(
        "/tasks/{name}",
        response_class=Response,
        responses={
            200: {
                "description": "Events as of a conversation's answer: started, retrieved, progress, text, reasoning, "
                "node, withdrawn (the text so far does not stand), checked, cited, done, failed.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def run_task(
        name: Annotated[str, InPath(max_length=200)], body: TaskBody, user: UserId, http: HTTPRequest
    ) -> Response:
        """Run a task. It ends when the reader leaves; nothing is kept."""
        if all(spec.name != name for spec in runtime.tasks()):
            names = ", ".join(spec.name for spec in runtime.tasks())
            raise NotFound(f"There is no task {name!r}.", fix=f"There is: {names}.", param="name")
        check_max_tokens(body.sampling.max_tokens, runtime.settings.limits.max_tokens)
        model = service.model(f"{name}@{body.model}" if body.model else name)
        sampling = body.sampling.model_dump(exclude_none=True)
        request = Request(
            model=model.info.name,
            inputs=body.inputs,
            sampling=Sampling(**sampling),
            retrieval=Retrieval(index=body.index or None, enabled=body.index != ""),
            explain=body.explain,
            caller=caller(http),
        )
        turn = Turn(
            secrets.token_hex(8), "", "assistant", "", time.time(), model=model.info.name, sampling=sampling
        )
        answer = Answer(turn, user)
        return await service.stream(
            http, service.choices(model, [request]), lambda begun: _told(answer, begun), _last_word
        )

    return routes


async def _told(answer: Answer, events: Choices) -> AsyncIterator[bytes]:
    """The events as a conversation's readers get them; the last carries the whole turn."""
    told = 0
    done: Done | None = None
    error: CodeweftError | None = None
    try:
        async for _, event in events:
            if isinstance(event, Done):
                done = event
            elif isinstance(event, Failed):
                error = event.error
            elif isinstance(event, Retrieved):
                await answer.refer(event)
            else:
                await answer.take(event)
            if fresh := answer.events[told:]:
                told = len(answer.events)
                yield b"".join(one.sse() for one in fresh)
    except Exception as bug:
        error = translate(bug)
    if done is None and error is None:
        error = CodeweftError("The model ended without an answer.", fix="Try again.")
    answer.conclude("failed" if done is None else done.reason, done, error, None)
    await answer.farewell()
    yield b"".join(one.sse() for one in answer.events[told:])


def _last_word(error: Exception) -> bytes:
    problem = Problem.of(translate(error)).model_dump()
    return b"event: failed\ndata: " + dumps({"error": problem}) + b"\n\n"
