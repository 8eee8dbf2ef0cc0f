"""Who asks: an API key or a session cookie. Being on this machine is no credential.

What a browser sends by itself vouches for no change: a change without a key needs the header `X-Codeweft`, which no
other site can make a browser send without being asked for leave, and must not come from another site by
`Sec-Fetch-Site` or, from browsers that do not send that, by `Origin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import msgspec

from codeweft.accounts import SCOPES, Accounts, Identity, Scope
from codeweft.errors import FactorNeeded, NotAllowed, NotSignedIn

COOKIE = "codeweft_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = frozenset(
    {
        "/health", "/ready", "/signin", "/v1/health_check", "/api/session", "/api/registration",
        "/api/openapi.json",
    }
)  # fmt: skip
"""Answered without signing in, as is the built web UI, which holds nothing secret."""
ENROLLING = ("/api/session", "/api/me")
"""What a session may ask that still has to set up the second factor that the settings want."""

PRIVATE = ("/v1", "/api", "/infill", "/props", "/mcp", "/metrics")
"""Beginnings of the addresses that need to know who asks."""


class Credentials(msgspec.Struct, frozen=True):
    """What a request's headers say. `marked` is the header that other sites' forms cannot send.

    `site` is `Sec-Fetch-Site`; `origin` and `host` are for browsers that do not send it.
    """

    secret: str | None = None
    by_cookie: bool = False
    marked: bool = False
    length: int | None = None
    encoded: str | None = None
    site: bytes | None = None
    origin: bytes | None = None
    host: bytes = b""


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Credentials:
    """One pass over the raw headers. A key wins over a cookie."""
    key = cookie = length = encoded = site = origin = None
    host = b""
    marked = False
    for name, value in headers:
        if name not in _READ:
            continue
        if name == b"host":
            host = value
        elif name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer":
                key = token.strip().decode("latin-1")
        elif name == b"x-api-key":
            key = key or value.strip().decode("latin-1")
        elif name == b"cookie":
            cookie = _session(value.decode("latin-1")) or cookie
        elif name == b"x-codeweft":
            marked = True
        elif name == b"content-length":
            length = int(value) if value.isdigit() else None
        elif name == b"content-encoding":
            encoded = None if value.strip().lower() in (b"", b"identity") else value.decode("latin-1")
        elif name == b"sec-fetch-site":
            site = value
        else:
            origin = value
    return Credentials(
        key or cookie, key is None and cookie is not None, marked, length, encoded, site, origin, host
    )


_READ = frozenset(
    {
        b"host", b"authorization", b"x-api-key", b"cookie", b"x-codeweft", b"content-length",
        b"content-encoding", b"sec-fetch-site", b"origin",
    }
)  # fmt: skip


def same_site(given: Credentials, public_host: str | None) -> bool:
    """Whether a browser sent this from our own page (or is none). `public_host` is ours behind a proxy."""
    if given.site is not None:
        return given.site in (b"same-origin", b"none")
    if given.origin is None:
        return True
    origin = urlsplit(given.origin.decode("latin-1")).netloc
    return origin != "" and origin in (given.host.decode("latin-1"), public_host)


def needs_identity(path: str) -> bool:
    return path not in PUBLIC and path.startswith(PRIVATE)


_SCOPES: tuple[tuple[str, Scope], ...] = (
    ("/v1/search", "search"),
    ("/v1/retrieval", "search"),
    ("/v1/embeddings", "search"),
    ("/v1/dataprep/get", "search"),
    ("/v1/dataprep/indices", "search"),
    ("/v1/dataprep", "knowledge"),
    ("/v1/chat", "generate"),
    ("/v1/codegen", "generate"),
    ("/v1/codetrans", "generate"),
    ("/v1/completions", "generate"),
    ("/v1/events", "generate"),
    ("/v1/health", "generate"),
    ("/v1/health_check", "generate"),
    ("/v1/messages", "generate"),
    ("/v1/models", "generate"),
    ("/v1/openapi.json", "generate"),
    ("/v1/statistics", "generate"),
    ("/v1/responses", "generate"),
    ("/v1beta/server_setting", "generate"),
    ("/infill", "generate"),
    ("/props", "generate"),
    ("/mcp", "generate"),
    ("/api/search", "search"),
    ("/api/symbols", "search"),
    ("/api/grep", "search"),
    ("/api/indexes", "knowledge"),
    ("/api/jobs", "knowledge"),
    ("/api/chat/ws", "account"),
    ("/api/tags", "generate"),
    ("/api/ps", "generate"),
    ("/api/show", "generate"),
    ("/api/chat", "generate"),
    ("/api/generate", "generate"),
    ("/api/embed", "search"),
    ("/api/tasks", "generate"),
    ("/api/infill", "generate"),
    ("/api/pools", "generate"),
    ("/api/version", "generate"),
    ("/api/models", "generate"),
    ("/api/answers", "account"),
    ("/api/attachments", "account"),
    ("/api/audit", "account"),
    ("/api/conversations", "account"),
    ("/api/cost", "account"),
    ("/api/endpoints", "account"),
    ("/api/feedback", "account"),
    ("/api/keys", "account"),
    ("/api/limits", "account"),
    ("/api/me", "account"),
    ("/api/registration", "account"),
    ("/api/session", "account"),
    ("/api/setup", "account"),
    ("/api/settings", "account"),
    ("/api/snippets", "account"),
    ("/api/system", "account"),
    ("/api/teams", "account"),
    ("/api/turns", "account"),
    ("/api/usage", "account"),
    ("/api/users", "account"),
    ("/metrics", "account"),
)
"""Which scope an address and those below it need; the first row that fits. A test finds addresses without a row."""
_OF_ROLE: Mapping[str, frozenset[Scope]] = {
    "admin": frozenset(SCOPES),
    "member": frozenset(SCOPES),
    "viewer": frozenset({"search", "knowledge", "account"}),
}
"""What users of a role may do at all; only administrators change what is indexed."""


@lru_cache(1024)
def scope_of(path: str) -> Scope | None:
    """The scope that an address needs, None for one that no row is about."""
    return next((scope for start, scope in _SCOPES if _below(path, start)), None)


def _below(path: str, start: str) -> bool:
    return path == start or path.startswith(start + "/")


def check_scope(identity: Identity, path: str, method: str) -> None:
    """Raises `NotAllowed` for a key that is not for this address, and for a user whose role does not do this."""
    # An address without a row leads nowhere; a key for everything is told so.
    needed = scope_of(path) or "account"
    if not identity.may(needed):
        raise NotAllowed(
            f"This key is for {', '.join(identity.scopes)}; {path} needs {needed}.",
            fix=f"Make a key with the scope {needed} (`codeweft keys create --scope {needed}`).",
        )
    writes = (method not in SAFE and _below(path, "/api/conversations")) or _below(path, "/api/chat/ws")
    allowed = _OF_ROLE.get(identity.user.role, frozenset())
    if needed not in allowed or (writes and "generate" not in allowed):
        raise NotAllowed(
            f"A {identity.user.role} may look things up, and not have anything written.",
            fix="Ask an administrator for the role member.",
        )
    if needed == "knowledge" and method not in SAFE and identity.user.role != "admin":
        # Whoever adds an index chooses what this machine reads, and what a summary of it costs.
        raise NotAllowed("Only an administrator may change what is indexed.", fix="Ask one of them.")
    if identity.enrolling and not any(_below(path, start) for start in ENROLLING):
        raise FactorNeeded(
            "A second factor is required here, and you have none yet.",
            fix="Set one up in your account (`POST /api/me/totp`).",
        )


async def identify(
    accounts: Accounts, given: Credentials, path: str, method: str, public_host: str | None = None
) -> Identity | None:
    """Who asks; None for a stranger at a public address.

    Raises `NotSignedIn`, and `NotAllowed` for a change that a browser might have sent for another site.
    """
    identity = None
    if given.secret is not None:
        identity = accounts.known(given.secret) or await accounts.identify(given.secret)
    private = needs_identity(path)
    if identity is None and private:
        raise _stranger(given)
    if method not in SAFE and (given.by_cookie or identity is None):
        if not same_site(given, public_host):
            raise NotAllowed(
                "This change was sent by another site.",
                fix="Behind a proxy, set server.public_url to the address that people use.",
            )
        if not given.marked:
            raise NotAllowed(
                "A change made without a key needs the header `X-Codeweft: 1`.", fix="Send it, or use a key."
            )
    if identity is not None and private:
        check_scope(identity, path, method)
    return identity


def _stranger(given: Credentials) -> NotSignedIn:
    if given.secret is None:
        return NotSignedIn(
            "This address needs an API key or a session.",
            fix="Send `Authorization: Bearer KEY` (`codeweft keys create --name NAME` makes a key), "
            "or sign in with your password or the link that `codeweft signin` prints.",
        )
    if given.by_cookie:
        return NotSignedIn(
            "Your session has ended.", fix="Sign in again; `codeweft signin` prints a new link."
        )
    return NotSignedIn(
        "This API key is not known; it may have been deleted.",
        fix="`codeweft keys create --name NAME` makes a new one.",
    )


def _session(header: str) -> str | None:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None
