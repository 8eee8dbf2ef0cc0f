"""Editors' and agents' own programs against a running server, with the settings that `codeweft connect` writes."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from codeweft.models.scripted import ScriptedModel, calling
from codeweft.types import Done, Event, Request, TextDelta, Usage
from tests.clients.conftest import connected, node, program, run
from tests.server.conftest import Server

Starting = Callable[..., Server]


def test_llm_answers_with_the_settings_of_connect(starting: Starting, tmp_path: Path) -> None:
    llm = program("python/bin/llm")
    running = starting({"codegen": ScriptedModel("codegen", "def total(): ...")})
    settings = connected("llm", running, tmp_path)
    environment = {"LLM_USER_PATH": str(settings.parent)}
    run([llm, "keys", "set", "codeweft", "--value", running.key], tmp_path, environment)
    assert "def total(): ..." in run([llm, "-m", "codeweft", "sum it"], tmp_path, environment)
    whole = run([llm, "-m", "codeweft", "--no-stream", "sum it"], tmp_path, environment)
    assert "def total(): ..." in whole
    (request, *_) = running.composition.models["codegen"].requests
    assert request.messages[-1].content == "sum it"


OFFLINE = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
}


class ReadsFirst(ScriptedModel):
    """Calls a tool when it has one and nothing was read yet, then answers: agents also ask for titles."""

    def __init__(self, tool: str, arguments: Mapping[str, Any], answer: str) -> None:
        super().__init__("codegen", answer)
        self._call = ScriptedModel("codegen", calling((tool, arguments)))

    async def stream(self, request: Request) -> AsyncGenerator[Event]:
        read = any(turn.role == "tool" for turn in request.messages)
        chosen = super().stream(request) if read or not request.tools else self._call.stream(request)
        if not (read or not request.tools):
            self.requests.append(request)
        async for event in chosen:
            yield event


EDIT = """cart.py
```python
<<<<<<< SEARCH
    return 0
=======
    return sum(cart)
>>>>>>> REPLACE
```
"""


def test_aider_edits_a_file(starting: Starting, tmp_path: Path) -> None:
    aider = program("aider/bin/aider")
    running = starting({"codegen": ScriptedModel("codegen", EDIT)})
    connected("aider", running, tmp_path)
    (tmp_path / "cart.py").write_text("def total(cart):\n    return 0\n")
    flags = ["--no-git", "--no-check-update", "--no-show-release-notes", "--analytics-disable", "--yes-always",
             "--no-show-model-warnings", "--edit-format", "diff", "--map-tokens", "0"]  # fmt: skip
    # Offline: the table of models' prices is not fetched.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    said = run([aider, *flags, "--message", "make it add up", "cart.py"], tmp_path, environment)
    assert (tmp_path / "cart.py").read_text() == "def total(cart):\n    return sum(cart)\n", said
    asked = running.composition.models["codegen"].requests[0].messages
    assert any("make it add up" in turn.content for turn in asked)


def test_claude_code_calls_a_tool_and_answers(starting: Starting, tmp_path: Path) -> None:
    claude = program("claude/claude")
    target = tmp_path / "cart.py"
    target.write_text("SECRET_NUMBER = 4711\n")
    answers = [
        calling(("Read", {"file_path": str(target)}), saying="Let me look."),
        [TextDelta("The number is 4711."), Done(Usage(20, 5))],
    ]
    running = starting({"codegen": ScriptedModel("codegen", *answers)})
    connected("claude-code", running, tmp_path)
    environment = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    said = run(
        [claude, "-p", "What is the number in cart.py?", "--allowedTools", "Read"], tmp_path, environment
    )
    assert "4711" in said
    requests = running.composition.models["codegen"].requests
    told = [turn.content for request in requests for turn in request.messages if turn.role == "tool"]
    assert any("SECRET_NUMBER" in content for content in told)


def test_codex_runs_a_command_and_answers(starting: Starting, tmp_path: Path) -> None:
    codex = program("codex/codex")
    (tmp_path / "cart.py").write_text("SECRET_NUMBER = 4711\n")
    (tmp_path / "work").mkdir()
    answers = [
        calling(("exec_command", {"cmd": f"cat {tmp_path}/cart.py"}), saying="Let me look."),
        [TextDelta("The number is 4711."), Done(Usage(20, 5))],
    ]
    running = starting({"codegen": ScriptedModel("codegen", *answers)})
    connected("codex", running, tmp_path)
    environment = {"CODEWEFT_API_KEY": running.key}
    said = run(
        [
            codex,
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            "What is the number?",
        ],
        tmp_path,
        environment,
    )
    assert "4711" in said
    requests = running.composition.models["codegen"].requests
    told = [turn.content for request in requests for turn in request.messages if turn.role == "tool"]
    assert any("SECRET_NUMBER" in content for content in told), requests[0].tools


def test_opencode_reads_a_file_and_answers(starting: Starting, tmp_path: Path) -> None:
    opencode = program("opencode/opencode")
    work = tmp_path / "work"
    work.mkdir()
    target = work / "cart.py"
    target.write_text("SECRET_NUMBER = 4711\n")
    model = ReadsFirst("read", {"filePath": str(target)}, "The number is 4711.")
    running = starting({"codegen": model})
    connected("opencode", running, tmp_path)
    said = run([opencode, "run", "--dir", str(work), "What is the number in cart.py?"], tmp_path, OFFLINE)
    assert "4711" in said
    told = [turn.content for request in model.requests for turn in request.messages if turn.role == "tool"]
    assert any("SECRET_NUMBER" in content for content in told)


async def test_tabby_agent_completes(starting: Starting, tmp_path: Path) -> None:
    script = program("node/node_modules/tabby-agent/dist/cli.js")
    model = ScriptedModel("codegen", "w * h")
    running = starting({"codegen": model})
    connected("tabby", running, tmp_path)
    client = LanguageClient("tests", "1")
    # A home of its own: the agent reads its settings there.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TABBY_DISABLE_USAGE_COLLECTION": "1"}
    await client.start_io(node(), script, "--lsp", "--stdio", env=environment)
    capabilities = lsp.ClientCapabilities(
        text_document=lsp.TextDocumentClientCapabilities(
            completion=lsp.CompletionClientCapabilities(dynamic_registration=False)
        )
    )
    await client.initialize_async(lsp.InitializeParams(capabilities, root_uri=tmp_path.as_uri()))
    client.initialized(lsp.InitializedParams())
    try:
        uri = (tmp_path / "area.py").as_uri()
        text = "def area(w, h):\n    return \n"
        client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "python", 1, text))
        )
        # Its own inline completion is not wired up in this version; it offers ordinary completions.
        context = lsp.CompletionContext(lsp.CompletionTriggerKind.Invoked)
        asked = lsp.CompletionParams(lsp.TextDocumentIdentifier(uri), lsp.Position(1, 11), context)
        answer = await client.text_document_completion_async(asked)
        items = answer.items if isinstance(answer, lsp.CompletionList) else answer or []
        assert any("w * h" in str(item) for item in items), answer
        assert model.requests[0].infill is not None
        assert model.requests[0].infill.prefix.endswith("return ")
    finally:
        process = client._server
        assert process is not None
        process.kill()
        await process.wait()


def test_litellm_and_langchain_answer_and_stream_and_langchain_calls_a_tool(
    starting: Starting, tmp_path: Path
) -> None:
    python = program("python/bin/python")
    answers = ["one two", "one two", "three four", "three four", calling(("add", {"a": 1}))]
    running = starting({"codegen": ScriptedModel("codegen", *answers)})
    script = f"""
import litellm
from langchain_openai import ChatOpenAI
base, key = {running.url + "/v1"!r}, {running.key!r}
asked = dict(model="openai/codegen", api_base=base, api_key=key, messages=[dict(role="user", content="hi")])
print(litellm.completion(**asked).choices[0].message.content)
print("".join(part.choices[0].delta.content or "" for part in litellm.completion(stream=True, **asked)))
tool = dict(type="function", function=dict(name="add", parameters=dict(type="object", properties=dict(a=dict(type="integer")))))
model = ChatOpenAI(model="codegen", base_url=base, api_key=key)
print(model.invoke("hi").content)
print("".join(part.content for part in model.stream("hi")))
call = model.bind_tools([tool]).invoke("hi").tool_calls[0]
print(call["name"], call["args"])
"""
    told = run([python, "-c", script], tmp_path, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    assert told.splitlines() == ["one two", "one two", "three four", "three four", "add {'a': 1}"]


def test_a_wrong_key_is_told_by_the_program(starting: Starting, tmp_path: Path) -> None:
    llm = program("python/bin/llm")
    running = starting({"codegen": ScriptedModel("codegen", "x")})
    settings = connected("llm", running, tmp_path)
    done = subprocess.run(
        [llm, "-m", "codeweft", "--key", "cw_wrong", "hi"],
        env={"LLM_USER_PATH": str(settings.parent), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "key" in done.stderr.lower()
