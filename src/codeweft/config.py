"""The one settings file: YAML in, typed and frozen settings out. Nothing else reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from platformdirs import user_data_dir
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codeweft.errors import InvalidRequest, StorageFailed
from codeweft.types import Skill

HOME_VARIABLE = "CODEWEFT_HOME"
KEY_VARIABLE = "CODEWEFT_API_KEY"
SHORTEST_KEY = 8
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]
Role = Literal["admin", "member", "viewer"]
STORE_SCHEMES = ("postgresql://", "postgres://", "https://", "http://")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    """Where Codeweft listens."""

    host: str = Field("127.0.0.1", description="Address to bind. Anything but loopback requires signing in.")
    port: int = Field(8000, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    public_url: str | None = Field(None, description="Address that people use, when a proxy stands in front.")
    variables: list[str] = Field(
        default_factory=lambda: ["CODEWEFT_KEY_*"],
        description="Environment variables that settings saved over the web may name as ${NAME}; * is any text.",
    )
    max_body_mb: float = Field(64, gt=0, description="Largest request body in megabytes (uploads included).")


class ModelSettings(_Section):
    """One model: a GGUF file run by the embedded engine, an OpenAI-compatible endpoint, or a pool of other models."""

    path: Path | None = Field(None, description="GGUF file for the embedded engine.")
    base_url: str | None = Field(None, description="Endpoint, such as https://api.example.com/v1.")
    api_key: str | None = Field(
        None, description="Key of the endpoint; ${NAME} reads an environment variable."
    )
    protocol: Literal["openai", "anthropic", "bedrock"] | None = Field(
        None, description="What the endpoint speaks (default: openai; anthropic at Anthropic's own address)."
    )
    region: str | None = Field(None, description="AWS region of a model on Bedrock.")
    pool: list[Name] | None = Field(
        None, min_length=1, description="Models that answer under this name; the least busy that is well."
    )
    fallback: list[Name] = Field(
        default_factory=list, description="Of a pool: models tried in order when none of it could answer."
    )
    attempts: int = Field(4, ge=1, le=20, description="Of a pool: endpoints asked before giving up.")
    cooldown_s: float = Field(
        15, ge=0, description="Of a pool: seconds that an endpoint rests after a failure, doubled in a row."
    )
    first_token_s: float | None = Field(
        None, gt=0, description="Of a pool: longest wait for the first word before another is asked."
    )
    model: str | None = Field(None, description="The model's name at the endpoint.")
    family: str | None = Field(
        None, description="Model family for FIM tokens and skills; guessed from the name."
    )
    skills: list[Skill] | None = Field(None, description="Overrides the skills that the family implies.")
    context: int | None = Field(None, gt=0, description="Context length in tokens of one request.")
    parallel: int | None = Field(
        None, gt=0, le=256, description="Requests served at once; more wait in a queue."
    )
    threads: int | None = Field(None, gt=0, description="Engine threads (default: cores minus one).")
    gpu_layers: int | None = Field(None, description="Layers on the GPU; -1 lets the engine choose.")
    embeddings: bool = Field(False, description="This model makes embeddings instead of text.")
    reranks: bool = Field(False, description="This model re-ranks search results instead of making text.")
    timeout: float = Field(120, gt=0, description="Seconds to wait for an endpoint's next bytes.")

    @model_validator(mode="after")
    def _one_kind(self) -> ModelSettings:
        endpoint = self.base_url if self.protocol != "bedrock" else self.region
        if sum(kind is not None for kind in (self.path, endpoint, self.pool)) != 1:
            raise ValueError("give one of `path` (a GGUF file), `base_url` (an endpoint) and `pool` (models)")
        if (self.protocol == "bedrock") != (self.region is not None):
            raise ValueError("a model on Bedrock has `protocol: bedrock` and a `region`")
        if self.protocol is not None and (self.embeddings or self.reranks):
            raise ValueError("embeddings and re-rankings come from files and OpenAI-compatible endpoints")
        if self.embeddings and self.reranks:
            raise ValueError("a model either makes embeddings or re-ranks")
        if self.fallback and self.pool is None:
            raise ValueError("`fallback` belongs to a `pool`; a pool of one model is one")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError("`base_url` must start with http:// or https://")
        return self


class SandboxSettings(_Section):
    """Where code of answers is checked; it needs bubblewrap and is never run outside of it."""

    enabled: bool = Field(
        True, description="Check code of answers; false runs nothing, also not in a sandbox."
    )
    parallel: int = Field(2, ge=1, le=64, description="Checks at once; more wait.")
    seconds: float = Field(
        60, gt=0, le=600, description="Longest time of one check; of the processor it gets a third of that."
    )
    memory_mb: int = Field(1024, ge=64, description="Most memory of one check in megabytes.")
    folders: list[Path] = Field(
        default_factory=list,
        description="Folders with tools outside /usr, shown read-only; their `bin` is on the path.",
    )


class EngineSettings(_Section):
    """Defaults of the embedded engine."""

    python: str | None = Field(
        None, description="Interpreter that has xllamacpp (for a GPU build of the engine)."
    )
    threads: int | None = Field(None, gt=0, description="Threads for generation (default: cores minus one).")
    parallel: int = Field(4, gt=0, le=256, description="Requests generated at once.")
    queue: int = Field(64, ge=0, description="Requests that may wait; more are refused with 429.")
    context: int = Field(
        8192, gt=0, description="Context in tokens of one request, bounded by the model's own."
    )
    cache_mb: int = Field(512, ge=0, description="Memory for cached prompts in megabytes.")
    idle_seconds: int = Field(
        0, ge=0, description="Free the model's memory after so long without work; 0 never."
    )


class _ModelSection(_Section):
    """A section that is mostly a model: only the model's name is its short form."""

    model: str

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"model": data} if isinstance(data, str) else data


class EncoderSettings(_ModelSection):
    """An embedding model in place of the bundled encoder."""

    model: str = Field(description="A model of `models` with `embeddings: true`.")
    query_prefix: str | None = Field(
        None, description="What the model expects before a question (default: known for common models)."
    )
    text_prefix: str | None = Field(None, description="What the model expects before a document.")


class RerankerSettings(_ModelSection):
    """A model that reads the question beside each of the best results."""

    model: str = Field(
        description="A model of `models`: with `reranks: true`, or any chat model for kind llm."
    )
    kind: Literal["cross", "llm"] = Field("cross", description="A cross-encoder, or a chat model asked once.")
    top: int = Field(
        30, ge=2, le=200, description="How many results are re-ranked (at most 20 by a chat model)."
    )
    share: float = Field(0.3, gt=0, le=1, description="Its part of the final score.")
    timeout: float = Field(5, gt=0, description="Seconds after which the first ranking stands.")


class TranslateSettings(_ModelSection):
    """A chat model that puts Korean, Japanese and Chinese questions into English."""

    model: str = Field(description="A chat model of `models`.")
    instead: bool = Field(
        False, description="Ask the translation instead of beside the question: for code all in English."
    )
    timeout: float = Field(5, gt=0, description="Seconds after which only the question itself is asked.")


class IndexSettings(_Section):
    """How code is read."""

    max_file_mb: float = Field(1.0, gt=0, description="Larger files are skipped (and listed as skipped).")
    max_document_mb: float = Field(
        32.0, gt=0, description="The same for documents: PDF, Office files, notebooks."
    )
    max_pages: int = Field(2000, gt=0, description="Pages read of one web site.")
    private_hosts: list[str] = Field(
        default_factory=list,
        description="Hosts of web pages that may lie inside this network (wiki.internal, 10.0.0.5).",
    )
    watch: bool = Field(True, description="The server follows changes in folders as they happen.")
    refresh_minutes: float = Field(
        30.0, ge=0, description="How often the server fetches git repositories and web pages again; 0 never."
    )
    exclude: list[str] = Field(default_factory=list, description="Gitignore-style patterns to leave out.")
    workers: int | None = Field(None, ge=0, description="Processes that parse; 0 parses in this process.")
    default: str | None = Field(None, description="Index used when a request names none.")
    store: str | None = Field(
        None,
        description="Where indexes live: postgresql://user:password@host/database or"
        " https://user:password@host:9200 (OpenSearch); default: in the state folder.",
    )
    ray: str | None = Field(
        None,
        description="Ray cluster that reads and encodes large updates: `auto`, or an address such as ray://host:10001.",
    )
    encoder: EncoderSettings | None = Field(
        None, description="An embedding model (default: the bundled encoder)."
    )
    reranker: RerankerSettings | None = Field(None, description="Re-rank results with a model (default: no).")
    translate: TranslateSettings | None = Field(None, description="Translate questions (default: no).")
    rewrite_questions: bool = Field(
        False, description="Let the model put a follow-up question so that it can be looked up alone."
    )
    redact: bool = Field(
        True, description="Take keys, tokens and passwords out of files before anything of them is stored."
    )
    allow_secrets: list[str] = Field(
        default_factory=list, description="Regular expressions; what one is found in is no secret."
    )

    @model_validator(mode="after")
    def _known_store(self) -> IndexSettings:
        # The address itself may hold a password and is in no message.
        if self.store is not None and not self.store.startswith(STORE_SCHEMES):
            raise ValueError(f"`store` must start with one of {', '.join(STORE_SCHEMES)}")
        return self


class SummarySettings(_Section):
    """Summaries of functions, written by a model and searched like documentation."""

    when: Literal["never", "searched", "all"] = Field(
        "never",
        description="By itself: never, for what searches return, or for everything after each update.",
    )
    language: str = Field(
        "en", description="Language of the summaries: en, ko, ja, zh, de, es, fr, it, pt, ru, vi."
    )
    models: list[str] = Field(
        default_factory=list, description="Models that share the work (default: the default model)."
    )
    parallel: int = Field(4, gt=0, le=256, description="Requests at once to each model.")
    timeout: float = Field(120, gt=0, description="Seconds for one summary; then another model tries.")
    exclude: list[str] | None = Field(
        None, description="Gitignore-style patterns of files to leave out (default: tests and vendored code)."
    )


class OidcSettings(_Section):
    """Single sign-on through an OpenID Connect provider (Keycloak, Entra ID, Google, Okta, GitLab, …)."""

    issuer: str = Field(
        pattern=r"^https?://[^\s?#]+$", description="The provider's address, as its discovery document says."
    )
    client_id: str = Field(min_length=1, description="This server's name at the provider.")
    client_secret: str | None = Field(
        None, description="Its secret; ${NAME} reads an environment variable. None for a public client."
    )
    name: str = Field("Single sign-on", min_length=1, max_length=100, description="What the button says.")
    scopes: list[str] = Field(
        default_factory=lambda: ["openid", "profile", "email"], description="Scopes that are asked for."
    )
    user_claim: str = Field("preferred_username", description="Claim that names a new user.")
    groups_claim: str = Field("groups", description="Claim that lists a user's groups.")
    roles: dict[str, Role] = Field(
        default_factory=dict,
        description="Role of a group; once there is one, who is in no such group is a member. Applied at each sign-in.",
    )
    teams: dict[str, str] = Field(
        default_factory=dict, description="Team of a group, the first that fits. Applied at each sign-in."
    )
    domains: list[str] = Field(
        default_factory=list,
        description="Mail domains whose users may come in (default: all of the provider's).",
    )
    approve: bool = Field(
        True, description="New users come in at once; false lets them wait for an approval."
    )

    @model_validator(mode="after")
    def _encrypted(self) -> OidcSettings:
        url = urlsplit(self.issuer)
        if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("`issuer` must start with https://")
        return self


class SignInSettings(_Section):
    """How people come in, beside keys and one-time links."""

    password: bool = Field(True, description="Users may sign in with a password, once they have set one.")
    registration: Literal["closed", "approval", "open"] = Field(
        "closed", description="Who may register: nobody, who is approved by an administrator then, anybody."
    )
    totp: Literal["optional", "required"] = Field(
        "optional",
        description="Whether signing in with a password takes a second factor (authenticator app).",
    )
    session_days: float = Field(30, gt=0, le=365, description="Days until one has to sign in again.")
    oidc: OidcSettings | None = Field(None, description="Single sign-on (default: none).")

    @model_validator(mode="after")
    def _registered_by_password(self) -> SignInSettings:
        if self.registration != "closed" and not self.password:
            raise ValueError("`registration` needs `password: true`, or who registers could not come back")
        return self


class PriceSettings(_Section):
    """What a model costs, in USD per million tokens."""

    input: float = Field(ge=0, description="Tokens of the prompt.")
    output: float = Field(ge=0, description="Tokens of the answer.")
    cached: float | None = Field(None, ge=0, description="Tokens of the prompt read from a cache.")


class HubSettings(_Section):
    """Where model files are pulled from."""

    mirror: str | None = Field(None, description="Server with the hub's paths, used instead of it.")
    token: str | None = Field(
        default_factory=lambda: os.environ.get("HF_TOKEN") or None,  # where the hub's own tools look
        description="Access token for licensed models (default: ${HF_TOKEN}); ${NAME} is looked up.",
    )


class LimitSettings(_Section):
    """Guards on what a request may ask."""

    max_tokens: int = Field(32768, gt=0, description="Upper bound of max_tokens.")
    default_max_tokens: int = Field(1024, gt=0, description="max_tokens when a request gives none.")


class Settings(_Section):
    """Codeweft's settings.

    The three top-level lines `base_url`, `api_key` and `model` are the short way to use one endpoint for everything.
    """

    base_url: str | None = Field(None, description="OpenAI-compatible endpoint that writes the answers.")
    api_key: str | None = Field(None, description="Its key; ${NAME} reads an environment variable.")
    model: str | None = Field(
        None, description="The model at that endpoint; without base_url, the default model."
    )
    server: ServerSettings = ServerSettings()
    sign_in: SignInSettings = SignInSettings()
    database: str | None = Field(
        None,
        description="Where users, conversations and usage live: postgresql://user:password@host/database "
        "(default: a SQLite file in the state folder).",
    )
    models: dict[Name, ModelSettings] = Field(default_factory=dict, description="Further models by name.")
    engine: EngineSettings = EngineSettings()
    hub: HubSettings = Field(default_factory=HubSettings)  # its token is looked up when settings are read
    sandbox: SandboxSettings = SandboxSettings()
    index: IndexSettings = IndexSettings()
    summaries: SummarySettings = SummarySettings()
    redact_prompts: Literal["remote", "always", "never"] = Field(
        "remote",
        description="Which models get prompts without keys, tokens and passwords: those at an endpoint, all, none.",
    )
    limits: LimitSettings = LimitSettings()
    prices: dict[str, PriceSettings] = Field(
        default_factory=dict, description="Own prices by model name; others are looked up in a bundled table."
    )

    @model_validator(mode="after")
    def _known_database(self) -> Settings:
        # The address may hold a password and is in no message.
        if self.database is not None and not self.database.startswith(("postgresql://", "postgres://")):
            raise ValueError("`database` must start with postgresql://")
        return self

    @model_validator(mode="after")
    def _shorthand(self) -> Settings:
        if self.base_url is not None and self.model is None:
            raise ValueError("`base_url` needs `model`, the name of the model at that endpoint")
        if self.api_key is not None and self.base_url is None:
            raise ValueError("`api_key` needs `base_url`")
        return self

    @model_validator(mode="after")
    def _pools_of_models(self) -> Settings:
        models = self.all_models()
        for name, entry in models.items():
            for member in (*(entry.pool or ()), *entry.fallback):
                known = models.get(member)
                if known is not None and (known.pool is not None or known.embeddings):
                    raise ValueError(f"models.{name}: {member} is no single model that writes")
                if member == name:
                    raise ValueError(f"models.{name} names itself")
        return self

    def all_models(self) -> dict[str, ModelSettings]:
        """The models by name, the short form included (under the last part of its name)."""
        models = dict(self.models)
        if self.base_url is not None and self.model is not None:
            models[self.model] = ModelSettings(base_url=self.base_url, api_key=self.api_key, model=self.model)
        return models


def home() -> Path:
    """The state folder: `CODEWEFT_HOME`, else the platform's data folder. Created on first use, for this user only.

    Raises `StorageFailed` when it cannot be created or written.
    """
    path = Path(os.environ.get(HOME_VARIABLE) or user_data_dir("codeweft", appauthor=False)).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageFailed(
            f"The state folder {path} cannot be created: {error.strerror}.",
            fix=f"Set {HOME_VARIABLE} to a folder you may write to.",
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise StorageFailed(
            f"The state folder {path} cannot be written.",
            fix=f"Set {HOME_VARIABLE} to a folder you may write to.",
        )
    return path.absolute()


def load(path: Path | None, overrides: dict[str, Any] | None = None) -> Settings:
    """Read settings from `path` (None: `codeweft.yaml` in the state folder, if there is one).

    `overrides` (such as `{"server": {"port": 9000}}`) win over the file. Raises `InvalidRequest` with the line or
    the field at fault.
    """
    explicit = path is not None
    path = path or settings_path()
    data = _read(path) if explicit or path.exists() else {}
    return parse(data, str(path), overrides)


def settings_path() -> Path:
    """Where settings are unless another file is named: `codeweft.yaml` in the state folder."""
    return home() / "codeweft.yaml"


def parse(data: Any, where: str, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from what a file (`where`) holds. Raises `InvalidRequest` as `load` does."""
    if not isinstance(data, dict):
        raise InvalidRequest(f"{where} must be a mapping of settings.", fix="See `codeweft config schema`.")
    try:
        return Settings.model_validate(_merge(expand(data, where), overrides or {}))
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise InvalidRequest(
            f"The settings in {where} are not valid:\n" + "\n".join(lines),
            fix="\n`codeweft config schema` prints what is allowed.",
        ) from None


def environment_key() -> str | None:
    """The API key in `CODEWEFT_API_KEY`: what command-line clients send, and what a server started with it accepts.

    Raises `InvalidRequest` for one that is too short to be a secret.
    """
    key = os.environ.get(KEY_VARIABLE) or None
    if key is not None and len(key) < SHORTEST_KEY:
        raise InvalidRequest(
            f"The key in {KEY_VARIABLE} has {len(key)} characters; a key needs at least {SHORTEST_KEY}.",
            fix="`codeweft keys create --name NAME` makes one.",
        )
    return key


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise InvalidRequest(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A date that does not exist is a ValueError.
        raise InvalidRequest(f"The settings file {path} is not YAML: {error}") from None


def expand(value: Any, where: str) -> Any:
    """Replace `${NAME}` and `${NAME:-default}` in every string. Raises `InvalidRequest` for a variable that is not set."""
    if isinstance(value, dict):
        return {key: expand(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, where) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], match[2])
        if found is None:
            raise InvalidRequest(
                f"{where} refers to the environment variable {match[1]}, which is not set.",
                fix=f"Export {match[1]} or write ${{{match[1]}:-default}}.",
            )
        return found

    return _REFERENCE.sub(variable, value)


def variables(value: Any) -> Iterator[str]:
    """The environment variables that `expand` reads for a value."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from variables(item)
    elif isinstance(value, str):
        yield from (match[1] for match in _REFERENCE.finditer(value))


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
