"""What people paste reaches a model without its secrets, and they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from codeweft.config import Settings
from codeweft.models.scripted import ScriptedModel
from codeweft.retrieval.redact import Redactor
from codeweft.runtime.compose import open_runtime
from codeweft.runtime.redacting import Redacting
from codeweft.stream import fold
from codeweft.types import Infill, Message, Neighbour, Request, ToolCall
from tests.models.endpoint import FINISHED, running, said, stream

TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"


@pytest.mark.parametrize(
    "request_",
    [
        Request("far", (Message("system", "be kind"), Message("user", f"why does {TOKEN} fail?"))),
        Request(
            "far", (Message("assistant", "", tool_calls=(ToolCall("1", "push", f'{{"t": "{TOKEN}"}}'),)),)
        ),
        Request("far", prompt=f"TOKEN = '{TOKEN}'\n"),
        Request("far", infill=Infill(f"a = '{TOKEN}'\n", "\n", (Neighbour("b.py", f"b = '{TOKEN}'"),))),
        Request("far", (Message("user", "my settings:\nDB_PASSWORD=" + TOKEN[4:20]),)),
    ],
)
async def test_no_secret_reaches_the_model(request_: Request) -> None:
    model = ScriptedModel("far", "fine", note="A note.")
    answer = await fold(Redacting(model, Redactor()).stream(request_))
    assert TOKEN[4:20] not in repr(model.requests) and "[redacted: " in repr(model.requests)
    assert answer.text == "fine"
    assert answer.note.startswith("A note. ") and "taken out" in answer.note


async def test_a_request_without_secrets_passes_as_it_is() -> None:
    model = ScriptedModel("far", "fine")
    asked = Request("far", (Message("user", "sort a list of tokens"),))
    answer = await fold(Redacting(model, Redactor()).stream(asked))
    assert model.requests == [asked] and answer.note == ""


@pytest.mark.parametrize("wanted", ["remote", "never"])
async def test_settings_say_what_an_endpoint_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Literal["remote", "never"]
) -> None:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path))
    async with running(stream(said("fine"), FINISHED)) as endpoint:
        settings = Settings(base_url=f"{endpoint.url}/v1", model="far", redact_prompts=wanted)
        async with open_runtime(settings) as runtime:
            asked = Request("codegen", (Message("user", f"why does {TOKEN} fail?"),))
            answer = await fold(runtime.model("codegen").stream(asked))
    sent = json.dumps(endpoint.asked[-1][1])
    assert answer.text == "fine"
    assert (TOKEN in sent) == (wanted == "never")
    assert ("taken out" in answer.note) == (wanted == "remote")
