"""What agents send by mistake, over HTTP and standard input, and what is uploaded: refused in words, the next is answered."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.conftest import Program

HELLO = {
    "jsonrpc": "2.0",
    "id": "last",
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"},
    },
}


def calling(**params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params}).encode()


GARBAGE = {
    "half": b"{",
    "a list": b"[1, 2]",
    "nothing": b"null",
    "not UTF-8": b"\xff\xfe\x00",
    "nested": b"[" * 50_000,
    "a surrogate": b'{"jsonrpc": "2.0", "id": 1, "method": "\\ud800"}',
    "no method": b'{"jsonrpc": "2.0", "id": 1}',
    "an unknown method": b'{"jsonrpc": "2.0", "id": 1, "method": "no/such", "params": {}}',
    "params of a wrong type": b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": 5}',
    "a huge id": b'{"jsonrpc": "2.0", "id": 1e400, "method": "ping"}',
    "before initialize": b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
    "an unknown tool": calling(name="no_such_tool", arguments={}),
    "arguments of a wrong type": calling(name="search_code", arguments=[1]),
    "an argument of a wrong type": calling(name="search_code", arguments={"query": {"a": 1}, "k": "x"}),
    "a missing argument": calling(name="read_file", arguments={}),
    "a path that leads out": calling(name="read_file", arguments={"path": "../../../../etc/passwd"}),
    "a surrogate as argument": calling(name="search_code", arguments={"query": "\ud800"}),
    "an answer to nothing": b'{"jsonrpc": "2.0", "id": 99, "result": {}}',
    "a long line": b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"x" * 900_000 + b'"}',
}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_no_message_over_http_is_too_odd(program: Program, sent: bytes) -> None:
    told = program.call("POST", "/mcp", data=sent, headers=HEADERS)
    assert told.status_code < 500 and "Traceback" not in told.text and "root:" not in told.text, told.text
    hello = program.call("POST", "/mcp", json=HELLO, headers=HEADERS)
    assert hello.status_code == 200 and "serverInfo" in hello.text


def test_other_methods_and_bodies_without_end_are_refused(program: Program) -> None:
    for method in ("GET", "DELETE", "PUT", "PATCH"):
        assert program.call(method, "/mcp", headers={"Accept": "application/json"}).status_code in (405, 406)
    assert program.call("POST", "/mcp", data=b"x" * 1_100_000, headers=HEADERS).status_code == 413
    assert program.call("POST", "/mcp", data=b"{}", headers={"Content-Type": "text/plain"}).status_code < 500


async def test_no_line_on_standard_input_is_too_odd(tmp_path: Path) -> None:
    environment = {**os.environ, "CODEWEFT_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "codeweft", "mcp", env=environment, limit=1 << 24,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        for line in (*GARBAGE.values(), json.dumps(HELLO).encode()):
            process.stdin.write(line + b"\n")
        async with asyncio.timeout(90):
            while told := await process.stdout.readline():
                answer = json.loads(told)
                if answer.get("id") == "last":
                    break
        assert answer["result"]["serverInfo"]["name"] == "codeweft"
    finally:
        process.kill()
        await process.wait()


# ── uploads ──────────────────────────────────────────────────────────────────────────────────────────────────

UPLOADS = {
    "an index": ("/api/indexes/uploaded/files", "files"),
    "OPEA": ("/v1/dataprep/ingest", "files"),
    "a question": ("/api/attachments", "file"),
    "conversations": ("/api/conversations/import", "file"),
}
OURS = {"X-Codeweft": "1"}


@pytest.mark.parametrize(("path", "field"), UPLOADS.values(), ids=UPLOADS.keys())
def test_an_upload_that_is_too_large_is_refused_with_and_without_a_length(
    program: Program, path: str, field: str
) -> None:
    large = program.call("POST", path, files={field: ("a.py", b"x" * 1_200_000)}, headers=OURS)
    assert large.status_code == 413, large.text
    boundary = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a.py"\r\n\r\n' % field.encode()

    def endless() -> Any:
        yield boundary
        for _ in range(120):
            yield b"x" * 10_000

    headers = {**OURS, "Content-Type": "multipart/form-data; boundary=b"}
    large = program.call("POST", path, data=endless(), headers=headers)
    assert large.status_code == 413, large.text


BROKEN = {
    "a.zip": b"PK\x03\x04 not what it says",
    "a.tar.gz": b"\x1f\x8b\x08 nor this",
    "a.pdf": b"%PDF-1.4 nothing",
    "a.docx": b"PK\x03\x04",
    "a.pptx": b"PK\x05\x06" + bytes(18),
    "a.ipynb": b"[" * 100_000,
    "a.json": b"[" * 100_000,
    "a.md": b"\xff\xfe\x00",
    "a.py": b"",
    "../a.py": b"x = 1",
    "a\x00.py": b"x = 1",
    "a/" * 1500 + "a.py": b"x = 1",
    "\ud800.py".encode("utf-8", "surrogatepass").decode("latin-1"): b"x = 1",
}


@pytest.mark.parametrize(("path", "field"), UPLOADS.values(), ids=UPLOADS.keys())
def test_no_file_that_is_broken_makes_an_upload_fail(program: Program, path: str, field: str) -> None:
    for name, data in BROKEN.items():
        told = program.call("POST", path, files={field: (name, data)}, headers=OURS)
        assert told.status_code < 500 or told.status_code == 507, (name, told.text)
        if told.status_code >= 400:
            error = told.json()["error"]
            assert error["message"] and "inside Codeweft" not in error["message"], (name, told.text)
    assert program.call("GET", "/api/indexes").status_code == 200
