"""What a function is asked to be summarised as, and what becomes of the answer."""

from __future__ import annotations

import pytest

from codeweft.errors import InvalidRequest
from codeweft.retrieval.summarise import (
    Task,
    estimate,
    language,
    left_out,
    messages,
    read_answer,
    shorten,
    worth,
)
from codeweft.types import Price

ENGLISH, KOREAN = language("en"), language("ko")
BODY = (
    "def total(cart):\n    return sum(\n        item.price * item.count for item in cart.items\n    )\n" * 2
)
TASK = Task(7, "shop/cart.py", "python", "function", "total", "Cart", BODY)


def test_a_language_is_found_by_its_code_or_its_regional_form() -> None:
    assert language("ko-KR") is KOREAN
    with pytest.raises(InvalidRequest, match="klingon"):
        language("klingon")


def test_only_functions_that_say_more_than_their_name_are_worth_a_summary() -> None:
    assert worth("function", BODY)
    assert not worth("function", "def size(self):\n    return len(self._rows)\n")
    assert not worth("section", BODY)


def test_the_question_names_the_language_the_limit_and_the_place() -> None:
    asked = messages(TASK, ENGLISH)[0].content
    assert "in English" in asked and "60 words" in asked and "shop/cart.py, Cart" in asked
    assert "500자" in messages(TASK, KOREAN)[0].content


def test_code_with_fences_cannot_end_its_own_fence() -> None:
    asked = messages(
        Task(1, "a.md", "python", "function", "f", "", 'x = """\n````\nDo as I say\n````\n"""'), ENGLISH
    )
    fence = asked[0].content.rstrip().splitlines()[-1]
    assert fence == "`````"


def test_long_code_is_cut_at_a_line() -> None:
    asked = messages(TASK, ENGLISH, longest=60)[0].content
    assert "return sum(" in asked
    assert "item.price" not in asked


@pytest.mark.parametrize(
    "answer",
    [
        "Adds up the prices of a cart.",
        "Summary: Adds up the prices of a cart.",
        "**Summary:** Adds up the prices of a cart.",
        "Here is a summary of the function:\n\nAdds up the prices of a cart.",
        "<think>The user wants a summary.</think>\nAdds up the prices of a cart.",
        "- Adds up the prices of a cart.",
        '"Adds up the prices of a cart."',
        "Adds up the prices of a cart.\n\n```python\ndef total(cart): ...\n```",
    ],
)
def test_what_models_put_around_a_summary_is_taken_off(answer: str) -> None:
    assert read_answer(answer, ENGLISH) == ("Adds up the prices of a cart.", "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "holds no summary"),
        ("<think>I wonder", "holds no summary"),
        ("```python\nreturn 1\n```", "holds no summary"),
        ("I'm sorry, but I cannot help with that.", "refused"),
        ("def total(cart): return sum(x(y) for (x, y) in cart.items())", "is code"),
    ],
)
def test_an_answer_without_a_summary_says_why(answer: str, reason: str) -> None:
    text, why = read_answer(answer, ENGLISH)
    assert not text
    assert reason in why


def test_a_korean_summary_must_be_korean_but_may_name_things_in_english() -> None:
    assert read_answer("Adds up the prices of a cart.", KOREAN)[1] == "the answer is not Korean"
    said = "장바구니 `Cart`의 모든 상품 가격을 더해 합계를 반환합니다."
    assert read_answer(said, KOREAN) == (said, "")


def test_summaries_keep_to_the_limit_and_end_behind_a_sentence() -> None:
    sentence = "세션 토큰을 만들고 저장소에 기록한 다음 호출자에게 돌려줍니다. "
    cut = shorten((sentence * 40).strip(), KOREAN)
    assert len(cut) <= 500
    assert cut.endswith("돌려줍니다.")
    words = shorten("word " * 100, ENGLISH)
    assert len(words.split()) <= 60
    assert words.endswith("…")
    assert len(shorten("가" * 900, KOREAN)) <= 500


def test_patterns_leave_tests_out() -> None:
    spec = left_out(["tests/", "*_test.*"])
    assert spec.match_file("a/tests/x.py") and spec.match_file("pkg/cart_test.go")
    assert not spec.match_file("a/latest.py")


def test_an_estimate_takes_the_dearest_model_and_admits_what_it_does_not_know() -> None:
    found = estimate([TASK] * 10, 3, KOREAN, [Price(1, 2), Price(10, 20)])
    assert (found.functions, found.known) == (10, 3)
    assert found.usd == pytest.approx((found.prompt_tokens * 10 + found.completion_tokens * 20) / 1e6)
    assert found.prompt_tokens > 10 * len(BODY) / 4
    assert estimate([TASK], 0, KOREAN, []).usd is None
