"""The first run and the settings page, over the real runtime."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from codeweft.accounts import Actor
from codeweft.config import (
    IndexSettings,
    ModelSettings,
    OidcSettings,
    PriceSettings,
    Settings,
    SignInSettings,
)
from codeweft.server.settings import HIDDEN, setting_views
from tests.runtime.endpoint import answering
from tests.server.test_index_access import CHAT, World, world  # noqa: F401

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOR_ADMINISTRATORS = [
    ("GET", "/api/setup"),
    ("POST", "/api/endpoints/test"),
    ("GET", "/api/settings"),
    ("GET", "/api/users"),
    ("GET", "/api/audit"),
    ("GET", "/api/usage?who=everyone"),
    ("GET", "/api/usage/by-day?who=everyone"),
    ("DELETE", "/api/users/admin/sessions"),
    ("DELETE", "/api/users/admin/totp"),
    ("DELETE", "/api/users/admin/password"),
    ("PUT", "/api/users/admin/identity"),
    ("POST", "/api/users/admin/signin"),
]


async def asked(world: World, who: str, method: str, path: str, **options: Any) -> Any:  # noqa: F811
    status, text = await world.ask(who, method, path, **options)
    assert status in (200, 201), text
    return json.loads(text)


@pytest.mark.parametrize(("method", "path"), FOR_ADMINISTRATORS)
async def test_members_are_refused(world: World, method: str, path: str) -> None:  # noqa: F811
    body = {"base_url": "http://127.0.0.1:1", "subject": "x"} if method in ("POST", "PUT") else None
    if body is not None and path.endswith("identity"):
        del body["base_url"]
    elif body is not None:
        del body["subject"]
    status, _ = await world.ask("ben", method, path, json=body)
    assert status == 403


async def test_the_first_run_says_what_is_done_and_what_fits(world: World) -> None:  # noqa: F811
    told = await asked(world, "admin", "GET", "/api/setup")
    assert told["steps"] == {"password": False, "model": True, "index": True, "answer": False, "key": True}
    assert told["writer"] == "writer" and told["hardware"]["cores"] >= 1
    fits = [model["fits"] for model in told["models"]]
    assert fits == sorted(fits, reverse=True) and len(fits) > 10
    assert all(model["reference"] == f"{model['name']}:{model['quantisation']}" for model in told["models"])


async def test_an_endpoint_is_tried_without_saving_it(world: World) -> None:  # noqa: F811
    async with answering("Hello there.") as endpoint:
        body = {"base_url": endpoint.url, "model": "m", "api_key": "sk-very-secret"}
        told = await asked(world, "admin", "POST", "/api/endpoints/test", json=body)
        # The endpoint of the tests has no list of models; what the model says decides.
        assert told["ok"] is True and told["models"] == [] and told["answer"] == "Hello there."
        told = await asked(world, "admin", "POST", "/api/endpoints/test", json={**body, "model": None})
        assert told["ok"] is False and told["error"]["message"]
    told = await asked(world, "admin", "POST", "/api/endpoints/test", json={"base_url": f"{world.url}/v1"})
    assert told["ok"] is False and "sk-very" not in json.dumps(told)
    key = world.keys["admin"]
    body = {"base_url": f"{world.url}/v1", "api_key": key, "model": "writer"}
    told = await asked(world, "admin", "POST", "/api/endpoints/test", json=body)
    assert told["ok"] is True and "writer" in told["models"] and told["answer"] == "It is so [1]."
    assert key not in json.dumps(told)
    told = await asked(world, "admin", "POST", "/api/endpoints/test", json={"base_url": "http://127.0.0.1:1"})
    assert told["ok"] is False and told["error"]["fix"]


async def test_clients_get_the_settings_for_this_server(world: World) -> None:  # noqa: F811
    told = await asked(world, "ben", "GET", "/api/setup/clients?model=codegen")
    assert {"claude-code", "codex"} <= {client["name"] for client in told}
    assert all(world.url in client["snippet"] for client in told)


async def test_usage_is_told_by_day_and_group_with_names(world: World) -> None:  # noqa: F811
    await asked(world, "ben", "POST", "/v1/chat/completions", json={**CHAT, "model": "writer"})
    rows = await asked(world, "admin", "GET", "/api/usage/by-day?by=user&who=everyone&days=2")
    (mine,) = [row for row in rows if row["name"] == "ben"]
    assert mine["answers"] >= 1 and len(mine["day"]) == 10 and mine["group"] != "ben"
    (own,) = await asked(world, "ben", "GET", "/api/usage/by-day?by=key")
    assert own["name"] == "ben"
    assert await asked(world, "ann", "GET", "/api/usage/by-day?by=model") == []


async def test_settings_are_shown_without_what_is_secret_in_them(world: World) -> None:  # noqa: F811
    told = await asked(world, "admin", "GET", "/api/settings")
    by_name = {one["name"]: one for one in told["settings"]}
    assert by_name["model"]["value"] == "writer" and by_name["model"]["changed"]
    assert not by_name["server.max_body_mb"]["changed"] and by_name["sign_in.totp"]["description"]
    settings = Settings(
        base_url="http://x/v1",
        model="m",
        api_key="SECRET",
        database="postgresql://u:SECRET@h/d",
        index=IndexSettings(store="postgresql://u:SECRET@h/d"),
        models={"other": ModelSettings(base_url="http://y", api_key="SECRET")},
        prices={"m": PriceSettings(input=1, output=2)},
        sign_in=SignInSettings(oidc=OidcSettings(issuer="https://s", client_id="c", client_secret="SECRET")),
    )
    shown = list(setting_views(settings, Settings(), settings))
    text = json.dumps([one.model_dump() for one in shown])
    assert "SECRET" not in text
    assert json.dumps([one.value for one in shown]).count(json.dumps(HIDDEN)) == 5


async def test_the_audit_log_is_read_page_by_page(world: World) -> None:  # noqa: F811
    for n in range(3):
        await world.runtime.accounts.people.note(Actor("x", "10.0.0.9"), "test", str(n))
    first = await asked(world, "admin", "GET", "/api/audit?limit=2")
    second = await asked(world, "admin", "GET", f"/api/audit?limit=1&before={first[-1]['id']}")
    assert [one["target"] for one in (*first, *second)] == ["2", "1", "0"]
    assert first[0]["address"] == "10.0.0.9"


async def test_the_audit_log_is_filtered_where_it_is_kept(world: World) -> None:  # noqa: F811
    people = world.runtime.accounts.people
    for actor, action, target in (
        ("Zoë", "pear.pick", "tree"),
        ("Zoë", "pears.eat", "bowl"),
        ("Yan", "pear", "100%_sure"),
        ("Yan", "pear.pick", "1000 sure"),
    ):
        await people.note(Actor(actor, "10.9.9.9"), action, target, by="a ladder")

    async def targets(query: str) -> list[str]:
        told = await asked(world, "admin", "GET", f"/api/audit?{query}")
        return [one["target"] for one in told]

    assert await targets("actor=Zo%C3%AB") == ["bowl", "tree"]
    assert await targets("action=pear") == ["1000 sure", "100%_sure", "tree"]
    assert await targets("action=pear.pick&actor=Yan") == ["1000 sure"]
    assert await targets("q=100%25_") == ["100%_sure"]
    assert await targets("q=LADDER&limit=1") == ["1000 sure"]
    assert await targets("q=10.9.9.9&actor=Yan") == ["1000 sure", "100%_sure"]
    (last,) = await asked(world, "admin", "GET", "/api/audit?action=pear&limit=1")
    assert await targets(f"action=pear&before={last['id']}") == ["100%_sure", "tree"]
    moment, little = datetime.fromisoformat(last["at"]), timedelta(milliseconds=1)
    before, after = ((moment + step).strftime("%FT%T.%fZ") for step in (-little, little))
    assert (await targets(f"since={before}&until={after}&action=pear"))[0] == "1000 sure"
    assert await targets(f"since={after}&action=pear") == []
    assert "1000 sure" not in await targets(f"until={before}&action=pear")
    status, _ = await world.ask("admin", "GET", "/api/audit?since=2026-01-01T00:00:00")
    assert status == 400
    names = await asked(world, "admin", "GET", "/api/audit/names")
    assert {"Zoë", "Yan"} <= set(names["actors"]) and {"pear", "pear.pick"} <= set(names["actions"])
