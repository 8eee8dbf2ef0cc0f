"""The palette: one file per node type, each a row of the union below."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from codeweft.flows.nodes.agent import Agent
from codeweft.flows.nodes.check import Check
from codeweft.flows.nodes.judge import Judge
from codeweft.flows.nodes.model import WriteWithModel
from codeweft.flows.nodes.prompt import Prompt
from codeweft.flows.nodes.references import References
from codeweft.flows.nodes.retriever import Retrieve

NodeSpec = Annotated[
    Retrieve | Agent | Judge | Prompt | WriteWithModel | Check | References, Field(discriminator="type")
]

__all__ = ["Agent", "Check", "Judge", "NodeSpec", "Prompt", "References", "Retrieve", "WriteWithModel"]
