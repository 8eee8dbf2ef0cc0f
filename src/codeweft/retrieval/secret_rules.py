"""Our own rules for secrets: those without a provider's format, and the commonest formats while Kingfisher's load.

The formats come from the providers' public documentation, named in each row. Kingfisher checks more (checksums), so
these also hide a token that was made up, which is what a reader would want too.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

CONFIG_SUFFIXES: Final = frozenset((
    ".env", ".ini", ".cfg", ".cnf", ".conf", ".config", ".properties", ".yaml", ".yml", ".toml", ".tfvars", ".netrc",
    ".npmrc", ".pypirc", ".pgpass", ".sh", ".bash", ".zsh", ".service", ".txt",
))  # fmt: skip
"""Files in which values stand without quotes."""

Match = re.Match[str]
LONG_RUN: Final = 24
"""Shorter strings without a name of their own are no secrets."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The group `secret` of `pattern` is a secret, if `holds` says so.

    `pattern` is tried `back` characters before each of `literals` (lower case). Without literals it is tried around each
    run of at least `LONG_RUN` characters of base64: where its line begins, or `back` characters before it.
    """

    name: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    holds: Callable[[Match], bool] = lambda _: True
    back: int = 0
    config_only: bool = False
    """Only in files whose values stand without quotes."""
    by_line: bool = False


# ── what a value looks like ──────────────────────────────────────────────────────────────────────────────────

_EXPRESSION = re.compile(
    r"\$\{|\$\(|\{\{|%\(|#\{|<[\w .-]+>|^[$%@&{\[<(]|\*{3}|\.{3}|…|x{5}|^[\w.]+[(\[]", re.IGNORECASE
)
_PLACEHOLDER = re.compile(
    r"example|change.?me|change.?it|place.?holder|redacted|your|dummy|sample|insert|todo|undefined|getenv|environ",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Za-z]+(?:[ _.:/\\-][A-Za-z]+)*[0-9]?")
"""A name, a path or a phrase: letters in groups, and perhaps a number at the end."""
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SWITCH = re.compile(r"[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])|[a-z](?=[A-Z])")
_ALPHABETS = ("0123456789", "1234567890", "abcdefghijklmnopqrstuvwxyz")
_LONG, _RANDOM_BITS = 28, 4.0
"""A value that long and that mixed is random, whatever words it happens to hold."""
_NO_PASSWORDS: Final = frozenset((
    "password", "passwort", "passphrase", "passwd", "username", "string", "hidden", "secret", "required", "optional",
    "boolean", "integer", "varchar", "bcrypt", "argon2", "sha256", "prompt", "current-password", "new-password",
))  # fmt: skip


def entropy(text: str) -> float:
    """Shannon entropy in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values()) if text else 0.0


def switches(text: str) -> int:
    """How often letters and digits, or small and capital letters, take turns."""
    return len(_SWITCH.findall(text))


def _real(value: str) -> bool:
    """Whether a value can be a secret at all: no expression, no placeholder, no alphabet."""
    low = value.lower()
    if _EXPRESSION.search(value) or len(set(value)) < 4 or any(low in run for run in _ALPHABETS):
        return False
    return not _PLACEHOLDER.search(value) or (len(value) >= _LONG and entropy(value) >= _RANDOM_BITS)


def _assigned(match: Match) -> bool:
    """Beside a name that says key, token or secret: a value mixed enough to be no word."""
    value = match["secret"]
    if not _real(value) or "://" in value or _UUID.fullmatch(value):
        return False
    return any(c.isdigit() for c in value) and not _WORDS.fullmatch(value) and entropy(value) >= 2.5


def _password(match: Match) -> bool:
    """Beside a name that says password: a literal that is no name, no path and no word of an interface."""
    value = match["secret"]
    if not _real(value) or "://" in value or value.startswith("/") or value.lower() in _NO_PASSWORDS:
        return False
    if any(c.isdigit() for c in value):
        return True
    return (
        value.islower()
        and value.isalpha()
        and len(value) >= 8
        and "pass" not in value
        and entropy(value) >= 2.8
    )


def _random(match: Match) -> bool:
    """A string that nobody typed: base64 with every kind of character evenly mixed."""
    value = match["secret"]
    return (
        switches(value) * 5 >= len(value)
        and any(c.isdigit() for c in value)
        and any(c.isupper() for c in value)
        and any(c.islower() for c in value)
        and entropy(value) >= 4.5
        and _real(value)
    )


def _literal(match: Match) -> bool:
    return _real(match["secret"])


def _no_words(match: Match) -> bool:
    return _real(match["secret"]) and not _WORDS.fullmatch(match["secret"])


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────

_WHICH_KEY = (
    "api", "access", "auth", "secret", "private", "encryption", "signing", "master", "account", "storage", "shared",
    "service", "deploy",
)  # fmt: skip
_BEFORE_KEY = "|".join(f"(?<={word})|(?<={word}[_.-])" for word in _WHICH_KEY)
_KEY = rf"(?:secret|token|credential|(?:{_BEFORE_KEY})key)[\w.-]{{0,30}}+"
_PASS = r"(?:passw(?:or)?d|passphrase|pwd)[\w.-]{0,20}+"
_KEY_WORDS = ("secret", "token", "credential", "key")
_PASS_WORDS = ("password", "passwd", "passphrase", "pwd")
_IS = r"""["'`\]]{0,2}+\s{0,5}+(?::=|=>|=|:)\s{0,5}+"""
_QUOTED = r"""[bruf]?(?P<quote>["'`])(?P<secret>(?:(?!(?P=quote))[^\s\\]){%s})(?P=quote)"""
_BARE = r"[ \t]*[:=][ \t]*(?:!!binary )?(?P<secret>[^\s\"'`#;,(){}\[\]$<]{%s})[ \t]*(?:[#;].*)?$"
_BLOCK = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"


def _token(name: str, literals: str, pattern: str) -> Rule:
    """A format that begins with one of `literals`; the whole of it is the secret."""
    return Rule(name, tuple(literals.split()), re.compile(rf"(?P<secret>{pattern})(?![A-Za-z0-9])", re.ASCII))


def _quoted(name: str, words: tuple[str, ...], left: str, long: str, holds: Callable[[Match], bool]) -> Rule:
    """A name, and a value in quotes that is `long` characters long."""
    return Rule(name, words, re.compile(left + _IS + _QUOTED % long, re.IGNORECASE), holds)


def _bare(name: str, words: tuple[str, ...], left: str, long: str, holds: Callable[[Match], bool]) -> Rule:
    """A name and a value at the end of a line of settings."""
    pattern = re.compile(left + _BARE % long, re.IGNORECASE | re.MULTILINE)
    return Rule(name, words, pattern, holds, config_only=True)


GUESSED: Final = frozenset(("secret-in-assignment", "password-in-assignment", "random-string"))
"""Rules that do not know what they found; another's word for the same place is better."""
RULES: Final[tuple[Rule, ...]] = (
    # RFC 7468 and 4716 and PGP's blocks (RFC 9580), PuTTY's key files; a block cut short is hidden as far as it goes.
    Rule(
        "private-key",
        ("-----begin",),
        re.compile(rf"(?P<secret>{_BLOCK}(?:(?:(?!-----BEGIN)[\s\S]){{20,20000}}?-----END [A-Z0-9 ]{{0,40}}PRIVATE KEY"
                   r"(?: BLOCK)?-----|(?:\s*[A-Za-z0-9+/=]{40,})+))"),
    ),
    Rule("private-key", ("private-lines:",), re.compile(r"Private-Lines: \d+(?P<secret>(?:\r?\n[A-Za-z0-9+/=]{4,})+)")),
    # docs.aws.amazon.com, IAM identifiers: the prefix says what the identifier belongs to.
    _token("aws-access-key-id", "akia asia abia acca", r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    # learn.microsoft.com: client secrets of Entra applications hold a digit and `Q~` behind their first characters.
    Rule("azure-client-secret", ("q~",),
         re.compile(r"(?<![\w~.-])(?P<secret>[\w~.-]{3}\dQ~[\w~.-]{31,34})(?![\w~.-])"), back=4),
    # docs.github.com and docs.gitlab.com: token prefixes.
    _token("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    _token("github-token", "github_pat_", r"github_pat_\w{60,}"),
    _token("gitlab-token", "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- gloas- glagent-", r"gl[a-z]{2,6}-[\w.-]{20,}"),
    # api.slack.com: tokens and incoming webhooks.
    _token("slack-token", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-", r"x(?:ox[abeoprs]|app)-[A-Za-z0-9-]{16,}"),
    _token("slack-webhook", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/+]{30,}"),
    # docs.stripe.com, platform.openai.com, docs.anthropic.com, ai.google.dev, huggingface.co: API keys.
    _token("stripe-key", "sk_live_ sk_test_ rk_live_ rk_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _token("openai-key", "sk-", r"(?<![A-Za-z0-9])sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{40,}"),
    _token("anthropic-key", "sk-ant-", r"sk-ant-[\w-]{24,}"),
    _token("google-api-key", "aiza", r"(?<![A-Za-z0-9])AIza[\w-]{35}"),
    _token("hugging-face-token", "hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{34,}"),
    # docs.npmjs.com, pypi.org/help, docs.sendgrid.com, docs.digitalocean.com, shopify.dev: tokens.
    _token("npm-token", "npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}"),
    _token("pypi-token", "pypi-ageichlwas5vcmc", r"pypi-AgEIcHlwaS5vcmc[\w-]{50,}"),
    _token("sendgrid-key", "sg.", r"(?<![A-Za-z0-9])SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    _token("digitalocean-token", "doo_v1_ dop_v1_ dor_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    _token("shopify-token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}"),
    # jfrog.com, grafana.com, fly.io, planetscale.com, clickhouse.com, harness.io: prefixes of their tokens.
    _token("artifactory-token", "akcp cmvmd", r"(?<![A-Za-z0-9])(?:AKCp[A-Za-z0-9]{69}|cmVmd[A-Za-z0-9]{59})"),
    _token("grafana-token", "glc_ eyjrijoi", r"(?:glc_[A-Za-z0-9+/]{32,400}|eyJrIjoi[A-Za-z0-9]{70,400})={0,3}"),
    _token("fly-token", "fm1 fm2_ fo1_", r"(?:fm(?:1[ar]|2)_[A-Za-z0-9+/]{60,}={0,3}|fo1_[\w-]{43})"),
    _token("planetscale-token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w=.-]{32,64}"),
    _token("clickhouse-key", "4b1d", r"(?<![A-Za-z0-9])4b1d[A-Za-z0-9]{38}"),
    _token("harness-token", "pat. sat.", r"(?<![A-Za-z0-9])[ps]at\.[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    # RFC 7519: header and payload are JSON objects, whose base64 begins with `eyJ`.
    _token("json-web-token", "eyj", r"(?<![A-Za-z0-9])eyJ[\w-]{14,}\.eyJ[\w-]{14,}\.[\w-]{16,}"),
    # RFC 3986: user information in an address. RFC 7617 and 6750: credentials in a header. curl's manual: --user.
    Rule("password-in-address", ("://",),
         re.compile(r"://[^\s:/@\"'`<>]{0,64}:(?P<secret>[^\s:/@\"'`<>]{3,128})@[\w.\[-]"), _literal),
    Rule("authorization-header", ("authorization",), re.compile(
        r"authorization[\"']?\s{0,3}[:=,]\s{0,3}[\"']?(?:basic|bearer|token)\s+(?P<secret>[\w+/=.~-]{12,})",
        re.IGNORECASE), _no_words),
    Rule("curl-user", ("curl ",), re.compile(
        r"curl [^\n]{0,200}?(?<=\s)(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,64}:(?P<secret>[^\s\"']{3,128})"), _literal),
    # A value beside a name that says what it is, in quotes, or bare in a file of settings.
    _quoted("secret-in-assignment", _KEY_WORDS, _KEY, "8,200", _assigned),
    _quoted("password-in-assignment", _PASS_WORDS, _PASS, "6,100", _password),
    _bare("secret-in-assignment", _KEY_WORDS, _KEY, "8,200", _assigned),
    _bare("password-in-assignment", _PASS_WORDS, _PASS, "6,100", _password),
    # A random string says nothing about itself.
    Rule("random-string", (),
         re.compile(r"""(?P<quote>["'`])(?P<secret>[A-Za-z0-9+/_=-]{24,200})(?P=quote)"""), _random, back=1),
    Rule("random-string", (), re.compile(
        r"^[ \t]*[\w.-]{1,60}[ \t]*[:=][ \t]*(?:!!binary )?(?P<secret>[A-Za-z0-9+/_=-]{24,200})[ \t]*$",
        re.MULTILINE), _random, config_only=True, by_line=True),
)  # fmt: skip
