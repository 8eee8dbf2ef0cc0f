"""System, models and keys."""

from __future__ import annotations

import shutil
from typing import Annotated, Literal

import psutil
from fastapi import APIRouter, Query

from codeweft import __version__, config
from codeweft.accounts import SCOPES, Identity
from codeweft.errors import NotAllowed, NotFound
from codeweft.runtime.compose import Runtime
from codeweft.server.deps import NO_CONTENT, AnIdentity, ByUser, UserId, require_admin
from codeweft.server.health import ready
from codeweft.server.views import (
    EngineView,
    KeyView,
    MachineView,
    ModelView,
    NewKeyBody,
    NewKeyView,
    SystemView,
)

_MB = 1_000_000
DAY = 86400.0


def admin_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter()
    accounts = runtime.accounts

    @routes.get("/system", tags=["system"])
    def get_system() -> SystemView:
        """This server and the machine it runs on."""
        home = config.home()
        return SystemView(
            version=__version__,
            models_ready=ready(runtime) is None,
            engine=[EngineView.of(state) for state in runtime.engines()],
            machine=MachineView(
                cores=psutil.cpu_count() or 1,
                memory_mb=psutil.virtual_memory().total // _MB,
                disk_free_mb=shutil.disk_usage(home).free // _MB,
            ),
            home=str(home),
        )

    @routes.get("/models", tags=["models"])
    async def list_models() -> list[ModelView]:
        """Everything that answers, apps first."""
        return [ModelView.of(info, runtime.default_model) for info in runtime.infos()]

    async def check_reach(identity: Identity, key_id: str) -> None:
        """Raises `NotAllowed` when a key asks for the new secret of one that may do more than it may."""
        for key in await accounts.keys(identity.user.id):
            mine = not identity.scopes or set(key.scopes or SCOPES) <= set(identity.scopes)
            if key.id == key_id and not mine:
                raise NotAllowed("That key may do more than this one.", fix="Rotate it on the web page.")

    @routes.get("/keys", tags=["keys"])
    async def list_keys(
        identity: AnIdentity,
        who: Annotated[
            Literal["me", "everyone"], Query(description="`everyone` is for administrators.")
        ] = "me",
    ) -> list[KeyView]:
        """Your API keys, or everybody's; the keys themselves are not kept."""
        if who == "me":
            return [KeyView.of(key, identity.user.name) for key in await accounts.keys(identity.user.id)]
        require_admin(identity)
        owners = {user.id: user.name for user in await accounts.people.users()}
        return [KeyView.of(key, owners.get(key.user_id, "")) for key in await accounts.keys()]

    @routes.post("/keys", status_code=201, tags=["keys"])
    async def create_key(body: NewKeyBody, identity: AnIdentity, by: ByUser) -> NewKeyView:
        """Make an API key. It is shown this once. A key makes only keys that may do no more than it may."""
        if identity.scopes and not set(body.scopes or SCOPES) <= set(identity.scopes):
            raise NotAllowed(
                f"This key is for {', '.join(identity.scopes)} and makes no key that may do more.",
                fix="Name the scopes, or make the key on the web page.",
            )
        expires = None if body.expires_in_days is None else body.expires_in_days * DAY
        secret = await accounts.create_key(
            body.name, identity.user.id, expires_in=expires, scopes=body.scopes, actor=by
        )
        made = accounts.known(secret)
        assert made is not None and made.key_id is not None
        return NewKeyView(id=made.key_id, name=body.name.strip(), key=secret)

    @routes.post("/keys/{key_id}/rotate", status_code=201, tags=["keys"])
    async def rotate_key(key_id: str, identity: AnIdentity, user: UserId, by: ByUser) -> NewKeyView:
        """Give a key a new secret; the old one goes on working for a day."""
        await check_reach(identity, key_id)
        secret = await accounts.rotate_key(key_id, user, actor=by)
        found = next(key for key in await accounts.keys(user) if secret.startswith(key.prefix))
        return NewKeyView(id=found.id, name=found.name, key=secret)

    @routes.delete("/keys/{key_id}", tags=["keys"], **NO_CONTENT)
    async def delete_key(key_id: str, identity: AnIdentity, by: ByUser) -> None:
        """Revoke a key at once: one of yours, or as an administrator anybody's."""
        owner = None if identity.user.role == "admin" else identity.user.id
        if key_id not in [key.id for key in await accounts.keys(owner)]:
            raise NotFound("There is no such key; it may have been deleted already.")
        await accounts.delete_key(key_id, owner, actor=by)

    return routes
