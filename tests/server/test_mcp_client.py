"""Coding agents' own client against the MCP server, over HTTP and over standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from codeweft.models.scripted import ScriptedModel
from tests.server.conftest import Server, app_model

CODE = '''\
def invoice_total(lines):
    """Sum the lines of an invoice, with tax."""
    return sum(line.amount * 1.1 for line in lines)


def unrelated():
    return None
'''


@pytest.fixture
def server(starting: Callable[..., Server], tmp_path: Path) -> Server:
    running = starting({"codegen": app_model(), "plain": ScriptedModel("plain", "fine")})
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "billing.py").write_text(CODE)
    running.composition.indexes.add(str(folder), "shop").update()
    return running


def said(result: Any) -> str:
    return "\n".join(block.text for block in result.content)


async def test_an_agent_finds_reads_and_generates_over_http(server: Server) -> None:
    async with (
        httpx2.AsyncClient(headers=server.headers) as http,
        streamable_http_client(server.url + "/mcp", http_client=http) as (read, write, *_),
        ClientSession(read, write) as session,
    ):
        told = await session.initialize()
        assert told.server_info.name == "codeweft"
        assert "search" in (told.instructions or "")
        tools = {tool.name for tool in (await session.list_tools()).tools}
        assert {"list_indexes", "search_code", "read_file", "generate_code"} <= tools
        assert "shop: 1 files" in said(await session.call_tool("list_indexes", {}))
        found = said(await session.call_tool("search_code", {"query": "total of an invoice", "k": 1}))
        assert found.startswith("shop: billing.py:1-3 invoice_total")
        assert "line.amount * 1.1" in found
        lines = said(
            await session.call_tool(
                "read_file", {"index": "shop", "path": "billing.py", "start_line": 6, "end_line": 7}
            )
        )
        assert lines == "     6\tdef unrelated():\n     7\t    return None"
        used = said(await session.call_tool("find_symbol", {"name": "invoice_total"}))
        assert used.startswith("shop: billing.py:1 definition invoice_total: def invoice_total")
        lines = said(await session.call_tool("grep_code", {"pattern": r"^def \w+d\("}))
        assert lines == "shop: billing.py:6: def unrelated():"
        written = said(await session.call_tool("generate_code", {"request": "total?"}))
        assert written.startswith("Use `total` [1].")
        assert "[1] shop: cart.py:3-9 total" in written
        assert "This is only a test." in written
        gone = await session.call_tool("read_file", {"index": "shop", "path": "nope.py"})
        assert gone.is_error and "nope.py" in said(gone)
        none = await session.call_tool("search_code", {"query": "x", "index": "nothing"})
        assert none.is_error and "There are: shop" in said(none)
    (request,) = server.composition.models["codegen"].requests
    assert request.caller.key is not None


async def test_agents_need_a_key(server: Server) -> None:
    async with server.client(headers={}) as session, session.post("/mcp", json={}) as answer:
        assert answer.status == 401


async def test_the_same_over_standard_input_and_output(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "billing.py").write_text(CODE)
    environment = {**os.environ, "CODEWEFT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "codeweft"]
    process = await asyncio.create_subprocess_exec(*command, "index", "add", str(folder), env=environment)
    assert await process.wait() == 0
    parameters = StdioServerParameters(command=command[0], args=[*command[1:], "mcp"], env=environment)
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        found = said(await session.call_tool("search_code", {"query": "invoice total with tax", "k": 1}))
        assert found.startswith("shop: billing.py:1-3 invoice_total")
