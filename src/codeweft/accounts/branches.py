"""A conversation as a tree of turns: the branch that is shown, and what stands beside each of its turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codeweft.accounts.conversations import Turn


def path_to(turns: Iterable[Turn], turn_id: str) -> tuple[Turn, ...]:
    """The turns from the first one to `turn_id`; nothing for a turn that is not among them."""
    known = {turn.id: turn for turn in turns}
    path: list[Turn] = []
    # A turn is taken out when it is met: parents that go in a circle must not keep anybody busy for ever.
    while (turn := known.pop(turn_id, None)) is not None:
        path.append(turn)
        turn_id = turn.parent_id
    return tuple(reversed(path))


def newest_leaf(turns: Sequence[Turn], turn_id: str) -> str:
    """The end of the branch through `turn_id` that follows the newest turn each time."""
    newest = {turn.parent_id: turn.id for turn in turns}
    seen = {turn_id}
    while (following := newest.get(turn_id)) is not None and following not in seen:
        turn_id = following
        seen.add(following)
    return turn_id


def shown(turns: Sequence[Turn], leaf_id: str) -> tuple[Turn, ...]:
    """The branch that ends with `leaf_id` (the last turn when it is unknown), each turn with those in its place."""
    if not turns:
        return ()
    if all(turn.id != leaf_id for turn in turns):
        leaf_id = turns[-1].id
    beside: dict[str, list[str]] = {}
    for turn in turns:
        beside.setdefault(turn.parent_id, []).append(turn.id)
    return tuple(replace(turn, siblings=tuple(beside[turn.parent_id])) for turn in path_to(turns, leaf_id))
