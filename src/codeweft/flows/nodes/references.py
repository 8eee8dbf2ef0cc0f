"""Check the reference numbers of an answer against the sources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from codeweft.citations import cited
from codeweft.errors import CodeweftError
from codeweft.flows.nodes.base import Node
from codeweft.flows.state import Services, State
from codeweft.types import Cited, Event


class References(Node):
    """Tell which citations of the answer stand: there is such a reference, and its source still says what was shown."""

    type: Literal["references"]

    def applies(self, state: State) -> bool:
        return state.found is not None and bool(state.request.messages)

    async def run(self, state: State, services: Services) -> AsyncIterator[Event]:
        try:
            stands = await self._standing(state, services)
        except CodeweftError as error:
            # The answer is written; that it could not be checked must not take it away.
            state.detail = {"unchecked": error.message}
            return
        gone = tuple(number for number, one in enumerate(stands, 1) if not one)
        numbers = cited("".join(state.written))
        verified = tuple(one for one in numbers if 0 < one <= len(stands) and one not in gone)
        dropped = tuple(one for one in numbers if one not in verified)
        state.detail = {"verified": len(verified), "dropped": len(dropped), "gone": len(gone)}
        yield Cited(verified, dropped, gone)

    async def _standing(self, state: State, services: Services) -> list[bool]:
        if services.sources is None or not state.shown or state.found is None:
            return [True] * len(state.shown)
        return await services.sources.standing(state.shown, state.found.index)
