"""What the retrieval benchmark reads and what it makes of ranked answers."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from bench.retrieval.ablate import candidates, changed, ranked
from bench.retrieval.checkout import check_out, pinned
from bench.retrieval.commits import changes, history
from bench.retrieval.measure import grouped, overall, paired_bootstrap, score
from bench.retrieval.packages import CLIENTS, packages, unpack
from bench.retrieval.searchers import Hit, PlainBM25
from bench.retrieval.sets import QUESTIONS, Question, QuestionSet, Target, from_file, issues, rows_of


def question(*targets: Target, parts: tuple[Target, ...] = (), **facts: str) -> Question:
    return Question(facts.get("id", "q"), facts.get("repository", "r"), Path(), "text", targets, parts=parts)


def test_an_answer_in_first_place_is_perfect_and_one_in_third_place_half_as_good() -> None:
    hits = [Hit("a.py", 1, 9), Hit("b.py", 1, 9), Hit("src/c.py", 1, 9)]
    assert score(hits, question(Target("a.py"))).ndcg10 == 1.0
    third = score(hits, question(Target("c.py")))
    assert third.ndcg10 == pytest.approx(0.5)
    assert third.mrr == pytest.approx(1 / 3)
    assert (third.acc1, third.acc5) == (0.0, 1.0)


def test_a_target_with_lines_is_found_only_where_they_overlap() -> None:
    hits = [Hit("a.py", 1, 9), Hit("a.py", 20, 30)]
    assert score(hits, question(Target("a.py", 25, 26))).mrr == 0.5
    assert score(hits, question(Target("a.py", 10, 19))).mrr == 0.0


def test_folded_to_files_a_file_counts_by_its_first_chunk_and_functions_by_all_chunks() -> None:
    hits = [Hit("a.py", 1, 9), Hit("a.py", 20, 30), Hit("b.py", 1, 9)]
    asked = question(Target("b.py"), parts=(Target("b.py", 3, 4), Target("b.py", 50, 60)))
    scored = score(hits, asked, fold=True)
    assert scored.mrr == 0.5
    assert scored.parts10 == 0.5


def test_all_files_have_to_be_found_for_accuracy() -> None:
    hits = [Hit("a.py", 1, 9), Hit("b.py", 1, 9)]
    scored = score(hits, question(Target("a.py"), Target("b.py")))
    assert (scored.acc1, scored.acc5) == (0.0, 1.0)


def test_a_balanced_set_weighs_repositories_and_not_questions() -> None:
    questions = [question(Target("a.py"), id=str(n), repository="big" if n else "small") for n in range(4)]
    scores = {q.id: score([Hit("a.py" if q.repository == "small" else "x", 1, 2)], q) for q in questions}
    assert overall(scores, QuestionSet("s", questions, balanced=True))["ndcg10"] == 0.5
    assert overall(scores, QuestionSet("s", questions))["ndcg10"] == 0.25
    assert [len(group) for group in grouped(scores, questions, "repository").values()] == [3, 1]


def test_the_interval_of_no_difference_holds_zero_and_that_of_a_clear_one_does_not() -> None:
    values = [n % 7 / 7 for n in range(50)]
    assert paired_bootstrap(values, values) == (0.0, 0.0, 0.0)
    assert paired_bootstrap([v + 0.2 for v in values], values)[1] > 0


def test_a_set_is_read_from_a_file_with_facts_of_repositories_beside_it(tmp_path: Path) -> None:
    (tmp_path / "checkouts" / "1f2e3d4c5b6a" / "app").mkdir(parents=True)
    row = {"id": 1, "repo": "app", "query": "q", "frage": "f", "relevant": ["a.ts", {"path": "b.ts", "start_line": 1, "end_line": 2}]}  # fmt: skip
    (tmp_path / "set.jsonl").write_text(json.dumps(row) + "\n")
    facts = {"name": "app", "revision": "1f2e3d4c5b6a7988", "root": "src", "language": "typescript"}
    (tmp_path / "repos.json").write_text(json.dumps([facts]))
    (read,) = from_file(tmp_path / "set.jsonl", tmp_path / "checkouts", field_name="frage").questions
    assert (read.text, read.language) == ("f", "typescript")
    assert read.corpus == tmp_path / "checkouts" / "1f2e3d4c5b6a" / "app" / "src"
    assert read.targets == (Target("a.ts"), Target("b.ts", 1, 2))


def test_functions_of_an_issue_are_found_by_their_lines_before_the_fix(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "m.py").write_text("class A:\n    def run(self):\n        pass\n")
    row = {
        "instance_id": "i", "repo": "o/app", "base_commit": "0" * 40, "problem_statement": "p",
        "ground_truth_files": ["m.py"], "edit_functions": ["m.py:A.run", "m.py:A.added"],
    }  # fmt: skip
    (tmp_path / "i.jsonl").write_text(json.dumps(row))
    (read,) = issues(tmp_path / "i.jsonl", tmp_path).questions
    assert read.parts == (Target("m.py", 2, 3),)


def test_plain_bm25_finds_the_window_with_the_rarest_word(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("value = 1\n" * 80 + "zebra = 2\n")
    (tmp_path / "b.py").write_text("value = 1\n" * 10)
    assert PlainBM25(tmp_path).search("value zebra", 1) == [Hit("a.py", 81, 82)]


def test_an_unknown_priority_is_refused() -> None:
    assert changed("place=1,near=0").near == 0
    with pytest.raises(SystemExit, match="nearness"):
        changed("nearness=1")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_telling_commits_become_questions_and_pinned_revisions_checkouts(tmp_path: Path) -> None:
    clone = tmp_path / "app"
    (clone / "src").mkdir(parents=True)
    git(clone, "init", "-q")
    for subject, files in (
        ("Begin", {"src/a.py": "1", "README.md": "1"}),
        ("fix(core): keep the order of equal results (#12)", {"src/a.py": "2", "tests/test_a.py": "1"}),
        ("Fix a typo in the comment of a", {"src/a.py": "3"}),
        ("Say how to install it everywhere", {"README.md": "2"}),
    ):
        for name, text in files.items():
            (clone / name).parent.mkdir(exist_ok=True)
            (clone / name).write_text(text)
        git(clone, "add", "-A")
        git(clone, "commit", "-qm", subject)
    (found,) = changes(history(clone / ".git", "HEAD", "", 100), "")
    assert (found.subject, found.files) == ("keep the order of equal results", ("src/a.py",))

    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"repo": "me/app", "revision": found.commit}))
    ((_, name, revision),) = pinned(rows)
    assert check_out(clone / ".git", revision, tmp_path / "out" / name) == ""
    assert (tmp_path / "out" / "app" / "src" / "a.py").read_text() == "2"
    assert "0000" in check_out(clone / ".git", "0" * 40, tmp_path / "other")


def test_an_ablation_ranks_the_same_candidates_with_other_constants(tmp_path: Path) -> None:
    files = tmp_path / "shop"
    (files / "tests").mkdir(parents=True)
    (files / "cart.py").write_text("def add_to_cart(item):\n    return item\n")
    (files / "tests" / "test_cart.py").write_text(
        "def add_to_cart_twice(item):\n    return add_to_cart(item), add_to_cart\n"
    )
    which = QuestionSet("s", [Question("q", "shop", files, "add to cart", (Target("cart.py"),))])
    pools = candidates(which, tmp_path)
    assert ranked(pools, which, changed("test=0.3"))["q"].mrr == 1.0
    assert ranked(pools, which, changed("test=9"))["q"].mrr == 0.5


def test_the_held_out_questions_are_about_packages_of_the_table() -> None:
    rows = rows_of(QUESTIONS / "packages.jsonl")
    table = packages()
    assert {row["repo"] for row in rows} == {one.folder for one in table}
    assert {one.kind for one in table} <= CLIENTS.keys()
    assert len({row["id"] for row in rows}) == len(rows) > 300
    assert all(row["relevant"] for row in rows)


def test_a_package_is_unpacked_without_its_first_folder_and_not_outside_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    with tarfile.open(tmp_path / "p-1.tgz", "w:gz") as tar:
        tar.add(tmp_path / "a.py", "p-1/src/a.py")
    unpack(tmp_path / "p-1.tgz", tmp_path / "p")
    assert (tmp_path / "p" / "src" / "a.py").read_text() == "x = 1\n"
    with tarfile.open(tmp_path / "bad.tgz", "w:gz") as tar:
        tar.add(tmp_path / "a.py", "p-1/../../outside.py")
    with pytest.raises(tarfile.FilterError):
        unpack(tmp_path / "bad.tgz", tmp_path / "bad")
    assert not (tmp_path / "outside.py").exists()
