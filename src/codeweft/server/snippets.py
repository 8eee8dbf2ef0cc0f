"""The code that answers brought: finding it in their text, and its history over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from codeweft.runtime.compose import Runtime
from codeweft.server.chat_views import DeletedView, SnippetBody, SnippetView
from codeweft.server.deps import NO_CONTENT, UserId


def snippet_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["snippets"])
    snippets = runtime.accounts.snippets

    @routes.get("/snippets")
    async def list_snippets(
        user: UserId,
        q: Annotated[str, Query(max_length=1000)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[datetime | None, Query(description="`created_at` of the last one seen.")] = None,
    ) -> list[SnippetView]:
        """The code of your answers and what you saved, latest first."""
        found = await snippets.list(
            user, text=q, limit=limit, before=None if before is None else before.timestamp()
        )
        return [SnippetView.of(one) for one in found]

    @routes.post("/snippets", status_code=201)
    async def save_snippet(body: SnippetBody, user: UserId) -> SnippetView:
        """Keep a piece of code by hand; it stays when conversations are deleted."""
        kept = await snippets.add(user, [(body.language, body.code)], title=body.title.strip())
        return SnippetView.of(kept[0])

    @routes.delete("/snippets/{snippet_id}", **NO_CONTENT)
    async def delete_snippet(snippet_id: str, user: UserId) -> None:
        await snippets.delete(user, snippet_id)

    @routes.delete("/snippets")
    async def clear_snippets(user: UserId) -> DeletedView:
        """Delete your whole history of snippets."""
        return DeletedView(deleted=await snippets.clear(user))

    return routes
