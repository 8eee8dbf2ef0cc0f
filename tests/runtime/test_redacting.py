"""What people paste reaches a model without its secrets, and they are told."""

from __future__ import annotations

import pytest

from codeweft.models.scripted import ScriptedModel
from codeweft.retrieval.redact import Redactor
from codeweft.runtime.redacting import Redacting
from codeweft.stream import fold
from codeweft.types import Infill, Message, Neighbour, Request, ToolCall

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
