"""Options that several commands share, and opening what they work on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from codeweft.config import Settings
    from codeweft.retrieval.catalogue import Indexes
    from codeweft.types import Filters

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Settings file (default: codeweft.yaml in the state folder)."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")
]
IndexOption = Annotated[
    str | None,
    typer.Option("--index", "-i", metavar="NAME", help="Index to search (default: the default one, or all)."),
]
PathOption = Annotated[
    list[str] | None, typer.Option("--path", "-p", help="Only paths matching this glob (repeatable).")
]
LanguageOption = Annotated[
    list[str] | None, typer.Option("--language", "-l", help="Only this language (repeatable).")
]
KindOption = Annotated[
    list[str] | None, typer.Option("--kind", help="Only function, method, class, … (repeatable).")
]
RepositoryOption = Annotated[
    list[str] | None, typer.Option("--repository", "-r", help="Only this repository (repeatable).")
]
BranchOption = Annotated[
    list[str] | None, typer.Option("--branch", "-b", help="Only indexes of this branch (repeatable).")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="Model or app that answers (default: codegen)."),
]

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="CODEWEFT_SERVER",
        help="Ask that server, with the key in CODEWEFT_API_KEY (default: the one running here, or none).",
    ),
]


def filters(
    path: list[str] | None,
    language: list[str] | None,
    kind: list[str] | None,
    repository: list[str] | None,
    branch: list[str] | None,
) -> Filters:
    """What the options narrow a search to."""
    from codeweft.types import Filters

    return Filters(*(tuple(given or ()) for given in (path, language, kind, repository, branch)))


def settings(config: Path | None, overrides: dict[str, Any] | None = None) -> Settings:
    from codeweft.config import load

    return load(config, overrides)


def indexes(config: Path | None, *, ray: str | None = None) -> Indexes:
    """The indexes of the state folder, without starting anything else; `ray` wins over the settings."""
    from codeweft.runtime.state import open_indexes

    return open_indexes(settings(config, {"index": {"ray": ray}} if ray else None))
