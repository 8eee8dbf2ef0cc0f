"""`codeweft ask` and `codeweft chat`: questions from the terminal, answered where the code is."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codeweft.cli.options import (
    BranchOption,
    ConfigOption,
    IndexOption,
    JsonOption,
    KindOption,
    LanguageOption,
    ModelOption,
    PathOption,
    RepositoryOption,
    ServerOption,
    filters,
    settings,
)
from codeweft.errors import InvalidRequest
from codeweft.types import Message, Request, Retrieval, Sampling, replace

if TYPE_CHECKING:
    from codeweft.stream import Answer
    from codeweft.types import Model

ASK_EXAMPLES = """Examples:

- `codeweft ask "Write a function that walks a folder and yields Python files"`

- `git diff | codeweft ask "Review this change"`

- `codeweft ask "How is the cache invalidated?" --index api --json`

- `codeweft ask "Which calls can end in a timeout?" --agent`"""

CHAT_EXAMPLES = """Examples:

- `codeweft chat`

- `codeweft chat --cap infilling --model starter` then code with `<FILL>` in it and a line `!!`

- `codeweft chat --sys-instruct "Answer in Korean" --index api`"""

END_OF_INPUT = "!!"
"""A line that sends a multi-line question (LMDeploy's terminator)."""
COMMANDS = """\
Enter sends a question of one line. End a line with \\ to write more, and
send with a line !! alone (with --cap, always).
/new      forget the conversation     /model NAME   answer with another model
/models   list models and apps        /index NAME   search there (- for none)
/refs     show or hide references     /exit         leave (also Ctrl-D)"""


class Capability(StrEnum):
    """What the model is asked to do with the input."""

    chat = "chat"
    completion = "completion"
    infilling = "infilling"
    python = "python"


TemperatureOption = Annotated[
    float | None, typer.Option("--temperature", "-t", min=0, max=2, help="0 is deterministic.")
]
MaxTokensOption = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Longest answer in tokens.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Same seed, same answer.")]
SystemOption = Annotated[
    str | None, typer.Option("--sys-instruct", "--system", help="Instruction for the whole conversation.")
]
AgentOption = Annotated[
    bool, typer.Option("--agent", help="Let the model search, follow names and read files before it answers.")
]
ContextOption = Annotated[bool, typer.Option("--context/--no-context", help="Look up references first.")]


def ask(
    question: Annotated[
        str | None, typer.Argument(help="What you want; piped input is put behind it.")
    ] = None,
    model: ModelOption = None,
    index: IndexOption = None,
    k: Annotated[int | None, typer.Option("-k", min=1, max=100, help="How many references.")] = None,
    language: LanguageOption = None,
    path: PathOption = None,
    kind: KindOption = None,
    repository: RepositoryOption = None,
    branch: BranchOption = None,
    context: ContextOption = True,
    system: SystemOption = None,
    temperature: TemperatureOption = None,
    max_tokens: MaxTokensOption = None,
    seed: SeedOption = None,
    agent: AgentOption = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what was looked up and why, and what the model read.")
    ] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask once and print the answer with its references."""
    piped = "" if sys.stdin.isatty() else sys.stdin.read()
    text = "\n\n".join(part for part in (question, piped.strip()) if part)
    if not text:
        raise InvalidRequest("Say what you want.", fix='codeweft ask "Write a function that …"')
    if agent and not context:
        raise InvalidRequest(
            "--agent looks things up and --no-context forbids it.", fix="Leave one of them out."
        )
    turns = ([Message("system", system)] if system else []) + [Message("user", text)]
    request = Request(
        model or "",
        tuple(turns),
        sampling=Sampling(max_tokens=max_tokens, temperature=temperature, seed=seed),
        retrieval=Retrieval(
            index=index,
            k=k,
            enabled=context,
            agent=agent,
            filters=filters(path, language, kind, repository, branch),
        ),
        explain=explain,
    )
    asyncio.run(_ask_once(config, server, request, as_json))


def chat(
    model: ModelOption = None,
    index: IndexOption = None,
    cap: Annotated[
        Capability, typer.Option("--cap", help="What the model does with what you write.")
    ] = Capability.chat,
    context: ContextOption = True,
    agent: AgentOption = False,
    system: SystemOption = None,
    temperature: TemperatureOption = None,
    max_tokens: MaxTokensOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Talk in the terminal. A line with `!!` alone sends what was written before it; `/help` lists commands."""
    request = Request(
        model or "",
        (Message("system", system),) if system else (),
        sampling=Sampling(max_tokens=max_tokens, temperature=temperature),
        retrieval=Retrieval(index=index, enabled=context, agent=agent),
    )
    asyncio.run(_Console(request, cap).run(config, server))


async def _ask_once(config: Path | None, server: str | None, request: Request, as_json: bool) -> None:
    from codeweft.cli.answering import answerer, print_explanation, print_references, show
    from codeweft.cli.render import print_json

    async with answerer(settings(config), server) as connection:
        answer = await show(connection.model(request.model or None), request, quiet=as_json)
    if as_json:
        print_json(record(answer))
    else:
        print_references(answer)
        if answer.explained is not None:
            print_explanation(answer.explained)


def record(answer: Answer) -> dict[str, Any]:
    """An answer as `--json` prints it."""
    from codeweft.retrieval.record import explanation, step_record
    from codeweft.retrieval.record import record as place

    cited = answer.cited
    told: dict[str, Any] = {}
    if cited is not None:
        told["citations"] = {"verified": cited.verified, "dropped": cited.dropped}
    if answer.steps:
        told["steps"] = [step_record(step) for step in answer.steps]
    if answer.explained is not None:
        told["explained"] = explanation(answer.explained)
    if answer.checked is not None:
        told["checked"] = asdict(answer.checked)
    return {
        "text": answer.text,
        "model": answer.model,
        "note": answer.note,
        "finish_reason": answer.reason,
        "usage": {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "total_tokens": answer.usage.total_tokens,
        },
        "references": [
            {"number": n, **place(r), "verified": None if cited is None else n not in cited.gone}
            for n, r in enumerate(answer.results or (), 1)
        ],
        **told,
    }


class _Console:
    """The conversation of `codeweft chat`: one request that grows by a turn with every answer."""

    def __init__(self, request: Request, capability: Capability) -> None:
        self.request = request
        self.capability = capability
        self.references = True

    async def run(self, config: Path | None, server: str | None) -> None:
        from codeweft.cli.answering import answerer
        from codeweft.cli.render import complain, note
        from codeweft.errors import CodeweftError

        async with answerer(settings(config), server) as connection:
            note(COMMANDS)
            marked = self.capability is not Capability.chat
            while (text := await asyncio.to_thread(_read_question, marked)) is not None:
                if not text:
                    continue
                try:
                    if text.startswith("/"):
                        if not await self._command(text, connection):
                            break
                    else:
                        await self._answer(text, connection.model(self.request.model or None))
                except CodeweftError as error:
                    complain(error)
                except asyncio.CancelledError:
                    # Ctrl-C stops the answer, not the conversation.
                    task = asyncio.current_task()
                    if task is not None:
                        task.uncancel()
                    note("\nStopped.")

    async def _answer(self, text: str, model: Model) -> None:
        from codeweft.cli.answering import print_references, show
        from codeweft.models.skills import split_fill

        request = self.request
        match self.capability:
            case Capability.chat:
                request = replace(request, messages=(*request.messages, Message("user", text)))
            case Capability.infilling:
                request = replace(request, messages=(), infill=split_fill(text))
            case Capability.completion | Capability.python:
                request = replace(request, messages=(), prompt=text)
        answer = await show(model, request)
        if self.references:
            print_references(answer)
        if self.capability is Capability.chat:
            self.request = replace(request, messages=(*request.messages, Message("assistant", answer.text)))

    async def _command(self, text: str, connection: Any) -> bool:
        from codeweft.cli.render import note, out

        name, _, argument = text.partition(" ")
        argument = argument.strip()
        match name:
            case "/exit" | "/quit":
                return False
            case "/new" | "/clear":
                system = tuple(turn for turn in self.request.messages if turn.role == "system")
                self.request = replace(self.request, messages=system)
                note("A new conversation.")
            case "/models":
                for info in await connection.infos():
                    out.print(f"{info.name:<28} {info.kind:<9} {info.description}", markup=False)
            case "/model" if argument:
                connection.model(argument)
                self.request = replace(self.request, model=argument)
                note(f"Answers come from {argument}.")
            case "/index" if argument:
                enabled = argument != "-"
                self.request = replace(
                    self.request,
                    retrieval=replace(
                        self.request.retrieval, index=argument if enabled else None, enabled=enabled
                    ),
                )
                note(f"Searching {argument}." if enabled else "Answering without references.")
            case "/refs":
                self.references = not self.references
                note(f"References are {'shown' if self.references else 'hidden'}.")
            case _:
                note(COMMANDS)
        return True


def _read_question(marked: bool) -> str | None:
    """Lines up to `!!`; unless `marked`, on a terminal a single line is enough. None at the end of input."""
    lines: list[str] = []
    terminal = sys.stdin.isatty()
    while True:
        try:
            line = input(("… " if lines else "» ") if terminal else "")
        except EOFError:
            return "\n".join(lines) if lines else None
        except KeyboardInterrupt:
            return None
        if line.strip() == END_OF_INPUT:
            return "\n".join(lines)
        if terminal and not lines and line.startswith("/"):
            return line
        continued = line.endswith("\\")
        lines.append(line[:-1] if continued else line)
        if terminal and not marked and not continued and len(lines) == 1 and line.strip():
            return line
