"""A model file with its engine: what text models and embedders that run on this machine have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from codeweft.errors import CodeweftError, ContextOverflow, EngineFailed, InvalidRequest, NotReady
from codeweft.models import native
from codeweft.models.engine import Engine, Status
from codeweft.models.gguf import GgufHeader, read_header
from codeweft.models.machine import this_machine
from codeweft.models.plan import EngineOptions, EnginePlan, generation_parameters, plan
from codeweft.models.prefill import Prefill
from codeweft.models.turns import Turns
from codeweft.models.wire import MALFORMED
from codeweft.types import ModelInfo

Parameters = Callable[[GgufHeader, EngineOptions, EnginePlan], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EngineState:
    """How a model on this machine is doing. `context` is tokens of one request; `file` what is loaded."""

    name: str
    status: Status
    reason: str
    file: Path
    context: int | None = None
    slots: int = 0
    busy: int = 0
    waiting: int = 0
    memory_mb: int = 0
    restarts: int = 0


class LoadedFile:
    """A model file with its engine: read, sized, started on first use."""

    def __init__(
        self,
        name: str,
        path: Path,
        options: EngineOptions,
        parameters: Parameters,
    ) -> None:
        """Raises `EngineFailed` when the file is not a usable model."""
        self._name = name
        self._options = options
        self._parameters = parameters
        self.header = read_header(path)
        self.plan = self._sized()
        self.engine = Engine(
            f"{name} ({path.name})",
            self._parameters_now,
            python=options.python,
            start_timeout=options.start_timeout,
            probe=self._probe,
        )
        self.turns = Turns(self.plan.slots, options.queue)
        self.prefill = Prefill(self.plan.batch)

    @property
    def state(self) -> EngineState:
        process, turns = self.engine.state, self.turns
        return EngineState(
            name=self._name,
            status=process.status,
            reason=process.reason,
            file=self.header.path,
            context=self.plan.context,
            slots=turns.slots,
            busy=turns.busy,
            waiting=turns.waiting,
            memory_mb=process.memory_mb,
            restarts=process.restarts,
        )

    def _sized(self) -> EnginePlan:
        return plan(self.header, self._options, this_machine(self._options.python, self._options.gpu_layers))

    def _parameters_now(self) -> dict[str, Any]:
        """The engine's parameters for what memory is left now: other models may have been loaded since, or grown."""
        self.plan = self._sized()
        self.turns.slots = self.plan.slots
        return self._parameters(self.header, self._options, self.plan)

    def _probe(self) -> str:
        """Slots are told by the engine's own loop, so they tell when it hangs; but asking wakes an engine that sleeps.

        Only a generating engine has short batches throughout, so that its loop answers soon.
        """
        generates = self._parameters is generation_parameters
        return "/slots" if generates and self.turns.busy and not self._options.idle_seconds else "/health"

    async def ask(self, path: str, body: dict[str, Any], *, question: bool = False) -> bytes:
        """POST and return the whole answer; see `Engine.post`.

        Raises `EngineFailed` or what the engine says about the request.
        """
        try:
            async with await self.engine.post(path, native.encode(body), question=question) as response:
                data = await response.read()
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            raise await self.engine.loss() from None
        if response.status != 200:
            raise refusal(response.status, data)
        return data

    async def encode(self, text: str, special: bool) -> list[int]:
        """Token ids of `text`; special tokens in it count only if `special`."""
        if not text:
            return []
        body = {"content": text, "add_special": False, "parse_special": special}
        return native.decode_tokens(await self.ask("/tokenize", body, question=True)).tokens


class OnFile:
    """What models and embedders on a file share: a file that is unusable shows in `state` and at every call."""

    _info: ModelInfo
    _path: Path
    _file: LoadedFile | None = None
    _defect: EngineFailed | None = None

    @property
    def info(self) -> ModelInfo:
        if self._file is not None and self._info.context != self._file.plan.context:
            # Less memory was left at the last start.
            self._info = replace(self._info, context=self._file.plan.context)
        return self._info

    @property
    def state(self) -> EngineState:
        if self._file is None:
            reason = self._defect.message if self._defect else ""
            return EngineState(self._info.name, "failed", reason, self._path)
        return self._file.state

    async def start(self) -> None:
        """Load the model now instead of at the first request. Raises `EngineFailed`."""
        await self._loaded().engine.ready()

    async def close(self) -> None:
        """End the engine's process; running answers fail."""
        if self._file is not None:
            await self._file.engine.close()

    def _loaded(self) -> LoadedFile:
        if self._file is None:
            assert self._defect is not None
            raise self._defect
        return self._file


def refusal(status: int, data: bytes) -> CodeweftError:
    """The engine's error answer as one of ours."""
    try:
        error = native.decode_error(data).error
    except MALFORMED:
        return EngineFailed(f"The engine answered with status {status} and no explanation.")
    if error.type == "exceed_context_size_error":
        return ContextOverflow(f"The prompt does not fit: {error.message}.", fix="Shorten it.")
    if status == 400:
        return InvalidRequest(f"The engine refused the request: {error.message[:300]}.")
    if status == 503:
        return NotReady("The model is still loading.", fix="Try again in a moment.")
    return EngineFailed(f"The engine failed: {error.message[:300]}.", fix="Try again.")
