"""`codeweft config`: what can be set, and what is."""

from __future__ import annotations

import re

import typer

from codeweft.cli.options import ConfigOption, settings
from codeweft.cli.render import print_json

app = typer.Typer(help="Show the settings and what is allowed in them.", no_args_is_help=True)


@app.command(
    epilog="Example: `codeweft config schema > codeweft.schema.json` (editors complete YAML with it)"
)
def schema() -> None:
    """Print the JSON Schema of the settings file."""
    from codeweft.config import Settings

    print_json(Settings.model_json_schema())


@app.command(epilog="Example: `codeweft config show --config team.yaml`")
def show(config: ConfigOption = None) -> None:
    """Print the settings in force, defaults included; keys are hidden."""
    import yaml

    values = settings(config).model_dump(mode="json")
    for entry in (values, *values["models"].values()):
        if entry.get("api_key"):
            entry["api_key"] = "(hidden)"
    if store := values["index"]["store"]:
        values["index"]["store"] = re.sub(r"//[^/@]*@", "//(hidden)@", store)
    typer.echo(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def path() -> None:
    """Print the state folder."""
    from codeweft.config import home

    typer.echo(home())
