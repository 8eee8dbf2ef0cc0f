"""Servers of the server room's kind, to be put under stress here."""

from tests.server.conftest import starting  # noqa: F401
