"""Summaries through the web API, with scripted models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from codeweft.config import PriceSettings, ServerSettings, Settings, SummarySettings
from codeweft.errors import UpstreamFailed
from codeweft.models.scripted import ScriptedModel
from codeweft.types import Done, Failed, Started, TextDelta, Usage

from .conftest import Server, app_model

CODE = """
def settle(rows, at):
    total = 0
    for row in rows:
        if row.at <= at and not row.void:
            total += row.amount
    return total


def purge(rows, at):
    kept = []
    for row in rows:
        if row.at > at and row.amount:
            kept.append(row)
    return kept
"""
SAID = [Started("plain"), TextDelta("Computes what a customer still owes."), Done(Usage(90, 10))]


def models(*answers: Any, delay: float = 0.0) -> dict[str, Any]:
    return {"codegen": app_model(), "plain": ScriptedModel("plain", *(answers or (SAID,)), delay=delay)}


def settings(**summaries: Any) -> Settings:
    return Settings(
        server=ServerSettings(port=0, max_body_mb=1),
        summaries=SummarySettings(**summaries),
        prices={"plain": PriceSettings(input=1, output=2)},
    )


async def api(
    client: aiohttp.ClientSession, method: str, path: str, expected: int = 200, **options: Any
) -> Any:
    async with client.request(method, f"/api/indexes/ledger{path}", **options) as response:
        assert response.status == expected, await response.text()
        return await response.json()


async def until(client: aiohttp.ClientSession, holds: Callable[[Any], bool], path: str = "/summaries") -> Any:
    for _ in range(200):
        found = await api(client, "GET", path)
        if holds(found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


def idle(view: Any) -> bool:
    return view["job"] is None or view["job"]["state"] in ("done", "failed", "cancelled")


async def indexed(client: aiohttp.ClientSession) -> None:
    form = aiohttp.FormData()
    form.add_field("files", CODE.encode(), filename="ledger.py")
    await api(client, "POST", "/files", 202, data=form)
    await until(client, lambda view: view["state"] == "ready", "")


@pytest.fixture
def started(starting: Callable[..., Server]) -> Server:
    return starting(models(), settings())


async def test_the_cost_is_said_before_anything_is_written(started: Server) -> None:
    async with started.client() as client:
        await indexed(client)
        view = await api(client, "POST", "/summaries", 202, json={"dry_run": True})
        assert view["estimate"]["functions"] == 2
        assert 0 < view["estimate"]["usd"] < 0.01
        assert view["job"] is None
        assert started.composition.models["plain"].requests == []


async def test_summaries_are_written_counted_searched_and_deleted(started: Server) -> None:
    async with started.client() as client:
        await indexed(client)
        view = await api(client, "POST", "/summaries", 202, json={})
        assert view["job"]["kind"] == "summarise"
        view = await until(client, lambda view: idle(view) and view["summarised"] == 2)
        last = view["last"]
        assert (last["language"], last["models"], last["spent"]["done"]) == ("en", ["plain"], 2)
        assert (view["job"]["done"], view["job"]["total"]) == (2, 2)
        assert last["spent"]["usd"] == pytest.approx(2 * (90 * 1 + 10 * 2) / 1e6)
        assert (await api(client, "GET", ""))["summarised"] == 2
        body = {"query": "what does a customer still owe", "index": "ledger", "k": 1}
        async with client.post("/api/search", json=body) as response:
            (found,) = (await response.json())["results"]
        assert found["summary"] == "Computes what a customer still owes."
        assert await api(client, "DELETE", "/summaries") == {"deleted": 2}
        assert (await api(client, "GET", "/summaries"))["summarised"] == 0


async def test_failures_are_listed_with_their_reasons(starting: Callable[..., Server]) -> None:
    server = starting(models("I'm sorry, I cannot."), settings())
    async with server.client() as client:
        await indexed(client)
        await api(client, "POST", "/summaries", 202, json={})
        view = await until(client, lambda view: view["last"] is not None and idle(view))
        failures = view["last"]["spent"]["failures"]
        assert {failure["name"] for failure in failures} == {"settle", "purge"}
        assert "refused" in failures[0]["reason"]


async def test_a_model_that_is_gone_ends_the_job_with_what_to_do(
    starting: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codeweft.retrieval.summaries.GIVE_UP", 1)
    server = starting(models([Failed(UpstreamFailed("It cannot be reached.", fix="Start it."))]), settings())
    async with server.client() as client:
        await indexed(client)
        await api(client, "POST", "/summaries", 202, json={})
        view = await until(client, lambda view: view["last"] is not None and idle(view))
        assert view["job"]["state"] == "failed"
        assert "It cannot be reached. Start it." in view["job"]["error"]
        assert "It cannot be reached." in view["last"]["error"]


async def test_a_running_run_shows_what_it_spent_and_can_be_stopped(starting: Callable[..., Server]) -> None:
    server = starting(models(delay=0.3), settings(parallel=1))
    async with server.client() as client:
        await indexed(client)
        await api(client, "POST", "/summaries", 202, json={})
        view = await until(client, lambda view: view["running"] is not None and view["running"]["done"] == 1)
        assert view["running"]["prompt_tokens"] == 90 and view["running"]["left_s"] > 0
        await api(client, "DELETE", "/summaries")
        view = await until(client, idle)
        assert view["job"]["state"] == "cancelled"


async def test_what_searches_return_is_summarised_in_lazy_mode_and_nothing_else(
    starting: Callable[..., Server],
) -> None:
    server = starting(models(), settings(when="searched"))
    async with server.client() as client:
        await indexed(client)
        assert (await api(client, "GET", "/summaries"))["summarised"] == 0
        body = {"query": "purge", "index": "ledger", "k": 1}
        async with client.post("/api/search", json=body) as response:
            assert response.status == 200
        await until(client, lambda view: view["summarised"] == 1)
        asked = server.composition.models["plain"].requests
        assert len(asked) == 1 and "def purge" in asked[0].messages[0].content


async def test_everything_is_summarised_after_each_update_when_that_is_wanted(
    starting: Callable[..., Server],
) -> None:
    server = starting(models(), settings(when="all", language="en"))
    async with server.client() as client:
        await indexed(client)
        await until(client, lambda view: view["summarised"] == 2)


async def test_unknown_languages_models_and_fields_are_refused(started: Server) -> None:
    async with started.client() as client:
        await indexed(client)
        for body, said in (
            ({"language": "klingon"}, "klingon"),
            ({"models": ["nobody"]}, "nobody"),
            ({"limit": 0}, "limit"),
            ({"color": "red"}, "color"),
        ):
            async with client.post("/api/indexes/ledger/summaries", json=body) as response:
                assert response.status in (400, 404, 422)
                assert said in await response.text()


async def test_deleting_an_index_ends_its_run(starting: Callable[..., Server], tmp_path: Path) -> None:
    server = starting(models(delay=0.5), settings(parallel=1))
    async with server.client() as client:
        await indexed(client)
        await api(client, "POST", "/summaries", 202, json={})
        await until(client, lambda view: view["running"] is not None)
        async with client.delete("/api/indexes/ledger") as response:
            assert response.status == 204
        for _ in range(100):
            jobs = server.composition.jobs.list()
            if all(job.finished for job in jobs):
                break
            await asyncio.sleep(0.05)
        assert [job.state for job in jobs if job.kind == "summarise"] == ["cancelled"]
