"""Secrets are taken out before anything of a file is stored. Those here are made up, and put together when they run."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import tomllib
from pathlib import Path

import pytest

from codeweft.errors import InvalidRequest
from codeweft.retrieval.index import Index
from codeweft.retrieval.read import read_file
from codeweft.retrieval.redact import Redactor
from codeweft.retrieval.secrets import Formats
from codeweft.retrieval.sources import parse_source
from codeweft.retrieval.store.base import FoundSecret
from codeweft.retrieval.update import IndexLimits
from codeweft.types import Query
from tests.retrieval.conftest import WordEncoder

SHARED = Path(os.environ.get("CODEWEFT_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
PRIVATE_KEY = "\n".join(
    ("-----BEGIN RSA PRIVATE " + "KEY-----", BODY, BODY[::-1], "-----END RSA PRIVATE " + "KEY-----")
)
SECRETS = {
    "aws-access-key-id": ('KEY = "%s"', "AKIA" + "IOSFODNN7EXAMPLE"),
    "secret-in-assignment": ('aws_secret_access_key = "%s"', "wJalrXUtnFEMI/K7MDENG" + "/bPxRfiCYEXAMPLEKEY"),
    "github-token": ('client = Client("%s")', "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"),
    "slack-token": ("# %s", "xoxb-" + "2468013579-1357924680-a1B2c3D4e5F6g7H8"),
    "stripe-key": ("stripe.api_key = '%s'", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    "json-web-token": ("t = '%s'", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJhbGljZSIsIm4iOjF9.4pcPyMD09olPSyXnrXCjTwXyr4BsezdI1AVTmud2fU4"),
    "password-in-address": ("postgres://shop:%s@db.internal/shop", "s3cr3t" + "pw"),
    "password-in-assignment": ('db_password = "%s"', "hunter" + "2!x"),
    "authorization-header": ('headers = {"Authorization": "Bearer %s"}', "9f8a7b6c5d4e3f2a1b0c" + "Zz19"),
    "random-string": ('salt = "%s"', "q7Rk2vXw9TzL4mNp8BcYd" + "6HjFs3GaE5u"),
}  # fmt: skip
INNOCENT = """
token = tokens[position]
password = getpass.getpass("Password: ")
api_key = os.environ["API_KEY"]
secret: str = field(default="")
PASSWORD_FIELD = "current-password"
token_type = "bearer"
commit = "5c487de9b81cd4265ecc9df74477e410ffbda6a1"
key = "user_name_and_address"
url = "https://${USER}:${PASSWORD}@example.com/path"
API_KEY = "your-api-key-here"
alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
"""


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor()


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_replaced_by_its_kind(redactor: Redactor, kind: str) -> None:
    line, secret = SECRETS[kind]
    done = redactor.redact(f"first\n{line % secret}\nlast\n", "shop/settings.py")
    assert secret not in done.text
    assert done.text.startswith("first\n" + line.partition("%s")[0]) and done.text.endswith("\nlast\n")
    assert [(one.rule, one.line) for one in done.found] == [(kind, 2)]
    assert f"[redacted: {kind}]" in done.text


def test_a_private_key_leaves_every_line_where_it_is(redactor: Redactor) -> None:
    text = f"before = 1\n{PRIVATE_KEY}\nafter = 2\n"
    done = redactor.redact(text, "keys.py")
    assert BODY not in done.text and "private-key" in done.text
    assert done.text.count("\n") == text.count("\n")
    assert done.text.split("\n")[5] == "after = 2"


def test_a_private_key_that_is_cut_off_is_hidden_as_far_as_it_goes(redactor: Redactor) -> None:
    cut = PRIVATE_KEY.rpartition("-----END")[0]
    assert BODY not in redactor.redact(cut).text


def test_code_that_only_speaks_of_secrets_stays_as_it_is(redactor: Redactor) -> None:
    assert redactor.redact(INNOCENT, "login.py").text == INNOCENT


def test_values_without_quotes_are_secrets_in_settings_only(redactor: Redactor) -> None:
    line = "DB_PASSWORD=" + "hunter2\n"
    assert "hunter2" not in redactor.redact(line, ".env").text
    assert redactor.redact(line, "shell.rs").text == line


def test_places_are_right_behind_letters_of_several_bytes(redactor: Redactor) -> None:
    token = SECRETS["github-token"][1]
    assert (
        redactor.redact(f"# 비밀 토큰 İ\nx = '{token}'  # 끝").text
        == "# 비밀 토큰 İ\nx = '[redacted: github-token]'  # 끝"
    )


def test_a_long_string_is_found_wherever_its_line_begins_or_ends(redactor: Redactor) -> None:
    random = SECRETS["random-string"][1]
    text = f'"{random}"' + "\n  salt: " + random + "\nx" * 30 + f"\n비밀 = '{random}'"
    done = redactor.redact(text, "prompt.txt")
    assert random not in done.text
    assert [one.line for one in done.found] == [1, 2, 33]


def test_what_need_not_wait_for_the_rules_is_told_at_once() -> None:
    waiting = Redactor(formats=Formats())
    plain = (
        "def add(first_number: int, second_number: int) -> int:\n    return first_number + second_number\n"
    )
    assert waiting.redact_now(plain) == waiting.redact(plain)
    assert waiting.redact_now(SECRETS["github-token"][0] % SECRETS["github-token"][1]) is None
    line, secret = SECRETS["password-in-assignment"]
    told = waiting.redact_now(line % secret)
    assert told is not None and secret not in told.text


def test_a_comment_or_a_pattern_allows_what_only_looks_like_a_secret() -> None:
    line = 'password = "' + 'hunter22"'
    assert Redactor().redact(f"{line}  # pragma: allowlist secret").found == ()
    assert Redactor().redact(f"# pragma: allowlist nextline secret\n{line}").found == ()
    assert Redactor(["^hunter"]).redact(line).found == ()
    assert len(Redactor(["^other"]).redact(line).found) == 1
    with pytest.raises(InvalidRequest, match="allow_secrets"):
        Redactor(["("])


def test_a_redactor_can_be_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(Redactor(["^hunter"])))
    assert sent.allow == ("^hunter",)


@pytest.fixture
def leaky(code: Path) -> Path:
    """The code base with a secret in each of two files."""
    (code / "auth" / "keys.py").write_text(
        f'TOKEN = "{SECRETS["github-token"][1]}"\n\n\ndef token():\n    return TOKEN\n'
    )
    (code / "deploy.pem").write_text(PRIVATE_KEY)
    return code


def _holds(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_no_part_of_an_index_holds_a_secret(tmp_path: Path, leaky: Path, encoder: WordEncoder) -> None:
    index = Index.create(tmp_path / "indexes" / "shop", parse_source(str(leaky)), encoder)
    assert index.update().secrets == 2
    assert index.secrets() == [
        ("auth/keys.py", FoundSecret("github-token", 1)),
        ("deploy.pem", FoundSecret("private-key", 1)),
    ]
    index.close()
    assert not _holds(tmp_path / "indexes", SECRETS["github-token"][1][4:]) and not _holds(
        tmp_path / "indexes", BODY
    )
    found = index.search(Query("token", k=3))
    assert found[0].chunk.path == "auth/keys.py"
    assert index.lines("auth/keys.py", 1, 1) == 'TOKEN = "[redacted: github-token]"'


def test_an_uploaded_file_is_kept_without_its_secrets_and_they_stay_counted(
    tmp_path: Path, encoder: WordEncoder
) -> None:
    index = Index.create(tmp_path / "given", parse_source("uploads:"), encoder)
    token = SECRETS["github-token"][1]
    index.put("settings.yaml", f"# 설정\ntoken: {token}\n".encode())
    assert index.update().secrets == 1
    kept = (tmp_path / "given" / "files" / "settings.yaml").read_text()
    assert kept == "# 설정\ntoken: [redacted: github-token]\n"
    assert index.update().secrets == 1 and index.stale() == []
    index.close()
    assert not _holds(tmp_path / "given", token)


def test_a_notebook_is_redacted_like_a_text(tmp_path: Path, code: Path, encoder: WordEncoder) -> None:
    token = SECRETS["github-token"][1]
    cell = {
        "cell_type": "code",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": f"t = '{token}'",
    }
    (code / "look.ipynb").write_text(
        json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    index = Index.create(tmp_path / "index", parse_source(str(code)), encoder)
    assert index.update().secrets == 1
    index.close()
    assert not _holds(tmp_path / "index", token)


def test_many_files_read_by_other_processes_are_redacted_too(
    tmp_path: Path, leaky: Path, encoder: WordEncoder
) -> None:
    for number in range(420):
        (leaky / f"part{number}.py").write_text(f"def part{number}():\n    return {number}\n")
    index = Index.create(tmp_path / "index", parse_source(str(leaky)), encoder, limits=IndexLimits(workers=1))
    status = index.update()
    assert (status.indexed, status.secrets) == (425, 2)
    index.close()
    assert not _holds(tmp_path / "index", SECRETS["github-token"][1])


def test_what_was_indexed_with_other_settings_is_read_again(
    tmp_path: Path, leaky: Path, encoder: WordEncoder
) -> None:
    source = parse_source(str(leaky))
    open_index = Index.create(tmp_path / "index", source, encoder, limits=IndexLimits(redactor=None))
    assert open_index.update().secrets == 0
    assert SECRETS["github-token"][1] in open_index.lines("auth/keys.py", 1, 1)
    open_index.close()
    assert Index(tmp_path / "index", encoder).update().secrets == 2


def test_a_file_that_needs_rules_not_loaded_yet_waits_and_others_do_not(leaky: Path) -> None:
    unready = Redactor(formats=Formats())
    read = [
        read_file(leaky, unready, path, wait=False).status for path in ("auth/keys.py", "auth/session.py")
    ]
    assert read == ["held", "indexed"]
    assert [one.rule for one in read_file(leaky, unready, "auth/keys.py").secrets] == ["github-token"]


def test_an_update_comes_back_to_the_files_that_had_to_wait(
    tmp_path: Path, leaky: Path, encoder: WordEncoder
) -> None:
    limits = IndexLimits(workers=0, redactor=Redactor(formats=Formats()))
    index = Index.create(tmp_path / "index", parse_source(str(leaky)), encoder, limits=limits)
    steps = []
    assert index.update(lambda step: steps.append((step.done, step.total))).secrets == 2
    assert (3, 5) in steps and steps[-2] == (5, 5)


# ── against the rules and samples of others ──────────────────────────────────────────────────────────────────


@pytest.mark.skipif(
    not (SHARED / "secret-rules-and-samples").is_dir(),
    reason=f"no rules and samples of other scanners below {SHARED}",
)
def test_most_of_what_other_scanners_call_secret_is_found(redactor: Redactor) -> None:
    """Samples of detect-secrets by line; its own recall on them is 1 by definition, false alarms included."""
    told = {
        ("config.env", 1), ("config.ini", 2), ("config.ini", 10), ("config.ini", 32), ("config.md", 10),
        ("config.yaml", 5), ("config.yaml", 13), ("config2.yaml", 2), ("each_secret.py", 4), ("each_secret.py", 5),
        ("each_secret.py", 6), ("each_secret.py", 8), ("each_secret.py", 9), ("file_with_secrets.py", 3),
        ("private_key", 1),
    }  # fmt: skip
    found = set()
    with gzip.open(SHARED / "secret-rules-and-samples" / "detect-secrets-test_data.jsonl.gz", "rt") as lines:
        for sample in map(json.loads, lines):
            for one in redactor.redact(sample["text"], sample["path"]).found:
                found.add((Path(sample["path"]).name, one.line))
    assert told <= found


@pytest.mark.skipif(
    not (SHARED / "secret-rules-and-samples").is_dir(),
    reason=f"no rules and samples of other scanners below {SHARED}",
)
def test_formats_with_a_fixed_beginning_are_found_whatever_follows(redactor: Redactor) -> None:
    rules = tomllib.loads((SHARED / "secret-rules-and-samples" / "gitleaks.toml").read_text())["rules"]
    filler = "k3Z9qT7xW2vB8nM4cR6yH1jL5pD0sF"
    missed = []
    for rule in rules:
        plain = re.fullmatch(
            r"\(?\\?b?\(?([a-z]{2,8}[_-])\[0-9a-zA-Z_?\\?-?\]\{(\d+)\}\)?", rule.get("regex", "")
        )
        if plain is not None:
            token = plain[1] + (filler * 3)[: int(plain[2])]
            if token in redactor.redact(f'value = "{token}"').text:
                missed.append(rule["id"])
    assert missed == []
