"""One translator from exceptions to answers: OpenAI's error shape under /v1, Codeweft's under /api and elsewhere."""

from __future__ import annotations

import errno
import logging
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from codeweft.errors import CodeweftError, InvalidRequest, NotFound, NotReady, StorageFailed
from codeweft.server.emit import dumps

log = logging.getLogger("codeweft.server")

OLLAMA_PATHS = (
    "/api/tags",
    "/api/show",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/version",
    "/api/ps",
)


class MethodNotAllowed(InvalidRequest):
    status, code = 405, "method_not_allowed"


def translate(error: BaseException) -> CodeweftError:
    """What a caller may know of `error`. A bug is logged under an id, and only the id is told."""
    match error:
        case CodeweftError():
            return error
        case HTTPException() if isinstance(error.__cause__, CodeweftError):
            return error.__cause__
        case HTTPException(status_code=404):
            return NotFound("There is nothing at this address.", fix="Check the path.")
        case HTTPException(status_code=405):
            allowed = (error.headers or {}).get("Allow", "")
            return MethodNotAllowed(
                "This address does not take that method.", fix=f"Use {allowed}." if allowed else ""
            )
        case HTTPException() if error.status_code < 500:
            return InvalidRequest(str(error.detail).rstrip(".") + ".")
        case PoolTimeout():
            return NotReady("Too many requests wait for the accounts database.", fix="Try again in a moment.")
        case OSError(errno=errno.ENOSPC):
            return StorageFailed("The disk is full.", fix="Make room where CODEWEFT_HOME is.")
    number = secrets.token_hex(4)
    log.error("bug %s", number, exc_info=error)
    return CodeweftError(
        f"Something went wrong inside Codeweft (error {number}).",
        fix="The server's log has the details under that number; please report it.",
    )


def openai_shape(error: CodeweftError) -> dict[str, Any]:
    body: dict[str, Any] = {
        "message": str(error),
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.details:
        body["details"] = error.details
    return {"error": body}


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def anthropic_shape(error: CodeweftError) -> dict[str, Any]:
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": str(error)}}


def ollama_shape(error: CodeweftError) -> dict[str, Any]:
    return {"error": str(error)}


def api_shape(error: CodeweftError) -> dict[str, Any]:
    return {"error": {"message": error.message, "fix": error.fix, "code": error.code, "param": error.param}}


_SHAPES: tuple[tuple[tuple[str, ...], Callable[[CodeweftError], dict[str, Any]]], ...] = (
    (("/v1/messages",), anthropic_shape),
    (OLLAMA_PATHS, ollama_shape),
    (("/v1", "/infill", "/props"), openai_shape),
    (("",), api_shape),
)
"""How each protocol tells errors; the first row whose beginning the path has."""


def response(error: CodeweftError, path: str) -> Response:
    """The answer to a request for `path` that ended in `error`."""
    shape = next(shape for beginnings, shape in _SHAPES if path.startswith(beginnings))
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status in (408, 413):
        # The rest of the body is not going to be read.
        headers["Connection"] = "close"
    if error.status == 429:
        headers["Retry-After"] = str(error.details.get("retry_after", 1))
    return Response(dumps(shape(error)), error.status, headers, "application/json")
