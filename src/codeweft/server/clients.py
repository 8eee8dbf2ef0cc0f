"""The programs that `codeweft connect` and the first-run page can set up: where their settings lie and what belongs into them. Pure.

Each row names the program's own documentation as its source. Formats that hold comments are edited with libraries
that keep them; a JSON file with comments is left alone and its snippet printed instead.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from codeweft.errors import InvalidRequest

Format = Literal["json", "toml", "yaml", "yaml-list"]
OURS: Final = "codeweft"


@dataclass(frozen=True, slots=True)
class Address:
    """What a client has to know: the server, a key, and the model for chat and for completion."""

    url: str
    key: str
    model: str

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"


@dataclass(frozen=True, slots=True)
class Client:
    """A program. It is there when one of `marks` exists below the home folder; `edit` changes its settings in place."""

    name: str
    title: str
    path: str
    format: Format
    marks: tuple[str, ...]
    edit: Callable[[Any, Address], None]
    then: str = ""
    """What is left to do by hand."""


def _under(settings: MutableMapping[str, Any], *keys: str) -> Any:
    """The mapping at a path of keys, made where it is missing. Raises `InvalidRequest` where something else stands."""
    for key in keys:
        settings = settings.setdefault(key, {})
        if not isinstance(settings, MutableMapping):
            raise InvalidRequest(f"`{key}` in these settings is not a table.", fix="Correct it by hand.")
    return settings


def _claude_code(settings: Any, address: Address) -> None:
    """https://docs.anthropic.com/en/docs/claude-code/settings"""
    _under(settings, "env").update(
        ANTHROPIC_BASE_URL=address.url, ANTHROPIC_AUTH_TOKEN=address.key, ANTHROPIC_MODEL=address.model
    )


def _codex(settings: Any, address: Address) -> None:
    """https://github.com/openai/codex, docs/config.md"""
    settings["model"] = address.model
    settings["model_provider"] = OURS
    _under(settings, "model_providers", OURS).update(
        name="Codeweft", base_url=address.v1, env_key="CODEWEFT_API_KEY", wire_api="responses"
    )
    # Tools that OpenAI's own servers run, and a way of grouping tools that only they take.
    settings["web_search"] = "disabled"
    _under(settings, "features")["multi_agent"] = False


def _aider(settings: Any, address: Address) -> None:
    """https://aider.chat/docs/config/aider_conf.html"""
    settings["openai-api-base"] = address.v1
    settings["openai-api-key"] = address.key
    settings["model"] = f"openai/{address.model}"


def _continue(settings: Any, address: Address) -> None:
    """https://docs.continue.dev/reference"""
    for key, value in (("name", "Codeweft"), ("version", "0.0.1"), ("schema", "v1")):
        settings.setdefault(key, value)
    models = settings.setdefault("models", [])
    shared = {"provider": "openai", "model": address.model, "apiBase": address.v1, "apiKey": address.key}
    _put(models, "name", {"name": "Codeweft", **shared, "roles": ["chat", "edit", "apply"]})
    _put(models, "name", {"name": "Codeweft completion", **shared, "roles": ["autocomplete"]})


def _llm(settings: Any, address: Address) -> None:
    """https://llm.datasette.io/en/stable/other-models.html"""
    _put(
        settings,
        "model_id",
        {"model_id": OURS, "model_name": address.model, "api_base": address.v1, "api_key_name": OURS},
    )


def _opencode(settings: Any, address: Address) -> None:
    """https://opencode.ai/docs/providers"""
    _under(settings, "provider")[OURS] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Codeweft",
        "options": {"baseURL": address.v1, "apiKey": address.key},
        "models": {address.model: {}},
    }
    settings["model"] = f"{OURS}/{address.model}"


def _zed(settings: Any, address: Address) -> None:
    """https://zed.dev/docs/ai/llm-providers"""
    _under(settings, "language_models", "openai_compatible")["Codeweft"] = {
        "api_url": address.v1,
        "available_models": [{"name": address.model, "max_tokens": 8192}],
    }


def _llama_vscode(settings: Any, address: Address) -> None:
    """https://github.com/ggml-org/llama.vscode"""
    settings["llama-vscode.endpoint"] = address.url
    settings["llama-vscode.api_key"] = address.key


def _tabby(settings: Any, address: Address) -> None:
    """https://tabby.tabbyml.com/docs/extensions/configurations"""
    _under(settings, "server").update(endpoint=address.url, token=address.key)


def _put(entries: MutableSequence[Any], key: str, entry: Mapping[str, Any]) -> None:
    """Add an entry to a list, in place of one of the same name."""
    for position, known in enumerate(entries):
        if isinstance(known, Mapping) and known.get(key) == entry[key]:
            entries[position] = dict(entry)
            return
    entries.append(dict(entry))


CLIENTS: Final = (
    Client("claude-code", "Claude Code", ".claude/settings.json", "json", (".claude",), _claude_code),
    Client(
        "codex",
        "Codex",
        ".codex/config.toml",
        "toml",
        (".codex",),
        _codex,
        "Codex reads the key from the environment: export CODEWEFT_API_KEY={key}",
    ),
    Client("aider", "aider", ".aider.conf.yml", "yaml", (".aider.conf.yml", ".aider"), _aider),
    Client("continue", "Continue", ".continue/config.yaml", "yaml", (".continue",), _continue),
    Client(
        "llm",
        "llm",
        ".config/io.datasette.llm/extra-openai-models.yaml",
        "yaml-list",
        (".config/io.datasette.llm",),
        _llm,
        "Give it the key: llm keys set codeweft --value {key}",
    ),
    Client(
        "opencode", "opencode", ".config/opencode/opencode.json", "json", (".config/opencode",), _opencode
    ),
    Client(
        "zed",
        "Zed",
        ".config/zed/settings.json",
        "json",
        (".config/zed",),
        _zed,
        "Zed asks for the key in its agent panel: {key}",
    ),
    Client(
        "llama-vscode",
        "llama.vscode (VS Code)",
        ".config/Code/User/settings.json",
        "json",
        (".config/Code/User",),
        _llama_vscode,
    ),
    Client(
        "tabby",
        "Tabby's editor plugins",
        ".tabby-client/agent/config.toml",
        "toml",
        (".tabby-client",),
        _tabby,
    ),
)


def edited(client: Client, text: str, address: Address) -> str:
    """The settings in `text` (empty for a new file) with this server in them.

    Raises `InvalidRequest` when they cannot be read, or could not be written back without loss.
    """
    match client.format:
        case "json":
            settings = _json(text)
            client.edit(settings, address)
            return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        case "toml":
            import tomlkit

            try:
                document = tomlkit.parse(text)
            except tomlkit.exceptions.ParseError as error:
                raise InvalidRequest(f"The settings are not TOML: {error}.", fix="Correct them.") from None
            client.edit(document, address)
            return tomlkit.dumps(document)
        case "yaml" | "yaml-list":
            return _yaml(client, text, address)


def _json(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text or "{}")
    except ValueError:
        raise InvalidRequest(
            "The settings are not plain JSON (comments would be lost).", fix="Put the snippet in by hand."
        ) from None
    if not isinstance(settings, dict):
        raise InvalidRequest("The settings are not a JSON object.", fix="Correct them by hand.")
    return settings


def _yaml(client: Client, text: str, address: Address) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.width = 1000
    wanted = list if client.format == "yaml-list" else dict
    try:
        settings = yaml.load(text) if text.strip() else wanted()
    except YAMLError as error:
        raise InvalidRequest(f"The settings are not YAML: {error}.", fix="Correct them.") from None
    if not isinstance(settings, wanted):
        raise InvalidRequest("The settings are not of the expected form.", fix="Put the snippet in by hand.")
    client.edit(settings, address)
    written = io.StringIO()
    yaml.dump(settings, written)
    return written.getvalue()
