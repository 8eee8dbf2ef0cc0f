"""`codeweft index summarise`, with an endpoint on this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codeweft.cli import app
from codeweft.errors import CodeweftError
from tests.runtime.endpoint import Endpoint, answering

CODE = """
def settle(rows, at):
    total = 0
    for row in rows:
        if row.at <= at and not row.void:
            total += row.amount
    return total
"""


def configured(folder: Path, endpoint: Endpoint) -> list[str]:
    path = folder / "codeweft.yaml"
    path.write_text(
        f"models: {{coder: {{base_url: '{endpoint.url}', model: coder}}}}\nprices: {{coder: {{input: 1, output: 2}}}}\n"
    )
    return ["--config", str(path)]


async def said(*arguments: str) -> str:
    def invoke() -> str:
        done = CliRunner().invoke(app, arguments, catch_exceptions=True)
        if isinstance(done.exception, CodeweftError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return await asyncio.to_thread(invoke)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path / "home"))
    root = tmp_path / "ledger"
    root.mkdir()
    (root / "ledger.py").write_text(CODE)
    return root


async def test_cost_is_said_first_then_spent_and_shown_and_deleted(tmp_path: Path, code: Path) -> None:
    async with answering("고객이 아직 갚지 않은 금액을 계산합니다.") as endpoint:
        config = configured(tmp_path, endpoint)
        await said("index", "add", str(code), *config)
        plan = json.loads(
            await said("index", "summarise", "ledger", "-l", "ko", "--dry-run", "--json", *config)
        )
        assert plan["functions"] == 1 and plan["models"] == ["coder"] and 0 < plan["usd"] < 0.01
        assert endpoint.asked == []
        text = await said("index", "summarise", "ledger", "-l", "ko", "--yes", *config)
        assert "1 function to summarise with coder" in text and "1 function summarised: " in text
        assert "한국어" in endpoint.asked[0][1]["messages"][0]["content"]
        assert "1 summarised" in await said("index", "status", "--name", "ledger", *config)
        again = json.loads(
            await said("index", "summarise", "ledger", "-l", "ko", "--dry-run", "--json", *config)
        )
        assert (again["functions"], again["known"]) == (0, 1)
        gone = await said("index", "summarise", "ledger", "-l", "ko", "--delete", "--json", *config)
        assert json.loads(gone) == {"deleted": 1}


async def test_when_nothing_usable_comes_back_the_command_fails_with_the_reason(
    tmp_path: Path, code: Path
) -> None:
    async with answering("I'm sorry, I cannot.") as endpoint:
        config = configured(tmp_path, endpoint)
        await said("index", "add", str(code), *config)
        with pytest.raises(CodeweftError, match="No summary could be written") as failed:
            await said("index", "summarise", "ledger", "--yes", *config)
        assert "refused" in failed.value.fix
