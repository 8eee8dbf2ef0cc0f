"""Terms of code, prose and Korean questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeweft.retrieval.tokens import joined_words, query_terms, strip_particle, weighted_terms, words


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("parse", ["parse"]),
        ("parseHTTPHeader", ["parse", "http", "header", "parsehttpheader"]),
        ("snake_case_name", ["snake", "case", "name", "snake_case_name"]),
        ("__init__", ["init"]),
        ("sha256", ["sha", "256", "sha256"]),
        ("getURLs", ["get", "urls", "geturls"]),
        ("MAX_SIZE", ["max", "size", "max_size"]),
        ("a.b(c, 42)", ["a", "b", "c", "42"]),
        ("Größe", ["größe"]),
        ("", []),
        ("+-*/ {}();", []),
    ],
)
def test_identifiers_give_their_parts_and_then_themselves(text: str, terms: list[str]) -> None:
    assert words(text) == terms


@given(st.text())
def test_joined_words_are_the_words_with_spaces_between_them(text: str) -> None:
    assert joined_words(text).split() == words(text)


def test_a_korean_word_gives_its_stem_without_the_particle() -> None:
    assert words("파일을") == ["파일"]
    assert words("문자열에서") == ["문자열", "문자", "자열"]


def test_a_korean_particle_glued_to_an_identifier_is_cut_off() -> None:
    assert words("parse_url을")[:3] == ["parse", "url", "parse_url"]


def test_a_stem_never_shrinks_below_two_syllables() -> None:
    assert strip_particle("나이") == "나이"
    assert strip_particle("회의") == "회의"


def test_decomposed_hangul_gives_the_same_terms_as_composed() -> None:
    import unicodedata

    assert words(unicodedata.normalize("NFD", "요청을 파싱")) == words("요청을 파싱")


def test_chinese_and_japanese_runs_give_character_pairs() -> None:
    assert words("文件系统") == ["文件", "件系", "系统"]


def test_a_question_loses_its_question_words_but_code_keeps_them() -> None:
    assert query_terms("how is the request parsed") == ["request", "parsed"]
    assert words("if is_the_end") == ["if", "is", "the", "end", "is_the_end"]


def test_a_question_of_nothing_but_question_words_keeps_them() -> None:
    assert query_terms("how do I") == ["how", "do", "i"]


def test_a_korean_question_brings_the_english_terms_of_its_words() -> None:
    assert {"file", "path"} <= set(query_terms("파일 경로를"))
    assert "request" in query_terms("요청은 어디서")
    assert {"async", "request"} <= set(query_terms("비동기요청"))


def test_a_japanese_question_brings_english_terms_and_leaves_out_what_only_joins_words() -> None:
    terms = query_terms("リクエストハンドラーはどのように登録されるか")
    assert {"request", "handler", "register", "登録"} <= set(terms)
    assert not {"はど", "どの", "よう", "され", "るか", "ーは"} & set(terms)


def test_japanese_words_with_kana_inside_are_found_in_japanese_comments() -> None:
    assert {"読み", "み込", "込み"} <= set(words("# 設定の読み込み")) & set(query_terms("読み込み"))


def test_a_chinese_question_in_either_script_brings_english_terms() -> None:
    assert {"parse", "request", "header"} <= set(query_terms("解析请求头"))
    assert {"read", "file"} <= set(query_terms("讀取檔案"))


def test_scripts_mix_in_one_question() -> None:
    assert {"parseheader", "function", "call"} <= set(query_terms("parseHeader 함수를 호출하는 곳"))
    assert {"get_user", "return", "type"} <= set(query_terms("get_userの返り値のtype、戻り値"))
    assert {"json", "parse"} <= set(query_terms("把JSON解析"))


def test_the_second_english_term_for_a_word_is_worth_less_than_the_first() -> None:
    weights = weighted_terms("삭제")
    assert weights["삭제"] == weights["delete"] == 1.0
    assert 0 < weights["remove"] < 1.0


def test_a_term_that_is_also_asked_for_itself_is_worth_all() -> None:
    assert weighted_terms("삭제 remove")["remove"] == 1.0


def test_english_questions_weigh_all_terms_alike() -> None:
    assert set(weighted_terms("how does parseHeader find the token").values()) == {1.0}


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_is_accepted_and_gives_lower_case_terms(text: str) -> None:
    for term in (*words(text), *query_terms(text)):
        assert term and not term.isspace()


def test_lone_surrogates_are_separators() -> None:
    assert words("a\ud800b") == ["a", "b"]


def test_data_without_spaces_gives_a_bounded_number_of_terms() -> None:
    assert len(words("aB3" * 100_000)) < 200
