"""The ways to ask for a stream, one for each protocol, and how each tells that an answer is not whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_TURNS: Final = [{"role": "user", "content": "hi"}]


@dataclass(frozen=True, slots=True)
class Way:
    """A route and a body; `failed` is in the stream of an answer that failed, `whole` in that of one that did not."""

    path: str
    body: Mapping[str, Any]
    failed: str
    whole: str

    def asking(self, model: str) -> dict[str, Any]:
        return {"model": model, "stream": True, **self.body}


WAYS: Final = {
    "chat": Way("/v1/chat/completions", {"messages": _TURNS}, 'data: {"error":', "data: [DONE]"),
    "completions": Way("/v1/completions", {"prompt": "a ="}, 'data: {"error":', "data: [DONE]"),
    "responses": Way("/v1/responses", {"input": "hi"}, "event: response.failed", "event: response.completed"),
    "anthropic": Way(
        "/v1/messages", {"max_tokens": 3000, "messages": _TURNS}, "event: error", "event: message_stop"
    ),
    "ollama chat": Way("/api/chat", {"messages": _TURNS}, '{"error":', '"done":true'),
    "ollama generate": Way("/api/generate", {"prompt": "a ="}, '{"error":', '"done":true'),
    "opea": Way("/v1/codegen", {"messages": "hi"}, 'data: {"error":', "data: [DONE]"),
    "llama.cpp": Way("/infill", {"input_prefix": "a =", "input_suffix": "\n"}, "error", '"stop":true'),
}
