"""Limits before the request, usage after it, and who may see and change what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from codeweft.accounts import Actor, Limit
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, Started, TextDelta, Usage
from tests.server.conftest import Server

ASKED: Any = [{"role": "user", "content": "x"}]


def paid() -> ScriptedModel:
    return ScriptedModel("paid", [Started("paid"), TextDelta("hi"), Done(Usage(1000, 100))])


def sdk(server: Server, key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key or server.key, max_retries=0)


def limit(server: Server, **values: Any) -> None:
    people = server.composition.accounts.people
    server.run(people.set_limit("everyone", "", Limit(**values), actor=Actor("test")))


async def call(
    server: Server, method: str, path: str, body: Any = None, key: str | None = None
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key or server.key}"}
    async with server.client(headers=headers) as http, http.request(method, path, json=body) as answer:
        return answer.status, await answer.json() if answer.content_type == "application/json" else None


def test_a_spent_budget_is_refused_before_the_model_is_asked(starting: Callable[..., Server]) -> None:
    server = starting({"paid": paid()})
    limit(server, budget_usd=0.003)
    sdk(server).chat.completions.create(model="paid", messages=ASKED)
    with pytest.raises(openai.RateLimitError, match=r"0\.003 USD") as caught:
        sdk(server).chat.completions.create(model="paid", messages=ASKED)
    assert caught.value.code == "insufficient_quota"
    with pytest.raises(openai.RateLimitError):
        list(sdk(server).chat.completions.create(model="paid", messages=ASKED, stream=True))
    assert len(server.composition.models["paid"].requests) == 1


def test_too_many_requests_are_told_when_to_come_again(starting: Callable[..., Server]) -> None:
    server = starting({"paid": paid()})
    limit(server, requests_per_minute=2)
    for _ in range(2):
        sdk(server).chat.completions.create(model="paid", messages=ASKED)
    with pytest.raises(openai.RateLimitError, match="2 requests a minute") as caught:
        sdk(server).chat.completions.create(model="paid", messages=ASKED)
    assert int(caught.value.response.headers["Retry-After"]) in range(20, 31)


async def test_usage_is_counted_for_every_outcome(starting: Callable[..., Server]) -> None:
    slow = ScriptedModel("slow", "word " * 500, delay=0.01)
    server = starting({"paid": paid(), "slow": slow})
    client = sdk(server)
    client.chat.completions.create(model="paid", messages=ASKED)
    list(client.chat.completions.create(model="paid", messages=ASKED, stream=True))
    with client.chat.completions.create(model="slow", messages=ASKED, stream=True) as stream:
        for _ in range(3):
            next(stream)
    for _ in range(100):
        _, told = await call(server, "GET", "/api/usage?by=model")
        if len(told) == 2:
            break
    by_model = {one["group"]: one for one in told}
    assert by_model["paid"]["answers"] == 2
    assert by_model["paid"]["cost"] == pytest.approx(2 * 0.003)
    assert 1 <= by_model["slow"]["completion_tokens"] < 400
    status, told = await call(server, "GET", "/api/usage?by=key&who=everyone")
    assert status == 200 and sum(one["answers"] for one in told) == 3


async def test_members_see_their_own_and_change_nothing(starting: Callable[..., Server]) -> None:
    server = starting({"paid": paid()})
    status, ann = await call(server, "POST", "/api/users", {"name": "ann"})
    assert (status, ann["role"], ann["status"]) == (201, "member", "active")
    status, link = await call(server, "POST", f"/api/users/{ann['id']}/signin")
    assert status == 201 and link["path"].startswith("/signin?token=")
    key = server.run(server.composition.accounts.create_key("ann's", ann["id"]))
    sdk(server).chat.completions.create(model="paid", messages=ASKED)
    assert (await call(server, "GET", "/api/usage", key=key))[1] == []
    for method, path, body in (
        ("GET", "/api/users", None),
        ("POST", "/api/users", {"name": "bob"}),
        ("GET", "/api/usage?who=everyone", None),
        ("GET", "/api/audit", None),
        ("PUT", "/api/limits/everyone/all", {}),
        ("DELETE", f"/api/users/{ann['id']}", None),
        ("POST", "/api/indexes", {"source": "/etc"}),
        ("DELETE", "/api/indexes/shop", None),
    ):
        status, told = await call(server, method, path, body, key)
        assert (status, told["error"]["code"]) == (403, "not_allowed"), path
    status, told = await call(server, "POST", "/v1/dataprep/delete", {"file_path": "all"}, key)
    assert (status, told["error"]["code"]) == (403, "not_allowed")
    assert (await call(server, "GET", "/api/indexes", key=key))[0] == 200
    assert (await call(server, "PATCH", f"/api/users/{ann['id']}", {"status": "disabled"}))[0] == 200
    assert (await call(server, "GET", "/api/usage", key=key))[0] == 401


async def test_administrators_keep_teams_limits_and_the_log(starting: Callable[..., Server]) -> None:
    server = starting({"paid": paid()})
    assert (await call(server, "POST", "/api/teams", {"name": "core"}))[0] == 201
    await call(server, "POST", "/api/users", {"name": "ann", "team": "core"})
    assert (await call(server, "PUT", "/api/limits/team/core", {"budget_usd": 5}))[0] == 204
    assert (await call(server, "PUT", "/api/limits/user/nobody", {}))[0] == 404
    assert (await call(server, "PUT", "/api/limits/team/core", {"budget_usd": -1}))[0] == 400
    (shown,) = (await call(server, "GET", "/api/limits"))[1]
    assert (shown["kind"], shown["budget_usd"], shown["spent_usd"]) == ("team", 5, 0)
    people = (await call(server, "GET", "/api/users"))[1]
    assert {one["name"]: one["team"] for one in people} == {"admin": "", "ann": "core"}
    log = (await call(server, "GET", "/api/audit"))[1]
    assert [one["action"] for one in log] == ["limit.set", "user.add", "team.add", "key.create"]
    assert log[0]["actor"] == "admin"
    assert (await call(server, "DELETE", "/api/limits/team/core"))[0] == 204
    assert (await call(server, "DELETE", "/api/teams/core"))[0] == 204


async def test_a_key_does_only_what_it_is_for_and_can_be_rotated(starting: Callable[..., Server]) -> None:
    server = starting({"codegen": paid()})
    status, made = await call(
        server, "POST", "/api/keys", {"name": "ci", "scopes": ["search"], "expires_in_days": 1}
    )
    assert status == 201
    key = made["key"]
    status, told = await call(server, "POST", "/v1/chat/completions", {"messages": ASKED}, key)
    assert status == 403 and "needs generate" in told["error"]["message"]
    assert (await call(server, "POST", "/v1/search", {"query": "x"}, key))[0] == 404
    assert (await call(server, "GET", "/api/keys", key=key))[0] == 403
    status, rotated = await call(server, "POST", f"/api/keys/{made['id']}/rotate")
    assert status == 201 and rotated["key"] != key
    for secret in (key, rotated["key"]):
        assert (await call(server, "POST", "/v1/search", {"query": "x"}, secret))[0] == 404
    (listed,) = [one for one in (await call(server, "GET", "/api/keys"))[1] if one["name"] == "ci"]
    assert listed["scopes"] == ["search"] and listed["expires_at"] is not None


async def test_the_break_even_is_told(server: Server) -> None:
    body = {"machine_usd_per_hour": 8.1, "machine_tokens_per_second": 100, "usd_per_request": 0.025}
    status, told = await call(server, "POST", "/api/cost/break-even", body)
    assert status == 200
    assert told["requests_per_hour"] == pytest.approx(324)
    assert told["reachable"] is True
    body.pop("usd_per_request")
    assert (await call(server, "POST", "/api/cost/break-even", body))[0] == 400
    status, told = await call(
        server, "POST", "/api/cost/break-even", body | {"input_usd": 30, "output_usd": 60}
    )
    assert told["api_usd_per_request"] == pytest.approx(0.033)


async def test_a_user_is_renamed_but_not_to_a_name_that_is_taken(starting: Callable[..., Server]) -> None:
    server = starting({"paid": paid()})
    _, ann = await call(server, "POST", "/api/users", {"name": "ann"})
    await call(server, "POST", "/api/users", {"name": "bob"})
    status, renamed = await call(server, "PATCH", f"/api/users/{ann['id']}", {"name": " Ann "})
    assert (status, renamed["name"]) == (200, "Ann")
    status, told = await call(server, "PATCH", f"/api/users/{ann['id']}", {"name": "bob"})
    assert status == 409 and "bob" in told["error"]["message"]
