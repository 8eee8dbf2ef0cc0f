"""`codeweft explain`, `fix`, `translate`, …: code tasks on files, lines of files, and piped code."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeweft.cli.ask import ContextOption, MaxTokensOption, SeedOption, TemperatureOption
from codeweft.cli.options import ConfigOption, IndexOption, JsonOption, ServerOption, settings
from codeweft.errors import InvalidRequest, NotFound
from codeweft.types import Request, Retrieval, Sampling

if TYPE_CHECKING:
    from codeweft.stream import Answer

LINES = re.compile(r"(?P<path>.+?):(?P<first>\d+)(?:-(?P<last>\d+))?")
STDIN = "-"


class Explaining(StrEnum):
    """How much is said about the result."""

    no = "no"
    short = "short"
    long = "long"


SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE[:LINES]", help="A file, or lines of it (cart.py:10-40). Left out: piped code."
    ),
]
NameArgument = Annotated[str | None, typer.Argument(help="Name of the task; left out, they are listed.")]
GivenOption = Annotated[
    list[str] | None, typer.Option("--input", metavar="NAME=VALUE", help="An input (repeatable).")
]
CodeOnlyOption = Annotated[bool, typer.Option("--code", help="Print the answer's code alone, for pipes.")]
# The options that become inputs of a task, by the input's name.
INPUTS: Mapping[str, Any] = {
    "language": Annotated[
        str | None,
        typer.Option("--language", "-l", help="Language of the code (default: by the file's name)."),
    ],
    "language_from": Annotated[str | None, typer.Option("--from", help="Language of the code.")],
    "language_to": Annotated[str | None, typer.Option("--to", help="Language to translate to.")],
    "instruction": Annotated[
        str | None, typer.Option("--instruction", "-I", help="What matters, in your own words.")
    ],
    "error": Annotated[
        str | None, typer.Option("--error", "-e", help="What goes wrong; `-` reads it from standard input.")
    ],
    "tests": Annotated[
        str | None, typer.Option("--tests", metavar="FILE", help="Tests that the new code must pass.")
    ],
    "framework": Annotated[str | None, typer.Option("--framework", help="Test framework.")],
    "style": Annotated[str | None, typer.Option("--style", help="Such as `Google docstrings`.")],
    "explain": Annotated[
        Explaining | None, typer.Option("--explain", help="How much is said about the result.")
    ],
}
_FILES = frozenset({"tests"})
"""Inputs that are given as the name of a file."""


@dataclass(frozen=True, slots=True)
class Task:
    """A command: the task of that name, the inputs that it takes as options, and examples of its use."""

    name: str
    help: str
    inputs: tuple[str, ...]
    examples: tuple[str, ...]
    writes_code: bool = True


TASKS = (
    Task("explain", "Explain what code does.", ("language", "instruction"),
         ("codeweft explain cart.py:10-40", "git show HEAD | codeweft explain -I 'Why was this changed?'"), False),
    Task("fix", "Find what is wrong with code and correct it; the correction is checked in a sandbox.",
         ("language", "error", "tests", "instruction", "explain"),
         ("codeweft fix cart.py --tests test_cart.py", "pytest 2>&1 | codeweft fix cart.py --error -",
          "codeweft fix cart.py --code > fixed.py")),
    Task("refactor", "Make code easier to read and to change, without changing what it does.",
         ("language", "tests", "instruction", "explain"),
         ("codeweft refactor cart.py:10-40", "codeweft refactor cart.py -I 'Split the long function'")),
    Task("tests", "Write tests for code, and run them on it in a sandbox.",
         ("language", "framework", "instruction"),
         ("codeweft tests cart.py --code > test_cart.py", "codeweft tests cart.js --framework node:test")),
    Task("document", "Write the documentation comments that code lacks.", ("language", "style", "instruction"),
         ("codeweft document cart.py --style 'Google docstrings' --code",)),
    Task("summarise", "Say in a few sentences what code is for.", ("language", "instruction"),
         ("codeweft summarise cart.py", "git diff | codeweft summarise"), False),
    Task("translate", "Translate code to another language; the result is compiled in a sandbox.",
         ("language_to", "language_from", "tests", "instruction", "explain"),
         ("codeweft translate cart.py --to go", "codeweft translate cart.py --to java --code > Cart.java")),
    Task("review", "Review code: what is wrong or risky, and what to do about it.", ("language", "instruction"),
         ("codeweft review cart.py", "git diff | codeweft review -I 'Look at error handling'"), False),
)  # fmt: skip
TASK_EXAMPLES = """Examples:

- `codeweft task`

- `codeweft task translate cart.py --input language_to=go`"""


def register(app: typer.Typer) -> None:
    """Add a command for each task, and `task` for those of any name."""
    for one in TASKS:
        examples = "Examples:\n\n" + "\n\n".join(f"- `{example}`" for example in one.examples)
        app.command(one.name, epilog=examples, rich_help_panel="Code tasks")(_command(one))
    app.command("task", epilog=TASK_EXAMPLES, rich_help_panel="Code tasks")(_any_task())


def _command(one: Task) -> Callable[..., None]:
    """A function whose parameters are the task's options, as Typer reads them."""

    def run(source: str | None, **values: Any) -> None:
        inputs = {name: values.pop(name) for name in one.inputs}
        _run(one.name, source, inputs, **values)

    own = {"source": SourceArgument, **{name: INPUTS[name] for name in one.inputs}}
    return _taking(run, own, one.help, without="" if one.writes_code else "code")


def _any_task() -> Callable[..., None]:
    """The command for tasks of any name."""

    def run(name: str | None, source: str | None, given: Sequence[str] | None, **values: Any) -> None:
        if name is None:
            _list(values["as_json"])
            return
        _run(name, source, dict(_pair(one) for one in given or ()), **values)

    own = {"name": NameArgument, "source": SourceArgument, "given": GivenOption}
    return _taking(run, own, "Run a code task by its name, with its inputs by theirs; or list the tasks.")


def _taking(
    run: Callable[..., None], own: Mapping[str, Any], help: str, without: str = ""
) -> Callable[..., None]:
    """`run` with the parameters `own` and those of `_run` that every task has, as Typer reads them."""
    common = inspect.signature(_run, eval_str=True).parameters
    names = [name for name in common if name not in ("name", "source", "inputs", without)]
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, kind, default=None, annotation=one) for name, one in own.items()]
    parameters += [common[name].replace(kind=kind) for name in names]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__ = help
    return run


def _run(
    name: str,
    source: str | None,
    inputs: Mapping[str, str | None],
    code: CodeOnlyOption = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Model that writes (default: the default one)."),
    ] = None,
    index: IndexOption = None,
    context: ContextOption = True,
    temperature: TemperatureOption = None,
    max_tokens: MaxTokensOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    from codeweft.flows import library

    spec = library().get(name)
    if spec is None or not spec.inputs:
        raise NotFound(f"There is no task {name!r}.", fix="`codeweft task` lists them.")
    values = {key: str(value) for key, value in inputs.items() if value is not None}
    if values.get("error") == STDIN:
        values["error"] = sys.stdin.read()
    for key in _FILES & values.keys():
        values[key] = _read(Path(values[key]))
    values |= _source(source, piped=inputs.get("error") != STDIN)
    taken = {one.name for one in spec.inputs}
    if "label" in taken:
        # The terminal says it below the answer, where no pipe takes it for code.
        values.setdefault("label", "no")
    request = Request(
        f"{name}@{model}" if model else name,
        inputs=values,
        sampling=Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed),
        retrieval=Retrieval(index=index, enabled=context),
    )
    asyncio.run(_answer(config, server, request, code=code, as_json=as_json))


async def _answer(
    config: Path | None, server: str | None, request: Request, *, code: bool, as_json: bool
) -> None:
    from codeweft.cli.answering import answerer, print_references, show
    from codeweft.cli.ask import record
    from codeweft.cli.render import print_json

    async with answerer(settings(config), server) as connection:
        answer = await show(connection.model(request.model), request, quiet=as_json or code)
    if as_json:
        print_json(record(answer))
        return
    if code:
        sys.stdout.write(_code(answer, request))
    print_references(answer)


def _code(answer: Answer, request: Request) -> str:
    from codeweft.flows.nodes.check import chosen

    block = chosen(answer.text, request.inputs.get("language_to", ""))
    if block is None:
        raise NotFound("The answer holds no code block.", fix="Leave --code out to read it.")
    return block.code


def _source(source: str | None, *, piped: bool) -> dict[str, str]:
    """The code, and the path that it is from."""
    if source is None or source == STDIN:
        text = "" if sys.stdin.isatty() or not piped else sys.stdin.read()
        if not text.strip():
            raise InvalidRequest("There is no code to work on.", fix="Name a file, or pipe code in.")
        return {"code": text}
    lines = LINES.fullmatch(source)
    if lines is None or Path(source).exists():
        return {"code": _read(Path(source)), "path": _shown(source)}
    first, last = int(lines["first"]), int(lines["last"] or lines["first"])
    whole = _read(Path(lines["path"])).splitlines(keepends=True)
    if not 1 <= first <= last <= len(whole):
        raise InvalidRequest(
            f"{lines['path']} has no lines {first}-{last}; it has {len(whole)}.", fix="Lines count from 1."
        )
    return {"code": "".join(whole[first - 1 : last]), "path": _shown(lines["path"])}


def _shown(path: str) -> str:
    """The path as the model sees it: as it was given, or its name where that is too long to tell anything."""
    return path if len(path) <= 200 else Path(path).name[-200:]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from None


def _pair(given: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not sign:
        raise InvalidRequest(f"`--input {given}` has no value.", fix="Write --input NAME=VALUE.")
    return name, value


def _list(as_json: bool) -> None:
    from codeweft.cli.render import out, print_json, table
    from codeweft.flows import library

    specs = [spec for spec in library().values() if spec.inputs]
    if as_json:
        print_json(
            [
                {
                    "name": spec.name,
                    "description": spec.description,
                    "inputs": {one.name: one.description for one in spec.inputs},
                }
                for spec in specs
            ]
        )
        return
    shown = table("Task", "What it does", "Inputs")
    for spec in specs:
        shown.add_row(spec.name, spec.description, ", ".join(one.name for one in spec.inputs))
    out.print(shown)
