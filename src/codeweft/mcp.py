"""A Model Context Protocol server: coding agents search, read and generate with what Codeweft knows.

https://modelcontextprotocol.io. Spoken over standard input and output (`codeweft mcp`) and over HTTP (`/mcp`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from codeweft import __version__
from codeweft.errors import CodeweftError
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.grep import GREP_SECONDS, Grep, Pattern
from codeweft.retrieval.symbols import Places, Wanted, look_up
from codeweft.stream import Answer, reading
from codeweft.types import (
    Caller,
    Filters,
    Message,
    Model,
    PromptProgress,
    Query,
    Request,
    Retrieval,
    SearchResult,
    TextDelta,
)

INSTRUCTIONS: Final = """\
Codeweft knows this team's code bases, function by function. Before writing code, search for how the team already does \
it; cite what you use as path:line. `search_code` finds by meaning and by name, `find_symbol` where a name is defined \
and used, `grep_code` every line that matches, `read_file` shows more of a file, `list_indexes` says what there is, `generate_code` lets Codeweft write with references."""
MAX_LINES: Final = 2000
"""Of one `read_file`; an agent that needs more asks for the next part."""
_READ_ONLY: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)

IndexName = Annotated[str | None, Field(description="Name of an index; left out, the default one or all.")]


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

    @server.tool(title="List indexes", annotations=_READ_ONLY)
    async def list_indexes(context: Context[Any]) -> str:
        """List the code bases that can be searched, with their size and state."""
        statuses = await asyncio.to_thread(readable(asking(context)).statuses)
        if not statuses:
            return "Nothing is indexed yet. `codeweft index add FOLDER_OR_URL` adds a code base."
        lines = (
            f"{one.name}: {one.indexed} files, {one.chunks} functions and sections, {one.state}, from {one.source}"
            for one in statuses
        )
        return "\n".join(lines)

    @server.tool(title="Search code", annotations=_READ_ONLY)
    async def search_code(
        query: Annotated[str, Field(description="What to look for: a question, a description, a name.")],
        context: Context[Any],
        index: IndexName = None,
        k: Annotated[int, Field(ge=1, le=50, description="How many results.")] = 8,
        paths: Annotated[list[str] | None, Field(description="Gitignore-style globs to stay within.")] = None,
        languages: Annotated[list[str] | None, Field(description="Languages, such as python.")] = None,
        kinds: Annotated[list[str] | None, Field(description="function, method, class, …")] = None,
    ) -> str:
        """Find functions, classes and sections by meaning and by name. Each result has its place and its text."""
        filters = Filters(
            paths=tuple(paths or ()), languages=tuple(languages or ()), kinds=tuple(kinds or ())
        )
        with told():
            indexes = readable(asking(context))
            found = await asyncio.to_thread(indexes.search, Query(query, index, k, filters))
        return "\n\n".join(_shown(result) for result in found) or "Nothing matches."

    @server.tool(title="Find a symbol", annotations=_READ_ONLY)
    async def find_symbol(
        name: Annotated[str, Field(description="A name, also qualified: `Store.open`, `auth::open`.")],
        context: Context[Any],
        find: Annotated[
            Wanted, Field(description="Where it is defined, used or called, or what it calls.")
        ] = "definitions",
        index: IndexName = None,
        paths: Annotated[list[str] | None, Field(description="Gitignore-style globs to stay within.")] = None,
        languages: Annotated[list[str] | None, Field(description="Languages, such as python.")] = None,
    ) -> str:
        """Find where a name is defined, used or called, by syntax: comments and strings do not count."""
        filters = Filters(paths=tuple(paths or ()), languages=tuple(languages or ()))

        def look() -> Places:
            indexes = readable(asking(context))
            return look_up(indexes.searched(index, filters), name, find, filters, MAX_LINES)

        with told():
            found = await asyncio.to_thread(look)
        lines = [
            f"{one.repository}: {one.path}:{one.line} {one.role} {one.name}"
            f"{'' if one.certain else ' (or another of that name)'}: {one.text.strip()}"
            for one in found.places
        ]
        return "\n".join([*lines, *(["… and more"] if found.more else [])]) or f"No {find} of {name}."

    @server.tool(title="Find text", annotations=_READ_ONLY)
    async def grep_code(
        pattern: Annotated[str, Field(description="A regular expression in RE2's syntax.")],
        context: Context[Any],
        index: IndexName = None,
        paths: Annotated[list[str] | None, Field(description="Gitignore-style globs to stay within.")] = None,
        languages: Annotated[list[str] | None, Field(description="Languages, such as python.")] = None,
        limit: Annotated[int, Field(ge=1, le=MAX_LINES, description="Most lines to return.")] = 200,
    ) -> str:
        """Find every line that matches a regular expression, by path."""
        filters = Filters(paths=tuple(paths or ()), languages=tuple(languages or ()))

        def look() -> list[str]:
            indexes = readable(asking(context)).searched(index, filters)
            found = Grep(indexes, Pattern(pattern), filters, limit=limit, seconds=GREP_SECONDS)
            lines = [f"{hit.repository}: {hit.path}:{hit.number}: {hit.text}" for hit in found]
            return [*lines, *(["… and more"] if found.more else [])]

        with told():
            lines = await asyncio.to_thread(look)
        return "\n".join(lines) or "No line matches."

    @server.tool(title="Read a file", annotations=_READ_ONLY)
    async def read_file(
        index: Annotated[str, Field(description="Name of the index.")],
        path: Annotated[str, Field(description="Path as search results give it.")],
        context: Context[Any],
        start_line: Annotated[int, Field(ge=1, description="First line, from 1.")] = 1,
        end_line: Annotated[
            int | None, Field(ge=1, description="Last line; left out, as much as is given.")
        ] = None,
    ) -> str:
        """Read a file, or lines of it, as it was indexed."""
        last = min(end_line or start_line + MAX_LINES - 1, start_line + MAX_LINES - 1)
        with told():
            indexes = readable(asking(context))
            text = await asyncio.to_thread(lambda: indexes.get(index).lines(path, start_line, last))
        lines = text.split("\n") if text else []
        shown = "\n".join(f"{number:6}\t{line}" for number, line in enumerate(lines, start_line))
        more = len(lines) == MAX_LINES and (end_line is None or end_line > last)
        return shown + (f"\n… read on from line {last + 1}" if more else "") or f"{path} has no such lines."

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
        answer = Answer()
        with told():
            async with reading(answerer(model).stream(asked)) as events:
                async for event in events:
                    answer.add(event)
                    if isinstance(event, PromptProgress):
                        await context.report_progress(event.done, event.total, "reading the prompt")
                    elif isinstance(event, TextDelta) and len(answer.text) == len(event.text):
                        await context.report_progress(0, None, "writing")
        references = [f"[{n}] {_place(result)}" for n, result in enumerate(answer.results or (), 1)]
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


def _place(result: SearchResult) -> str:
    chunk = result.chunk
    name = f" {chunk.qualified_name}" if chunk.name else ""
    return f"{chunk.repository}: {chunk.path}:{chunk.start_line}-{chunk.end_line}{name}"


def _shown(result: SearchResult) -> str:
    chunk = result.chunk
    return (
        f"{_place(result)} ({chunk.kind}, score {result.score:.2f})\n```{chunk.language}\n{chunk.text}\n```"
    )
