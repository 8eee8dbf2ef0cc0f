"""Reading translated packages and aligning their words."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from training.encoder.align import align, english_words
from training.encoder.parallel import Translation, plain, translations


def wheel(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def tarball(path: Path, files: dict[str, str]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_placeholders_tags_and_links_are_no_words() -> None:
    assert (
        plain("Delete %(name)s from <b>{0}</b>, see [the docs](https://x.y)") == "Delete from , see the docs"
    )


def test_a_catalogue_gives_its_translated_entries(tmp_path: Path) -> None:
    po = (
        'msgid "Open the file"\nmsgstr "ファイルを開く"\n\n'
        'msgid ""\n"Close "\n"the file"\nmsgstr ""\n"ファイルを"\n"閉じる"\n\nmsgid "Untranslated"\nmsgstr ""\n'
    )
    wheel(tmp_path / "some-1.0-py3-none-any.whl", {"app/locale/ja/LC_MESSAGES/django.po": po})
    assert translations(tmp_path, "ja") == [
        Translation("Open the file", "ファイルを開く"),
        Translation("Close the file", "ファイルを閉じる"),
    ]
    assert translations(tmp_path, "ko") == []


def test_files_by_language_are_joined_by_their_keys(tmp_path: Path) -> None:
    english = {"run": {"start": "Start the run", "only": "English only"}}
    korean = {"run": {"start": "실행 시작"}}
    wheel(
        tmp_path / "apache_airflow_core-1-py3-none-any.whl",
        {
            "ui/i18n/locales/en/dag.json": json.dumps(english),
            "ui/i18n/locales/ko/dag.json": json.dumps(korean),
        },
    )
    assert translations(tmp_path, "ko") == [Translation("Start the run", "실행 시작")]


def test_the_compilers_messages_are_joined_by_their_names(tmp_path: Path) -> None:
    tarball(
        tmp_path / "typescript-5.tgz",
        {
            "package/lib/typescript.js": 'x: diag(1, 1 /* Error */, "Missing_name_1", "Missing name."),',
            "package/lib/zh-cn/diagnosticMessages.generated.json": json.dumps(
                {"Missing_name_1": "缺少名称。"}
            ),
        },
    )
    assert translations(tmp_path, "zh") == [Translation("Missing name.", "缺少名称。")]


def test_numbered_messages_are_joined_with_the_sources_that_use_them(tmp_path: Path) -> None:
    tarball(
        tmp_path / "codingame-monaco-vscode-language-pack-ko-1.tgz",
        {
            "package/translations/main.i18n.json.js": 'var content = [\n\tundefined,\n\t"파일 열기"\n];\nexport {}'
        },
    )
    tarball(
        tmp_path / "codingame-monaco-vscode-api-1.tgz",
        {"package/a.js": 'localize(1, "Open File"); localize(7, "Beyond")'},
    )
    assert translations(tmp_path, "ko") == [Translation("Open File", "파일 열기")]


TEXTS = [
    ("文件 打开", "open the file"),
    ("文件 删除", "delete a file"),
    ("文件 保存", "save files"),
    ("目录 打开", "opened directory"),
    ("目录 删除", "deleting the directory"),
    ("目录 保存", "saving directory"),
    ("连接 打开", "open connection"),
    ("连接 删除", "delete connection"),
    ("连接 保存", "save connection"),
]


def test_words_that_occur_together_are_aligned() -> None:
    found = align([text.split() for text, _ in TEXTS], english_words([text for _, text in TEXTS]))
    best = {word: terms[0][0] for word, terms in found.items()}
    assert best == {
        "文件": "file", "目录": "directory", "连接": "connection", "打开": "open", "删除": "delete", "保存": "save"
    }  # fmt: skip


def test_words_that_are_too_rare_are_not_aligned() -> None:
    assert align([["文件"], ["文件"]], [["file"], ["file"]]) == {}


@pytest.mark.parametrize(("form", "base"), [("files", "file"), ("deleting", "delete")])
def test_english_words_count_by_their_base_form(form: str, base: str) -> None:
    assert english_words([form, base, base, base])[0] == [base]
