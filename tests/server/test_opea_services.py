"""What OPEA's own programs read of a service: statistics, metrics, health, and embeddings in both shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codeweft.models.scripted import ScriptedModel
from tests.server.conftest import Server

SUFFIXES = ("latency", "latency_first_token")


async def get(server: Server, path: str) -> Any:
    async with server.client() as client, client.get(path) as answer:
        assert answer.status == 200
        return await (answer.json() if answer.content_type == "application/json" else answer.text())


async def ask(server: Server, **more: Any) -> None:
    async with (
        server.client() as client,
        client.post("/v1/codegen", json={"messages": "hi"} | more) as answer,
    ):
        assert answer.status == 200
        await answer.read()


async def test_statistics_are_by_service_with_opeas_names(starting: Callable[..., Server]) -> None:
    server = starting({"codegen": ScriptedModel("codegen", "one two three", delay=0.01)})
    assert await get(server, "/v1/statistics") == {}
    await ask(server)
    await ask(server, stream=False)
    (found,) = (await get(server, "/v1/statistics")).values()
    names = {f"{kind}_{suffix}" for kind in ("p50", "p99", "average") for suffix in SUFFIXES}
    assert set(found) == names
    assert 0.01 <= found["p50_latency_first_token"] < found["p50_latency"] <= found["p99_latency"] < 10


async def test_an_answer_without_a_word_has_no_first_token(starting: Callable[..., Server]) -> None:
    server = starting({"codegen": ScriptedModel("codegen", "")})
    await ask(server)
    found = (await get(server, "/v1/statistics"))["codegen"]
    assert found["average_latency_first_token"] is None and found["average_latency"] > 0


async def test_metrics_have_the_names_of_megaservices(starting: Callable[..., Server]) -> None:
    server = starting({"codegen": ScriptedModel("codegen", "one two three")})
    await ask(server)
    lines = (await get(server, "/metrics")).splitlines()
    for line in (
        "megaservice_request_latency_count 1.0",
        "megaservice_first_token_latency_count 1.0",
        # The first token is not counted.
        "megaservice_inter_token_latency_count 2.0",
        "megaservice_request_pending 0.0",
        'megaservice_request_latency_bucket{le="+Inf"} 1.0',
    ):
        assert line in lines


async def test_a_pending_answer_is_counted_while_it_is_written(starting: Callable[..., Server]) -> None:
    server = starting({"codegen": ScriptedModel("codegen", "word " * 500, delay=0.02)})
    async with server.client() as client, client.post("/v1/codegen", json={"messages": "hi"}) as answer:
        await answer.content.readany()
        assert "megaservice_request_pending 1.0" in await get(server, "/metrics")


async def test_the_health_check_says_title_version_and_description(server: Server) -> None:
    told = await get(server, "/v1/health_check")
    assert set(told) == {"Service Title", "Version", "Service Description"}
