"""The settings file of a running server: what it says, and changing it without losing what people wrote there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from codeweft.config import ModelSettings, Settings, parse, settings_path
from codeweft.errors import Conflict, InvalidRequest, StorageFailed
from codeweft.runtime.yaml_edit import Change, edited

_PRIVATE: Final = 0o600
"""Rights of a new file: it may hold keys."""

LIVE: Final = (
    "model", "base_url", "api_key", "prices", "redact_prompts", "hub.mirror", "hub.token", "sign_in.password",
    "sign_in.registration", "sign_in.totp", "sign_in.session_days",
)  # fmt: skip
"""Settings that are in force as soon as they are saved, beside endpoints and pools; others wait for a restart."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change that is good to be written: the file's text before and after, and what it comes to."""

    before: str | None
    after: str
    settings: Settings


@dataclass(frozen=True)
class SettingsFile:
    """`overrides` (of the command line) win over the file, as they did when the server started."""

    path: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path | None, overrides: Mapping[str, Any] | None = None) -> SettingsFile:
        """The file that `config.load(path)` reads."""
        return cls((path or settings_path()).absolute(), overrides or {})

    def refusal(self) -> str:
        """Why it cannot be written; empty when it can."""
        if self.path.exists() and not os.access(self.path, os.W_OK):
            return f"{self.path} may only be read."
        folder = self.path.resolve().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"The folder {folder} may not be written, so the file in it cannot be replaced."
        return ""

    def raw(self) -> dict[str, Any]:
        """What the file says, `${NAME}` unresolved. Raises `InvalidRequest` for what is no mapping in YAML."""
        return _mapping(self._text() or "", self.path)

    def edit(self, changes: Sequence[Change]) -> Edit:
        """The file with these changes, checked like any settings file; nothing is written.

        Raises `InvalidRequest` for settings that are not valid, `Conflict` for a file that cannot be changed so.
        """
        before = self._text()
        _mapping(before or "", self.path)
        after = edited(before or "", changes)
        return Edit(before, after, parse(_mapping(after, self.path), str(self.path), self.overrides))

    def write(self, edit: Edit) -> None:
        """Put a change into the file at once, in its whole. Raises `Conflict`, `StorageFailed`."""
        if why := self.refusal():
            raise Conflict(
                f"The settings file cannot be changed: {why}",
                fix="Let the server write there, or change the file by hand and start again.",
            )
        if self._text() != edit.before:
            raise Conflict(
                f"{self.path} was changed by somebody else just now.", fix="Look again, then save."
            )
        target = self.path.resolve()
        made: Path | None = None
        try:
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            made = Path(name)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(edit.after)
                file.flush()
                os.fsync(file.fileno())
            made.chmod(target.stat().st_mode & 0o777 if target.exists() else _PRIVATE)
            made.replace(target)
        except OSError as error:
            if made is not None:
                with suppress(OSError):
                    made.unlink(missing_ok=True)
            raise StorageFailed(
                f"{self.path} could not be written: {error.strerror}.",
                fix="A file that is mounted by itself cannot be replaced; mount its folder, or change it by hand.",
            ) from None

    def _text(self) -> str | None:
        try:
            # As it is: line ends stay what they are.
            return self.path.read_bytes().decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"The settings file {self.path} cannot be read: {error}.") from None


def _mapping(text: str, path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"The settings file {path} is not YAML: {error}", fix="Mend it by hand first."
        ) from None
    if not isinstance(data, dict):
        raise InvalidRequest(f"{path} must be a mapping of settings.", fix="Mend it by hand first.")
    return data


def is_live(entry: ModelSettings | None) -> bool:
    """Whether a model of the settings comes and goes while the server runs: what writes and is no file."""
    return entry is not None and entry.path is None and not (entry.embeddings or entry.reranks)


def in_force(running: Settings, wanted: Settings) -> Settings:
    """`running` with those of the `wanted` settings that need no restart."""
    models = {
        name: entry if is_live(entry) else running.models[name]
        for name, entry in wanted.models.items()
        if is_live(entry) or name in running.models
    }
    models |= {
        name: entry
        for name, entry in running.models.items()
        if not is_live(entry) and name not in wanted.models
    }
    told: dict[str, Any] = {"models": models}
    for name in LIVE:
        section, _, last = name.rpartition(".")
        if not section:
            told[last] = getattr(wanted, last)
        else:
            below = told.get(section, getattr(running, section))
            told[section] = below.model_copy(update={last: getattr(getattr(wanted, section), last)})
    return running.model_copy(update=told)
