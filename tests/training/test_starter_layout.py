import ast
import random
import re

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


def test_a_hole_is_laid_out_suffix_first_with_the_middle_behind_the_prefix() -> None:
    ids = layout.fim_tokens(layout.Hole("a = ", "1", "\nb = 2\n"), codes, 100)
    assert ids is not None
    assert decoded(ids) == "<|fim_prefix|><|fim_suffix|>\nb = 2\n<|fim_middle|>a = 1<|endoftext|>"


def test_too_long_a_hole_keeps_what_is_next_to_it() -> None:
    ids = layout.fim_tokens(layout.Hole("x" * 500 + "near", "MIDDLE", "close" + "y" * 500), codes, 100)
    assert ids is not None
    assert len(ids) == 100
    text = decoded(ids)
    assert "xnearMIDDLE<|endoftext|>" in text
    assert "<|fim_suffix|>closey" in text
    assert layout.fim_tokens(layout.Hole("a", "m" * 60, "b"), codes, 100) is None


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
