"""What becomes of every request field: used, ignored for a reason, or rejected for a reason. None is dropped silently.

The tables name all fields of OpenAI's and OPEA's requests. A field in no table is rejected by name, except names
that begin with `x_`, which clients may use for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Field:
    """`forwarded` fields go to endpoints that speak OpenAI's protocol as they came; other models refuse them by name.

    `harmless` are the values of a rejected field that ask for nothing; null always is."""

    use: Literal["used", "forwarded", "ignored", "rejected"] = "used"
    why: str = ""
    harmless: tuple[Any, ...] = ()


Fields = Mapping[str, Field]

USED = Field()
NOTE = Field("ignored", "it is a note of the client to itself")
CACHE = Field("ignored", "prompts are cached by what they begin with, without a key")
_TIER = Field("ignored", "there is one service tier")
_STORE = Field("ignored", "completions over the API are never stored")
_FORWARDED = Field(
    "forwarded", "endpoints that speak OpenAI's protocol get it, other models refuse it by name"
)
FORWARDED = ("prediction", "reasoning_effort", "verbosity")


def _used(*names: str) -> dict[str, Field]:
    return dict.fromkeys(names, USED)


SAMPLING: Fields = {
    **_used(
        "frequency_penalty",
        "grammar",
        "logit_bias",
        "max_tokens",
        "min_p",
        "n",
        "presence_penalty",
        "repetition_penalty",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
    ),
    "user": Field("ignored", "the API key tells who asks"),
}

LOOKUP: Fields = _used(
    "branches",
    "distance_threshold",
    "fetch_k",
    "index",
    "index_name",
    "k",
    "kinds",
    "lambda_mult",
    "languages",
    "paths",
    "repositories",
    "score_threshold",
    "search_type",
)
RETRIEVAL: Fields = {**LOOKUP, **_used("agents_flag", "explain")}

CHAT: Fields = {
    **SAMPLING,
    **RETRIEVAL,
    **_used(
        "inputs",
        "logprobs",
        "max_completion_tokens",
        "messages",
        "model",
        "parallel_tool_calls",
        "response_format",
        "tool_choice",
        "tools",
        "top_logprobs",
    ),
    **dict.fromkeys(FORWARDED, _FORWARDED),
    "audio": Field("rejected", "answers are text"),
    "function_call": Field("rejected", "it was replaced by `tool_choice`"),
    "functions": Field("rejected", "it was replaced by `tools`", ([],)),
    "metadata": NOTE,
    "modalities": Field("rejected", "answers are text", (["text"],)),
    "moderation": Field("rejected", "there is no moderation model"),
    "prompt_cache_key": CACHE,
    "prompt_cache_options": CACHE,
    "prompt_cache_retention": CACHE,
    "safety_identifier": NOTE,
    "service_tier": _TIER,
    "store": _STORE,
    "web_search_options": Field("rejected", "there is no web search; `index` searches your code"),
}

COMPLETION: Fields = {
    **SAMPLING,
    **RETRIEVAL,
    **_used("best_of", "echo", "logprobs", "model", "neighbours", "prompt", "suffix"),
}

CODEGEN: Fields = {
    **CHAT,
    "best_of": USED,
    "chat_template": Field("rejected", "the model's own chat template is used"),
    "chat_template_kwargs": Field("rejected", "the model's own chat template is used", ({},)),
    "documents": Field("rejected", "put documents into an index and name it in `index_name`", ([], "")),
    "echo": Field("rejected", "a chat answer does not repeat its question", (False,)),
    "language": Field("ignored", "the question's language is the answer's", ("auto",)),
    "suffix": Field("rejected", "infilling is done by /v1/completions", ("",)),
    "timeout": Field("ignored", "close the connection to give up"),
    "top_n": Field("ignored", "`k` says how many references the model sees"),
}

_SOURCE = Field("rejected", "the code to translate is `source_code`", ([], ""))

CODETRANS: Fields = {
    **CODEGEN,
    **dict.fromkeys(LOOKUP, Field("ignored", "a translation needs nothing but its code")),
    **_used("language_from", "language_to", "source_code", "tests"),
    "agents_flag": Field("ignored", "a translation needs nothing but its code"),
    "best_of": Field("rejected", "there is one translation", (1,)),
    "inputs": Field("rejected", "the code to translate is `source_code`", ({},)),
    "messages": _SOURCE,
    "tool_choice": Field("rejected", "a translation calls no tools", ("none",)),
    "tools": Field("rejected", "a translation calls no tools", ([],)),
}

RESPONSES: Fields = {
    **_used(
        *("agents_flag", "include", "index", "input", "instructions", "k", "max_output_tokens", "metadata"),
        *("model", "parallel_tool_calls", "stream", "temperature", "text", "tool_choice", "tools"),
        *("top_logprobs", "top_p"),
    ),
    "access_programs": NOTE,
    "background": Field("rejected", "answers are not kept; read the stream", (False,)),
    "background_options": Field("rejected", "answers are not kept; read the stream"),
    "client_metadata": NOTE,
    "context_management": Field("ignored", "the oldest turns are left out when a conversation does not fit"),
    "conversation": Field("rejected", "nothing is stored; send the whole input"),
    "image": Field("rejected", "answers are text"),
    "max_tool_calls": Field("ignored", "it counts built-in tools, of which there are none"),
    "moderation": CHAT["moderation"],
    "previous_response_id": Field("rejected", "nothing is stored; send the whole input"),
    "prompt": Field("rejected", "there are no stored prompts"),
    "prompt_cache_key": CACHE,
    "prompt_cache_options": CACHE,
    "prompt_cache_retention": CACHE,
    "reasoning": Field("ignored", "a model thinks when its own template makes it"),
    "safety_identifier": NOTE,
    "service_tier": _TIER,
    "store": Field("ignored", "nothing is ever stored"),
    "stream_options": Field("ignored", "the stream is not padded"),
    "truncation": Field("ignored", "the oldest turns are left out when a conversation does not fit"),
    "user": SAMPLING["user"],
}

MESSAGES: Fields = {
    **_used(
        "agents_flag",
        "index",
        "k",
        "max_tokens",
        "messages",
        "model",
        "output_config",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    ),
    "cache_control": CACHE,
    "container": Field("rejected", "nothing is run on the server"),
    "context_management": Field("ignored", "the oldest turns are left out when a conversation does not fit"),
    "diagnostics": NOTE,
    "inference_geo": Field("ignored", "the server stands where you put it"),
    "mcp_servers": Field("rejected", "the client calls tools, not the server", ([],)),
    "metadata": NOTE,
    "service_tier": _TIER,
    "speed": _TIER,
    "thinking": Field("ignored", "a model thinks when its own template makes it"),
    "user_profile_id": NOTE,
    "workspace_id": NOTE,
}

_ENGINE = Field("ignored", "the engine's settings are the server's")
_KEEP = Field("ignored", "`engine.idle_seconds` in the settings says how long a model stays loaded")

INFILL: Fields = {
    **_used(
        *("frequency_penalty", "input_extra", "input_prefix", "input_suffix", "min_p", "model", "n_predict"),
        *("presence_penalty", "prompt", "repeat_penalty", "response_fields", "seed", "stop", "stream"),
        *("t_max_predict_ms", "temperature", "top_k", "top_p", "typical_p"),
    ),
    "cache_prompt": Field("ignored", "prompts are always cached"),
    "id_slot": Field("ignored", "a free slot is taken"),
    "n_indent": Field("ignored", "it has no effect on this model's sampling"),
    "n_probs": Field("rejected", "/v1/completions reports log probabilities", (0,)),
    "samplers": Field("ignored", "the order of samplers is the engine's"),
    "t_max_prompt_ms": Field("ignored", "a prompt is read to its end"),
}

TABBY: Fields = {
    **_used("seed", "segments", "temperature"),
    "language": Field("ignored", "models read it off the code"),
    "mode": Field("rejected", "there are inline completions only", ("standard",)),
    "debug_options": Field("ignored", "there is no debug output"),
    "user": SAMPLING["user"],
}

_OLLAMA: Fields = {**_used("format", "model", "options", "stream"), "keep_alive": _KEEP}

OLLAMA_CHAT: Fields = {
    **_OLLAMA,
    **_used("messages", "tools"),
    "logprobs": Field("rejected", "/v1/chat/completions reports log probabilities", (False,)),
    "think": MESSAGES["thinking"],
    "top_logprobs": Field("rejected", "/v1/chat/completions reports log probabilities", (0,)),
}

OLLAMA_GENERATE: Fields = {
    **_OLLAMA,
    **_used("prompt", "raw", "suffix", "system"),
    "context": Field("rejected", "token ids of earlier answers are not kept; use /api/chat", ([],)),
    "images": Field("rejected", "the models here read text only", ([],)),
    "logprobs": OLLAMA_CHAT["logprobs"],
    "template": Field("rejected", "the model's own chat template is used", ("",)),
    "think": MESSAGES["thinking"],
    "top_logprobs": OLLAMA_CHAT["top_logprobs"],
}

OLLAMA_EMBED: Fields = {
    **_used("dimensions", "input", "model"),
    "keep_alive": _KEEP,
    "options": _ENGINE,
    "truncate": Field("rejected", "a text that is too long is an error", (False, True)),
}

EMBEDDING: Fields = {
    **_used("dimensions", "encoding_format", "input", "model"),
    "user": SAMPLING["user"],
}

SEARCH: Fields = {**LOOKUP, **_used("explain", "query")}

_LATER = Field("ignored", "it is for the step that answers; a chat request comes back with it")
_GRAPH = Field("rejected", "there is no graph of documents")
_IMAGE = Field("rejected", "code is looked up by text; there are no vectors of images")

OPEA_RETRIEVAL: Fields = {
    **dict.fromkeys((*CODEGEN, "add_generation_prompt", "add_special_tokens", "streaming"), _LATER),
    **LOOKUP,
    **_used("embedding", "input", "messages", "text"),
    **dict.fromkeys(("documents", "reranked_docs", "retrieved_docs", "top_n"), _LATER),
    "base64_image": _IMAGE,
    "constraints": Field("rejected", "narrow by `paths`, `languages`, `kinds`, `repositories`", ({}, [])),
    "dimensions": Field("ignored", "the vector says how many numbers it has"),
    "distance_strategy": Field("rejected", "vectors are compared by cosine", ("COSINE",)),
    "enable_summarizer": Field("rejected", "chunks are returned as they are", (False,)),
    "enable_traversal": Field("rejected", "there is no graph of documents", (False,)),
    "encoding_format": Field("ignored", "vectors are lists of numbers here"),
    "graph_name": _GRAPH,
    "id": NOTE,
    "request_type": Field("ignored", "the fields tell what is asked"),
    "search_start": Field("rejected", "there is no graph of documents", ("chunk",)),
    "url": _IMAGE,
}
