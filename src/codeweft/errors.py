"""Errors that a person can act on. Everything else is a bug and is left to raise.

CodeweftError
├── InvalidRequest       400  the request is malformed or asks for something that cannot be
│   ├── ContextOverflow  400  the prompt does not fit the model's context
│   └── MissingSkill     400  the model cannot do what was asked
├── NotSignedIn          401  no key, or one that is not known
│   └── CodeNeeded       401  the password is right; a code of the second factor is needed too
├── NotAllowed           403  a key that may not do this
│   └── FactorNeeded     403  a second factor has to be set up first
├── NotFound             404  no model, index, file, conversation of that name
├── Conflict             409  it exists already, or another process holds it
├── TooLarge             413  a body, file or archive above the limit
├── Overloaded           429  the queue is full; try again
├── RateLimited          429  the caller asks for more than it may at once or in a minute
├── BudgetSpent          429  the caller has used its budget
├── NoSandbox            501  code cannot be run here, because nothing would contain it
├── EngineFailed         502  the embedded engine stopped, or a file is not a model
├── UpstreamFailed       502  an endpoint answered with an error or not at all
├── SchemaBroken         502  an answer is not what its JSON Schema asks for
├── NotReady             503  still starting, or no model is loaded
└── StorageFailed        507  disk full, unreadable folder, damaged state
"""

from __future__ import annotations

from typing import ClassVar


class CodeweftError(Exception):
    """Base of all errors. `message` says what happened, `fix` what to do about it.

    `param` names the request field at fault, `details` holds machine-readable figures (such as token counts).
    Front doors translate it: HTTP status and OpenAI error body, exit code, LSP error.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"

    def __init__(
        self,
        message: str,
        *,
        fix: str = "",
        param: str | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.param = param
        self.details = details or {}

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message


class InvalidRequest(CodeweftError):
    status, code, type = 400, "invalid_request", "invalid_request_error"


class ContextOverflow(InvalidRequest):
    code = "context_length_exceeded"


class MissingSkill(InvalidRequest):
    code = "missing_skill"


class NotSignedIn(CodeweftError):
    status, code, type = 401, "invalid_api_key", "authentication_error"


class CodeNeeded(NotSignedIn):
    code = "code_needed"


class NotAllowed(CodeweftError):
    status, code, type = 403, "not_allowed", "permission_error"


class FactorNeeded(NotAllowed):
    code = "factor_needed"


class NotFound(CodeweftError):
    status, code, type = 404, "not_found", "invalid_request_error"


class Conflict(CodeweftError):
    status, code, type = 409, "conflict", "invalid_request_error"


class TooLarge(CodeweftError):
    status, code, type = 413, "too_large", "invalid_request_error"


class TooSlow(CodeweftError):
    status, code, type = 408, "too_slow", "invalid_request_error"


class Overloaded(CodeweftError):
    status, code, type = 429, "overloaded", "rate_limit_error"


class RateLimited(CodeweftError):
    status, code, type = 429, "rate_limited", "rate_limit_error"


class BudgetSpent(CodeweftError):
    status, code, type = 429, "insufficient_quota", "insufficient_quota"


class NoSandbox(CodeweftError):
    status, code = 501, "no_sandbox"


class EngineFailed(CodeweftError):
    status, code = 502, "engine_failed"


class UpstreamFailed(CodeweftError):
    status, code = 502, "upstream_failed"


class SchemaBroken(CodeweftError):
    status, code = 502, "schema_broken"


class NotReady(CodeweftError):
    status, code = 503, "not_ready"


class StorageFailed(CodeweftError):
    status, code = 507, "storage_failed"
