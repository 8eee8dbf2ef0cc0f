"""A search result as programs read it, on the command line and over HTTP. The field names are stable."""

from __future__ import annotations

from typing import Any

from codeweft.types import Explained, SearchResult


def record(result: SearchResult) -> dict[str, Any]:
    """Where the chunk is, what it is, and how well it matched; JSON types only."""
    chunk = result.chunk
    return {
        "path": chunk.path,
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "name": chunk.qualified_name,
        "kind": chunk.kind,
        "language": chunk.language,
        "score": round(result.score, 6),
        "repository": chunk.repository,
    }


def explanation(told: Explained) -> dict[str, Any]:
    """What was looked up, why, what of it was shown (with its number), and what the model read; JSON types only."""
    numbers = {_place(result): number for number, result in enumerate(told.shown, 1)}
    candidates = [
        {**record(result), "why": dict(result.why), "number": numbers.get(_place(result))}
        for result in told.candidates
    ]
    prompt = [{"role": turn.role, "content": turn.content} for turn in told.prompt]
    return {"question": told.question, "query": told.query, "candidates": candidates, "prompt": prompt}


def _place(result: SearchResult) -> tuple[str, str, int]:
    return result.chunk.repository, result.chunk.path, result.chunk.start_line
