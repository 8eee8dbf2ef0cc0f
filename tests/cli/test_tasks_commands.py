"""`codeweft fix cart.py` and its siblings: what they send, and what they print."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from codeweft.cli import answering, app
from codeweft.errors import CodeweftError
from codeweft.flows import Flow, Services, library
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Limits, Model, Ran

ANSWER = "Here.\n```python\ndef total():\n    return 1\n```\nDone."


class Nothing:
    async def search(self, query: object) -> list[Any]:
        return []


class Compiler:
    async def missing(self) -> str:
        return ""

    def tool(self, name: str) -> bool:
        return True

    async def run(self, command: Sequence[str], files: Any, limits: Limits | None = None) -> Ran:
        return Ran(0, "", 0.1)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Result, ScriptedModel]]:
    """Runs a command in `tmp_path`, answered by a model that is scripted, in place of one that is loaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path / "home"))
    (tmp_path / "cart.py").write_text("def total():\n    return 0\n\n\ndef other():\n    pass\n")

    def call(*arguments: str, piped: str | None = None, answer: str = ANSWER) -> tuple[Result, ScriptedModel]:
        writer = ScriptedModel("writer", answer)

        class Here:
            def model(self, name: str | None) -> Model:
                task, _, _ = (name or "").partition("@")
                return Flow(library()[task], Services(lambda _: writer, Nothing(), sandbox=Compiler()))

        @asynccontextmanager
        async def answerer(settings: Any, url: str | None) -> AsyncIterator[Here]:
            yield Here()

        monkeypatch.setattr(answering, "answerer", answerer)
        return CliRunner().invoke(app, list(arguments), input=piped), writer

    return call


def sent(writer: ScriptedModel) -> str:
    return writer.requests[0].messages[-1].content


def test_a_file_is_worked_on_and_the_check_is_said_apart_from_the_answer(run: Any) -> None:
    result, writer = run("fix", "cart.py", "--error", "it is 0", "-I", "keep names")
    assert result.exit_code == 0 and result.stdout == f"{ANSWER}\n"
    assert "Verified: python3 compiles it." in result.stderr
    assert (
        "```python\ndef total():" in sent(writer)
        and "it is 0" in sent(writer)
        and "keep names" in sent(writer)
    )


def test_lines_of_a_file_and_piped_code_are_taken(run: Any) -> None:
    _, writer = run("explain", "cart.py:5-6")
    assert "```python\ndef other():\n    pass\n```\n\nFile: cart.py" in sent(writer)
    _, writer = run("summarise", piped="int main() {}")
    assert "```\nint main() {}\n```" in sent(writer)
    _, writer = run("fix", "cart.py", "--error", "-", piped="Traceback: no")
    assert "```\nTraceback: no\n```" in sent(writer)


def test_code_alone_is_printed_for_pipes_and_json_for_programs(run: Any) -> None:
    result, _ = run("refactor", "cart.py", "--code")
    assert result.stdout == "def total():\n    return 1\n"
    result, _ = run("fix", "cart.py", "--json")
    told = json.loads(result.stdout)
    assert told["text"] == ANSWER and told["checked"]["verified"] and told["checked"]["language"] == "python"
    result, _ = run("fix", "cart.py", "--code", answer="I cannot.")
    assert isinstance(result.exception, CodeweftError) and "no code block" in str(result.exception)


def test_tests_are_read_from_their_file_and_the_target_language_is_said(run: Any, tmp_path: Path) -> None:
    (tmp_path / "CartTest.java").write_text("class Main {}")
    _, writer = run("translate", "cart.py", "--to", "java", "--tests", "CartTest.java", "--explain", "long")
    assert "Translate the code to java." in sent(writer) and "```\nclass Main {}\n```" in sent(writer)


def test_any_task_can_be_named_and_all_are_listed(run: Any) -> None:
    _, writer = run("task", "translate", "cart.py", "--input", "language_to=go")
    assert "Translate the code to go." in sent(writer)
    listed, _ = run("task", "--json")
    assert {"fix", "translate"} <= {one["name"] for one in json.loads(listed.stdout)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fix", "nosuch.py"], "nosuch.py cannot be read"),
        (["fix", "cart.py:5-99"], "it has 6"),
        (["fix"], "There is no code"),
        (["translate", "cart.py"], "needs `language_to`"),
        (["task", "nosuch", "cart.py"], "There is no task 'nosuch'"),
        (["task", "fix", "cart.py", "--input", "colour"], "has no value"),
        (["task", "fix", "cart.py", "--input", "colour=red"], "takes no `colour`"),
    ],
)
def test_mistakes_are_errors_with_what_to_do(run: Any, arguments: list[str], said: str) -> None:
    result, _ = run(*arguments)
    assert isinstance(result.exception, CodeweftError) and said in str(result.exception)


@pytest.mark.parametrize(
    "name", ["explain", "fix", "refactor", "tests", "document", "summarise", "translate", "review", "task"]
)
def test_every_command_has_help_with_examples_and_only_its_own_options(run: Any, name: str) -> None:
    shown = run(name, "--help")[0].stdout
    assert "Example" in shown and ("--to" in shown) == (name == "translate")
