"""What the web API shows: the nouns as pydantic models, which are also its OpenAPI description."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

<<<<<<< HEAD
from codeweft.accounts import Key, Scope
=======
from codeweft.accounts import Conversation, Key, Scope, Turn, User
>>>>>>> main
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
        return cls(id=user.id, name=user.name, role=user.role)


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
        return cls.model_validate(state, from_attributes=True)


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
        return cls(
            name=info.name,
            kind=info.kind,
            description=info.description,
            note=info.note,
            skills=sorted(info.skills),
            context=info.context,
            family=info.family,
            default=info.name == default,
        )


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


class KeyView(View):
    id: str
    name: str
    prefix: str
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    scopes: list[Scope]

    @classmethod
    def of(cls, key: Key) -> KeyView:
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            created_at=iso(key.created_at),
            last_used_at=None if key.last_used_at is None else iso(key.last_used_at),
            expires_at=None if key.expires_at is None else iso(key.expires_at),
            scopes=list(key.scopes),
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
        return cls(
            id=job.id,
            kind=job.kind,
            subject=job.subject,
            state=job.state,
            phase=job.phase,
            done=job.done,
            total=job.total,
            eta_s=job.eta_s,
            rate=job.rate,
            message=clean(job.message),
            error=None if job.error is None else clean(str(job.error)),
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
        return cls(
            path=clean(file.path),
            language=file.language,
            chunks=file.chunks,
            lines=file.lines,
            status=file.status,
            reason=clean(file.reason),
        )


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
<<<<<<< HEAD
=======


# ── conversations ────────────────────────────────────────────────────────────────────────────────────────────


class UsageView(View):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int

    @classmethod
    def of(cls, used: Usage) -> UsageView:
        return cls(
            prompt_tokens=used.prompt_tokens,
            completion_tokens=used.completion_tokens,
            cached_tokens=used.cached_tokens,
        )


class SamplingBody(Body):
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=0, le=1_000_000)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)


class TurnView(View):
    id: str
    role: Literal["user", "assistant"]
    content: str
    created_at: str
    model: str | None
    note: str
    references: list[ReferenceView]
    usage: UsageView | None
    reason: str | None
    error: Problem | None
    sampling: dict[str, float | None]
    timings: dict[str, float]
    rating: Literal["good", "bad"] | None
    comment: str
    answer_id: str | None = Field(None, description="Set while the answer is being written.")

    @classmethod
    def of(cls, turn: Turn, answer_id: str | None = None) -> TurnView:
        return cls.model_validate(
            {**_fields(turn), "created_at": iso(turn.created_at), "answer_id": answer_id}
        )


def _fields(turn: Turn) -> Mapping[str, Any]:
    names = (
        "id", "role", "content", "model", "note", "references", "usage", "reason", "error", "sampling", "timings",
        "rating", "comment",
    )  # fmt: skip
    return {name: getattr(turn, name) for name in names}


class ConversationView(View):
    id: str
    title: str
    model: str | None
    index: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, conversation: Conversation) -> ConversationView:
        return cls(
            id=conversation.id,
            title=conversation.title,
            model=conversation.model,
            index=conversation.index,
            created_at=iso(conversation.created_at),
            updated_at=iso(conversation.updated_at),
        )


class ConversationWithTurns(ConversationView):
    turns: list[TurnView]


class NewConversationBody(Body):
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(None, max_length=200)
    title: str = Field("", max_length=200)


class ConversationPatch(Body):
    title: str | None = Field(None, min_length=1, max_length=200)
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(None, max_length=200)


class AskBody(Body):
    content: str | None = Field(None, min_length=1)
    regenerate: bool = Field(False, description="Write the last answer anew instead of asking something.")
    model: str | None = Field(None, max_length=200)
    index: str | None = Field(
        None, max_length=200, description='null takes the app\'s default, "" looks nothing up.'
    )
    sampling: SamplingBody = SamplingBody()
    explain: bool = Field(False, description="Tell what was looked up and why, and what the model read.")
    agent: bool = Field(
        False, description="Let the model look things up in steps before it answers. For apps."
    )


class AskedView(View):
    answer_id: str
    user_turn: TurnView | None
    turn: TurnView


class RatingBody(Body):
    rating: Literal["good", "bad"] | None
    comment: str = Field("", max_length=10_000)
>>>>>>> main
