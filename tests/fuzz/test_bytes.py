"""What editors, agents and people write by hand: no bytes end the program, and every refusal can be acted on."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeweft.config import load
from codeweft.errors import CodeweftError
from codeweft.flows.spec import parse
from codeweft.models.sse import MAX_LINE, Lines
from tests.fuzz.effort import effort

YAML = st.text(
    st.sampled_from(list("models:server port\n  -[]{}&*!|>%@`'\"#?,0az\x00\ud800\u2028")), max_size=60
)


@effort(150)
@given(text=YAML | st.binary(max_size=40).map(lambda data: data.decode("latin-1")))
def test_no_settings_file_ends_in_a_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "codeweft.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(path)
    except CodeweftError as error:
        assert error.message


@effort(100)
@given(text=YAML)
def test_no_app_ends_in_a_traceback(text: str) -> None:
    try:
        parse(text)
    except CodeweftError as error:
        assert error.message


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "a: &a [x, x]\nb: &b [*a, *a]\n",
        "[" * 5000,
        "models: !!python/object:os.system {}",
        "a: b: c",
        "a: 2020-13-45",
    ],
)
def test_settings_that_trick_a_reader_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "codeweft.yaml"
    path.write_text(text)
    with pytest.raises(CodeweftError):
        load(path)
    with pytest.raises(CodeweftError):
        parse(text)


@effort(200)
@given(body=st.binary(max_size=200), places=st.lists(st.integers(0, 200), max_size=8))
def test_lines_are_the_same_however_they_are_cut(body: bytes, places: list[int]) -> None:
    body = body.replace(b"\x01", b"\ndata: ").replace(b"\x02", b"\n")
    whole = Lines()
    wanted = [*whole.feed(body), *whole.rest()]
    ends = sorted({min(place, len(body)) for place in places} | {len(body)})
    cut = Lines()
    found = [part for begin, end in zip([0, *ends], ends, strict=False) for part in cut.feed(body[begin:end])]
    assert found + cut.rest() == wanted


def test_a_line_without_end_is_given_up_in_time_that_grows_with_its_length_only() -> None:
    lines = Lines()
    piece = b"x" * 4096
    # Joining as they come would copy 130 GB.
    for _ in range(MAX_LINE // len(piece)):
        lines.feed(piece)
    with pytest.raises(ValueError):
        lines.feed(piece)


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


GARBAGE = (
    b"{", b"[1, 2]", b"null", b'"x"', b"\xff\xfe", b'{"jsonrpc": "2.0", "id": 7, "method": "no/such", "params": 5}',
    b'{"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": 5}}',
    b'{"jsonrpc": "2.0", "id": 8, "method": "textDocument/inlineCompletion", "params": {}}',
    b'{"jsonrpc": "2.0", "id": 9, "result": 1}',
)  # fmt: skip


async def test_the_language_server_answers_after_garbage() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.lsp.scripted_server", "x", "0",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        for message in GARBAGE:
            process.stdin.write(framed(message))
        hello = {"jsonrpc": "2.0", "id": "last", "method": "initialize",
                 "params": {"processId": None, "rootUri": None, "capabilities": {}}}  # fmt: skip
        process.stdin.write(framed(json.dumps(hello).encode()))
        await process.stdin.drain()
        async with asyncio.timeout(60):
            while True:
                header = await process.stdout.readuntil(b"\r\n\r\n")
                length = int(header.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                told = json.loads(await process.stdout.readexactly(length))
                if told.get("id") == "last":
                    break
        assert "inlineCompletionProvider" in told["result"]["capabilities"]
    finally:
        process.kill()
        await process.wait()
