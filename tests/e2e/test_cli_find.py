"""Finding code on the command line: search types and reasons, symbols, regular expressions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import SAMPLE, codeweft


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the sample indexed, and no server."""
    folder = tmp_path_factory.mktemp("find")
    added = codeweft(folder, "index", "add", str(SAMPLE), "--name", "shop", "--wait", "--json")
    assert added.returncode == 0, added.stderr
    return folder


@pytest.mark.parametrize("command", ["search", "symbol", "grep"])
def test_help_has_examples(tmp_path: Path, command: str) -> None:
    assert "Example" in codeweft(tmp_path, command, "--help").stdout


def test_an_explained_search_shows_reasons_words_and_times(home: Path) -> None:
    shown = codeweft(
        home, "search", "invoices nobody paid", "--index", "shop", "--explain", "--no-code"
    ).stdout
    assert "lexical" in shown and "vector" in shown
    assert "Words" in shown and "candidates from shop" in shown and "rank" in shown
    told = json.loads(codeweft(home, "search", "invoices nobody paid", "--explain", "--json").stdout)
    assert told["results"][0]["why"] and told["explanation"]["candidates"] > 0
    assert "invoice" in told["explanation"]["terms"]["invoices"]


def test_a_search_by_vectors_is_chosen_by_its_type(home: Path) -> None:
    found = json.loads(
        codeweft(home, "search", "unpaid invoices", "--type", "similarity", "-k", "2", "--json").stdout
    )
    assert len(found) == 2 and found[0]["score"] >= found[1]["score"]
    far = codeweft(home, "search", "invoices", "--type", "similarity_score_threshold", "--score", "0.99")
    assert far.returncode == 0 and "threshold" in far.stderr


def test_symbols_are_printed_as_places(home: Path) -> None:
    defined = codeweft(home, "symbol", "overdue_invoices", "--index", "shop").stdout
    assert defined.startswith("billing/invoices.py:") and "function overdue_invoices" in defined
    found = json.loads(codeweft(home, "symbol", "overdue_invoices", "--json").stdout)
    assert found["places"][0]["role"] == "definition" and not found["more"]
    nothing = codeweft(home, "symbol", "no_such_name", "--callers")
    assert nothing.returncode == 0 and "No callers of no_such_name" in nothing.stderr


def test_grep_prints_lines_with_their_context(home: Path) -> None:
    path = SAMPLE / "billing" / "invoices.py"
    lines = path.read_text().split("\n")
    number = next(n for n, line in enumerate(lines, 1) if line.startswith("def overdue"))
    shown = codeweft(home, "grep", r"^def overdue", "-C", "1").stdout.split("\n")
    assert f"billing/invoices.py:{number}:{lines[number - 1]}" in shown
    assert f"billing/invoices.py-{number + 1}-{lines[number]}" in shown
    hits = [
        json.loads(line) for line in codeweft(home, "grep", "DEF", "-i", "-w", "--json").stdout.splitlines()
    ]
    assert {hit["language"] for hit in hits} == {"python"} and all("def" in hit["text"] for hit in hits)
    assert codeweft(home, "grep", "nowhere_at_all").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "x", "--type", "best"], "similarity_score_threshold, mmr"),
        (["search", "x", "--language", "pyton"], "Did you mean python?"),
        (["search", "x", "--branch", "main", "--repository", "bank"], "Nothing is indexed of bank"),
        (["symbol", "two words"], "no name"),
        (["symbol", "x", "--callers", "--callees"], "Ask for one"),
        (["grep", "(?=x)"], "look-around"),
        (["grep", "x", "--index", "nope"], "nope"),
    ],
)
def test_mistakes_say_what_to_do(home: Path, arguments: list[str], said: str) -> None:
    failed = codeweft(home, *arguments)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr
    assert said in " ".join(failed.stderr.split())
