"""The web API under /api, described by OpenAPI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from codeweft import __version__
from codeweft.errors import CodeweftError, InvalidRequest
from codeweft.runtime.compose import Runtime
from codeweft.server import failures
from codeweft.server.admin import admin_routes
from codeweft.server.attachments import attachment_routes
from codeweft.server.audit import audit_routes
from codeweft.server.chat import Answers
from codeweft.server.conversations import conversation_routes
from codeweft.server.endpoints import endpoint_routes
from codeweft.server.feedback import feedback_routes
from codeweft.server.find import find_routes
from codeweft.server.knowledge import knowledge_routes
from codeweft.server.model_files import model_file_routes
from codeweft.server.people import people_routes
from codeweft.server.playground import playground_routes
from codeweft.server.service import Service
from codeweft.server.session import session_routes
from codeweft.server.settings import settings_routes
from codeweft.server.setup import setup_routes
from codeweft.server.snippets import snippet_routes
from codeweft.server.summaries import summary_routes
from codeweft.server.tasks import task_routes
from codeweft.server.transfer import transfer_routes
from codeweft.server.usage import usage_routes
from codeweft.server.views import ErrorView


def create_api(runtime: Runtime, service: Service, answers: Answers) -> FastAPI:
    api = FastAPI(
        title="Codeweft",
        version=__version__,
        description="The API of the web UI. Authenticate by session cookie or `Authorization: Bearer KEY`; changes "
        "made with a cookie need the header `X-Codeweft: 1`.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={
            "default": {"model": ErrorView, "description": "What went wrong, and what to do about it."}
        },
        generate_unique_id_function=lambda route: route.name,
    )
    api.state.runtime = runtime
    routers = (
        session_routes(runtime),
        admin_routes(runtime),
        knowledge_routes(runtime),
        people_routes(runtime),
        usage_routes(runtime),
        audit_routes(runtime),
        setup_routes(runtime),
        settings_routes(runtime),
        endpoint_routes(runtime),
        find_routes(),
        summary_routes(runtime),
        # Before the routes that take any word for the id of a conversation.
        transfer_routes(runtime),
        conversation_routes(service, answers),
        attachment_routes(runtime),
        snippet_routes(runtime),
        feedback_routes(runtime),
        task_routes(service),
        playground_routes(service),
        model_file_routes(runtime),
    )
    for router in routers:
        api.include_router(router, prefix="/api")
    for kind in (CodeweftError, HTTPException, Exception):
        api.add_exception_handler(kind, _answer)
    api.add_exception_handler(RequestValidationError, _invalid)
    return api


async def _answer(request: Request, error: Exception) -> Response:
    return failures.response(failures.translate(error), request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first: dict[str, Any] = error.errors()[0]
    place, *path = first["loc"]
    param = ".".join(str(part) for part in path) or None
    if first["type"] == "json_invalid":
        told = InvalidRequest(f"The body is not valid JSON: {first['ctx']['error']} at byte {path[0]}.")
    else:
        told = InvalidRequest(f"`{param or place}`: {first['msg']}.", param=param)
    return failures.response(told, request.url.path)
