"""What an agent does is told in the terminal while it happens, and never mixed with the answer."""

from __future__ import annotations

import pytest

from codeweft.cli.answering import show
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, Message, Request, Step, TextDelta, Usage

STEPS = (
    Step(1, "grep_code", {"pattern": "total"}, 0.25, 3),
    Step(2, "read_file", {"path": "no.py"}, 0.0, error="There is no such file."),
)
ASKED = Request("m", (Message("user", "total?"),))


async def test_steps_go_to_standard_error_and_the_answer_to_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = await show(ScriptedModel("m", [*STEPS, TextDelta("It is 3."), Done(Usage())]), ASKED)
    said = capsys.readouterr()
    told = " ".join(said.err.split())
    assert said.out == "It is 3.\n" and answer.steps == list(STEPS)
    assert '1. grep_code(pattern="total") 3 results 0.25 s' in told
    assert '2. read_file(path="no.py") There is no such file.' in told


async def test_a_quiet_answer_tells_no_steps(capsys: pytest.CaptureFixture[str]) -> None:
    await show(ScriptedModel("m", [*STEPS, TextDelta("It is 3."), Done(Usage())]), ASKED, quiet=True)
    said = capsys.readouterr()
    assert said.out == "" and said.err == ""
