"""Documents become text that can be cited by line; what cannot be read says why."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from codeweft.retrieval.catalogue import Indexes
from codeweft.retrieval.decode import decode
from codeweft.retrieval.documents import Document, read_document
from codeweft.retrieval.documents.part import Unreadable
from codeweft.types import Filters, Query

DOCUMENTS = Path(__file__).parent / "documents"


def read(name: str) -> Document:
    return read_document((DOCUMENTS / name).read_bytes(), name)


def notebook(*cells: tuple[str, str], **facts: Any) -> bytes:
    made = [{"cell_type": kind, "source": text.splitlines(keepends=True)} for kind, text in cells]
    return json.dumps({"nbformat": 4, "metadata": {}, "cells": made, **facts}).encode()


def test_a_word_file_keeps_headings_lists_and_tables() -> None:
    assert read("handbook.docx").text == (
        "# Billing handbook\n\nHow invoices are made and sent.\n\n# Invoices\n\n"
        "Every invoice has a number that is never used twice.\n- draft\n- sent\n\n## Rounding\n\n"
        "Amounts are rounded half to even, per line.\n| Currency | Digits |\n| KRW | 0 |\n\n\n# 환불\n\n"
        "환불은 14일 이내에 처리한다.\n"
    )


def test_slides_keep_their_order_titles_tables_and_notes() -> None:
    assert read("release.pptx").text == (
        "## Slide 1: Release train\n\nEvery second Tuesday\nFreeze on Friday\n\nNotes:\nMention the hotfix lane.\n\n"
        "## Slide 2: Owners\n\n| Service | Team |\n| gateway | Edge |\n"
    )


def test_sheets_keep_their_names_and_rows() -> None:
    assert read("limits.xlsx").text == (
        "## Limits\n\n| Plan | Requests | Since |\n| free | 100 | 2025-01-31 |\n| team | 2500.5 |\n\n"
        "## 환율\n\n| KRW | 1380 |\n"
    )


def test_pages_of_a_pdf_are_named_by_number_and_outline_and_words_are_whole() -> None:
    lines = read("runbook.pdf").text.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "## Deployment (page 1)",
        "## Deployment (page 2)",
        "## Alerts (page 3)",
    ]
    assert "The gateway is deployed before the workers. A rollback reverts both." in lines


def test_every_line_of_a_document_is_in_one_chunk() -> None:
    for path in sorted(DOCUMENTS.iterdir()):
        if path.name in ("locked.pdf", "drawing.pdf"):
            continue
        document = read(path.name)
        covered = [line for piece in document.pieces for line in range(piece.start_line, piece.end_line + 1)]
        assert covered == list(range(1, document.text.count("\n") + 2)), path.name


def test_a_notebook_is_its_cells_with_functions_found_and_outputs_left_out() -> None:
    cells = [
        {"cell_type": "markdown", "source": "# Churn\nHow customers leave."},
        {
            "cell_type": "code",
            "source": "import pandas",
            "outputs": [{"output_type": "stream", "text": "PRIVATE-OUTPUT"}],
        },
        {"cell_type": "code", "source": 'def churn_rate(frame):\n    """Share that left."""\n    return 1\n'},
        {"cell_type": "code", "source": "   "},
        {"cell_type": "raw", "source": "raw text"},
    ]
    document = read_document(json.dumps({"cells": cells, "metadata": {}}).encode(), "a.ipynb")
    assert document.text == (
        "#%% [markdown]\n# Churn\nHow customers leave.\n#%%\nimport pandas\n#%%\n"
        'def churn_rate(frame):\n    """Share that left."""\n    return 1\n\n#%% [raw]\nraw text'
    )
    function = next(piece for piece in document.pieces if piece.kind == "function")
    assert (function.name, function.docstring) == ("churn_rate", "Share that left.")
    assert document.text.splitlines()[function.start_line] == "def churn_rate(frame):"
    assert document.pieces[0].name == "Churn"


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "python"),
        ({"kernelspec": {"language": "R"}}, "r"),
        ({"language_info": {"name": "julia", "file_extension": ".jl"}}, "julia"),
        ({"language_info": {"name": "Rust", "file_extension": ".rs"}}, "rust"),
        ({"language_info": "broken", "kernelspec": 7}, "python"),
    ],
)
def test_a_notebook_is_in_the_language_of_its_kernel(metadata: Any, language: str) -> None:
    document = read_document(notebook(("code", "x = 1"), metadata=metadata), "a.ipynb")
    assert document.language == language


def test_a_notebook_of_the_old_format_is_read() -> None:
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["def old():\n", "    pass"]}]}]}
    assert [p.name for p in read_document(json.dumps(old).encode(), "o.ipynb").pieces] == ["old"]


def package(**members: str) -> bytes:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name, text in members.items():
            made.writestr(name.replace("__", "/") + ".xml", text)
    return data.getvalue()


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize(
    ("name", "data", "reason", "failed"),
    [
        ("x.ipynb", b"{", "no JSON", True),
        ("x.ipynb", b"[1]", "no cells", True),
        ("x.ipynb", b'{"cells": [1, {"source": 3}]}', "", False),
        ("x.ipynb", b'{"cells": []}', "no text in it", False),
        ("x.pdf", b"%PDF-1.4 nothing", "damaged", True),
        ("x.docx", b"PK\x03\x04", "damaged", True),
        ("x.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "password", False),
        ("x.docx", package(word__document="<a"), "damaged", True),
        ("x.docx", package(word__document=BOMB), "entities", True),
        ("x.pptx", package(word__document="<a/>"), "damaged", True),
        ("x.xlsx", b"PK\x03\x04", "damaged", True),
        ("locked.pdf", (DOCUMENTS / "locked.pdf").read_bytes(), "password", False),
        ("drawing.pdf", (DOCUMENTS / "drawing.pdf").read_bytes(), "no text in it", False),
    ],
)
def test_what_cannot_be_read_says_why(name: str, data: bytes, reason: str, failed: bool) -> None:
    if not reason:
        assert read_document(data, name).text
        return
    with pytest.raises(Unreadable, match=reason) as raised:
        read_document(data, name)
    assert raised.value.failed is failed


def test_documents_are_found_by_what_they_say_and_listed_when_unreadable(indexes: Indexes) -> None:
    index = indexes.add(str(DOCUMENTS), "docs")
    status = index.update()
    assert dict(status.skipped) == {
        "locked.pdf": "a password is needed",
        "drawing.pdf": "no text in it (perhaps scanned images)",
    }
    found = index.search(Query("how are amounts rounded"))[0].chunk
    assert found.path == "handbook.docx" and found.name == "Rounding"
    # What is cited is what the line numbers lead to.
    assert index.lines(found.path, found.start_line, found.end_line).rstrip() == found.text
    assert (
        index.search(Query("alert the owner", filters=Filters(languages=("pdf",))))[0].chunk.path
        == "runbook.pdf"
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("/* 주문을 취소하고 결제 금액을 환불한다. */\nint cancel(int id);\n", "cp949"),
        ("// 注文をキャンセルして返金する\nvoid cancel(int id);\n", "cp932"),
        ("// 注文をキャンセルして返金する\nvoid cancel(int id);\n", "euc_jp"),
        ("// 取消订单并退款\nvoid cancel(int id); // 退款处理，请稍候\n", "gb18030"),
        ("# Größe des Café-Menüs berechnen\ndef size(x): return x\n", "cp1252"),
        ("# Отмена заказа и возврат денег\ndef cancel(x): return x\n", "cp1251"),
        ("int main(void) { return 0; }\n", "utf-16"),
    ],
)
def test_sources_in_encodings_from_before_utf8_are_read(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), "x.c") == (text, "")


def test_utf8_with_a_damaged_byte_stays_utf8() -> None:
    text, reason = decode("환불 처리".encode() * 10 + b"\xff", "x.md")
    assert reason == "" and text.startswith("환불 처리") and text.endswith("\ufffd")
