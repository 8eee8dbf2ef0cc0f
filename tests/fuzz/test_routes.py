"""Every address, from its own description: no request makes the server fail, hang or forget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from codeweft.server.described import describe
from codeweft.server.failures import OLLAMA_PATHS
from tests.fuzz.conftest import Program
from tests.fuzz.effort import effort

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
UNFIT = ("/api/endpoints/test",)
"""Asks the address that it is given; which may be anywhere."""


def operations() -> list[Any]:
    found = []
    # As committed; another test sees to it that this is what the server has.
    web = json.loads((Path(__file__).parents[2] / "web" / "openapi.json").read_text())
    for description in (describe(), web):
        schema = schemathesis.openapi.from_dict(description, config=SchemathesisConfig())
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.path not in UNFIT:
                found.append(pytest.param(operation, id=f"{operation.method.upper()} {operation.path}"))
    return found


@pytest.mark.parametrize("operation", operations())
def test_no_request_makes_the_server_fail(program: Program, operation: Any) -> None:
    strategies = [operation.as_strategy(generation_mode=mode) for mode in MODES]

    @effort(6)
    @given(case=st.one_of(strategies), known=st.booleans())
    def tried(case: Any, known: bool) -> None:
        if known and case.path_parameters:
            case.path_parameters = {
                name: program.known.get(name, value) for name, value in case.path_parameters.items()
            }
        headers = {"Authorization": f"Bearer {program.key}", "X-Codeweft": "1"}
        response = case.call(base_url=program.url, headers=headers, timeout=20)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        if response.status_code >= 400 and response.headers.get("content-type") == ["application/json"]:
            check_error(operation.path, response.json())

    tried()
    # It still knows who asks and what it holds.
    assert program.call("GET", "/v1/models").status_code == 200


def check_error(path: str, body: Any) -> None:
    """Each protocol's own shape."""
    told = body["error"]
    if path == "/v1/messages":
        assert body["type"] == "error" and told["message"] and told["type"]
    elif path in OLLAMA_PATHS:
        assert isinstance(told, str) and told
    elif path.startswith(("/v1", "/infill", "/props")):
        assert told["message"] and {"type", "param", "code"} <= set(told)
    else:
        assert told["message"] and set(told) == {"message", "fix", "code", "param"}


def test_what_was_there_is_there_still(program: Program) -> None:
    """Runs after the others: whatever was tried, the accounts, the key and the indexes answer."""
    assert program.call("GET", "/api/indexes").status_code == 200
    assert isinstance(program.call("GET", "/v1/dataprep/indices").json(), list)
    assert program.call("GET", "/ready").status_code == 200


def test_the_description_is_served_and_names_every_address(program: Program) -> None:
    told = program.call("GET", "/v1/openapi.json").json()
    assert told == json.loads(json.dumps(describe()))
    for path, operations in told["paths"].items():
        for method in operations:
            answer = program.call(method.upper(), path, json={})
            assert answer.status_code != 405 and "There is nothing at" not in answer.text, (method, path)
