"""Summaries of functions in the team's language: which are worth one, what is asked, what an answer is good for. Pure.

A summary is data for searching and for people who read results. It is written by a model that has read code of
unknown origin, so it is never shown to a model as an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pathspec import GitIgnoreSpec

from codeweft.errors import InvalidRequest
from codeweft.types import Message, Price

KINDS: Final = frozenset({"function", "method", "class", "interface", "enum"})
"""Kinds of chunks that get a summary: what has a name and does something."""
SHORTEST_CHARACTERS: Final = 120
"""A shorter function says all there is by its name and its one line."""
SHORTEST_LINES: Final = 3
LONGEST_SHOWN: Final = 6000
"""Characters of a function that the model is shown: about 1,700 tokens; what it is about stands at its beginning."""
CHARACTERS_PER_TOKEN: Final = 3.5
"""For estimates only: source code has 3 to 4 characters a token in the usual vocabularies."""
USUAL_LENGTH: Final = 0.7
"""How much of the allowed length an answer usually takes; for estimates only."""
TESTS: Final = (
    "test/", "tests/", "__tests__/", "spec/", "specs/", "testdata/", "fixtures/", "test_*.*", "*_test.*", "*.test.*",
    "*.spec.*", "conftest.py", "vendor/", "third_party/",
)  # fmt: skip
"""Patterns that are left out unless the settings say otherwise: nobody searches for a test by what it means."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language of summaries. `characters` is the longest summary kept, `words` likewise where words are counted.

    `script` matches a letter of its own, where it has a script of its own. `ask` is the task, in that language.
    """

    code: str
    name: str
    characters: int
    tokens: int
    """Tokens an answer of that length takes at most in the usual vocabularies."""
    ask: str = ""
    words: int | None = None
    script: re.Pattern[str] | None = None


_ENGLISH_TASK: Final = (
    "Summarise the code below in {name} for a colleague who searches for it without knowing what it is called: what it "
    "does, when one uses it, what it returns or changes. Use the words of the task it solves rather than those of its "
    "lines. One paragraph of plain text, at most {limit}; no code, no list, no introduction."
)
_KOREAN_TASK: Final = (
    "아래 코드를 이름을 모르는 동료가 검색으로 찾을 수 있도록 한국어로 요약하세요. 무엇을 하는지, 언제 쓰는지, 무엇을 반환하거나 "
    "바꾸는지를 쓰고, 코드의 표현보다 해결하려는 일의 표현을 쓰세요. 식별자는 원문 그대로 둡니다. 한 문단의 평문으로 {limit} "
    "이내. 코드, 목록, 머리말은 쓰지 마세요."
)
_JAPANESE_TASK: Final = (
    "次のコードを、名前を知らない同僚が検索で見つけられるように日本語で要約してください。何をするか、いつ使うか、何を返すか、"
    "何を変えるかを、コードの語よりも解決する課題の語で書きます。識別子はそのまま残します。平文一段落、{limit}以内。"
    "コード、箇条書き、前置きは書かないでください。"
)
_CHINESE_TASK: Final = (
    "请用中文概括下面的代码，让不知道它名字的同事也能搜索到它：它做什么、何时使用、返回或改变什么。多用所解决任务的说法，"
    "少用代码里的字句，标识符保持原样。一段纯文本，不超过{limit}。不要代码、列表或开场白。"
)
_HANGUL: Final = re.compile(r"[가-힣]")
_KANA: Final = re.compile(r"[ぁ-ゖァ-ヺ]")
_HAN: Final = re.compile(r"[一-鿿]")
_CYRILLIC: Final = re.compile(r"[Ѐ-ӿ]")

LANGUAGES: Final = {
    one.code: one
    for one in (
        Language("en", "English", 480, 160, words=60),
        Language("ko", "Korean", 500, 500, _KOREAN_TASK, script=_HANGUL),
        Language("ja", "Japanese", 400, 480, _JAPANESE_TASK, script=_KANA),
        Language("zh", "Chinese", 300, 360, _CHINESE_TASK, script=_HAN),
        Language("de", "German", 560, 220, words=60),
        Language("es", "Spanish", 560, 220, words=65),
        Language("fr", "French", 560, 220, words=65),
        Language("it", "Italian", 560, 220, words=65),
        Language("pt", "Portuguese", 560, 220, words=65),
        Language("ru", "Russian", 560, 300, words=60, script=_CYRILLIC),
        Language("vi", "Vietnamese", 560, 300, words=80),
    )
}

_THOUGHT: Final = re.compile(r"(?s)<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)")
_FENCED: Final = re.compile(r"(?s)```.*?(?:```|\Z)")
_LABEL: Final = re.compile(
    r"(?i)^(?:here(?:'s| is)[^\n:：]{0,80}[:：]|(?:short |brief )?summary\s*[:：]|요약\s*[:：]|要約\s*[:：]|概要\s*[:：]|摘要\s*[:：]"
    r"|总结\s*[:：]|zusammenfassung\s*[:：]|résumé\s*[:：]|resumen\s*[:：])\s*"
)
_LINE_MARK: Final = re.compile(r"(?m)^\s*(?:[-*•#>]+|\d+[.)])\s+")
_EMPHASIS: Final = re.compile(r"\*\*|__(?=\S)|(?<=\S)__")
_REFUSAL: Final = re.compile(
    r"(?i)^(?:i'?m sorry|sorry,|i can(?:'|no)t|i cannot|as an ai|죄송|申し訳|抱歉|很抱歉|对不起|there is no code|please provide)"
)
_SENTENCE_END: Final = re.compile(r"[.!?。！？](?=\s|$|[^\x00-\x7f])")
_WORD: Final = re.compile(r"\w+")
_LEAST_SCRIPT: Final = 0.2
"""Share of a summary's letters that are its language's own; names of things stay in English."""
_CODE_MARKS: Final = re.compile(r"[{}()\[\];=<>|&]")
_MOST_CODE: Final = 0.08
"""Share of a summary's characters that may be punctuation of code; prose that names `f(x)` here and there has 0.03."""


@dataclass(frozen=True, slots=True)
class Task:
    """A function to summarise. `digest` identifies its text, `path` is where it was seen first."""

    digest: int
    path: str
    language: str
    kind: str
    name: str
    scope: str
    text: str


def language(code: str) -> Language:
    """The language of that code. Raises `InvalidRequest` naming those there are."""
    found = LANGUAGES.get(code.lower().partition("-")[0])
    if found is None:
        raise InvalidRequest(
            f"Summaries cannot be written in {code!r}.",
            fix=f"Choose one of {', '.join(LANGUAGES)}.",
            param="language",
        )
    return found


def worth(kind: str, text: str) -> bool:
    """Whether a chunk says more than its own name."""
    if kind not in KINDS or len(text.strip()) < SHORTEST_CHARACTERS:
        return False
    return sum(1 for line in text.split("\n") if line.strip()) >= SHORTEST_LINES


def left_out(patterns: Iterable[str]) -> GitIgnoreSpec:
    """Paths that get no summaries, by Gitignore-style patterns."""
    return GitIgnoreSpec.from_lines(patterns)


def messages(task: Task, wanted: Language, longest: int = LONGEST_SHOWN) -> tuple[Message, ...]:
    """What a chat model is asked; the code is cut to `longest` characters."""
    limit = f"{wanted.words} words" if wanted.words else _characters(wanted)
    ask = (wanted.ask or _ENGLISH_TASK).format(name=wanted.name, limit=limit)
    where = ", ".join(filter(None, (task.path, task.scope)))
    code = task.text.strip("\n")
    if len(code) > longest:
        code = code[:longest].rpartition("\n")[0] or code[:longest]
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", code)), default=0))
    return (Message("user", f"{ask}\n\n{where}\n{fence}{task.language}\n{code}\n{fence}"),)


def _characters(wanted: Language) -> str:
    return {"ko": "{}자", "ja": "{}文字", "zh": "{}个字"}.get(wanted.code, "{} characters").format(
        wanted.characters
    )


def read_answer(answer: str, wanted: Language) -> tuple[str, str]:
    """The summary in an answer, or an empty text and the reason why there is none."""
    text = _FENCED.sub(" ", _THOUGHT.sub(" ", answer)).strip()
    text = _EMPHASIS.sub("", _LINE_MARK.sub("", text)).strip()
    text = _LABEL.sub("", text, count=1)
    text = " ".join(text.split()).strip("\"'`“”「」 ")
    if not _WORD.search(text):
        return "", "the answer holds no summary"
    if _REFUSAL.match(text):
        return "", f"the model refused: {text[:80]}"
    if wanted.script is not None:
        letters = sum(map(str.isalpha, text))
        if len(wanted.script.findall(text)) < _LEAST_SCRIPT * letters:
            return "", f"the answer is not {wanted.name}"
    if len(_CODE_MARKS.findall(text)) > _MOST_CODE * len(text):
        return "", "the answer is code"
    return shorten(text, wanted), ""


def shorten(text: str, wanted: Language) -> str:
    """A text within the language's limits, cut behind a sentence where that keeps half of it, else behind a word."""
    cut = text[: wanted.characters]
    if wanted.words is not None:
        words = list(re.finditer(r"\S+", cut))
        if len(words) > wanted.words:
            cut = cut[: words[wanted.words - 1].end()]
    if len(cut) == len(text):
        return text
    ends = [match.end() for match in _SENTENCE_END.finditer(cut)]
    if ends and ends[-1] >= len(cut) / 2:
        return cut[: ends[-1]]
    head = cut[:-1].rpartition(" ")[0] or cut[:-1]
    return head[: wanted.characters - 1].rstrip(" ,;:、，") + "…"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What summaries would cost. `usd` is None when no price is known; `known` functions cost nothing any more."""

    functions: int
    known: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


def estimate(tasks: Sequence[Task], known: int, wanted: Language, prices: Sequence[Price]) -> Estimate:
    """What `tasks` would cost, at the highest of `prices` where there are several."""
    prompt = sum(round(len(messages(task, wanted)[0].content) / CHARACTERS_PER_TOKEN) for task in tasks)
    completion = round(len(tasks) * wanted.tokens * USUAL_LENGTH)
    usd = max((price.of(prompt, completion) for price in prices), default=None)
    return Estimate(len(tasks), known, prompt, completion, usd)
