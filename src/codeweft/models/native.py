"""llama.cpp's own completion protocol: request bodies out, events in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from codeweft.models.wire import Progress, counted
from codeweft.types import FinishReason, Sampling, TokenLogprob, Usage


class Candidate(msgspec.Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[Candidate] = []


class Timings(msgspec.Struct, frozen=True):
    cache_n: int = 0
    prompt_n: int = 0
    prompt_ms: float = 0.0
    predicted_ms: float = 0.0
    predicted_per_second: float | None = None
    prompt_per_second: float | None = None


class NativeError(msgspec.Struct, frozen=True):
    message: str = ""
    type: str = ""
    n_prompt_tokens: int | None = None


class CompletionEvent(msgspec.Struct, frozen=True):
    """One event of a streamed `/completion`; the last has `stop`."""

    content: str = ""
    stop: bool = False
    stop_type: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    prompt_progress: Progress | None = None
    completion_probabilities: list[Candidate] = []
    timings: Timings | None = None
    error: NativeError | None = None

    @property
    def usage(self) -> Usage:
        return Usage(
            prompt_tokens=counted(self.tokens_evaluated),
            completion_tokens=counted(self.tokens_predicted),
            cached_tokens=counted(self.timings.cache_n) if self.timings else 0,
        )

    @property
    def reason(self) -> FinishReason:
        return "length" if self.stop_type == "limit" else "stop"

    def logprobs(self, alternatives: int) -> tuple[TokenLogprob, ...]:
        return tuple(
            TokenLogprob(
                item.token,
                item.logprob,
                tuple((top.token, top.logprob) for top in item.top_logprobs[:alternatives]),
            )
            for item in self.completion_probabilities
        )


class ErrorBody(msgspec.Struct, frozen=True):
    error: NativeError


class TokenizeBody(msgspec.Struct, frozen=True):
    tokens: list[int]


class CountBody(msgspec.Struct, frozen=True):
    input_tokens: int


decode_event = msgspec.json.Decoder(CompletionEvent).decode
decode_error = msgspec.json.Decoder(ErrorBody).decode
decode_tokens = msgspec.json.Decoder(TokenizeBody).decode
decode_count = msgspec.json.Decoder(CountBody).decode
encode = msgspec.json.encode


def sampling_fields(sampling: Sampling) -> dict[str, Any]:
    """The sampling fields that the completion and chat routes share; what is None is left to the engine."""
    values = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "typical_p": sampling.typical_p,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "repeat_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "grammar": sampling.grammar,
    }
    return {name: value for name, value in values.items() if value is not None}


def guided(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with the blanks fixed: weak models otherwise write blanks until the limit."""
    return schema | {"x-guidance": {"whitespace_flexible": False}}


def completion_body(
    ids: Sequence[int], sampling: Sampling, max_tokens: int, schema: dict[str, Any] | None
) -> dict[str, Any]:
    """The body of `/completion`.

    It always streams and reports progress, since only then does closing the socket free the slot at once.
    """
    body = sampling_fields(sampling) | {
        "prompt": ids,
        "n_predict": max_tokens,
        "stream": True,
        "return_progress": True,
        "cache_prompt": True,
    }
    if sampling.logit_bias:
        body["logit_bias"] = [[token, bias] for token, bias in sampling.logit_bias.items()]
    if sampling.logprobs is not None:
        body["n_probs"] = max(1, sampling.logprobs)
    if schema is not None:
        body["json_schema"] = guided(schema)
    return body


def reading_body(ids: Sequence[int]) -> dict[str, Any]:
    """The body of `/completion` for reading the beginning of a prompt and writing nothing."""
    return {"prompt": ids, "n_predict": 0, "stream": True, "return_progress": True, "cache_prompt": True}
