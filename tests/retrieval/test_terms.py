"""Korean, Japanese and Chinese words in English terms: the tables, the cutting of runs, words read by their sound."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeweft.retrieval.question import read_question
from codeweft.retrieval.terms.sound import english_by_sound, sound_of
from codeweft.retrieval.terms.translate import han_and_kana_terms, is_japanese, korean_terms, table

WORDS = {
    "ko": re.compile(r"[가-힣]{2,}|[가-힣]\*?"),
    "ja": re.compile(r"[\u3041-\u30ff\u3400-\u9fff々]+"),
    "zh": re.compile(r"[\u3400-\u9fff]+"),
}


def flat(groups: tuple[tuple[str, ...], ...]) -> list[str]:
    return [term for group in groups for term in group]


@pytest.mark.parametrize("language", ["ko", "ja", "zh"])
def test_every_line_of_a_table_is_a_word_of_the_language_with_up_to_a_few_lower_case_english_terms(
    language: str,
) -> None:
    entries = table(language)
    assert len(entries) > 2000
    for word, english in entries.items():
        assert WORDS[language].fullmatch(word), word
        assert 1 <= len(english) <= 6 and len(set(english)) == len(english), word
        assert all(term.isascii() and term == term.lower() and term.isalnum() for term in english), word


def test_one_syllable_korean_words_count_only_alone_or_before_a_particle() -> None:
    assert flat(korean_terms("키를")) == ["key"]
    assert "key" not in flat(korean_terms("키보드"))


def test_a_korean_verb_stem_counts_before_any_ending() -> None:
    assert flat(korean_terms("찾는다"))[:1] == ["find"]


def test_a_korean_compound_is_cut_into_its_words() -> None:
    assert [group[0] for group in korean_terms("비동기요청")] == ["async", "request"]


def test_katakana_without_spaces_is_cut_into_its_words() -> None:
    found = han_and_kana_terms("リクエストコンテキストのライフサイクル", True)
    assert [group[0] for group in found] == ["request", "context", "lifecycle"]


def test_a_final_long_vowel_makes_no_difference() -> None:
    assert han_and_kana_terms("ハンドラ", True) == han_and_kana_terms("ハンドラー", True) != ()


def test_a_word_does_not_end_before_a_long_vowel_or_a_small_kana() -> None:
    assert "key" not in flat(han_and_kana_terms("スキーム", True))


def test_a_single_han_character_counts_only_where_none_stands_beside_it() -> None:
    assert "tree" in flat(han_and_kana_terms("木を", True))
    assert "tree" not in flat(han_and_kana_terms("木曜", True))


def test_the_longest_words_win_where_words_overlap() -> None:
    assert [group[0] for group in han_and_kana_terms("数据库连接池", False)] == ["database", "pool"]


def test_traditional_characters_mean_what_simplified_ones_do() -> None:
    assert han_and_kana_terms("請求", False) == han_and_kana_terms("请求", False) != ()


def test_kana_anywhere_makes_a_text_japanese() -> None:
    assert is_japanese("設定の読み込み")
    assert not is_japanese("加载配置")


@pytest.mark.parametrize(
    ("word", "english"),
    [("인터프리터", "interpreter"), ("インタプリタ", "interpreter"), ("디스크립터", "descriptor")],
)
def test_a_loanword_is_read_by_its_sound(word: str, english: str) -> None:
    assert english_by_sound(word) == english


@pytest.mark.parametrize("word", ["사용", "어디서", "하나요", "キー", "メモ", ""])
def test_a_word_of_too_few_consonants_is_never_read_by_its_sound(word: str) -> None:
    assert english_by_sound(word) is None


def test_sounds_are_spelled_in_latin_letters() -> None:
    assert sound_of("파서") == "pase"
    assert sound_of("ファイル") == "fairu"


def test_a_korean_question_counts_each_word_once_however_many_english_terms_it_has() -> None:
    question = read_question("설정 삭제")
    assert question.asked == 2 < len(question.keywords)


@given(st.text(alphabet=st.characters(min_codepoint=0x3041, max_codepoint=0xD7A3), max_size=60))
def test_any_run_gives_terms_of_the_tables_or_of_english(run: str) -> None:
    for japanese in (True, False):
        for group in han_and_kana_terms(run, japanese):
            assert group and all(term.isascii() for term in group)
    if run:
        assert all(term.isascii() for term in flat(korean_terms(run)))
