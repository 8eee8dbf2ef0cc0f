"""The flow document: YAML in, a validated `FlowSpec` out."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from codeweft.errors import InvalidRequest
from codeweft.flows.inputs import Input, named
from codeweft.flows.nodes import NodeSpec, Retrieve

FLOW_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class FlowSpec(BaseModel):
    """An app: its name and the nodes that a request passes through, in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=FLOW_NAME)]
    title: str = ""
    description: str = ""
    inputs: Annotated[tuple[Input, ...], BeforeValidator(named)] = ()
    """What the app takes beside a conversation; an app that has inputs is a task."""
    nodes: tuple[NodeSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_ids(self) -> FlowSpec:
        seen: set[str] = set()
        for node in self.nodes:
            if node.id in seen:
                raise ValueError(f"two nodes are called {node.id!r}")
            seen.add(node.id)
        return self

    @model_validator(mode="after")
    def _unique_inputs(self) -> FlowSpec:
        names = [one.name for one in self.inputs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two inputs are called {twice!r}")
        return self


def rewriting(spec: FlowSpec) -> FlowSpec:
    """The same app, letting the model rewrite follow-up questions before they are looked up."""
    nodes = (
        node.model_copy(update={"rewrite": "model"}) if isinstance(node, Retrieve) else node
        for node in spec.nodes
    )
    return spec.model_copy(update={"nodes": tuple(nodes)})


def parse(text: str, where: str = "the flow") -> FlowSpec:
    """Read a flow document. Raises `InvalidRequest` naming the place at fault."""
    try:
        data: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A date that does not exist is a ValueError.
        raise InvalidRequest(f"{where} is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise InvalidRequest(f"{where} must be a mapping with `name` and `nodes`.")
    try:
        return FlowSpec.model_validate(data)
    except ValidationError as error:
        faults = "\n".join(
            f"  {'.'.join(map(str, item['loc'])) or 'flow'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise InvalidRequest(f"{where} is not a valid flow:\n{faults}") from None


def load(path: Path) -> FlowSpec:
    """Read a flow document from a file."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read as a flow: {error}") from None


def library() -> dict[str, FlowSpec]:
    """The built-in apps by name."""
    specs = [
        parse(entry.read_text(encoding="utf-8"), entry.name)
        for entry in files("codeweft.flows").joinpath("library").iterdir()
        if entry.name.endswith(".yaml")
    ]
    return {spec.name: spec for spec in sorted(specs, key=lambda spec: spec.name)}
