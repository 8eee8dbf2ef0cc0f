"""Search results as programs read them, on the command line and over HTTP. The field names are stable."""

from __future__ import annotations

from typing import Any

from codeweft.types import Explained, Explanation, Message, SearchResult, Step


def record(result: SearchResult, *, why: bool = False) -> dict[str, Any]:
    """Where the chunk is, what it is, and how well it matched, with `why` also for what reasons; JSON types only."""
    chunk = result.chunk
    found: dict[str, Any] = {
        "path": chunk.path,
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "name": chunk.qualified_name,
        "kind": chunk.kind,
        "language": chunk.language,
        "score": round(result.score, 6),
        "repository": chunk.repository,
    }
    if why:
        found["why"] = {reason: round(part, 6) for reason, part in result.why.items()}
    return found


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """How results came about; JSON types only."""
    return {
        "type": explanation.type,
        "indexes": list(explanation.indexes),
        "terms": {term: list(forms) for term, forms in explanation.terms.items()},
        "symbols": list(explanation.symbols),
        "candidates": explanation.candidates,
        "seconds": {stage: round(seconds, 6) for stage, seconds in explanation.seconds.items()},
    }


def step_record(step: Step) -> dict[str, Any]:
    """A step of an agent; JSON types only."""
    return {
        "number": step.number,
        "tool": step.tool,
        "arguments": dict(step.arguments),
        "seconds": round(step.seconds, 6),
        "results": step.results,
        "tokens": step.tokens,
        "thought": step.thought,
        "error": step.error,
    }


def said(turn: Message) -> str:
    """A turn as text, the tools that it calls included."""
    calls = [f"{call.name}({call.arguments})" for call in turn.tool_calls]
    return "\n".join([turn.content, *calls] if turn.content else calls)


def explanation(told: Explained) -> dict[str, Any]:
    """What was looked up, why, what of it was shown (with its number), what the model read, what an agent did; JSON types only."""
    numbers = {_place(result): number for number, result in enumerate(told.shown, 1)}
    candidates = [
        {
            **record(result),
            "index": result.index,
            "why": dict(result.why),
            "number": numbers.get(_place(result)),
        }
        for result in told.candidates
    ]
    prompt = [{"role": turn.role, "content": said(turn)} for turn in told.prompt]
    return {
        "question": told.question,
        "query": told.query,
        "candidates": candidates,
        "prompt": prompt,
        "steps": [step_record(step) for step in told.steps],
    }


def _place(result: SearchResult) -> tuple[str, str, int]:
    return result.chunk.repository, result.chunk.path, result.chunk.start_line
