"""The command line, as a person and as a script use it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from codeweft.models.starter import bundled
from tests.e2e.conftest import SAMPLE, Server, codeweft

COMMANDS = [
    "",
    "serve",
    "signin",
    "ask",
    "chat",
    "search",
    "index",
    "index add",
    "index secrets",
    "index status",
    "models",
    "models pull",
    "keys",
    "keys create",
    "config",
    "config schema",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the sample indexed, and no server."""
    folder = tmp_path_factory.mktemp("cli")
    added = codeweft(folder, "index", "add", str(SAMPLE), "--name", "shop", "--wait", "--json")
    assert added.returncode == 0, added.stderr
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    shown = codeweft(tmp_path, *command.split(), "--help")
    assert shown.returncode == 0
    assert "Usage:" in shown.stdout and len(shown.stdout) > 200


@pytest.mark.parametrize("command", ["serve", "ask", "search", "index add", "models pull", "keys create"])
def test_help_has_examples(tmp_path: Path, command: str) -> None:
    assert "Example" in codeweft(tmp_path, *command.split(), "--help").stdout


def test_indexing_tells_what_was_read(home: Path) -> None:
    status = json.loads(codeweft(home, "index", "status", "--name", "shop", "--json").stdout)
    assert status["state"] == "ready" and status["files"] == status["indexed"] == 5
    assert status["chunks"] >= 10 and status["failed"] == status["skipped"] == 0


def test_what_was_skipped_is_counted_and_listed_with_its_reason(home: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "good.py").write_text("def good():\n    return 1\n")
    (tmp_path / "code" / "image.py").write_bytes(b"\x89PNG\0\0\0" * 50)
    added = codeweft(home, "index", "add", str(tmp_path / "code"), "--name", "mixed", "--json")
    status = json.loads(added.stdout)
    assert (status["files"], status["indexed"], status["skipped"]) == (2, 1, 1)
    assert (
        status["skipped_files"][0]["path"] == "image.py" and "binary" in status["skipped_files"][0]["reason"]
    )


def test_an_empty_index_says_so_instead_of_finding_nothing(home: Path, tmp_path: Path) -> None:
    added = codeweft(home, "index", "add", str(tmp_path), "--name", "void")
    assert added.returncode == 1 and "could be indexed" in added.stderr
    searched = codeweft(home, "search", "anything", "--index", "void", "--json")
    assert searched.returncode == 1 and "void is empty" in searched.stderr
    assert codeweft(home, "index", "rm", "void").returncode == 0


def test_searching_prints_the_stable_fields(home: Path) -> None:
    found = json.loads(
        codeweft(home, "search", "invoices nobody paid", "--index", "shop", "-k", "3", "--json").stdout
    )
    assert len(found) == 3
    assert list(found[0]) == [
        "path",
        "start_line",
        "end_line",
        "name",
        "kind",
        "language",
        "score",
        "repository",
    ]
    assert (found[0]["path"], found[0]["name"]) == ("billing/invoices.py", "overdue_invoices")
    assert [result["score"] for result in found] == sorted(
        (result["score"] for result in found), reverse=True
    )


def test_many_queries_run_in_one_process(home: Path, tmp_path: Path) -> None:
    queries = tmp_path / "q.jsonl"
    queries.write_text(
        '{"id": 7, "query": "retry with\u2028backoff"}\n\n{"id": "none", "query": " "}\n{"id": "b", "query": "Money.add"}\n'
    )
    lines = codeweft(home, "search", "--queries", str(queries), "--index", "shop").stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["id"] for answer in answers] == [7, "none", "b"]
    assert answers[0]["results"][0]["path"] == "web/retry.js"
    assert answers[1]["results"] == [] and "empty" in answers[1]["error"]
    assert answers[2]["results"][0]["path"] == "billing/money.py"


def test_a_question_is_answered_without_a_server(home: Path) -> None:
    asked = codeweft(home, "ask", "add up the lines of an invoice", "--max-tokens", "8", "--json")
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["text"] and answer["model"] == "starter" and answer["usage"]["completion_tokens"] > 0
    assert answer["references"][0]["path"] == "billing/invoices.py"


def test_a_question_goes_to_the_running_server(server: Server) -> None:
    started = time.monotonic()
    asked = codeweft(server.home, "ask", "add up the lines of an invoice", "--max-tokens", "8")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()
    assert "[1] billing/invoices.py" in asked.stderr
    assert time.monotonic() - started < 60


def test_piped_text_is_part_of_the_question(server: Server) -> None:
    asked = codeweft(
        server.home, "ask", "--no-context", "--max-tokens", "4", "--json", stdin="def f(): pass\n"
    )
    assert json.loads(asked.stdout)["usage"]["prompt_tokens"] > 5


def test_a_chat_keeps_its_turns_and_ends_with_the_input(server: Server) -> None:
    said = codeweft(
        server.home,
        "chat",
        "--max-tokens",
        "6",
        stdin="write a\nfunction\n!!\nand another\n!!\n/models\n!!\n",
    )
    assert said.returncode == 0, said.stderr
    assert "codegen" in said.stdout


def test_keys_are_printed_alone_and_can_be_removed(tmp_path: Path) -> None:
    made = codeweft(tmp_path, "keys", "create", "--name", "laptop")
    assert made.stdout.startswith("cw_") and made.stdout.count("\n") == 1 and made.stderr == ""
    assert codeweft(tmp_path, "keys", "rm", "laptop").returncode == 0
    assert json.loads(codeweft(tmp_path, "keys", "list", "--json").stdout) == []


def test_models_are_listed_with_what_fits_this_machine(tmp_path: Path) -> None:
    shown = codeweft(tmp_path, "models", "list", "--json")
    assert shown.returncode == 0, shown.stderr
    names = [entry["name"] for entry in json.loads(shown.stdout)]
    assert "starter" in names
    known = json.loads(codeweft(tmp_path, "models", "catalogue", "--json").stdout)
    assert any("qwen2.5-coder" in entry["name"].lower() for entry in known)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"this is not a model" * 100)
    ended = codeweft(tmp_path / "home", "models", "pull", str(garbage))
    assert ended.returncode == 1 and "garbage.gguf" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "x", "--index", "nope"], "nope"),
        (["search"], "what to look for"),
        (["index", "add", "/no/such/folder"], "/no/such/folder"),
        (["index", "status", "--name", "nope"], "nope"),
        (["index", "rm", "nope"], "nope"),
        (["index", "add", "ext::sh -c true"], "ext::"),
        (["models", "pull", "no-such-model"], "no-such-model"),
        (["ask", "hi", "--model", "nope"], "nope"),
        (["serve", "--config", "/no/such.yaml"], "/no/such.yaml"),
        (["keys", "rm", "nope"], "nope"),
    ],
)
def test_mistakes_get_one_message_and_no_traceback(home: Path, arguments: list[str], said: str) -> None:
    ended = codeweft(home, *arguments)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_cannot_get_ready_ends_with_the_reason(tmp_path: Path) -> None:
    short = codeweft(tmp_path, "serve", "--port", "0", env={"CODEWEFT_API_KEY": "short"}, timeout=60)
    assert short.returncode == 1 and "at least 8" in short.stderr and "Traceback" not in short.stderr
    (tmp_path / "c.yaml").write_text("model: nowhere\n")
    wrong = codeweft(tmp_path, "serve", "--port", "0", "--config", str(tmp_path / "c.yaml"), timeout=60)
    assert wrong.returncode == 1 and "nowhere" in wrong.stderr and "Traceback" not in wrong.stderr
    (tmp_path / "server.json").mkdir()
    blocked = codeweft(tmp_path, "serve", "--port", "0", timeout=60)
    assert blocked.returncode == 1 and "server.json" in blocked.stderr and "Traceback" not in blocked.stderr
    assert "ready" not in blocked.stdout


def test_the_last_model_that_was_pulled_answers(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        assert codeweft(tmp_path, "models", "pull", str(bundled_as(tmp_path, name))).returncode == 0
        time.sleep(1.1)
    listed = json.loads(codeweft(tmp_path, "models", "list", "--json").stdout)
    assert [entry["name"] for entry in listed if entry["default"]] == ["codegen", "beta"]
    assert codeweft(tmp_path, "models", "rm", "beta").returncode == 0
    listed = json.loads(codeweft(tmp_path, "models", "list", "--json").stdout)
    assert [entry["name"] for entry in listed if entry["default"]] == ["codegen", "alpha"]


def bundled_as(folder: Path, name: str) -> Path:
    """The starter's file under another name, to be pulled."""
    copy = folder / f"{name}.gguf"
    copy.write_bytes(bundled().read_bytes())
    return copy


def test_wrong_settings_name_the_field(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("server: {port: high}\ncolour: red\n")
    ended = codeweft(tmp_path, "config", "show", "--config", str(tmp_path / "c.yaml"))
    assert ended.returncode == 1 and "server.port" in ended.stderr and "colour" in ended.stderr


def test_the_schema_of_the_settings_is_printed(tmp_path: Path) -> None:
    schema = json.loads(codeweft(tmp_path, "config", "schema").stdout)
    assert {"base_url", "api_key", "model", "server", "models"} <= schema["properties"].keys()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    ended = codeweft(locked / "home", "index", "list")
    assert ended.returncode == 1 and "CODEWEFT_HOME" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_said_and_nothing_that_was_indexed_is_lost(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        code = tmp_path / "code"
        code.mkdir()
        (code / "kept.py").write_text("def kept_function():\n    return 1\n")
        assert codeweft(disk, "index", "add", str(code), "--name", "small").returncode == 0
        for number in range(400):
            (code / f"m{number}.py").write_text(
                "".join(f"def f{number}_{i}(a):\n    return a * {i}\n\n" for i in range(200))
            )
        full = codeweft(disk, "index", "add", str(code), "--name", "small")
        assert full.returncode == 1 and "Traceback" not in full.stderr, full.stderr
        assert "disk" in full.stderr.lower() or "space" in full.stderr.lower()
        found = json.loads(codeweft(disk, "search", "kept_function", "--index", "small", "--json").stdout)
        assert "kept.py" in [result["path"] for result in found]
    finally:
        subprocess.run(["umount", "-l", disk], check=False)
