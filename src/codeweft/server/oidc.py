"""Single sign-on: OpenID Connect's code flow with PKCE (https://openid.net/specs/openid-connect-core-1_0.html).

All that has to be remembered between leaving for the provider and coming back is one random secret in a cookie of
that browser: state, nonce and PKCE's verifier are derived from it, so that any process can finish what another began.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from codeweft.accounts import External, Role
from codeweft.config import OidcSettings
from codeweft.errors import NotAllowed, NotSignedIn, UpstreamFailed

if TYPE_CHECKING:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

log = logging.getLogger("codeweft.server")

START: Final = "/signin/oidc"
CALLBACK: Final = "/signin/oidc/callback"
METADATA_SECONDS: Final = 3600
"""How long a provider's discovery document and keys are kept; keys also come anew when one is missing."""
TIMEOUT_SECONDS: Final = 10
LEEWAY_SECONDS: Final = 60
"""By how much the provider's clock may be off."""
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures by a key that only the provider has."""
_SECRET_LENGTH: Final = 43
"""Characters of 256 bits in base 64."""
_RANKS: Final[tuple[Role, ...]] = ("admin", "member", "viewer")
_DISCOVERY: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Trip:
    """One sign-in on its way to the provider and back; `secret` stays in the browser's cookie."""

    secret: str

    @classmethod
    def begin(cls) -> Trip:
        return cls(secrets.token_urlsafe(32))

    @property
    def state(self) -> str:
        return self._derived("state")

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """64 characters; PKCE wants 43 to 128."""
        return self._derived("verifier")

    def _derived(self, use: str) -> str:
        return hashlib.sha256(f"{use}:{self.secret}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Admission:
    """What a provider's claims come to: who it is, and the role and team of the groups (None: not decided there)."""

    external: External
    role: Role | None
    team: str | None


def decide(claims: Mapping[str, Any], chosen: OidcSettings) -> Admission:
    """Read the checked claims as the settings say. Raises `NotAllowed` for a user of another domain."""
    email = str(claims.get("email") or "")
    if chosen.domains:
        user, _, domain = email.lower().rpartition("@")
        if (
            not user
            or domain not in [one.lower() for one in chosen.domains]
            or claims.get("email_verified") is False
        ):
            raise NotAllowed(
                f"Users of {domain or 'no mail domain'} are not let in here.",
                fix="Sign in with an account of your team.",
            )
    named = claims.get(chosen.user_claim) or email or claims["sub"]
    name = "".join(letter for letter in str(named) if letter.isprintable()).strip()[:200]
    given = claims.get(chosen.groups_claim) or ()
    groups = (
        [str(one) for one in given]
        if isinstance(given, Sequence) and not isinstance(given, str)
        else [str(given)]
    )
    role: Role | None = None
    if chosen.roles:
        roles = [chosen.roles[group] for group in groups if group in chosen.roles]
        role = min(roles, key=_RANKS.index, default="member")
    team = None
    if chosen.teams:
        team = next((team for group, team in chosen.teams.items() if group in groups), "")
    return Admission(External(chosen.issuer.rstrip("/"), str(claims["sub"]), name, email), role, team)


class Provider:
    """The OpenID provider that the settings name."""

    def __init__(self, chosen: OidcSettings) -> None:
        self._chosen = chosen
        self._metadata: Mapping[str, Any] = {}
        self._keys: Mapping[str, Any] = {}
        self._read_at = 0.0

    async def begin(self, base: str, trip: Trip) -> str:
        """Where to send the browser. Raises `UpstreamFailed`."""
        async with self._client(base) as client:
            url, _ = client.create_authorization_url(
                self._metadata["authorization_endpoint"],
                state=trip.state,
                nonce=trip.nonce,
                code_verifier=trip.verifier,
            )
            return str(url)

    async def finish(self, base: str, trip: Trip, answer: Mapping[str, str]) -> Admission:
        """Who came back with `answer` (the callback's query).

        Raises `NotSignedIn` when the provider refused or the answer is not to this trip, `NotAllowed`, `UpstreamFailed`.
        """
        mine = (
            len(trip.secret) >= _SECRET_LENGTH
        )  # without a cookie the state would be one that anybody can make
        if not mine or not secrets.compare_digest(answer.get("state", "").encode(), trip.state.encode()):
            raise NotSignedIn(
                "This sign-in was not begun in this browser, or too long ago.", fix="Begin again."
            )
        if answer.get("error"):
            told = answer.get("error_description") or answer["error"]
            raise NotSignedIn(f"{self._chosen.name} did not let you in: {told[:300]}.", fix="Begin again.")
        async with self._client(base) as client:
            self._check_issuer(answer.get("iss"))
            claims = await self._claims(client, trip, answer.get("code", ""))
        return decide(claims, self._chosen)

    async def end_address(self, base: str) -> str | None:
        """Where the provider ends its own session; None when it does not say, or does not answer."""
        try:
            await self._discover()
        except UpstreamFailed:
            return None
        end = self._metadata.get("end_session_endpoint")
        if not isinstance(end, str):
            return None
        query = {"client_id": self._chosen.client_id, "post_logout_redirect_uri": f"{base}/"}
        return f"{end}{'&' if '?' in end else '?'}{urlencode(query)}"

    async def _claims(self, client: AsyncOAuth2Client, trip: Trip, code: str) -> Mapping[str, Any]:
        token = await client.fetch_token(
            self._metadata["token_endpoint"],
            grant_type="authorization_code",
            code=code,
            code_verifier=trip.verifier,
        )
        claims = await self._checked(client, str(token.get("id_token") or ""), trip)
        wanted = {self._chosen.user_claim, "email", *([self._chosen.groups_claim] if self._by_groups else [])}
        more = self._metadata.get("userinfo_endpoint")
        if more and not wanted <= claims.keys():
            response = await client.get(more)
            response.raise_for_status()
            told = response.json()
            if isinstance(told, dict) and told.get("sub") == claims["sub"]:
                claims = {**told, **claims}
        return claims

    @property
    def _by_groups(self) -> bool:
        return bool(self._chosen.roles or self._chosen.teams)

    async def _checked(self, client: AsyncOAuth2Client, token: str, trip: Trip) -> dict[str, Any]:
        """The claims of an ID token after its signature, issuer, audience, times and nonce were checked."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError
        from joserfc.jwk import KeySet

        client_id = self._chosen.client_id
        registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._metadata["issuer"]},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": trip.nonce},
        )
        try:
            try:
                keys = KeySet.import_key_set(self._keys or await self._fetch_keys(client))  # type: ignore[arg-type]
                decoded = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
            except InvalidKeyIdError:
                keys = KeySet.import_key_set(await self._fetch_keys(client))  # type: ignore[arg-type]
                decoded = jwt.decode(token, keys, algorithms=list(ALGORITHMS))
            claims: dict[str, Any] = decoded.claims
            registry.validate(claims)
        except (JoseError, ValueError) as error:
            log.warning("an ID token was refused: %s", error)
            raise NotSignedIn(
                f"What {self._chosen.name} said about you cannot be believed ({error}).", fix="Begin again."
            ) from None
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client_id:
            raise NotSignedIn("The provider's token is for another program.", fix="Begin again.")
        return claims

    def _check_issuer(self, issuer: str | None) -> None:
        """RFC 9207: an answer that says who it is from must be from whom was asked."""
        if issuer is not None and issuer != self._metadata["issuer"]:
            raise NotSignedIn("The answer came from another provider.", fix="Begin again.")

    async def _fetch_keys(self, client: AsyncOAuth2Client) -> Mapping[str, Any]:
        response = await client.request("GET", self._metadata["jwks_uri"], withhold_token=True)
        response.raise_for_status()
        found = response.json()
        if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
            raise ValueError("its keys are no key set")
        self._keys = found
        return found

    async def _discover(self) -> None:
        """Read the discovery document, unless it was read lately. Raises `UpstreamFailed`."""
        import httpx2

        if self._metadata and time.monotonic() - self._read_at < METADATA_SECONDS:
            return
        issuer = self._chosen.issuer.rstrip("/")
        with _told(self._chosen.name):
            async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=True) as client:
                response = await client.get(issuer + _DISCOVERY)
            response.raise_for_status()
            found = response.json()
            needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
            if not isinstance(found, dict) or not all(isinstance(found.get(one), str) for one in needed):
                raise ValueError("its discovery document is incomplete")
            if found["issuer"].rstrip("/") != issuer:
                raise ValueError(f"it calls itself {found['issuer']}, not {issuer}")
        self._metadata, self._keys, self._read_at = found, {}, time.monotonic()

    @asynccontextmanager
    async def _client(self, base: str) -> AsyncIterator[AsyncOAuth2Client]:
        from authlib.integrations.base_client import OAuthError
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        await self._discover()
        chosen = self._chosen
        known = self._metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"
        with _told(chosen.name):
            try:
                async with AsyncOAuth2Client(
                    chosen.client_id,
                    chosen.client_secret,
                    token_endpoint_auth_method=method if chosen.client_secret else "none",
                    scope=" ".join(chosen.scopes),
                    redirect_uri=base + CALLBACK,
                    code_challenge_method="S256",
                    timeout=TIMEOUT_SECONDS,
                ) as client:
                    yield client
            except OAuthError as error:
                log.warning("single sign-on refused a code: %s", error)
                raise NotSignedIn(f"{chosen.name} refused: {error}.", fix="Begin again.") from None


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What goes wrong with the provider is told as its failure."""
    import httpx2

    try:
        yield
    except (httpx2.HTTPError, ValueError) as error:
        raise UpstreamFailed(
            f"{name} cannot be asked: {error}.",
            fix="Try again; an administrator checks `sign_in.oidc` in the settings.",
        ) from None
