"""Finding keys, tokens, private keys and passwords in text.

The formats of providers' tokens come from Kingfisher (MongoDB, Apache-2.0), which keeps several hundred of them and
checks each by its alphabet, length and checksum. What has no format of its own (a password in an assignment or in an
address, a random string in quotes) is found by the rules of `secret_rules`.

Kingfisher's rules take half a second to load, and some seconds the first time on a machine, so a thread loads them:
until it is done, `Secrets.sure` tells which texts need not wait for them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from ahocorasick_rs import AhoCorasick

from codeweft.errors import InvalidRequest, NotReady
from codeweft.retrieval.secret_rules import CONFIG_SUFFIXES, RULES, Rule, switches

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

LOAD_SECONDS: Final = 120
"""How long a text that needs Kingfisher waits for its rules; compiling them takes some five seconds of one core."""
_RUN = re.compile(r"[A-Za-z0-9_+/=~.-]{15,}")
_ALLOWED = re.compile(r"pragma: ?allowlist secret|gitleaks:allow|kingfisher:ignore", re.IGNORECASE)
"""Comments by which the field's scanners are told that a line is no secret."""
_NEXT_ALLOWED = re.compile(r"pragma: ?allowlist nextline secret", re.IGNORECASE)
_ASCII_LOWER = {upper: upper + 32 for upper in range(65, 91)}


@dataclass(frozen=True, slots=True)
class Found:
    """A secret in a text, as character offsets. `rule` names its kind."""

    rule: str
    start: int
    end: int


class Secrets:
    """Finds secrets. Thread-safe."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        """What one of the regular expressions `allow` is found in is no secret. Raises `InvalidRequest` for a bad one."""
        try:
            self._allow = tuple(re.compile(pattern) for pattern in allow)
        except re.error as error:
            raise InvalidRequest(
                f"{error.pattern!r} in `index.allow_secrets` is not a regular expression: {error}.",
                fix="Each entry is a regular expression that is looked for in what was found.",
            ) from None

    def sure(self, text: str) -> bool:
        """Whether `find` can answer now: Kingfisher's rules are loaded, or nothing in `text` could match one."""
        return formats().ready or not any(
            (turns := switches(run)) > 2 and turns * 7 >= len(run) for run in _RUN.findall(text)
        )

    def find(self, text: str, path: str = "") -> list[Found]:
        """The secrets in `text` in order, none overlapping. `path` says whether values may stand without quotes.

        Waits for Kingfisher's rules unless `sure`. Raises `NotReady` when they cannot be loaded.
        """
        known = formats()
        found = list(by_shape(text, path))
        if known.ready or not self.sure(text):
            found.extend(known.find(text))
        if not found:
            return []
        kept: list[Found] = []
        for one in sorted(found, key=lambda one: (one.start, -one.end)):
            if (not kept or one.start >= kept[-1].end) and not self._allowed(text, one):
                kept.append(one)
        return kept

    def _allowed(self, text: str, one: Found) -> bool:
        begin = text.rfind("\n", 0, one.start) + 1
        end = text.find("\n", one.start)
        if _ALLOWED.search(text, begin, len(text) if end < 0 else end):
            return True
        before = text.rfind("\n", 0, max(begin - 1, 0)) + 1
        if begin and _NEXT_ALLOWED.search(text, before, begin):
            return True
        value = text[one.start : one.end]
        return any(pattern.search(value) for pattern in self._allow)


def by_shape(text: str, path: str = "") -> Iterator[Found]:
    """Secrets that our own rules find."""
    name = PurePosixPath(path).name
    config = bool(name) and (name.startswith(".env") or PurePosixPath(name).suffix.lower() in CONFIG_SUFFIXES)
    for rule, match in _matches(text):
        if match is not None and (config or not rule.config_only) and rule.holds(match):
            yield Found(rule.name, *match.span("secret"))


def _matches(text: str) -> Iterator[tuple[Rule, re.Match[str] | None]]:
    low = text.lower()
    if len(low) != len(text):
        low = text.translate(_ASCII_LOWER)
    for literal, at, _ in _LITERALS.find_matches_as_indexes(low, overlapping=True):
        for rule in _RULES_OF[literal]:
            if at >= rule.back:
                yield rule, rule.pattern.match(text, at - rule.back)
    for rule in RULES:
        if not rule.literals:
            yield from ((rule, match) for match in rule.pattern.finditer(text))


_ALL_LITERALS = sorted({literal for rule in RULES for literal in rule.literals})
_LITERALS = AhoCorasick(_ALL_LITERALS)
_RULES_OF = [[rule for rule in RULES if literal in rule.literals] for literal in _ALL_LITERALS]


class Formats:
    """Kingfisher's rules, loaded once per process in a thread of its own."""

    def __init__(self) -> None:
        self._scanner: Scanner | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._load, name="secret-formats", daemon=True)
        self._thread.start()

    def _load(self) -> None:
        try:
            from kingfisher_sdk import Rules, Scanner

            self._scanner = Scanner(Rules(), base64=False)
        except Exception as error:
            self._failure = error

    @property
    def ready(self) -> bool:
        return self._scanner is not None

    def find(self, text: str) -> Iterator[Found]:
        """Secrets in a provider's format. Raises `NotReady` when the rules cannot be loaded."""
        if self._scanner is None:
            self._thread.join(LOAD_SECONDS)
        if self._scanner is None:
            raise NotReady(
                f"The rules that find secrets could not be loaded: {self._failure or 'it takes too long'}.",
                fix="Install kingfisher-secret-scanner, or index without looking for secrets (`index.redact: false`).",
            )
        data = text.encode("utf-8", "replace")
        for finding in self._scanner.scan(data):
            if finding.visible:
                place = finding.location
                start, end = (_characters(data, place[key]) for key in ("start_offset", "end_offset"))
                yield Found(_plain(finding.rule_id), start, end)


@cache
def formats() -> Formats:
    """The providers' formats; the first call begins to load them and returns at once."""
    return Formats()


def _characters(data: bytes, offset: int) -> int:
    return offset if data.isascii() else len(data[:offset].decode("utf-8", "replace"))


def _plain(rule_id: str) -> str:
    """`betterleaks.slack-bot-token.2` as `slack-bot-token`."""
    return re.sub(r"\.\d+$", "", rule_id).rpartition(".")[2].rpartition("/")[2]
