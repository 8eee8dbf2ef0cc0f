"""Signing in and out, registering, and what users change about their own way in."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field, SecretStr
from starlette.requests import Request
from starlette.responses import Response

from codeweft import __version__
from codeweft.accounts import Identity, Registration, Session
from codeweft.errors import NotAllowed
from codeweft.runtime.compose import Runtime
from codeweft.server.auth import COOKIE
from codeweft.server.browser import base_address, set_session
from codeweft.server.deps import NO_CONTENT, BySession, ByUser, FromWhere, MaybeIdentity
from codeweft.server.oidc import START, Provider
from codeweft.server.views import Body, UserView, View, iso

DAY = 86400
FRESH_SECONDS = 15 * 60
"""So long after signing in by a link a password may be set without the current one: that is how it is reset."""

Secret = Annotated[SecretStr, Field(min_length=1, max_length=1000)]
Code = Annotated[
    str, Field(min_length=1, max_length=100, description="Of the authenticator app, or a recovery code.")
]


class ProviderView(View):
    name: str = Field(description="What the button says.")
    path: str = Field(description="Where the button leads; `?next=/path` comes back there.")


class SignInView(View):
    """The ways to come in that this server offers."""

    password: bool
    registration: Registration
    totp: Literal["optional", "required"]
    provider: ProviderView | None


class SessionView(View):
    user: UserView | None
    version: str
    sign_in: SignInView
    factor_needed: bool = Field(
        description="Nothing but `/api/me` is answered until a second factor is set up."
    )


class SignInBody(Body):
    name: str = Field(min_length=1, max_length=200)
    password: Secret
    code: Code | None = Field(None, description="The second factor, when 401 `code_needed` asked for it.")


class SignedOutView(View):
    continue_at: str | None = Field(
        description="Address to go to, which ends the session at the single sign-on too."
    )


class RegistrationBody(Body):
    name: str = Field(min_length=1, max_length=200)
    password: Secret


class RegistrationView(View):
    name: str
    status: Literal["active", "waiting"] = Field(description="Who waits is let in by an administrator.")


class MeView(View):
    user: UserView
    has_password: bool
    has_totp: bool
    recovery_codes_left: int
    issuers: list[str] = Field(description="Single sign-on providers that let this user in.")
    current_password_needed: bool = Field(description="To set a password; not right after a one-time link.")


class PasswordBody(Body):
    password: Secret
    current: Secret | None = None


class CodeBody(Body):
    code: Code


class NewTotpView(View):
    secret: str
    uri: str = Field(description="`otpauth://` address, to be shown as a QR code.")


class RecoveryView(View):
    recovery_codes: list[str] = Field(description="Each replaces the app once. Shown this once.")


class OwnSessionView(View):
    id: str
    how: str = Field(description="link, password or oidc.")
    created_at: str
    expires_at: str
    address: str
    agent: str
    current: bool

    @classmethod
    def of(cls, session: Session, current: str) -> OwnSessionView:
        return cls(
            id=session.id,
            how=session.how,
            created_at=iso(session.created_at),
            expires_at=iso(session.expires_at),
            address=session.address,
            agent=session.agent,
            current=session.id == current,
        )


class EndedView(View):
    ended: int


def session_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter()
    accounts = runtime.accounts
    signin = accounts.signin
    oidc = runtime.settings.sign_in.oidc
    provider = None if oidc is None else Provider(oidc)

    def view(identity: Identity | None) -> SessionView:
        ways = runtime.settings.sign_in
        return SessionView(
            user=None if identity is None else UserView.of(identity.user),
            version=__version__,
            sign_in=SignInView(
                password=ways.password,
                registration=ways.registration,
                totp=ways.totp,
                provider=None if oidc is None else ProviderView(name=oidc.name, path=START),
            ),
            factor_needed=identity is not None and identity.enrolling,
        )

    async def begin(token: str, request: Request, response: Response) -> SessionView:
        """A new session in place of the browser's last one."""
        if old := request.cookies.get(COOKIE):
            await accounts.sign_out(old)
        set_session(response, request, runtime.settings, token)
        return view(accounts.known(token))

    # ── in and out ───────────────────────────────────────────────────────────────────────────────────────────

    @routes.get("/session", tags=["session"])
    async def get_session(identity: MaybeIdentity) -> SessionView:
        """Who is signed in, and how one can sign in."""
        return view(identity)

    @routes.post("/session", tags=["session"])
    async def sign_in(
        body: SignInBody, request: Request, response: Response, where: FromWhere
    ) -> SessionView:
        """Sign in with a password. 401 `code_needed`: ask for the second factor and send it too; 429: too many
        attempts, `Retry-After` says when again."""
        if not runtime.settings.sign_in.password:
            raise NotAllowed("Passwords are not used here.", fix="Use single sign-on or a one-time link.")
        token = await signin.with_password(
            body.name.strip(), body.password.get_secret_value(), body.code, where
        )
        return await begin(token, request, response)

    @routes.delete("/session", tags=["session"])
    async def sign_out(request: Request, response: Response, identity: MaybeIdentity) -> SignedOutView:
        """Sign out."""
        if token := request.cookies.get(COOKIE):
            await accounts.sign_out(token)
        response.delete_cookie(COOKIE, path="/")
        leave = None
        if provider is not None and identity is not None and identity.how == "oidc":
            leave = await provider.end_address(base_address(request, runtime.settings))
        return SignedOutView(continue_at=leave)

    @routes.post("/registration", status_code=201, tags=["session"])
    async def register(
        body: RegistrationBody, request: Request, response: Response, where: FromWhere
    ) -> RegistrationView:
        """Register, where the settings allow it. An active user is signed in; others wait for an approval."""
        password = body.password.get_secret_value()
        user = await signin.register(body.name, password, where)
        if user.status == "active":
            await begin(await signin.with_password(user.name, password, None, where), request, response)
        return RegistrationView(name=user.name, status="active" if user.status == "active" else "waiting")

    # ── one's own ────────────────────────────────────────────────────────────────────────────────────────────

    def needs_current(identity: Identity, has_password: bool) -> bool:
        fresh = identity.how == "link" and time.time() - identity.since < FRESH_SECONDS
        return has_password and not fresh

    @routes.get("/me", tags=["me"])
    async def get_me(identity: BySession) -> MeView:
        """You, and how you can sign in."""
        factors = await signin.factors(identity.user)
        return MeView(
            user=UserView.of(identity.user),
            has_password=factors.password,
            has_totp=factors.totp,
            recovery_codes_left=factors.recovery,
            issuers=list(factors.issuers),
            current_password_needed=needs_current(identity, factors.password),
        )

    @routes.put("/me/password", tags=["me"])
    async def set_password(
        body: PasswordBody,
        identity: BySession,
        by: ByUser,
        where: FromWhere,
        request: Request,
        response: Response,
    ) -> SessionView:
        """Set your password. Your other sessions end, and this one gets a new cookie."""
        if not runtime.settings.sign_in.password:
            raise NotAllowed("Passwords are not used here.")
        user = identity.user
        if needs_current(identity, (await signin.factors(user)).password):
            if body.current is None:
                raise NotAllowed(
                    "The current password is needed.", fix="Send it as `current`, or sign in by a new link."
                )
            await signin.check_current(user, body.current.get_secret_value(), where)
        await signin.set_password(user, body.password.get_secret_value(), actor=by)
        await accounts.sessions.end_all(user.id)
        return await begin(await accounts.renew(user, where), request, response)

    @routes.post("/me/totp", status_code=201, tags=["me"])
    async def begin_totp(identity: BySession) -> NewTotpView:
        """Begin to set up a second factor; `POST /me/totp/confirm` with a code of the app puts it in force."""
        secret, uri = await signin.begin_totp(identity.user)
        return NewTotpView(secret=secret, uri=uri)

    @routes.post("/me/totp/confirm", status_code=201, tags=["me"])
    async def confirm_totp(body: CodeBody, identity: BySession, by: ByUser) -> RecoveryView:
        """Put the second factor in force. Your other sessions end."""
        codes = await signin.confirm_totp(identity.user, body.code, actor=by)
        await accounts.sessions.end_all(identity.user.id, but=identity.session)
        return RecoveryView(recovery_codes=codes)

    @routes.post("/me/totp/remove", tags=["me"], **NO_CONTENT)
    async def remove_totp(body: CodeBody, identity: BySession, by: ByUser, where: FromWhere) -> None:
        """Take the second factor away; takes a code of it."""
        await signin.check_code(identity.user, body.code, where)
        await signin.remove_totp(identity.user, actor=by)

    @routes.post("/me/totp/recovery-codes", status_code=201, tags=["me"])
    async def renew_recovery_codes(
        body: CodeBody, identity: BySession, by: ByUser, where: FromWhere
    ) -> RecoveryView:
        """New recovery codes in place of the old ones; takes a code."""
        await signin.check_code(identity.user, body.code, where)
        return RecoveryView(recovery_codes=await signin.renew_recovery(identity.user, actor=by))

    @routes.get("/me/sessions", tags=["me"])
    async def list_sessions(identity: BySession) -> list[OwnSessionView]:
        """Where you are signed in, latest first."""
        found = await accounts.sessions.of(identity.user.id)
        return [OwnSessionView.of(one, identity.session) for one in found]

    @routes.delete("/me/sessions", tags=["me"])
    async def end_sessions(
        identity: BySession,
        by: ByUser,
        this: Annotated[bool, Query(description="This one as well.")] = False,
    ) -> EndedView:
        """Sign out everywhere else (`this=true`: here too)."""
        kept = "" if this else identity.session
        ended = await accounts.sessions.end_all(identity.user.id, but=kept)
        await accounts.people.note(by, "user.signout-everywhere", identity.user.name, ended=ended)
        return EndedView(ended=ended)

    @routes.delete("/me/sessions/{session}", tags=["me"], **NO_CONTENT)
    async def end_session(session: str, identity: BySession) -> None:
        """Sign out in one place."""
        await accounts.sessions.end(identity.user.id, session)

    return routes
