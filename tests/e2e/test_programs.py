"""Programs against the server: the official openai SDK unchanged, OPEA's routes, search."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import openai
import psutil
import pytest
from openai import OpenAI

from tests.e2e.conftest import SAMPLE, Server, codeweft


async def post(server: Server, key: str, path: str, body: Any) -> tuple[int, Any, str]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(server.url + path, json=body) as response,
    ):
        text = await response.text()
        try:
            return response.status, json.loads(text), text
        except ValueError:
            return response.status, None, text


def test_apps_appear_as_models(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == "codegen" and "starter" in names


def test_a_plain_answer_has_true_usage_and_a_reason(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="starter",
        messages=[{"role": "user", "content": "Write a function that adds two numbers."}],
        max_tokens=24,
    )
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage and 0 < answer.usage.completion_tokens <= 24 and answer.usage.prompt_tokens > 5
    assert answer.choices[0].finish_reason != "length" or answer.usage.completion_tokens == 24


def test_a_streamed_answer_is_the_same_text_as_the_plain_one(client: OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": "starter",
        "messages": [{"role": "user", "content": "Write a function that reverses a list."}],
        "max_tokens": 40,
        "temperature": 0,
    }
    plain = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage and plain.usage
    assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
    reasons = [
        chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason
    ]
    assert reasons == [plain.choices[0].finish_reason]


def test_codegen_answers_with_the_functions_it_drew_on(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="codegen",
        messages=[{"role": "user", "content": "Write a function that adds up the lines of an invoice"}],
        max_tokens=40,
    )
    references: list[dict[str, Any]] = answer.model_extra["references"]  # type: ignore[index]
    best = references[0]
    assert best["path"] == "billing/invoices.py" and best["number"] == 1
    assert {"path", "start_line", "end_line", "repository", "commit", "score"} <= best.keys()
    source = (SAMPLE / best["path"]).read_text().splitlines()
    assert "def invoice_total" in "\n".join(source[best["start_line"] - 1 : best["end_line"]])


def test_a_streamed_codegen_answer_ends_with_its_references(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="codegen",
            messages=[{"role": "user", "content": "retry a call with backoff"}],
            max_tokens=16,
            stream=True,
        )
    )
    carrying = [chunk for chunk in chunks if chunk.model_extra and chunk.model_extra.get("references")]
    assert carrying == [chunks[-1]]
    assert carrying[0].model_extra["references"][0]["path"] == "web/retry.js"  # type: ignore[index]


def test_completions_fill_the_hole_by_suffix_and_by_mark(client: OpenAI) -> None:
    prefix, suffix = "def area(width, height):\n    return ", "\n\nprint(area(2, 3))\n"
    by_suffix = client.completions.create(model="starter", prompt=prefix, suffix=suffix, max_tokens=16)
    by_mark = client.completions.create(model="starter", prompt=f"{prefix}<FILL>{suffix}", max_tokens=16)
    assert by_suffix.choices[0].text == by_mark.choices[0].text
    assert "fim" not in by_suffix.choices[0].text
    assert by_suffix.usage and by_suffix.usage.completion_tokens > 0
    plain = client.completions.create(model="starter", prompt=prefix, max_tokens=16, temperature=0)
    assert plain.usage and by_suffix.usage.prompt_tokens > plain.usage.prompt_tokens


def test_two_marks_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="FILL"):
        client.completions.create(model="starter", prompt="a <FILL> b <FILL> c")


def test_embeddings_tell_code_apart(client: OpenAI) -> None:
    texts = ["def parse_json(text): return json.loads(text)", "read a JSON document", "open a network socket"]
    first, near, far = (
        entry.embedding for entry in client.embeddings.create(model="codeweft-encoder", input=texts).data
    )

    def dot(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert dot(first, near) > dot(first, far)


def test_json_answers_obey_their_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 12}, "size": {"type": "integer"}},
        "required": ["name", "size"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model="starter",
        messages=[{"role": "user", "content": "Describe a list."}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "thing", "schema": schema, "strict": True},
        },
        max_tokens=120,
        temperature=0,
    )
    if answer.choices[0].finish_reason == "stop":
        thing = json.loads(answer.choices[0].message.content or "")
        assert isinstance(thing["name"], str) and isinstance(thing["size"], int)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model": "gpt-nope"}, openai.NotFoundError, "codegen"),
        (
            {"messages": [{"role": "user", "content": "word " * 20000}], "model": "starter"},
            openai.BadRequestError,
            "tokens",
        ),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"extra_body": {"index": "no-such-index"}}, openai.NotFoundError, "no-such-index"),
    ],
)
def test_bad_requests_are_refused_with_the_fix(
    client: OpenAI, change: dict[str, Any], error: type[Exception], said: str
) -> None:
    asked: dict[str, Any] = {
        "model": "codegen",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 4,
    }
    with pytest.raises(error, match=said):
        client.chat.completions.create(**{**asked, **change})


async def test_codegen_route_streams_by_default_and_ends_with_done(server: Server, key: str) -> None:
    status, _, text = await post(
        server,
        key,
        "/v1/codegen",
        {"messages": "add up invoice lines", "index_name": "sample", "max_tokens": 8},
    )
    assert status == 200
    assert text.rstrip().endswith("data: [DONE]")
    parts = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert any(part.get("references") for part in parts)


async def test_codegen_route_answers_at_once_with_an_agent(server: Server, key: str) -> None:
    body = {
        "messages": [{"role": "user", "content": "add"}],
        "stream": False,
        "agents_flag": "True",
        "max_tokens": 8,
    }
    status, answer, _ = await post(server, key, "/v1/codegen", body)
    assert status == 200 and answer["model"] == "codegen" and answer["usage"]["completion_tokens"] > 0


async def test_dataprep_ingests_lists_and_deletes(server: Server, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:

        async def ingest(name: str, text: str, index: str = "notes") -> tuple[int, Any]:
            form = aiohttp.FormData()
            form.add_field("files", text.encode(), filename=name)
            form.add_field("index_name", index)
            async with session.post("/v1/dataprep/ingest", data=form) as response:
                return response.status, await response.json()

        assert await ingest("greet.py", "def greet_politely(name):\n    return f'Good day, {name}'\n") == (
            200,
            {"status": 200, "message": "Data preparation succeeded"},
        )
        assert (await ingest("greet.py", "x = 1"))[0] == 400
        assert (await ingest("a.py", "x = 1", index="all"))[0] == 400
        async with session.post("/v1/dataprep/get", json={"index_name": "notes"}) as response:
            assert [entry["name"] for entry in await response.json()] == ["greet.py"]
        async with session.post("/v1/search", json={"query": "greet politely", "index": "notes"}) as response:
            assert (await response.json())["results"][0]["path"] == "greet.py"
        async with session.post("/v1/dataprep/indices") as response:
            assert "notes" in await response.json()
        async with session.post(
            "/v1/dataprep/delete", json={"file_path": "all", "index_name": "notes"}
        ) as response:
            assert (await response.json()) == {"status": True}
        async with session.post("/v1/dataprep/indices") as response:
            assert "notes" not in await response.json()


async def test_search_over_http_matches_the_command_line(server: Server, key: str) -> None:
    status, answer, _ = await post(
        server, key, "/v1/search", {"query": "health check handler", "index": "sample", "k": 3}
    )
    printed = json.loads(
        codeweft(
            server.home, "search", "health check handler", "--index", "sample", "-k", "3", "--json"
        ).stdout
    )
    assert status == 200 and answer["results"] == printed
    assert printed[0]["path"] == "web/server.go" and printed[0]["name"] == "HealthHandler"


async def test_nothing_is_answered_without_a_key(server: Server) -> None:
    for path in ("/v1/chat/completions", "/v1/codegen", "/v1/search", "/v1/embeddings", "/v1/dataprep/get"):
        status, answer, _ = await post(server, "cw_wrong", path, {})
        assert status == 401, path
        assert answer["error"]["message"], path


def test_the_engine_killed_in_the_middle_of_an_answer_is_an_error_and_the_next_answer_works(
    own_server: Callable[..., Server],
) -> None:
    server = own_server()
    client = OpenAI(base_url=f"{server.url}/v1", api_key=server.key(), max_retries=0, timeout=60)
    engines = [
        p
        for p in psutil.Process(server.process.pid).children(recursive=True)
        if "engine_child" in " ".join(p.cmdline())
    ]
    assert len(engines) == 1
    # A grammar without an end keeps the engine writing until it dies.
    endless = client.completions.create(
        model="starter", prompt="x", max_tokens=900, stream=True, extra_body={"grammar": 'root ::= "a" root'}
    )
    with pytest.raises(openai.APIError, match=r"(?i)engine"):
        for number, _ in enumerate(endless):
            if number == 3:
                engines[0].send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while True:
        try:
            again = client.completions.create(model="starter", prompt="def f(", max_tokens=4)
            break
        except openai.APIStatusError:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    assert again.usage and again.usage.completion_tokens > 0


def test_a_port_in_use_is_named_with_the_fix(server: Server, tmp_path: Path) -> None:
    port = server.url.rsplit(":", 1)[1].strip("/")
    ended = codeweft(tmp_path / "other", "serve", "--port", port)
    assert ended.returncode == 1
    assert port in ended.stderr and "--port" in ended.stderr and "Traceback" not in ended.stderr


def test_an_openai_compatible_endpoint_answers_by_three_lines(
    server: Server, key: str, own_server: Callable[..., Server], tmp_path: Path
) -> None:
    settings = tmp_path / "codeweft.yaml"
    settings.write_text(f"base_url: {server.url}/v1\napi_key: {key}\nmodel: starter\n")
    second = own_server("--config", str(settings), "--code", str(SAMPLE))
    client = OpenAI(base_url=f"{second.url}/v1", api_key=second.key(), max_retries=0, timeout=60)
    answer = client.chat.completions.create(
        model="codegen", messages=[{"role": "user", "content": "add up invoice lines"}], max_tokens=8
    )
    assert answer.choices[0].message.content
    assert answer.model_extra and answer.model_extra["references"]


def test_the_key_of_the_environment_opens_the_server_and_serves_the_command_line(
    own_server: Callable[..., Server], tmp_path: Path
) -> None:
    key = {"CODEWEFT_API_KEY": "a key of the team"}
    server = own_server(env=key)
    client = OpenAI(base_url=f"{server.url}/v1", api_key="a key of the team", max_retries=0)
    assert [model.id for model in client.models.list()]
    elsewhere = tmp_path / "laptop"
    question = ("ask", "add two numbers", "--max-tokens", "4", "--json", "--server", server.url)
    asked = codeweft(elsewhere, *question, env=key)
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["usage"]["completion_tokens"] > 0
    refused = codeweft(elsewhere, *question)
    assert refused.returncode == 1 and "key" in refused.stderr


def test_stopping_with_ctrl_c_is_clean(own_server: Callable[..., Server]) -> None:
    server = own_server()
    server.wait_for("Codeweft is ready at")
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert server.stop() == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert not any("Traceback" in line for line in server.lines)


def test_state_survives_kill_minus_nine(own_server: Callable[..., Server], tmp_path: Path) -> None:
    home = tmp_path / "kept"
    first = own_server("--code", str(SAMPLE), home=home)
    key = first.key()
    first.wait_for("Codeweft is ready at")
    for process in [
        *psutil.Process(first.process.pid).children(recursive=True),
        psutil.Process(first.process.pid),
    ]:
        process.kill()
    first.process.wait()
    second = own_server(home=home)
    client = OpenAI(base_url=f"{second.url}/v1", api_key=key, max_retries=0, timeout=60)
    answer = client.chat.completions.create(
        model="codegen", messages=[{"role": "user", "content": "parse an amount"}], max_tokens=4
    )
    assert answer.model_extra and answer.model_extra["references"][0]["path"] == "billing/money.py"


def test_no_child_outlives_a_killed_server(own_server: Callable[..., Server]) -> None:
    server = own_server()
    server.wait_for("Codeweft is ready at")
    children = psutil.Process(server.process.pid).children(recursive=True)
    server.process.kill()
    server.process.wait()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
