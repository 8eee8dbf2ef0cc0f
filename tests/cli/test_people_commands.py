"""Users, limits, usage and cost on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codeweft.cli import app


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path))


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


def test_users_and_teams_are_kept() -> None:
    run("teams", "add", "core")
    assert len(run("users", "add", "ann", "--team", "core").split()[-1]) > 20
    assert json.loads(run("users", "--json")) == [
        {"name": "admin", "role": "admin", "team": "", "status": "active"},
        {"name": "ann", "role": "member", "team": "core", "status": "active"},
    ]
    run("users", "set", "ann", "--role", "admin", "--status", "disabled", "--team", "")
    assert json.loads(run("users", "--json"))[1] == {
        "name": "ann",
        "role": "admin",
        "team": "",
        "status": "disabled",
    }
    run("users", "rm", "ann")
    run("teams", "rm", "core")
    assert len(json.loads(run("users", "--json"))) == 1
    assert json.loads(run("teams", "--json")) == []


def test_who_registered_is_let_in_and_permissions_are_set() -> None:
    run("users", "add", "ben")
    run("users", "set", "ben", "--status", "waiting", "--role", "viewer")
    run("users", "approve", "ben")
    assert json.loads(run("users", "--json"))[1]["status"] == "active"
    run("teams", "add", "core")
    run("access", "payments", "--team", "core", "--user", "ben")
    run("access", "vault", "--admins")
    assert json.loads(run("access", "--json")) == [
        {"index": "payments", "users": "ben", "teams": "core"},
        {"index": "vault", "users": "", "teams": ""},
    ]
    run("access", "payments", "--open")
    assert [one["index"] for one in json.loads(run("access", "--json"))] == ["vault"]
    for wrong in (["vault"], ["vault", "--open", "--admins"], ["vault", "--user", "nobody"]):
        assert CliRunner().invoke(app, ["access", *wrong]).exit_code != 0


def test_a_password_is_read_from_standard_input_and_reset() -> None:
    run("users", "add", "ann")
    done = CliRunner().invoke(app, ["users", "password", "ann"], input="correct horse battery\n")
    assert done.exit_code == 0, done.output
    assert CliRunner().invoke(app, ["users", "password", "ann"], input="short\n").exit_code != 0
    run("users", "reset", "ann", "--password")
    assert CliRunner().invoke(app, ["users", "reset", "ann", "--factor"]).exit_code != 0


def test_limits_and_scoped_keys_are_kept() -> None:
    key = run(
        "keys", "create", "--name", "ci", "--days", "7", "--scope", "search", "--scope", "generate"
    ).strip()
    assert key.startswith("cw_")
    run("limits", "set", "key", "ci", "--requests", "30", "--usd", "5", "--per", "day")
    (limit,) = json.loads(run("limits", "--json"))
    assert (limit["kind"], limit["requests_per_minute"], limit["budget_usd"], limit["period"]) == (
        "key",
        30,
        5.0,
        "day",
    )
    assert run("keys", "rotate", "ci").strip() != key
    run("limits", "rm", "key", "ci")
    assert json.loads(run("limits", "--json")) == []


def test_usage_and_cost_are_shown() -> None:
    assert json.loads(run("usage", "--json")) == []
    told = json.loads(
        run("cost", "--machine", "8.1", "--speed", "100", "--usd-per-request", "0.025", "--json")
    )
    assert told["requests_per_hour"] == pytest.approx(324)
    assert "324 requests an hour" in run(
        "cost", "--machine", "8.1", "--speed", "100", "--usd-per-request", "0.025"
    )
