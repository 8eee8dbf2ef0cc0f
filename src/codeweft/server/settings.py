"""The settings over HTTP: what is in force, what the file says, and changing it. For administrators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from fastapi import APIRouter
from pydantic import BaseModel, Field

from codeweft import config
from codeweft.config import Settings
from codeweft.errors import InvalidRequest, NotAllowed, NotFound
from codeweft.runtime.compose import Runtime
from codeweft.runtime.settings_file import LIVE
from codeweft.runtime.yaml_edit import GONE, Change
from codeweft.server.deps import Admin, ByAdmin
from codeweft.server.views import Body, View

HIDDEN: Final = "••••"
_SECRET: Final = ("api_key", "client_secret", "database", "store", "token")
"""Settings that are, or may hold, a password."""
_USER_INFO: Final = re.compile(r"//[^/@\s]+@")
BY_HAND: Final = (
    "base_url", "api_key", "models", "prices", "database", "server.host", "server.port", "server.variables", "engine.python",
    "sandbox", "index.store", "index.ray", "index.private_hosts", "hub.mirror",
)  # fmt: skip
"""Settings that only who can write the file changes: they choose which programs run here, where data lies and what is
reached. Endpoints and their prices have routes of their own."""

DEEPEST: Final = 3
"""A table of lists is the deepest that any setting is."""

Kind = Literal["switch", "number", "choice", "text", "list", "other"]


class SettingView(View):
    name: str
    value: Any = Field(description="In force.")
    saved: Any = Field(description="What the file says; in force after a restart where it differs.")
    default: Any
    changed: bool
    description: str
    kind: Kind
    choices: list[str]
    secret: bool = Field(description="Its value is never shown.")
    editable: bool = Field(description="Whether it can be changed here; the others only in the file.")
    live: bool = Field(description="In force as soon as it is saved; others wait for a restart.")


class SettingsView(View):
    path: str = Field(description="The file that they are kept in.")
    refusal: str = Field(description="Why they cannot be changed here; empty when they can.")
    restart: list[str] = Field(description="Settings that were saved and wait for a restart.")
    settings: list[SettingView]


class SettingsBody(Body):
    values: dict[str, Any] = Field(
        min_length=1, max_length=100, description="By dotted name; null for the default."
    )


def settings_routes(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["settings"])

    def view() -> SettingsView:
        file = runtime.file
        found = list(setting_views(runtime.settings, Settings(), runtime.wanted))
        return SettingsView(
            path=str(file.path if file else config.settings_path()),
            refusal=file.refusal() if file else "This server was started without a settings file.",
            restart=[one.name for one in found if one.saved != one.value],
            settings=found,
        )

    @routes.get("/settings")
    def get_settings(_: Admin) -> SettingsView:
        """The settings, without passwords and keys. For administrators."""
        return view()

    @routes.patch("/settings")
    async def change_settings(body: SettingsBody, by: ByAdmin) -> SettingsView:
        """Save settings into the file, whose comments stay. All are checked before any is saved. For administrators."""
        changes = [change_of(name, value) for name, value in body.values.items()]
        written = runtime.file.raw() if runtime.file else {}
        for change in changes:
            check_variables(runtime.settings, change.value, _at(written, change.path))
        await runtime.change_settings(changes)
        told = {name: _shown(name.rpartition(".")[2], value) for name, value in body.values.items()}
        await runtime.accounts.people.note(by, "settings.change", ", ".join(told), **told)
        return view()

    return routes


def change_of(name: str, value: Any) -> Change:
    """The change of one setting. Raises `NotFound`, `NotAllowed` for one that is not changed here, `InvalidRequest`."""
    path = tuple(name.split("."))
    section: Any = Settings
    for part in path:
        fields: Mapping[str, Any] = getattr(section, "model_fields", {})
        if part not in fields:
            raise NotFound(
                f"There is no setting `{name}`.", fix="`codeweft config schema` lists them.", param=name
            )
        section = _section(fields[part].annotation)
    if not is_editable(name):
        raise NotAllowed(
            f"`{name}` is not changed over the web.",
            fix="Who can write the settings file changes it there.",
        )
    if value == HIDDEN:
        raise InvalidRequest(f"`{name}` was left hidden.", fix="Enter it, or leave it out.", param=name)
    if _depth(value) > DEEPEST:
        raise InvalidRequest(f"`{name}` is nested too deeply.", param=name)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"`{name}` holds half a character.", param=name) from None
    return Change(path, GONE if value is None else value)


def check_variables(settings: Settings, value: Any, before: Any = None) -> None:
    """Raises `NotAllowed` for a `${NAME}` in a new value that is neither in the one `before` nor listed in the settings:
    who may change settings here must not read the server's whole environment by them."""
    known = set(config.variables(before))
    for name in config.variables(value):
        if name not in known and not any(fnmatchcase(name, one) for one in settings.server.variables):
            raise NotAllowed(
                f"The environment variable {name} may not be named over the web.",
                fix=f"It may be if its name fits `server.variables` ({', '.join(settings.server.variables) or 'none'}), "
                "or who can write the settings file names it there.",
            )


def _at(written: Any, path: Sequence[str]) -> Any:
    """What the file says there; None for nothing."""
    for part in path:
        written = written.get(part) if isinstance(written, dict) else None
    return written


def _depth(value: Any) -> int:
    """How deep lists and tables lie in each other, as far as it matters."""
    depth, level = 0, [value]
    while depth <= DEEPEST and (below := [one for one in level if isinstance(one, dict | list)]):
        level = [item for one in below for item in (one.values() if isinstance(one, dict) else one)]
        depth += 1
    return depth


def is_editable(name: str) -> bool:
    return not _among(name, BY_HAND)


def _among(name: str, names: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in names)


def setting_views(
    section: BaseModel, default: BaseModel | None, wanted: BaseModel | None, prefix: str = ""
) -> Iterator[SettingView]:
    """Every setting by its dotted name; a list or table of sections is one value."""
    for name, field in type(section).model_fields.items():
        value, usual, saved = (getattr(one, name, None) for one in (section, default, wanted))
        full = prefix + name
        if isinstance(value, BaseModel):
            yield from setting_views(
                value,
                usual if isinstance(usual, BaseModel) else None,
                saved if isinstance(saved, BaseModel) else None,
                f"{full}.",
            )
            continue
        kind, choices = _kind(field.annotation)
        yield SettingView(
            name=full,
            value=_shown(name, value),
            # Of two secrets only whether they are the same is told.
            saved=_shown(name, saved) if name not in _SECRET or saved == value else f"{HIDDEN}{HIDDEN}",
            default=_shown(name, usual),
            changed=value != usual,
            description=field.description or "",
            kind=kind,
            choices=choices,
            secret=name in _SECRET,
            editable=is_editable(full) and kind != "other",
            live=_among(full, LIVE),
        )


def _section(annotation: Any) -> Any:
    """The section that a field holds, of `Section` or `Section | None`; None for a plain value."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _kind(annotation: Any) -> tuple[Kind, list[str]]:
    """How a value is entered, and what it is chosen from."""
    if get_origin(annotation) in (Union, UnionType):
        others = [one for one in get_args(annotation) if one is not NoneType]
        return _kind(others[0]) if len(others) == 1 else ("other", [])
    if get_origin(annotation) is Literal:
        return "choice", [str(one) for one in get_args(annotation)]
    if get_origin(annotation) is list and get_args(annotation) == (str,):
        return "list", []
    kinds: dict[Any, Kind] = {bool: "switch", int: "number", float: "number", str: "text"}
    return kinds.get(annotation, "other"), []


def _shown(name: str, value: Any) -> Any:
    """A value as JSON, without what is secret in it."""
    if isinstance(value, BaseModel):
        return {key: _shown(key, getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): _shown(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, item) for item in value]
    if value is not None and name in _SECRET:
        return HIDDEN
    if isinstance(value, bool | int | float | None):
        return value
    return _USER_INFO.sub(f"//{HIDDEN}@", str(value))
