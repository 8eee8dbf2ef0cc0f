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
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from ahocorasick_rs import AhoCorasick
from platformdirs import user_cache_dir

from codeweft.errors import InvalidRequest, NotReady
from codeweft.retrieval.secret_rules import CONFIG_SUFFIXES, GUESSED, RULES, Rule, switches

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

    def __init__(self, formats: Formats, allow: Sequence[str] = ()) -> None:
        """What one of the regular expressions `allow` is found in is no secret. Raises `InvalidRequest` for a bad one."""
        self._formats = formats
        try:
            self._allow = tuple(re.compile(pattern) for pattern in allow)
        except re.error as error:
            raise InvalidRequest(
                f"{error.pattern!r} in `index.allow_secrets` is not a regular expression: {error}.",
                fix="Each entry is a regular expression that is looked for in what was found.",
            ) from None

    def sure(self, text: str) -> bool:
        """Whether `find` can answer now: Kingfisher's rules are loaded, or nothing in `text` could match one."""
        return self._formats.ready or not any(
            (turns := switches(run)) > 2 and turns * 7 >= len(run) for run in _RUN.findall(text)
        )

    def find(self, text: str, path: str = "") -> list[Found]:
        """The secrets in `text` in order, none overlapping. `path` says whether values may stand without quotes.

        Waits for Kingfisher's rules unless `sure`. Raises `NotReady` when they cannot be loaded.
        """
        found = list(by_shape(text, path))
        if self._formats.ready or not self.sure(text):
            found.extend(self._formats.find(text))
        kept: list[Found] = []
        for one in sorted(found, key=lambda one: (one.start, one.rule in GUESSED, -one.end)):
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
    for rule, match in _matches(text, _is_config(path)):
        if match is not None and rule.holds(match):
            yield Found(rule.name, *match.span("secret"))


@lru_cache(1024)
def _is_config(path: str) -> bool:
    name = PurePosixPath(path).name
    return bool(name) and (name.startswith(".env") or PurePosixPath(name).suffix.lower() in CONFIG_SUFFIXES)


def _matches(text: str, config: bool) -> Iterator[tuple[Rule, re.Match[str] | None]]:
    low = text.lower()
    if len(low) != len(text):
        low = text.translate(_ASCII_LOWER)
    if not low.isascii():
        # Half surrogates would be refused below.
        low = low.encode("utf-8", "replace").decode("utf-8")
    for literal, at, _ in _LITERALS.find_matches_as_indexes(low, overlapping=True):
        for rule in _RULES_OF[literal]:
            if at >= rule.back and (config or not rule.config_only):
                yield rule, rule.pattern.match(text, at - rule.back)
    for rule in RULES:
        if not rule.literals and (config or not rule.config_only):
            yield from ((rule, match) for match in rule.pattern.finditer(text))


_ALL_LITERALS = sorted({literal for rule in RULES for literal in rule.literals})
_LITERALS = AhoCorasick(_ALL_LITERALS)
_RULES_OF = [[rule for rule in RULES if literal in rule.literals] for literal in _ALL_LITERALS]


class Formats:
    """Kingfisher's rules, loaded once per process in a thread of its own."""

    def __init__(self) -> None:
        self._scanner: Scanner | None = None
        self._failure: Exception | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        return self._scanner is not None

    def begin(self, *, compiled_only: bool = False) -> None:
        """Begin to load, unless begun; with `compiled_only` not when the rules must be compiled for it."""
        if compiled_only and not any(_compiled_rules().glob("*.vscdb")):
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._load, name="secret-formats", daemon=True)
                self._thread.start()

    def _load(self) -> None:
        try:
            from kingfisher_sdk import Rules, Scanner

            _compiled_rules().mkdir(parents=True, exist_ok=True, mode=0o700)
            self._scanner = Scanner(Rules(cache_dir=_compiled_rules()), base64=False)
        except Exception as error:
            self._failure = error

    def find(self, text: str) -> Iterator[Found]:
        """Secrets in a provider's format. Raises `NotReady` when the rules cannot be loaded."""
        if self._scanner is None:
            self.begin()
            assert self._thread is not None
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


def _compiled_rules() -> Path:
    """Where Kingfisher keeps its compiled rules, which fit this machine's processor only."""
    return Path(user_cache_dir("codeweft", appauthor=False)) / "secret-formats"


def _characters(data: bytes, offset: int) -> int:
    return offset if data.isascii() else len(data[:offset].decode("utf-8", "replace"))


def _plain(rule_id: str) -> str:
    """`betterleaks.slack-bot-token.2` as `slack-bot-token`."""
    return re.sub(r"\.\d+$", "", rule_id).rpartition(".")[2].rpartition("/")[2]
