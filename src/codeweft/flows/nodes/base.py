"""What every node is: settings that are part of the flow document, and one async generator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from codeweft.flows.state import Services, State
from codeweft.types import Event

NODE_ID = r"^[a-z][a-z0-9_-]{0,31}$"


class Node(BaseModel):
    """Settings of a node. Subclasses add a literal `type` and implement `run`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answers: ClassVar[bool] = False
    """Whether this node writes the answer."""

    id: Annotated[str, Field(pattern=NODE_ID)]

    @property
    def writes_with(self) -> str | None:
        """The model this node names for writing, if it names one."""
        return None

    def applies(self, state: State) -> bool:
        """Whether this request passes through the node at all."""
        return True

    def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        """Do the node's work on `state` and emit events. Raises `CodeweftError` to end the flow with it."""
        raise NotImplementedError
