import ast
import json
import random
import re
from pathlib import Path

import pytest
from training.starter import layout


def codes(text: str) -> list[int]:
    """One id a character, and one id a special token."""
    pieces = re.split("(" + "|".join(map(re.escape, layout.SPECIAL)) + ")", text)
    ids: list[int] = []
    for piece in pieces:
        ids += (
            [-layout.SPECIAL.index(piece) - 1] if piece in layout.SPECIAL else [ord(each) for each in piece]
        )
    return ids


def decoded(ids: list[int]) -> str:
    return "".join(layout.SPECIAL[-each - 1] if each < 0 else chr(each) for each in ids)


def test_holes_are_never_blank_and_put_the_text_back_together(module: str) -> None:
    rng = random.Random(0)
    for _ in range(500):
        hole = layout.cut(module, rng)
        assert hole is not None
        assert hole.middle.strip()
        whole = hole.prefix + hole.middle + hole.suffix
        assert whole == module or (hole.suffix == "" and module.startswith(whole))


def test_many_holes_are_whole_lines_at_an_indented_cursor(module: str) -> None:
    rng = random.Random(0)
    holes = [layout.cut(module, rng) for _ in range(400)]
    at_cursor = [hole for hole in holes if hole and re.search(r"\n +$", hole.prefix)]
    assert len(at_cursor) > 100


def test_a_blank_text_has_no_hole() -> None:
    assert layout.cut("\n\n   \n", random.Random(0)) is None


def test_a_hole_is_laid_out_suffix_first_with_the_middle_behind_its_line() -> None:
    ids = layout.fim_tokens(layout.Hole("x = 0\na = ", "1", "\nb = 2\n"), codes, 100)
    assert ids is not None
    assert decoded(ids) == "<|fim_suffix|>\nb = 2\n<|fim_prefix|>x = 0\n<|fim_middle|>a = 1<|endoftext|>"


def test_a_hole_is_laid_out_prefix_first_where_that_is_asked_for() -> None:
    ids = layout.fim_tokens(layout.Hole("x = 0\na = ", "1", "\nb = 2\n"), codes, 100, prefix_first=True)
    assert ids is not None
    assert decoded(ids) == "<|fim_prefix|>x = 0\na = <|fim_suffix|>\nb = 2\n<|fim_middle|>1<|endoftext|>"


def test_holes_and_other_code_are_laid_out_as_the_product_sends_them() -> None:
    from codeweft.models.skills import named_family, text_of
    from codeweft.types import Infill, Neighbour

    near = [layout.Near("a/b.py", "def f():\n    return 1\n"), layout.Near("c.py", "C = 2")]
    hole = layout.Hole("x = 0\na = ", "1", "\nb = 2\n")
    for prefix_first in (False, True):
        ids = layout.fim_tokens(hole, codes, 200, near, prefix_first)
        assert ids is not None
        neighbours = tuple(Neighbour(one.path, one.text) for one in near)
        asked = Infill(hole.prefix, hole.suffix, neighbours, suffix_first=not prefix_first)
        assert decoded(ids) == text_of(named_family("starter").fim_prompt(asked)) + "1<|endoftext|>"


def test_too_long_a_hole_keeps_what_is_next_to_it() -> None:
    hole = layout.Hole("x\n" * 250 + "near", "MIDDLE", "close" + "y" * 500)
    ids = layout.fim_tokens(hole, codes, 100)
    assert ids is not None
    assert len(ids) == 100
    text = decoded(ids)
    assert text.endswith("x\n<|fim_middle|>nearMIDDLE<|endoftext|>")
    assert text.startswith("<|fim_suffix|>closey")
    assert layout.fim_tokens(layout.Hole("a", "m" * 60, "b"), codes, 100) is None


def test_a_chat_about_json_is_answered_with_json(module: str) -> None:
    mean, *_ = layout.functions(module, "tools.py")
    said = json.loads(layout.json_chat(mean, random.Random(0))[-1].content)
    assert said == {"name": "mean", "arguments": ["values"], "summary": "Return the mean of some values"}


def test_what_no_reference_shows_is_turned_down(module: str) -> None:
    mean, deviation, _ = layout.functions(module, "tools.py")
    turns = layout.absent_chat(mean, [deviation], random.Random(0))
    assert "def mean" not in turns[-2].content
    assert "```" not in turns[-1].content


def test_functions_carry_their_summary_and_their_code_without_it(module: str) -> None:
    found = {each.name: each for each in layout.functions(module, "tools.py")}
    assert set(found) == {"mean", "deviation", "add"}
    assert found["mean"].summary == "Return the mean of some values"
    assert '"""' not in found["mean"].bare
    assert ast.parse(found["mean"].bare)
    assert found["add"].method
    assert not found["mean"].method
    assert "mean" in found["deviation"].calls


def test_functions_of_a_text_that_does_not_parse_are_none() -> None:
    assert layout.functions("def broken(:\n", "x.py") == []


@pytest.mark.parametrize(
    ("summary", "said"),
    [("Return the sum", "returns the sum"), ("Copy a file", "copies a file"), ("Fetches a page", "fetches a page"),
     ("Match names", "matches names"), ("Play a sound", "plays a sound")],
)  # fmt: skip
def test_a_summary_becomes_what_a_function_does(summary: str, said: str) -> None:
    assert layout.does(summary) == said


def test_a_reference_answer_cites_the_reference_that_it_repeats(module: str) -> None:
    mean, deviation, _ = layout.functions(module, "tools.py")
    for seed in range(40):
        turns = layout.find_chat(mean, [deviation], random.Random(seed))
        question, answer = turns[-2].content, turns[-1].content
        number = re.search(r"\[(\d)\]", answer)
        assert number
        shown = re.findall(r"Reference \[(\d)\] tools\.py:(\d+)-", question)
        assert (number[1], str(mean.start)) in shown
        assert "\n\nTask: " in question
        assert "sum(values) / len(values)" in answer


def test_the_chat_template_lays_turns_out_as_training_does() -> None:
    jinja2 = pytest.importorskip("jinja2")
    turns = [layout.Turn("system", "Be kind."), layout.Turn("user", "Hello")]
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    rendered = jinja2.Template(layout.CHAT_TEMPLATE).render(messages=messages, add_generation_prompt=True)
    assert rendered == layout.chat_text(turns) + "<|im_start|>assistant\n"


def test_the_card_in_the_wheel_is_the_page_of_the_documentation() -> None:
    root = Path(__file__).parents[2]
    card = root / "src" / "codeweft" / "models" / "starter" / "MODEL_CARD.md"
    assert card.read_text("utf-8") == (root / "docs" / "starter.md").read_text("utf-8")


def test_code_from_elsewhere_is_laid_out_as_the_product_does() -> None:
    from codeweft.models.skills import commented
    from codeweft.types import Neighbour

    for path in ("a.py", "b.js", "c.ts", "d.go", "e.rs", "f.java", "g.c", "h.h", "i.tsx"):
        assert layout.commented(layout.Near(path, "x = 1\n")) == commented([Neighbour(path, "x = 1\n")])


def test_copyright_notices_of_all_languages_are_dropped_and_nothing_else() -> None:
    for notice in (
        "# Copyright 2020 A\n# Licence\n",
        "// Copyright 2020 A\n//\n",
        "/*\n * Copyright A\n */\n",
    ):
        assert layout.without_notice(f"{notice}\ncode here\n") == "code here\n"
    for kept in (
        "#include <license.h>\nint x;\n",
        "#![author]\nfn f() {}\n",
        "// Adds.\nint x;\n",
        "x = 1\n",
    ):
        assert layout.without_notice(kept) == kept
