"""Who asks: an API key or a session cookie. Being on this machine is no credential."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from codeweft.accounts import Accounts, Identity, Scope
from codeweft.errors import NotAllowed, NotSignedIn

COOKIE = "codeweft_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = frozenset({"/health", "/ready", "/signin", "/v1/health_check", "/api/session", "/api/openapi.json"})
"""Answered without signing in, as is the built web UI, which holds nothing secret."""

PRIVATE = ("/v1", "/api", "/infill", "/props", "/mcp", "/metrics")
"""Beginnings of the addresses that need to know who asks."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request's headers say. `marked` is the header that other sites' forms cannot send."""

    secret: str | None = None
    by_cookie: bool = False
    marked: bool = False
    length: int | None = None
    encoded: str | None = None


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Credentials:
    """One pass over the raw headers. A key wins over a cookie."""
    key = cookie = length = encoded = None
    marked = False
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer":
                key = token.strip().decode("latin-1")
        elif name == b"x-api-key":
            key = key or value.strip().decode("latin-1")
        elif name == b"cookie":
            cookie = _session(value.decode("latin-1")) or cookie
        elif name == b"x-codeweft":
            marked = True
        elif name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            encoded = value.decode("latin-1")
    return Credentials(key or cookie, key is None and cookie is not None, marked, length, encoded)


def needs_identity(path: str) -> bool:
    return path not in PUBLIC and path.startswith(PRIVATE)


_SCOPES: tuple[tuple[str, Scope], ...] = (
    ("/v1/search", "search"),
    ("/v1/retrieval", "search"),
    ("/v1/embeddings", "search"),
    ("/v1/dataprep/get", "search"),
    ("/v1/dataprep/indices", "search"),
    ("/v1/dataprep", "knowledge"),
    ("/api/search", "search"),
    ("/api/symbols", "search"),
    ("/api/grep", "search"),
    ("/api/indexes", "knowledge"),
    ("/api/jobs", "knowledge"),
    ("/api/tags", "generate"),
    ("/api/ps", "generate"),
    ("/api/show", "generate"),
    ("/api/chat/ws", "account"),
    ("/api/chat", "generate"),
    ("/api/generate", "generate"),
    ("/api/embed", "search"),
    ("/api/version", "generate"),
    ("/api/models", "generate"),
    ("/api", "account"),
    ("/metrics", "account"),
)
"""Which scope an address needs, by its beginning; all others write answers."""


def check_scope(identity: Identity, path: str, method: str) -> None:
    """Raises `NotAllowed` for a key that is not for this address, and for a member who changes what is indexed."""
    needed: Scope = next((scope for start, scope in _SCOPES if path.startswith(start)), "generate")
    if not identity.may(needed):
        raise NotAllowed(
            f"This key is for {', '.join(identity.scopes)}; {path} needs {needed}.",
            fix=f"Make a key with the scope {needed} (`codeweft keys create --scope {needed}`).",
        )
    if needed == "knowledge" and method not in SAFE and identity.user.role != "admin":
        # Whoever adds an index chooses what this machine reads, and what a summary of it costs.
        raise NotAllowed("Only an administrator may change what is indexed.", fix="Ask one of them.")


async def identify(accounts: Accounts, given: Credentials, path: str, method: str) -> Identity | None:
    """Who asks; None for a stranger at a public address.

    Raises `NotSignedIn`, and `NotAllowed` for a change that a cookie alone vouches for (another site could send it).
    """
    identity = None
    if given.secret is not None:
        identity = accounts.known(given.secret) or await accounts.identify(given.secret)
    if identity is None and needs_identity(path):
        if given.secret is None:
            raise NotSignedIn(
                "This address needs an API key or a session.",
                fix="Send `Authorization: Bearer KEY` (`codeweft keys create --name NAME` makes a key), "
                "or sign in with the link that `codeweft signin` prints.",
            )
        raise NotSignedIn(
            "Your session has ended."
            if given.by_cookie
            else "This API key is not known; it may have been deleted.",
            fix="`codeweft signin` prints a new link."
            if given.by_cookie
            else "`codeweft keys create --name NAME` makes a new one.",
        )
    if identity is not None and needs_identity(path):
        check_scope(identity, path, method)
    if identity is not None and given.by_cookie and method not in SAFE and not given.marked:
        raise NotAllowed(
            "A change made with a session needs the header `X-Codeweft: 1`.", fix="Send it, or use a key."
        )
    return identity


def _session(header: str) -> str | None:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None
