"""Reads pairs of one text in English and in another language out of translated packages.

Packages carry translations in a handful of formats; each reader below knows one. Nothing in a package is executed.
Which packages: `translations.tsv` beside this file (ecosystem, name, version, licence), permissive licences only.
"""

from __future__ import annotations

import ast
import gettext
import html
import io
import json
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = {
    "ko": ("ko", "ko_KR", "ko-KR"),
    "ja": ("ja", "ja_JP", "ja-JP"),
    "zh": ("zh", "zh_CN", "zh-CN", "zh-cn", "zh_Hans", "zh-Hans", "zh-hans"),
}
"""How packages name the languages."""

_PLACEHOLDER: Final = re.compile(
    r"%(?:\(\w+\)|\d+\$)?[#0-9.\-+*]*[a-zA-Z]|\{[^{}]*\}|<[^<>]*>|\[([^\]]*)\]\([^)]*\)|https?://\S+|&\w*;|`[^`]*`|\"[^\"]*\""
)
_BLOCK: Final = re.compile(r"<(?:p|li|h[1-6]|td|th)\b[^>]*>(.*?)</(?:p|li|h[1-6]|td|th)>", re.DOTALL)
LONGEST: Final = 300
"""Characters of an English text; in longer ones words align too loosely."""

Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Translation:
    """A text in English and in another language, placeholders and markup taken out."""

    english: str
    foreign: str


def translations(folder: Path, language: str) -> list[Translation]:
    """All different pairs of a language in the archives of a folder."""
    archives = {path.name: path for path in sorted(folder.iterdir())}
    found: dict[Translation, None] = {}
    for path in archives.values():
        for english, foreign in _pairs(path, language, archives):
            one = Translation(plain(english), plain(foreign))
            if 2 <= len(one.english) <= LONGEST and one.foreign and not one.foreign.isascii():
                found[one] = None
    return list(found)


def plain(text: str) -> str:
    """A message without placeholders, tags, links and keyboard marks."""
    text = html.unescape(_PLACEHOLDER.sub(lambda match: f" {match[1] or ''} ", text))
    return " ".join(re.sub(r"[&_]{2}|[&~](?=\w)", "", text).split())


def _pairs(path: Path, language: str, archives: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    names = LANGUAGES[language]
    folders = "|".join(map(re.escape, names))
    if path.suffix in (".whl", ".deb"):
        yield from _gettext(path, re.compile(rf"/(?:{folders})/LC_MESSAGES/[^/]+\.(?:mo|po)$"))
    if "airflow" in path.name:
        yield from _same_keys(path, re.compile(rf"/locales/(en|{folders})/([^/]+\.json)$"), _flat_json)
    elif path.name.startswith("strapi-admin"):
        yield from _same_keys(path, re.compile(rf"/translations/(en|{folders})(\.json\.js)$"), _assignments)
    elif path.name.startswith("chrome-devtools"):
        yield from _same_keys(
            path, re.compile(rf"/lighthouse/locales/(en-US|{folders})(\.json)$"), _flat_json
        )
    elif path.name.startswith("typescript"):
        yield from _typescript(path, names)
    elif path.name.startswith("electron-i18n"):
        yield from _electron(path, names)
    elif re.search(rf"vscode-language-pack-(?:{folders})-\d", path.name):
        yield from _vscode(path, archives)


def _members(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[re.Match[str], bytes]]:
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if match := wanted.search(name):
                    yield match, wheel.read(name)
        return
    command = ["dpkg-deb", "--fsys-tarfile", path] if path.suffix == ".deb" else ["gzip", "-dc", path]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        for member in tar:
            if member.isreg() and (match := wanted.search(member.name)):
                stream = tar.extractfile(member)
                yield match, stream.read() if stream else b""


def _gettext(path: Path, wanted: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    read = {match.string: data for match, data in _members(path, wanted)}
    for name, data in read.items():
        if name.endswith(".mo"):
            catalogue: dict[Any, str] = gettext.GNUTranslations(io.BytesIO(data))._catalog  # type: ignore[attr-defined]
            for key, value in catalogue.items():
                english = key[0] if isinstance(key, tuple) else key
                yield english.split("\x04")[-1], value
        elif name[:-3] + ".mo" not in read:
            yield from _po(data.decode("utf-8", "replace"))


_PO_ENTRY: Final = re.compile(
    r'^msgid ((?:".*"\s*)+)(?:msgid_plural .*\n)?(?:".*"\s*)*^msgstr(?:\[0\])? ((?:".*"\s*)+)', re.M
)


def _po(text: str) -> Iterator[tuple[str, str]]:
    for match in _PO_ENTRY.finditer(text):
        english, foreign = (
            "".join(ast.literal_eval(line) for line in part.strip().split("\n")) for part in match.groups()
        )
        yield english, foreign


def _same_keys(
    path: Path, wanted: re.Pattern[str], read: Callable[[bytes], Texts]
) -> Iterator[tuple[str, str]]:
    """Files that hold texts by key, one file per language; the pattern's groups are language and file."""
    english: dict[str, Texts] = {}
    foreign: list[tuple[str, Texts]] = []
    for match, data in _members(path, wanted):
        if match[1].startswith("en"):
            english[match[2]] = read(data)
        else:
            foreign.append((match[2], read(data)))
    for file, texts in foreign:
        yield from _joined(english.get(file, {}), texts)


def _joined(english: Texts, foreign: Texts) -> Iterator[tuple[str, str]]:
    for key in english.keys() & foreign.keys():
        yield english[key], foreign[key]


def _flat_json(data: bytes) -> Texts:
    texts: Texts = {}

    def add(value: object, key: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                add(inner, f"{key}.{name}")
        elif isinstance(value, str):
            texts[key] = value

    add(json.loads(data), "")
    return texts


_STRING: Final = r'"((?:[^"\\]|\\.)*)"'


def _assignments(data: bytes) -> Texts:
    text = data.decode("utf-8", "replace")
    return dict(re.findall(rf'^(?:var (?=\w)|\s*")([\w.:/ -]+?)"?\s*[:=] {_STRING}', text, re.M))


def _typescript(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    english: Texts = {}
    foreign: Texts = {}
    wanted = re.compile(rf"lib/(typescript\.js|(?:{'|'.join(names)})/diagnosticMessages\.generated\.json)$")
    for match, data in _members(path, wanted):
        if match[1] == "typescript.js":
            english = dict(re.findall(rf'diag\(\d+, \d(?: /\*.*?\*/)?, "(\w+)", {_STRING}', data.decode()))
        else:
            foreign = json.loads(data)
    yield from _joined(english, foreign)


def _electron(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Documentation pages as HTML; used where both have the same blocks in the same order."""
    ((_, data),) = _members(path, re.compile(r"dist/docs\.json$"))
    pages = json.loads(data)
    for name in names:
        for slug, page in pages.get(name, {}).items():
            ours, theirs = (
                _BLOCK.findall(one.get("html", "")) for one in (pages["en-US"].get(slug, {}), page)
            )
            if len(ours) == len(theirs):
                yield from zip(ours, theirs, strict=True)


def _vscode(path: Path, archives: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Extensions have texts by English text; the program's own are an array by the numbers in its sources."""
    program: list[str | None] = []
    for match, data in _members(path, re.compile(r"translations/(?:main|extensions/.*)\.i18n\.json(\.js)?$")):
        if match[1] is None:
            yield from json.loads(data)["contents"].get("bundle", {}).items()
        else:
            array = data.decode()[len("var content = ") :].split("];")[0] + "]"
            program = json.loads(array.replace("undefined", "null"))
    for name, archive in archives.items():
        if name.startswith("codingame-monaco-vscode") and "language-pack" not in name:
            for _, data in _members(archive, re.compile(r"\.js$")):
                source = data.decode("utf-8", "replace")
                for number, english in re.findall(rf"localize2?\(\s*(\d+),\s*{_STRING}", source):
                    if int(number) < len(program) and (foreign := program[int(number)]):
                        yield english, foreign
