"""Patterns: what they match, what every match of them holds, and that none of them can take forever."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeweft.errors import InvalidRequest
from codeweft.retrieval.grep import Pattern, literal_of


def numbers(pattern: str, text: str, **options: bool) -> list[int]:
    return [line.number for line in Pattern(pattern, **options).lines(text)]


TEXT = "import os\n\ndef Load(path):\n    return open(path).read()  # load\nloader = Load\n"


def test_lines_are_matched_one_by_one() -> None:
    assert numbers(r"^def", TEXT) == [3]
    assert numbers(r"os$", TEXT) == [1]
    assert numbers(r"^$", TEXT) == [2, 6]
    assert numbers(r"os\s*def", TEXT) == []
    assert numbers(r"[^x]", "a\n\nb") == [1, 3]
    assert numbers(r"b\n?", "a\nb") == [2]


def test_case_words_and_fixed_text_can_be_chosen() -> None:
    assert numbers("load", TEXT) == [4, 5]
    assert numbers("load", TEXT, ignore_case=True) == [3, 4, 5]
    assert numbers("load", TEXT, whole_word=True) == [4]
    assert numbers("open(path).", TEXT, fixed=True) == [4]


def test_spans_count_characters() -> None:
    (line,) = Pattern("값").lines("이름값 = 값\r\n")
    assert line.text == "이름값 = 값" and line.spans == ((2, 3), (6, 7))


@pytest.mark.parametrize(
    "pattern", [r"(?=a)", r"(?<!a)b", r"(a)\1", "(", "[", "a{2,1}", "", "a\nb", "x" * 2000]
)
def test_what_cannot_be_searched_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Pattern(pattern)
    assert refused.value.param == "pattern" and refused.value.message


def test_no_pattern_takes_forever() -> None:
    started = time.process_time()
    assert numbers(r"(a+)+$", "a" * 50_000 + "b") == []
    assert numbers(r"(?:x?){500}x{500}", "x" * 499) == []
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("parse_config", "parse_config"),
        (r"def\s+parse_(\w+)\(", "parse_"),
        (r"foo|bar", ""),
        (r"(foo|bar)_baz", "_baz"),
        (r"colou?r", "colo"),
        (r"ab+c", "ab"),
        (r"ab{2}c", "a"),
        (r"x{, y", ", y"),
        (r"[abc]def[]x]ghi", "def"),
        (r"a\.b\(c", "a.b(c"),
        (r"\d+px", "px"),
        (r"(?i)abc", ""),
        (r"\x41bc", ""),
        (r"[[:alpha:]]zed", "zed"),
    ],
)
def test_the_longest_text_of_every_match_is_known(pattern: str, literal: str) -> None:
    assert literal_of(pattern) == literal


@settings(max_examples=300, deadline=None)
@given(st.text("ab(|)[]^*+?{}12.\\dx", max_size=12), st.text("abx12.", max_size=30))
def test_a_match_always_holds_the_literal(pattern: str, text: str) -> None:
    try:
        made = Pattern(pattern)
        compiled = re.compile(pattern)
    except (InvalidRequest, re.error):
        return
    if compiled.search(text) and list(made.lines(text)):
        assert made.literal in text
