"""Changing single values of a YAML text. Everything else of it, comments and layout included, stays as it was.

The text itself is edited at the places that PyYAML's parser names, rather than written anew from what it means. What
comes out is read again and compared; a text in which a value cannot be changed alone is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from codeweft.errors import Conflict

INDENT: Final = 2
_WIDE: Final = 1 << 30
"""Longer lines would be folded."""
Path = Sequence[str]


class _Gone:
    """What a value is changed to that is to be taken out."""


GONE: Final = _Gone()


@dataclass(frozen=True, slots=True)
class Change:
    """`value` (JSON, or `GONE`) is to stand at `path`."""

    path: tuple[str, ...]
    value: Any


def edited(text: str, changes: Sequence[Change]) -> str:
    """`text` with these changes. Raises `Conflict` for one that cannot be made without changing something else."""
    wanted = _unshared(yaml.safe_load(text) or {})
    for change in changes:
        before = text
        if change.value is GONE:
            path = _last_of_its_kind(wanted, change.path)
            if _remove(wanted, path):
                text = _without(text, path)
        else:
            _put(wanted, change.path, change.value)
            text = _with(text, change.path, change.value)
        if _read(text) != wanted:
            line = _line(before, change.path)
            raise Conflict(
                f"`{'.'.join(change.path)}` cannot be changed in the file without changing something else"
                f" (line {line}).",
                fix="Change it in the file by hand: anchors, tabs or several documents are in the way.",
            )
    return text


# ── what it means ────────────────────────────────────────────────────────────────────────────────────────────


def _read(text: str) -> Any:
    try:
        return _unshared(yaml.safe_load(text) or {})
    except yaml.YAMLError:
        return None


def _unshared(value: Any) -> Any:
    """A copy in which what an alias stands for is a value of its own."""
    if isinstance(value, Mapping):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        below = data.get(key)
        if not isinstance(below, dict):
            below = data[key] = {}
        data = below
    data[path[-1]] = _unshared(value)


def _remove(data: dict[str, Any], path: Path) -> bool:
    """Whether it was there."""
    for key in path[:-1]:
        below = data.get(key)
        if not isinstance(below, dict):
            return False
        data = below
    if path[-1] not in data:
        return False
    del data[path[-1]]
    return True


def _last_of_its_kind(data: Any, path: Path) -> Path:
    """`path`, or the outermost mapping that holds nothing else: an empty one would be no mapping any more."""
    holders = [data]
    for key in path[:-1]:
        data = data.get(key) if isinstance(data, dict) else None
        holders.append(data)
    if not isinstance(data, dict) or path[-1] not in data:
        return path
    while len(path) > 1 and isinstance(holders[len(path) - 1], dict) and len(holders[len(path) - 1]) == 1:
        path = path[:-1]
    return path


# ── the text ─────────────────────────────────────────────────────────────────────────────────────────────────


def _compose(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _find(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and the value of that name in a mapping; the last one counts."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((pair for pair in reversed(node.value) if pair[0].value == key), None)


def _end(node: yaml.Node) -> int:
    """Where a value ends; the parser takes comments that follow a block for a part of it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if not isinstance(node, yaml.MappingNode):
            return _end(last)
        key, value = last
        return max(_end(value), int(key.end_mark.index))
    return int(node.end_mark.index)


def _with(text: str, path: Path, value: Any) -> str:
    """`text` with `value` at `path`."""
    root = node = _compose(text)
    for depth, key in enumerate(path):
        if isinstance(node, yaml.MappingNode) and node.flow_style:
            # One line of `{…}` is written anew.
            inside = yaml.safe_load(text[node.start_mark.index : node.end_mark.index])
            _put(inside, path[depth:], value)
            return text[: node.start_mark.index] + _inline(inside) + text[node.end_mark.index :]
        found = _find(node, key)
        if found is None:
            return _added(text, node if root is not None else None, path[depth:], value)
        name, below = found
        empty = isinstance(below, yaml.ScalarNode) and below.tag.endswith(":null")
        if depth == len(path) - 1:
            return _replaced(text, name, below, value)
        if empty or not isinstance(below, yaml.MappingNode):
            return _replaced(text, name, below, _nested(path[depth + 1 :], value))
        node = below
    raise AssertionError("a path has at least one part")


def _nested(path: Path, value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _added(text: str, mapping: yaml.Node | None, path: Path, value: Any) -> str:
    """`text` with a further key at the end of `mapping` (None: of a text that says nothing)."""
    column = mapping.value[0][0].start_mark.column if mapping is not None and mapping.value else 0
    lines = _block(_nested(path, value), column, _newline(text))
    at = len(text) if mapping is None else _line_end(text, _end(mapping))
    head, tail = text[:at], text[at:]
    if head and not head.endswith("\n"):
        head += _newline(text)
    return head + lines + tail


def _replaced(text: str, key: yaml.Node, old: yaml.Node, value: Any) -> str:
    """`text` with another value for `key`; a comment on the line of a plain value stays."""
    head = text[: key.end_mark.index]
    tail = text[max(_end(old), key.end_mark.index) :]
    if isinstance(old, yaml.ScalarNode) and old.style in ("|", ">"):
        tail = _newline(text) + tail
    if tail.lstrip(" ").startswith(":"):
        # An empty value ends where its key does.
        tail = tail.lstrip(" ")[1:]
    if isinstance(value, Mapping) and value:
        column = key.start_mark.column + INDENT
        rest = tail.partition("\n")[2] if "\n" in tail else ""
        return f"{head}:{_newline(text)}{_block(value, column, _newline(text))}{rest}"
    return f"{head}: {_inline(value)}{tail}"


def _without(text: str, path: Path) -> str:
    """`text` without the lines of what stands at `path`."""
    node = _compose(text)
    for depth, key in enumerate(path):
        if isinstance(node, yaml.MappingNode) and node.flow_style:
            inside = yaml.safe_load(text[node.start_mark.index : node.end_mark.index])
            _remove(inside, path[depth:])
            return text[: node.start_mark.index] + _inline(inside) + text[node.end_mark.index :]
        found = _find(node, key)
        if found is None:
            return text
        name, below = found
        if depth == len(path) - 1:
            start = text.rfind("\n", 0, name.start_mark.index) + 1
            return text[:start] + text[_line_end(text, max(_end(below), name.end_mark.index)) :]
        node = below
    return text


def _line_end(text: str, at: int) -> int:
    """Where the line after that of `at` begins."""
    if at > 0 and text[at - 1] == "\n":
        return at  # the end of a block scalar
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _block(value: Mapping[str, Any], column: int, newline: str) -> str:
    """Lines of a mapping, indented to `column`."""
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            lines.append(f"{' ' * column}{_inline(key)}:{newline}{_block(item, column + INDENT, newline)}")
        else:
            lines.append(f"{' ' * column}{_inline(key)}: {_inline(item)}{newline}")
    return "".join(lines)


def _inline(value: Any) -> str:
    """A value on one line, as PyYAML reads it back."""
    dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=_WIDE, sort_keys=False)
    return dumped.removesuffix("\n").removesuffix("\n...").rstrip("\n")


def _line(text: str, path: Path) -> int:
    """The line of the nearest thing to `path` that is there."""
    node, line = _compose(text), 1
    for key in path:
        found = _find(node, key)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
