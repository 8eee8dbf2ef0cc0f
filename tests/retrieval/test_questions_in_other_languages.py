"""Questions in Korean, Japanese and Chinese over English code, through an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.retrieval.index import Index
from codeweft.types import Query


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("세션을 여는 함수", "SessionStore"),
        ("쿠키 헤더를 파싱하는 부분", "parse_cookie"),
        ("경로에 핸들러 등록", "Router"),
        ("Router에 handler를 등록하는 메서드", "Router"),
        ("クッキーヘッダーの解析", "parse_cookie"),
        ("パスにハンドラーを登録する", "Router"),
        ("parse_cookieで名前と値に分割", "parse_cookie"),
        ("解析Cookie头", "parse_cookie"),
        ("为路径注册处理函数", "Router"),
        ("為路徑註冊處理函式", "Router"),
    ],
)
def test_a_question_in_another_language_finds_what_the_code_calls_it(
    index: Index, question: str, name: str
) -> None:
    assert index.search(Query(question, k=3))[0].chunk.name == name


@pytest.mark.parametrize("question", ["セッションのテスト", "会话的测试", "세션 테스트"])
def test_a_question_for_tests_in_another_language_is_answered_with_tests(
    index: Index, code: Path, question: str
) -> None:
    (code / "tests").mkdir()
    (code / "tests" / "test_session.py").write_text(
        "def test_session_opens():\n    store = SessionStore()\n    assert store.open('ada')\n"
    )
    index.update()
    assert index.search(Query(question, k=3))[0].chunk.path == "tests/test_session.py"
