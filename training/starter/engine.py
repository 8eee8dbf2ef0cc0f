"""Runs a GGUF file on llama.cpp's own server, inside this process, for export checks and evaluation."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xllamacpp

from training.starter import layout


class Engine:
    """A loaded model that completes token ids greedily."""

    def __init__(self, model: Path, context: int = 1024, slots: int = 4, threads: int = 1) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.port = 0
        parameters.hostnames = ["127.0.0.1"]
        parameters.ui = False
        parameters.offline = True
        parameters.verbosity = 0
        parameters.n_ctx = context * slots
        parameters.n_parallel = slots
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(parameters)
        self._url = self._server.listening_address
        self._slots = slots

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """One request to the server."""
        request = urllib.request.Request(
            self._url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)

    def tokens(self, text: str) -> list[int]:
        """The ids of a text; special tokens in it count as such."""
        return list(
            self.post("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]
        )

    def complete(self, prompt: Sequence[int] | str, count: int, **more: Any) -> dict[str, Any]:
        """The answer to one prompt, greedy, with the ids of its tokens."""
        body = {
            "prompt": prompt, "n_predict": count, "temperature": 0, "samplers": ["temperature"],  "return_tokens": True, "cache_prompt": False, **more,
        }  # fmt: skip
        return dict(self.post("/completion", body))

    def texts(self, prompts: Sequence[Sequence[int] | str], count: int, **more: Any) -> list[str]:
        """The answers to many prompts, in order, as texts without end tokens."""

        def one(prompt: Sequence[int] | str) -> str:
            return (
                str(self.complete(prompt, count, **more)["content"])
                .split(layout.TURN_END)[0]
                .split(layout.END)[0]
            )

        with ThreadPoolExecutor(self._slots) as pool:
            return list(pool.map(one, prompts))
