"""A search result as programs read it, on the command line and over HTTP. The field names are stable."""

from __future__ import annotations

from typing import Any

from codeweft.types import SearchResult


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
