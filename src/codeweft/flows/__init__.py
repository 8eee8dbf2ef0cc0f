"""Flows: one YAML document per app; a running flow is a `Model`."""

from codeweft.flows.checks import checkable
from codeweft.flows.inputs import Input
from codeweft.flows.run import Flow
from codeweft.flows.spec import FlowSpec, library, load, parse, rewriting
from codeweft.flows.state import Services

__all__ = ["Flow", "FlowSpec", "Input", "Services", "checkable", "library", "load", "parse", "rewriting"]
