"""Flows: one YAML document per app; a running flow is a `Model`."""

from codeweft.flows.run import Flow
from codeweft.flows.spec import FlowSpec, library, load, parse, rewriting
from codeweft.flows.state import Services

__all__ = ["Flow", "FlowSpec", "Services", "library", "load", "parse", "rewriting"]
