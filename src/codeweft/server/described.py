"""The OpenAPI description of the program API, made from the bodies and field tables that the server itself uses."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from codeweft import __version__
from codeweft.server import anthropic, fields, llamacpp, lookup, ollama, opea, responses, tabby, wire
from codeweft.server.fields import Fields


@dataclass(frozen=True, slots=True)
class Route:
    """An address that takes JSON. `fields` adds those that are ignored, and those that are refused unless harmless."""

    path: str
    body: type
    summary: str
    fields: Fields | None = None
    streams: bool = False


ROUTES: Final = (
    Route("/v1/chat/completions", wire.ChatBody, "OpenAI: chat.", fields.CHAT, streams=True),
    Route("/v1/completions", wire.CompletionBody, "OpenAI: completion, infilling.", fields.COMPLETION, streams=True),
    Route("/v1/embeddings", wire.EmbeddingBody, "OpenAI: embeddings.", fields.EMBEDDING),
    Route("/v1/responses", responses.ResponsesBody, "OpenAI: responses.", fields.RESPONSES, streams=True),
    Route("/v1/messages", anthropic.MessagesBody, "Anthropic: messages.", fields.MESSAGES, streams=True),
    Route("/v1/codegen", wire.CodegenBody, "OPEA: code generation.", fields.CODEGEN, streams=True),
    Route("/v1/codetrans", wire.CodetransBody, "OPEA: code translation.", fields.CODETRANS, streams=True),
    Route("/v1/retrieval", lookup.RetrievalBody, "OPEA: chunks for a question.", fields.OPEA_RETRIEVAL),
    Route("/v1/search", lookup.SearchBody, "Codeweft's own search.", fields.SEARCH),
    Route("/v1/dataprep/get", opea.GetBody, "OPEA: the files of an index."),
    Route("/v1/dataprep/delete", opea.DeleteBody, "OPEA: delete a file, or all of an index."),
    Route("/v1/events", tabby.EventBody, "Tabby: what became of a completion."),
    Route("/infill", llamacpp.InfillBody, "llama.cpp: infilling.", fields.INFILL, streams=True),
    Route("/api/chat", ollama.ChatBody, "Ollama: chat.", fields.OLLAMA_CHAT, streams=True),
    Route("/api/generate", ollama.GenerateBody, "Ollama: completion, infilling.", fields.OLLAMA_GENERATE, streams=True),
    Route("/api/embed", ollama.EmbedBody, "Ollama: embeddings.", fields.OLLAMA_EMBED),
    Route("/api/show", ollama.NameBody, "Ollama: what a model is."),
)  # fmt: skip
"""Tabby's completions share the address of OpenAI's."""

_LISTS: Final = {
    "/v1/models": "OpenAI: the models and apps.",
    "/v1/dataprep/indices": "OPEA: the names of the indexes.",
    "/v1/health_check": "OPEA: name and version.",
    "/v1/statistics": "OPEA: latencies of each app and model.",
    "/v1/health": "Tabby: the model and the machine.",
    "/v1beta/server_setting": "Tabby: settings for editors.",
    "/props": "llama.cpp: context and slots.",
    "/api/tags": "Ollama: the models.",
    "/api/ps": "Ollama: the loaded models.",
    "/api/version": "Ollama: the version.",
}
_INGEST: Final = {
    "type": "object",
    "properties": {
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "link_list": {"type": "string", "description": "A JSON list of addresses."},
        "index_name": {"type": "string"},
        "chunk_size": {"type": "integer"},
        "chunk_overlap": {"type": "integer"},
        "process_table": {"type": "boolean"},
        "table_strategy": {"enum": ["fast", "hq", "llm"]},
    },
}


def describe() -> dict[str, Any]:
    """OpenAPI 3.1 of every address outside `/api` of the web page that takes or gives JSON."""
    shapes, components = msgspec.json.schema_components(
        [route.body for route in ROUTES], ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Any] = {path: {"get": _operation(text)} for path, text in _LISTS.items()}
    for route, shape in zip(ROUTES, shapes, strict=True):
        schema = _with_fields(components[shape["$ref"].rpartition("/")[2]], route.fields)
        paths.setdefault(route.path, {})["post"] = _operation(
            route.summary, {"application/json": {"schema": schema}}, streams=route.streams
        )
    paths["/v1/dataprep/ingest"] = {
        "post": _operation("OPEA: put files into an index.", {"multipart/form-data": {"schema": _INGEST}})
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Codeweft", "version": __version__, "description": "What programs, editors and agents ask."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }  # fmt: skip


def _operation(summary: str, content: Any = None, *, streams: bool = False) -> dict[str, Any]:
    answers: dict[str, Any] = {"application/json": {}} | ({"text/event-stream": {}} if streams else {})
    told: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": {"description": "The answer.", "content": answers},
            "default": {"description": "What went wrong, in the protocol's own shape."},
        },
    }
    if content is not None:
        told["requestBody"] = {"required": True, "content": content}
    return told


def _with_fields(component: dict[str, Any], table: Fields | None) -> dict[str, Any]:
    """The schema of a body with every field of its table, and what becomes of it."""
    schema = copy.deepcopy(component)
    members = schema.setdefault("properties", {})
    for name, field in (table or {}).items():
        if field.use == "rejected":
            members[name] = {"enum": [None, *field.harmless], "description": f"Refused: {field.why}."}
        elif field.use == "ignored":
            members[name] = {"description": f"Ignored: {field.why}."}
        elif field.use == "forwarded" and name in members:
            members[name]["description"] = f"Forwarded: {field.why}."
    if table:
        schema["additionalProperties"] = False
    return schema
