"""A Model Context Protocol server: coding agents search, read and generate with what Codeweft knows.

https://modelcontextprotocol.io. Spoken over standard input and output (`codeweft mcp`) and over HTTP (`/mcp`).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from codeweft import __version__
from codeweft.errors import CodeweftError
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.toolbox import LOOK_UPS, IndexName, IndexTools, LookUp, place
from codeweft.stream import Answer, reading
from codeweft.types import (
    Caller,
    Message,
    Model,
    PromptProgress,
    Request,
    Retrieval,
    TextDelta,
)

INSTRUCTIONS: Final = """\
Codeweft knows this team's code bases, function by function. Before writing code, search for how the team already does \
it; cite what you use as path:line. `search_code` finds by meaning and by name, `find_symbol` where a name is defined \
and used, `grep_code` every line that matches, `read_file` shows more of a file, `list_indexes` says what there is, `generate_code` lets Codeweft write with references, `code_task` fixes, tests, translates or explains code and checks what it wrote."""
_READ_ONLY: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def create_mcp(
    readable: Callable[[Caller], Indexes],
    model: Callable[[str | None], Model],
    caller: Callable[[Any], Caller],
) -> MCPServer:
    """A server over the models that `model` finds by name and what of the indexes is `readable` to whom.

    `caller` says who sent an HTTP request (None on standard input).
    """
    server: MCPServer = MCPServer(
        "codeweft", title="Codeweft", instructions=INSTRUCTIONS, version=__version__
    )

    def asking(context: Context[Any]) -> Caller:
        return caller(getattr(context.request_context, "request", None))

    def tools(context: Context[Any]) -> IndexTools:
        return IndexTools(readable(asking(context)))

    for one in LOOK_UPS:
        server.add_tool(_told_as_text(tools, one), one.name, one.title, one.description, _READ_ONLY)

    @server.tool(title="Generate code", annotations=ToolAnnotations(open_world_hint=False))
    async def generate_code(
        request: Annotated[str, Field(description="What to write.")],
        context: Context[Any],
        index: IndexName = None,
        model: Annotated[str | None, Field(description="Model or app; left out, codegen.")] = None,
    ) -> str:
        """Let Codeweft write code as this team writes it, with the functions it drew on."""
        asked = Request(
            model="",
            messages=(Message("user", request),),
            retrieval=Retrieval(index=index),
            caller=asking(context),
        )
        return await answered(model, asked, context)

    @server.tool(title="Code task", annotations=ToolAnnotations(open_world_hint=False))
    async def code_task(
        task: Annotated[
            Literal["explain", "fix", "refactor", "tests", "document", "summarise", "translate", "review"],
            Field(description="What to do with the code."),
        ],
        code: Annotated[str, Field(description="The code to work on.")],
        context: Context[Any],
        path: Annotated[str, Field(description="Path of its file; tells its language.")] = "",
        instruction: Annotated[str, Field(description="What matters.")] = "",
        error: Annotated[str, Field(description="For fix: what goes wrong.")] = "",
        tests: Annotated[
            str, Field(description="For fix, refactor, translate: tests to run on the result.")
        ] = "",
        language_to: Annotated[str, Field(description="For translate: the language to translate to.")] = "",
        index: IndexName = None,
    ) -> str:
        """Let Codeweft explain, fix, refactor, test, document, summarise, translate or review code. New code is
        compiled, or run with the tests, in a sandbox; the last line says whether it stood that."""
        given = {
            "code": code,
            "path": path,
            "instruction": instruction,
            "error": error,
            "tests": tests,
            "language_to": language_to,
        }
        asked = Request(
            model="",
            inputs={name: value for name, value in given.items() if value},
            retrieval=Retrieval(index=index),
            caller=asking(context),
        )
        return await answered(task, asked, context)

    async def answered(name: str | None, asked: Request, context: Context[Any]) -> str:
        """The answer with its references, and progress told on the way."""
        answer = Answer()
        with told():
            async with reading(answerer(name).stream(asked)) as events:
                async for event in events:
                    answer.add(event)
                    if isinstance(event, PromptProgress):
                        await context.report_progress(event.done, event.total, "reading the prompt")
                    elif isinstance(event, TextDelta) and len(answer.text) == len(event.text):
                        await context.report_progress(0, None, "writing")
        references = [f"[{n}] {place(result)}" for n, result in enumerate(answer.results or (), 1)]
        parts = [answer.text, "References:\n" + "\n".join(references) if references else "", answer.note]
        return "\n\n".join(part for part in parts if part)

    answerer = model
    return server


@contextmanager
def told() -> Iterator[None]:
    """What a person could act on, an agent can read too; anything else is a bug and stays one."""
    try:
        yield
    except CodeweftError as error:
        raise ToolError(str(error)) from error


def _told_as_text(tools: Callable[[Context[Any]], IndexTools], one: LookUp) -> Callable[..., Any]:
    """A look-up with its own parameters that answers in text, of what its caller may read."""

    async def call(context: Context[Any], **arguments: Any) -> str:
        with told():
            output = await asyncio.to_thread(one.look, tools(context), **arguments)
        return output.text

    mine = (
        inspect.signature(call, eval_str=True)
        .parameters["context"]
        .replace(kind=inspect.Parameter.KEYWORD_ONLY)
    )
    parameters = [*one.signature.parameters.values(), mine]
    call.__name__ = one.name
    call.__signature__ = one.signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=str
    )
    return call
