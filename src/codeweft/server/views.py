"""What the web API shows: the nouns as pydantic models, which are also its OpenAPI description."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from codeweft.accounts import Key, Scope, User
from codeweft.errors import CodeweftError
from codeweft.jobs import Job
from codeweft.models.loaded import EngineState
from codeweft.retrieval.index import Index
from codeweft.retrieval.store.base import StoredFile
from codeweft.runtime.updates import Following
from codeweft.server.emit import clean
from codeweft.types import ModelInfo, SearchResult

SHOWN_FILES = 200
"""Failed and skipped files listed in a status; the counts are whole."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class View(BaseModel):
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    @classmethod
    def shown(cls, noun: object, **said: Any) -> Self:
        """A view with the fields of `noun` by their names; `said` are those that are told otherwise."""
        same = {name: getattr(noun, name) for name in cls.model_fields if name not in said}
        return cls.model_validate(same | said, from_attributes=True)


class Body(BaseModel):
    """A request: unknown fields are an error rather than a silent no."""

    model_config = ConfigDict(extra="forbid")


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────


class ErrorDetail(View):
    message: str
    fix: str
    code: str
    param: str | None


class ErrorView(View):
    error: ErrorDetail


class Problem(View):
    """An error inside an answer or a job."""

    message: str
    fix: str
    code: str = ""

    @classmethod
    def of(cls, error: CodeweftError) -> Problem:
        return cls(message=clean(error.message), fix=clean(error.fix), code=error.code)


# ── session and system ───────────────────────────────────────────────────────────────────────────────────────


class UserView(View):
    id: str
    name: str
    role: str

    @classmethod
    def of(cls, user: User) -> UserView:
        return cls.shown(user)


class EngineView(View):
    name: str
    status: Literal["stopped", "starting", "ready", "failed", "restarting"]
    reason: str
    context: int | None
    slots: int
    busy: int
    waiting: int
    memory_mb: float | None

    @classmethod
    def of(cls, state: EngineState) -> EngineView:
        return cls.shown(state)


class MachineView(View):
    cores: int
    memory_mb: int
    disk_free_mb: int


class SystemView(View):
    version: str
    models_ready: bool
    engine: list[EngineView]
    machine: MachineView
    home: str


class ModelView(View):
    name: str
    kind: Literal["embedded", "upstream", "app", "scripted"]
    description: str
    note: str
    skills: list[str]
    context: int | None
    family: str
    default: bool

    @classmethod
    def of(cls, info: ModelInfo, default: str) -> ModelView:
        return cls.shown(info, skills=sorted(info.skills), default=info.name == default)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


class KeyView(View):
    id: str
    name: str
    owner: str = Field(description="Name of the user it lets in.")
    prefix: str
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    scopes: list[Scope]

    @classmethod
    def of(cls, key: Key, owner: str) -> KeyView:
        return cls.shown(
            key,
            owner=owner,
            created_at=iso(key.created_at),
            last_used_at=None if key.last_used_at is None else iso(key.last_used_at),
            expires_at=None if key.expires_at is None else iso(key.expires_at),
        )


class NewKeyBody(Body):
    name: str = Field(min_length=1, max_length=200)
    expires_in_days: float | None = Field(None, gt=0, description="Left out, the key does not expire.")
    scopes: list[Scope] = Field(
        default_factory=list, description="What the key may do; empty for everything."
    )


class NewKeyView(View):
    id: str
    name: str
    key: str


# ── indexes ──────────────────────────────────────────────────────────────────────────────────────────────────


class JobView(View):
    id: str
    kind: str
    subject: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    phase: str
    done: int
    total: int
    eta_s: float | None
    rate: float | None = Field(description="Files per second (percent per second while fetching).")
    message: str
    error: str | None

    @classmethod
    def of(cls, job: Job) -> JobView:
        return cls.shown(
            job, message=clean(job.message), error=None if job.error is None else clean(str(job.error))
        )


class FileReason(View):
    path: str
    reason: str

    @classmethod
    def some(cls, pairs: Sequence[tuple[str, str]]) -> list[FileReason]:
        return [cls(path=clean(path), reason=clean(reason)) for path, reason in pairs[:SHOWN_FILES]]


class SecretView(View):
    """A secret that was taken out of a file: its kind and where it was, never what it was."""

    path: str
    line: int
    rule: str


class IndexView(View):
    name: str
    source: str
    kind: Literal["folder", "git", "file", "web", "uploads"]
    repository: str
    commit: str
    state: Literal["empty", "indexing", "ready", "incomplete", "failed"]
    files: int
    indexed: int
    chunks: int
    bytes: int
    summarised: int
    languages: dict[str, int]
    failed: list[FileReason]
    skipped: list[FileReason]
    failed_count: int
    skipped_count: int
    secrets_count: int = Field(description="Secrets that were taken out before anything was stored.")
    updated_at: str | None
    error: str
    job: JobView | None
    default: bool
    follows: Literal["watched", "polled", "told"] = Field(
        description="Changes are seen as they happen, every `refresh_minutes`, or when an update is asked for."
    )
    refresh_minutes: float = Field(description="How often the source is looked at; 0 when it is not.")

    @classmethod
    def of(cls, index: Index, job: Job | None, default: str | None, following: Following) -> IndexView:
        status = index.status()
        running = job is not None and not job.finished
        return cls(
            name=status.name,
            source=clean(status.source),
            kind=index.source.kind,
            repository=clean(status.repository),
            commit=status.commit,
            state="indexing" if running else status.state,
            files=status.files,
            indexed=status.indexed,
            chunks=status.chunks,
            bytes=status.bytes,
            summarised=status.summarised,
            languages=dict(status.languages),
            failed=FileReason.some(status.failed),
            skipped=FileReason.some(status.skipped),
            failed_count=len(status.failed),
            skipped_count=len(status.skipped),
            secrets_count=status.secrets,
            updated_at=None if not status.updated_at else iso(status.updated_at),
            error=clean(status.error),
            job=None if job is None else JobView.of(job),
            default=status.name == default,
            follows=following.how,
            refresh_minutes=following.minutes,
        )


class NewIndexBody(Body):
    source: str = Field(
        min_length=1,
        max_length=4096,
        description="A folder, file or archive of the server's machine, a git URL (#branch, #tag, #commit), a web page.",
    )
    name: Name | None = None
    token: SecretStr | None = Field(
        None, description="For a private repository; `${NAME}` is looked up in the server's environment."
    )
    web: bool | None = Field(
        None, description="The address is a web page (true) or a git repository (false); null finds out."
    )
    refresh_minutes: float | None = Field(
        None, ge=0, description="How often to fetch again, in place of the server's setting; 0 never."
    )


class FileView(View):
    path: str
    language: str
    chunks: int
    lines: int
    status: str
    reason: str

    @classmethod
    def of(cls, file: StoredFile) -> FileView:
        return cls.shown(file, path=clean(file.path), reason=clean(file.reason))


class FilesView(View):
    total: int
    files: list[FileView]


class SourceView(View):
    path: str
    language: str
    start_line: int
    end_line: int
    total_lines: int
    text: str
    repository: str
    commit: str


class ReferenceView(View):
    number: int
    index: str
    repository: str
    path: str
    start_line: int
    end_line: int
    name: str
    kind: str
    language: str
    signature: str
    commit: str
    score: float
    text: str
    summary: str = ""
    why: dict[str, float] = Field(default_factory=dict)
    verified: bool | None = Field(
        None, description="False when its source does not say it any more; null when nobody looked."
    )

    @classmethod
    def all(cls, results: Sequence[SearchResult]) -> list[ReferenceView]:
        """Numbered references."""
        return [
            cls(
                number=number,
                index=result.index,
                repository=clean(result.chunk.repository),
                path=clean(result.chunk.path),
                start_line=result.chunk.start_line,
                end_line=result.chunk.end_line,
                name=clean(result.chunk.qualified_name),
                kind=result.chunk.kind,
                language=result.chunk.language,
                signature=clean(result.chunk.signature),
                commit=result.chunk.commit,
                score=round(result.score, 6),
                text=clean(result.chunk.text),
                summary=clean(result.chunk.summary),
                why={reason: round(part, 6) for reason, part in result.why.items()},
            )
            for number, result in enumerate(results, 1)
        ]
