"""The official SDK works unchanged."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np
import openai
import pytest

from codeweft.models.scripted import ScriptedModel
from tests.server.conftest import Server


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url + "/v1", api_key=server.key, max_retries=0)


def test_a_chat_answer_carries_usage_references_and_the_note(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="codegen", messages=[{"role": "user", "content": "total?"}])
    assert answer.choices[0].message.content == "Use `total` [1]."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens == 16
    assert (
        answer.usage.prompt_tokens_details is not None
        and answer.usage.prompt_tokens_details.cached_tokens == 2
    )
    extra = answer.model_extra
    assert extra is not None
    assert extra["references"][0] == {
        "number": 1, "path": "cart.py", "start_line": 3, "end_line": 9, "repository": "shop", "commit": "abc",
        "score": 0.75, "name": "total", "language": "python", "why": {"name": 1.0}, "text": "def total(): ...",
    }  # fmt: skip
    assert extra["note"] == "This is only a test."
    assert answer.system_fingerprint and answer.system_fingerprint.startswith("codeweft-")


def test_a_stream_ends_with_references_in_its_last_chunk(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="codegen", messages=[{"role": "user", "content": "total?"}], stream=True
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Use `total` [1]."
    last = chunks[-1]
    assert last.choices[0].finish_reason == "stop"
    assert last.model_extra is not None and last.model_extra["references"][0]["path"] == "cart.py"
    assert "text" not in last.model_extra["references"][0]
    assert chunks[0].choices[0].delta.role == "assistant"


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="codegen",
        messages=[{"role": "user", "content": "total?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    last = list(stream)[-1]
    assert last.choices == []
    assert last.usage is not None and last.usage.completion_tokens == 4
    assert last.model_extra is not None and last.model_extra["references"]


def test_a_model_that_looks_nothing_up_has_no_references(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="plain", messages=[{"role": "user", "content": "hi"}])
    assert answer.model_extra is not None and "references" not in answer.model_extra


def test_turns_stay_turns(client: openai.OpenAI, server: Server) -> None:
    client.chat.completions.create(
        model="plain",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "ok"},
            {"role": "user", "content": "three"},
        ],
        temperature=0,
        seed=7,
        stop=["\n\n"],
        max_completion_tokens=11,
        extra_body={"top_k": 3, "x_trace": "1", "metadata": {"a": "b"}},
    )
    request = server.composition.models["plain"].requests[-1]
    assert [(turn.role, turn.content) for turn in request.messages] == [
        ("system", "Be brief."),
        ("user", "one\ntwo"),
        ("assistant", "ok"),
        ("user", "three"),
    ]
    sampling = request.sampling
    assert (sampling.temperature, sampling.seed, sampling.stop, sampling.max_tokens, sampling.top_k) == (
        0, 7, ("\n\n",), 11, 3,
    )  # fmt: skip


def test_several_choices_are_several_runs_with_their_own_seeds(client: openai.OpenAI, server: Server) -> None:
    answer = client.chat.completions.create(
        model="plain", messages=[{"role": "user", "content": "hi"}], n=3, seed=5
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {request.sampling.seed for request in server.composition.models["plain"].requests[-3:]} == {
        5,
        6,
        7,
    }
    streamed = client.chat.completions.create(
        model="plain", messages=[{"role": "user", "content": "hi"}], n=2, stream=True
    )
    texts = {0: "", 1: ""}
    for chunk in streamed:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == {0: "Hello from the plain model", 1: "Hello from the plain model"}


def test_completions_take_a_suffix_as_infilling(client: openai.OpenAI, server: Server) -> None:
    answer = client.completions.create(model="plain", prompt="def f(", suffix="): pass", echo=True)
    assert answer.choices[0].text == "def f(Hello from the plain model"
    infill = server.composition.models["plain"].requests[-1].infill
    assert (infill.prefix, infill.suffix) == ("def f(", "): pass")


def test_completions_take_a_marked_hole_as_infilling(client: openai.OpenAI, server: Server) -> None:
    client.completions.create(model="plain", prompt="a = <FILL>\nb = a")
    infill = server.composition.models["plain"].requests[-1].infill
    assert (infill.prefix, infill.suffix) == ("a = ", "\nb = a")


def test_completions_of_several_prompts_are_numbered_through(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="plain", prompt=["one", "two"], n=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    chunks = list(client.completions.create(model="plain", prompt="one", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello from the plain model"


def test_embeddings_come_as_numbers_and_as_base64(client: openai.OpenAI) -> None:
    numbers = client.embeddings.create(model="letters", input=["abba", "cede"], encoding_format="float")
    packed = client.embeddings.create(model="letters", input=["abba", "cede"])  # the SDK asks for base64
    assert len(numbers.data) == 2 and numbers.usage.prompt_tokens == 2
    np.testing.assert_allclose(numbers.data[1].embedding, packed.data[1].embedding, rtol=1e-6)
    raw = client.embeddings.with_raw_response.create(model="letters", input="abba", encoding_format="base64")
    row = np.frombuffer(base64.b64decode(raw.http_response.json()["data"][0]["embedding"]), dtype="<f4")
    assert row.shape == (8,) and abs(float(np.linalg.norm(row)) - 1) < 1e-6


def test_fewer_dimensions_keep_unit_length(client: openai.OpenAI) -> None:
    made = client.embeddings.create(model="letters", input="abba", dimensions=3, encoding_format="float")
    assert len(made.data[0].embedding) == 3
    assert abs(float(np.linalg.norm(made.data[0].embedding)) - 1) < 1e-6


def test_models_are_listed_and_found_by_name(client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == ["codegen", "plain", "explained", "coder", "slow", "letters"]
    assert client.models.retrieve("plain").id == "plain"
    with pytest.raises(openai.NotFoundError, match="There are: codegen"):
        client.models.retrieve("nothing")


def test_errors_become_the_sdks_errors(client: openai.OpenAI, server: Server) -> None:
    with pytest.raises(openai.NotFoundError, match="There are: codegen, plain"):
        client.chat.completions.create(model="nope", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.AuthenticationError, match="codeweft keys create"):
        openai.OpenAI(base_url=server.url + "/v1", api_key="cw_wrong", max_retries=0).models.list()
    with pytest.raises(openai.BadRequestError, match="modalities"):
        client.chat.completions.create(
            model="plain", messages=[{"role": "user", "content": "hi"}], modalities=["audio"]
        )


def test_a_missing_skill_is_refused_with_a_model_that_has_it(starting: Callable[..., Server]) -> None:
    models = {
        "chatty": ScriptedModel("chatty", "x", skills=frozenset({"chat"})),
        "filler": ScriptedModel("filler", "x", skills=frozenset({"infilling"})),
    }
    server = starting(models)
    client = openai.OpenAI(base_url=server.url + "/v1", api_key=server.key, max_retries=0)
    with pytest.raises(openai.BadRequestError, match=r"chatty cannot do infilling\. filler can"):
        client.completions.create(model="chatty", prompt="a", suffix="b")
    with pytest.raises(openai.BadRequestError, match=r"cannot do completion\. No model here can"):
        client.completions.create(model="chatty", prompt="a")
    assert models["chatty"].requests == []
