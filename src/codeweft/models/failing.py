"""Errors travel in the stream: what a model raises becomes the last event of its answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from codeweft.errors import CodeweftError
from codeweft.models.skills import not_unicode
from codeweft.types import Event, Failed


async def told(answer: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """The events of `answer`, and a `Failed` in place of an error that a person can act on. Bugs are left to raise."""
    try:
        async with aclosing(answer) as events:
            async for event in events:
                yield event
    except CodeweftError as error:
        yield Failed(error)
    except UnicodeEncodeError as error:
        yield Failed(not_unicode(error))
