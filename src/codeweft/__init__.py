"""Codeweft: the code-generation server a team runs itself."""

__version__ = "0.1.0"
