"""Setting up editors and agents."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from codeweft.cli import app
from codeweft.errors import InvalidRequest
from codeweft.server.clients import CLIENTS, Address, edited

ADDRESS = Address("http://127.0.0.1:8000", "cw_key", "codegen")
BY_NAME = {client.name: client for client in CLIENTS}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CODEWEFT_API_KEY", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", BY_NAME)
def test_a_new_file_holds_address_and_model_and_a_second_time_changes_nothing(name: str) -> None:
    client = BY_NAME[name]
    text = edited(client, "", ADDRESS)
    assert "127.0.0.1:8000" in text
    assert edited(client, text, ADDRESS) == text
    readers = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load, "yaml-list": yaml.safe_load}
    assert readers[client.format](text)


def test_what_people_wrote_stays_with_its_comments() -> None:
    toml = '# mine\nmodel = "gpt"\n\n[mcp_servers.x]\ncommand = "x" # keep\n'
    after = edited(BY_NAME["codex"], toml, ADDRESS)
    assert "# mine" in after and "# keep" in after
    assert tomllib.loads(after)["model_provider"] == "codeweft"
    assert tomllib.loads(after)["mcp_servers"]["x"]["command"] == "x"
    text = "# my models\nname: Mine\nmodels:\n  # fast\n  - name: Other\n    provider: ollama\n"
    after = edited(BY_NAME["continue"], text, ADDRESS)
    assert "# my models" in after and "# fast" in after
    assert [model["name"] for model in yaml.safe_load(after)["models"]] == [
        "Other",
        "Codeweft",
        "Codeweft completion",
    ]


def test_another_address_takes_the_place_of_the_old_one() -> None:
    once = edited(BY_NAME["llm"], "", ADDRESS)
    twice = edited(BY_NAME["llm"], once, Address("https://other", "k", "m"))
    assert [entry["api_base"] for entry in yaml.safe_load(twice)] == ["https://other/v1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("zed", '{"theme": "x" // mine\n}'),
        ("codex", "a = = 1"),
        ("aider", "a: [b"),
        ("llm", "a: 1"),
        ("zed", "[]"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest):
        edited(BY_NAME[name], text, ADDRESS)


def test_the_list_says_what_is_found_and_what_is_connected(home: Path) -> None:
    (home / ".codex").mkdir()
    (home / ".aider.conf.yml").write_text("openai-api-base: http://127.0.0.1:8000/v1\n")
    shown = CliRunner().invoke(app, ["connect"]).output
    rows = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert "yes" in rows["Codex"]
    assert "connected" in rows["aider"]
    assert "–" in rows["Zed"]


def test_the_difference_is_shown_before_anything_is_written(home: Path) -> None:
    path = home / ".claude/settings.json"
    path.parent.mkdir()
    path.write_text('{"theme": "dark"}')
    refused = CliRunner().invoke(app, ["connect", "claude-code"], input="n\n")
    assert '+    "ANTHROPIC_BASE_URL": "http://127.0.0.1:8000"' in refused.output
    assert json.loads(path.read_text()) == {"theme": "dark"}
    assert not (home / "state" / "codeweft.db").exists()
    done = CliRunner().invoke(app, ["connect", "claude-code", "--server", "https://x.example"], input="y\n")
    assert done.exit_code == 0, done.output
    written = json.loads(path.read_text())
    assert written["theme"] == "dark"
    assert written["env"]["ANTHROPIC_BASE_URL"] == "https://x.example"
    assert written["env"]["ANTHROPIC_AUTH_TOKEN"].startswith("cw_")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads((path.parent / "settings.json.before-codeweft").read_text()) == {"theme": "dark"}


def test_settings_with_comments_are_left_alone_and_the_snippet_printed(home: Path) -> None:
    path = home / ".config/zed/settings.json"
    path.parent.mkdir(parents=True)
    path.write_text("{\n  // mine\n}")
    shown = CliRunner().invoke(app, ["connect", "zed", "--yes", "--key", "cw_given"])
    assert shown.exit_code == 0
    assert "left alone" in shown.output and "openai_compatible" in shown.output
    assert path.read_text() == "{\n  // mine\n}"


def test_a_linked_file_is_written_where_it_lies(home: Path) -> None:
    kept = home / "dotfiles"
    kept.mkdir()
    (kept / "aider.yml").write_text("dark-mode: true\n")
    (home / ".aider.conf.yml").symlink_to(kept / "aider.yml")
    done = CliRunner().invoke(app, ["connect", "aider", "--yes", "--key", "cw_given"])
    assert done.exit_code == 0, done.output
    assert (home / ".aider.conf.yml").is_symlink()
    assert yaml.safe_load((kept / "aider.yml").read_text())["openai-api-key"] == "cw_given"


def test_an_unknown_program_is_named_with_those_there_are(home: Path) -> None:
    from codeweft.errors import NotFound

    told = CliRunner().invoke(app, ["connect", "emacs"])
    assert isinstance(told.exception, NotFound)
    assert "claude-code" in str(told.exception)
