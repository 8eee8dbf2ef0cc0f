"""The look-ups that agents make: one definition for our own agent and for those that speak MCP.

A tool is a method of `IndexTools`; its signature is the schema, its docstring the description.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from codeweft.errors import InvalidRequest, NotFound
from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.grep import GREP_SECONDS, Grep, Pattern
from codeweft.retrieval.index import Index, trimmed
from codeweft.retrieval.symbols import Wanted, look_up
from codeweft.retrieval.walk import path_patterns
from codeweft.types import Chunk, Filters, Piece, Query, Retrieval, SearchResult, Tool, ToolOutput

MAX_LINES: Final = 2000
"""Of one `read_file`; who needs more asks for the next part."""
SOURCES: Final = 50
"""Lines of a listing whose function is looked up; further lines are only shown."""

IndexName = Annotated[str | None, Field(description="Name of an index; left out, the default one or all.")]
Paths = Annotated[list[str] | None, Field(description="Gitignore-style globs to stay within.")]
Languages = Annotated[list[str] | None, Field(description="Languages, such as python.")]


class IndexTools:
    """Looking things up in `indexes`, within the index and the filters of `scope`."""

    def __init__(self, indexes: Indexes, scope: Retrieval = Retrieval()) -> None:
        self._indexes = indexes
        self._scope = scope

    def search_code(
        self,
        query: Annotated[str, Field(description="What to look for: a question, a description, a name.")],
        index: IndexName = None,
        k: Annotated[int, Field(ge=1, le=50, description="How many results.")] = 8,
        paths: Paths = None,
        languages: Languages = None,
        kinds: Annotated[list[str] | None, Field(description="function, method, class, …")] = None,
    ) -> ToolOutput:
        """Find functions, classes and sections by meaning and by name. Each result has its place and its text."""
        filters = self._narrowed(paths, languages, kinds)
        found = self._indexes.search(Query(query, self._index(index), k, filters))
        return ToolOutput(
            tuple(Piece(shown(result), result) for result in found), "" if found else "Nothing matches."
        )

    def find_symbol(
        self,
        name: Annotated[str, Field(description="A name, also qualified: `Store.open`, `auth::open`.")],
        find: Annotated[
            Wanted, Field(description="Where it is defined, used or called, or what it calls.")
        ] = "definitions",
        index: IndexName = None,
        paths: Paths = None,
        languages: Languages = None,
    ) -> ToolOutput:
        """Find where a name is defined, used or called, by syntax: comments and strings do not count."""
        filters = self._narrowed(paths, languages)
        found = look_up(self._indexes.searched(self._index(index), filters), name, find, filters, MAX_LINES)
        around = _Around(self._indexes)
        pieces = tuple(
            Piece(
                f"{one.repository}: {one.path}:{one.line} {one.role} {one.name}"
                f"{'' if one.certain else ' (or another of that name)'}: {one.text.strip()}",
                around.chunk(one.index, one.path, one.line),
            )
            for one in found.places
        )
        return ToolOutput(pieces, "… and more" if found.more else "" if pieces else f"No {find} of {name}.")

    def grep_code(
        self,
        pattern: Annotated[str, Field(description="A regular expression in RE2's syntax.")],
        index: IndexName = None,
        paths: Paths = None,
        languages: Languages = None,
        limit: Annotated[int, Field(ge=1, le=MAX_LINES, description="Most lines to return.")] = 200,
    ) -> ToolOutput:
        """Find every line that matches a regular expression, by path."""
        filters = self._narrowed(paths, languages)
        found = Grep(
            self._indexes.searched(self._index(index), filters),
            Pattern(pattern),
            filters,
            limit=limit,
            seconds=GREP_SECONDS,
        )
        around = _Around(self._indexes)
        pieces = tuple(
            Piece(
                f"{hit.repository}: {hit.path}:{hit.number}: {hit.text}",
                around.chunk(hit.index, hit.path, hit.number),
            )
            for hit in found
        )
        return ToolOutput(pieces, "… and more" if found.more else "" if pieces else "No line matches.")

    def read_file(
        self,
        path: Annotated[str, Field(description="Path as search results give it.")],
        index: IndexName = None,
        start_line: Annotated[int, Field(ge=1, description="First line, from 1.")] = 1,
        end_line: Annotated[
            int | None, Field(ge=1, description="Last line; left out, as much as is given.")
        ] = None,
    ) -> ToolOutput:
        """Read a file, or lines of it, as it was indexed."""
        last = min(end_line or start_line + MAX_LINES - 1, start_line + MAX_LINES - 1)
        home = self._home(self._index(index), path)
        text = home.lines(path, start_line, last)
        if not text:
            return ToolOutput(rest=f"{path} has no such lines.")
        lines = text.split("\n")
        numbered = "\n".join(f"{number:6}\t{line}" for number, line in enumerate(lines, start_line))
        more = len(lines) == MAX_LINES and (end_line is None or end_line > last)
        head = home.chunks(path)[0]
        read = Chunk(
            head.repository, path, start_line, start_line + len(lines) - 1, head.language, "section", "",
            text, commit=head.commit,
        )  # fmt: skip
        source = SearchResult(trimmed(read), 1.0, index=home.name) if text.strip() else None
        return ToolOutput((Piece(numbered, source),), f"… read on from line {last + 1}" if more else "")

    def list_indexes(self) -> ToolOutput:
        """List the code bases that can be searched, with their size and state."""
        statuses = self._indexes.statuses()
        if not statuses:
            return ToolOutput(
                rest="Nothing is indexed yet. `codeweft index add FOLDER_OR_URL` adds a code base."
            )
        return ToolOutput(
            tuple(
                Piece(
                    f"{one.name}: {one.indexed} files, {one.chunks} functions and sections, {one.state},"
                    f" from {one.source}"
                )
                for one in statuses
            )
        )

    # ── as a `Toolbox` ──────────────────────────────────────────────────────────────────────────────────────

    def tools(self) -> Sequence[Tool]:
        """The tools without the parameters that the scope has decided; none when there is nothing to look into."""
        try:
            chosen = self._indexes.chosen(self._scope.index)
        except NotFound:
            return ()
        decided = frozenset(self._decided(several=len(chosen) > 1))
        return [
            _offered(one.name, decided) for one in LOOK_UPS if one.name != "list_indexes" or len(chosen) > 1
        ]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolOutput:
        """See `Toolbox.call`; works in a thread."""
        one = _BY_NAME.get(name)
        if one is None:
            raise InvalidRequest(
                f"There is no tool {name!r}.", fix=f"There are: {', '.join(_BY_NAME)}.", param="tool"
            )
        try:
            given = arguments_of(name).model_validate(dict(arguments))
        except ValidationError as error:
            raise InvalidRequest(f"The arguments of {name} are wrong: {_faults(error)}.") from None
        decided = [field for field in given.model_fields_set if field in self._decided()]
        if decided:
            raise InvalidRequest(f"`{decided[0]}` is decided by the request.", fix="Leave it out.")
        values = {field: getattr(given, field) for field in type(given).model_fields}
        return await asyncio.to_thread(one.look, self, **values)

    def _decided(self, *, several: bool = True) -> Iterator[str]:
        """Parameters that the scope leaves nothing to choose for; `index` also where there is but one."""
        if self._scope.index is not None or not several:
            yield "index"
        for field in ("paths", "languages", "kinds"):
            if getattr(self._scope.filters, field):
                yield field

    def _index(self, named: str | None) -> str | None:
        return self._scope.index if self._scope.index is not None else named

    def _narrowed(
        self,
        paths: Sequence[str] | None,
        languages: Sequence[str] | None,
        kinds: Sequence[str] | None = None,
    ) -> Filters:
        own = self._scope.filters
        return replace(
            own,
            paths=own.paths or tuple(paths or ()),
            languages=own.languages or tuple(languages or ()),
            kinds=own.kinds or tuple(kinds or ()),
        )

    def _home(self, index: str | None, path: str) -> Index:
        """The index that holds a file within the scope. Raises `NotFound`."""
        filters = self._scope.filters
        if index is not None:
            candidates: Sequence[Index] = [self._indexes.get(index)]
        else:
            candidates = self._indexes.chosen(None)
        missing: NotFound | None = None
        for one in candidates:
            try:
                language = one.chunks(path)[0].language
            except NotFound as error:
                missing = error
                continue
            if (
                one.covers(filters)
                and (not filters.languages or language in filters.languages)
                and (not filters.paths or path_patterns(filters.paths).match_file(path))
            ):
                return one
        if missing is not None and len(candidates) == 1:
            raise missing
        raise NotFound(
            f"No file {path!r} is indexed here.", fix="Give the path as search results show it.", param="path"
        )


class _Around:
    """The indexed functions that lines stand in; each file's are read once."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes
        self._files: dict[tuple[str, str], list[Chunk]] = {}
        self._looked = 0

    def chunk(self, index: str, path: str, line: int) -> SearchResult | None:
        self._looked += 1
        if self._looked > SOURCES:
            return None
        key = (index, path)
        if key not in self._files:
            self._files[key] = self._indexes.get(index).chunks(path)
        found = next((one for one in self._files[key] if one.start_line <= line <= one.end_line), None)
        return None if found is None else SearchResult(trimmed(found), 1.0, index=index)


@dataclass(frozen=True, slots=True)
class LookUp:
    """A row of the tools: its name, its title and the method of `IndexTools` that does it."""

    name: str
    title: str
    look: Callable[..., ToolOutput]

    @property
    def description(self) -> str:
        return inspect.getdoc(self.look) or ""

    @property
    def signature(self) -> inspect.Signature:
        """The parameters that a caller gives."""
        signature = inspect.signature(self.look, eval_str=True)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


LOOK_UPS: Final = (
    LookUp("search_code", "Search code", IndexTools.search_code),
    LookUp("find_symbol", "Find a symbol", IndexTools.find_symbol),
    LookUp("grep_code", "Find text", IndexTools.grep_code),
    LookUp("read_file", "Read a file", IndexTools.read_file),
    LookUp("list_indexes", "List indexes", IndexTools.list_indexes),
)
_BY_NAME: Final = {one.name: one for one in LOOK_UPS}


@cache
def arguments_of(name: str) -> type[BaseModel]:
    """The arguments of a tool as a model that takes no others."""
    fields: dict[str, Any] = {
        one.name: (one.annotation, ... if one.default is inspect.Parameter.empty else one.default)
        for one in _BY_NAME[name].signature.parameters.values()
    }
    made: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    return made


@lru_cache(maxsize=256)
def _offered(name: str, decided: frozenset[str]) -> Tool:
    one = _BY_NAME[name]
    schema = arguments_of(name).model_json_schema()
    properties = {
        field: _plain(value) for field, value in schema.get("properties", {}).items() if field not in decided
    }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }
    return Tool(name, one.title, one.description, parameters)


def _plain(field: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter's schema without what says nothing to a model: titles, and null beside what it may be."""
    kept = {key: value for key, value in field.items() if key not in ("title", "anyOf")}
    kinds = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    if kinds:
        kept |= kinds[0]
    if kept.get("default", ...) is None:
        del kept["default"]
    return kept


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"`{'.'.join(map(str, one['loc'])) or 'arguments'}`: {one['msg']}" for one in error.errors()[:5]
    )


def place(result: SearchResult) -> str:
    """Where a result is: repository, path, lines and name."""
    chunk = result.chunk
    name = f" {chunk.qualified_name}" if chunk.name else ""
    return f"{chunk.repository}: {chunk.path}:{chunk.start_line}-{chunk.end_line}{name}"


def shown(result: SearchResult) -> str:
    """A result as tools show it: its place, and its text in a fence."""
    chunk = result.chunk
    return f"{place(result)} ({chunk.kind}, score {result.score:.2f})\n```{chunk.language}\n{chunk.text}\n```"
