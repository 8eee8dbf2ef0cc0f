"""Finding keys, tokens, private keys and passwords in text.

The formats of providers' tokens come from Kingfisher (MongoDB, Apache-2.0), which keeps several hundred of them and
checks each by its alphabet, length and checksum. What has no format of its own (a password in an assignment or in an
address, a random string in quotes) is found by the rules of `secret_rules`.

Kingfisher's rules take half a second to load, and some seconds the first time on a machine, so a thread loads them:
until it is done, `Secrets.sure` tells which texts need not wait for them.
"""

from __future__ import annotations

import re
import string
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np
from ahocorasick_rs import BytesAhoCorasick
from numpy.typing import NDArray
from platformdirs import user_cache_dir

from codeweft.errors import InvalidRequest, NotReady
from codeweft.retrieval.secret_rules import CONFIG_SUFFIXES, GUESSED, LONG_RUN, RULES, Rule

if TYPE_CHECKING:
    from kingfisher_sdk import Scanner

LOAD_SECONDS: Final = 120
"""How long a text that needs Kingfisher waits for its rules; compiling them takes some five seconds of one core."""
_SHORTEST_TOKEN: Final = 15
"""Characters of the shortest token that Kingfisher's rules know."""
_ALLOWED = re.compile(r"pragma: ?allowlist secret|gitleaks:allow|kingfisher:ignore", re.IGNORECASE)
"""Comments by which the field's scanners are told that a line is no secret."""
_NEXT_ALLOWED = re.compile(r"pragma: ?allowlist nextline secret", re.IGNORECASE)


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
        return self._formats.ready or not _Letters(text).holds_token()

    def find(self, text: str, path: str = "") -> list[Found]:
        """The secrets in `text` in order, none overlapping. `path` says whether values may stand without quotes.

        Waits for Kingfisher's rules unless `sure`. Raises `NotReady` when they cannot be loaded.
        """
        letters = _Letters(text)
        return self._found(letters, path, by_format=self._formats.ready or letters.holds_token())

    def find_now(self, text: str, path: str = "") -> list[Found] | None:
        """What `find` gives, or None where that would wait."""
        letters = _Letters(text)
        ready = self._formats.ready
        return self._found(letters, path, by_format=ready) if ready or not letters.holds_token() else None

    def _found(self, letters: _Letters, path: str, *, by_format: bool) -> list[Found]:
        text = letters.text
        found = list(_by_shape(letters, path))
        if by_format:
            found.extend(self._formats.find(text))
        if not found:
            return found
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
    return _by_shape(_Letters(text), path)


def _by_shape(letters: _Letters, path: str) -> Iterator[Found]:
    for rule, match in _matches(letters, _is_config(path)):
        if match is not None and rule.holds(match):
            yield Found(rule.name, *match.span("secret"))


@lru_cache(1024)
def _is_config(path: str) -> bool:
    name = PurePosixPath(path).name
    return bool(name) and (name.startswith(".env") or PurePosixPath(name).suffix.lower() in CONFIG_SUFFIXES)


def _matches(letters: _Letters, config: bool) -> Iterator[tuple[Rule, re.Match[str] | None]]:
    text = letters.text
    for literal, at, _ in _LITERALS.find_matches_as_indexes(letters.codes.lower(), overlapping=True):
        for rule in _RULES_OF[literal]:
            # The codes stand one place further to the right.
            if at > rule.back and (config or not rule.config_only):
                yield rule, rule.pattern.match(text, at - 1 - rule.back)
    line_end = -1
    for start in letters.long_runs():
        new_line = start > line_end
        if new_line:
            line_start = text.rfind("\n", 0, start) + 1
            line_end = text.find("\n", start)
            line_end = len(text) if line_end < 0 else line_end
        for rule in _RULES_OF_RUNS:
            if rule.config_only and not config:
                continue
            if not rule.by_line:
                yield rule, rule.pattern.match(text, max(0, start - rule.back))
            elif new_line:
                yield rule, rule.pattern.match(text, line_start)


_ALL_LITERALS = sorted({literal for rule in RULES for literal in rule.literals})
_LITERALS = BytesAhoCorasick([literal.encode("ascii") for literal in _ALL_LITERALS])
_RULES_OF = [[rule for rule in RULES if literal in rule.literals] for literal in _ALL_LITERALS]
_RULES_OF_RUNS = [rule for rule in RULES if not rule.literals]


# ── runs of characters ───────────────────────────────────────────────────────────────────────────────────────

_ALPHANUMERIC = string.ascii_letters + string.digits


def _all_but(letters: str) -> bytes:
    """A table for `bytes.translate`: 1 for each character code that is none of `letters`, else 0."""
    return bytes(chr(code) not in letters for code in range(256))


def _kind(code: int) -> int:
    """0 for what is neither digit (1) nor small letter (2) nor capital letter (3)."""
    letter = chr(code)
    return (
        (letter in string.digits)
        + 2 * (letter in string.ascii_lowercase)
        + 3 * (letter in string.ascii_uppercase)
    )


_NO_BASE64 = _all_but(_ALPHANUMERIC + "+/_=-")
_NO_TOKEN = _all_but(_ALPHANUMERIC + "_+/=~.-")
_KINDS = bytes(_kind(code) for code in range(256))
_TURNS = bytes((code // 4, code % 4) in ((1, 2), (1, 3), (2, 1), (3, 1), (2, 3)) for code in range(256))
"""By four times a character's kind plus that of the next: whether letters and digits, or small and capital, take turns."""


class _Letters:
    """A text by its characters' codes: whole arrays of them are looked through at once.

    A regular expression tries each character of each word as a beginning, which takes ten times as long.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.codes = b"\n%b\n" % text.encode("latin-1", "replace")
        """One byte for each character, with one in front and one behind; `?` for all that is not Latin."""
        self._starts, self._ends = self._runs(_NO_TOKEN, _SHORTEST_TOKEN)

    def _runs(self, outside: bytes, shortest: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where the runs of at least `shortest` characters that are not `outside` begin and end in the text."""
        edges = np.frombuffer(self.codes.translate(outside), np.bool_).nonzero()[0]
        long = (edges[1:] - edges[:-1] > shortest).nonzero()[0]
        # A run begins behind an edge; in the text everything stands one place further to the left.
        return edges[long], edges[long + 1] - 1

    def long_runs(self) -> list[int]:
        """Where runs of base64 begin that are long enough to be a secret."""
        if not len(self._starts) or not (self._ends - self._starts >= LONG_RUN).any():
            return []
        starts, _ = self._runs(_NO_BASE64, LONG_RUN)
        return [int(start) for start in starts]

    def holds_token(self) -> bool:
        """Whether a run is mixed enough to be a provider's token: see `switches`."""
        lengths = self._ends - self._starts
        if not len(lengths):
            return False
        bounds = zip(self._starts.tolist(), self._ends.tolist(), strict=True)
        runs = b"\n".join([self.codes[start + 1 : end + 1] for start, end in bounds])
        kinds = np.frombuffer(runs.translate(_KINDS), np.uint8)
        turns = np.frombuffer((kinds[:-1] * 4 + kinds[1:]).tobytes().translate(_TURNS), np.uint8)
        begins = np.cumsum(lengths + 1) - lengths - 1
        counts = np.add.reduceat(turns, begins, dtype=np.int64)
        return bool(((counts > 2) & (counts * 7 >= lengths)).any())


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
