"""Names that a file passes on from another module: `export { A } from`, `pub use a::A`, imports of an `__init__.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from codeweft.retrieval.languages import Grammar

if TYPE_CHECKING:
    from tree_sitter import Node

_PACKAGE_FILES: Final = ("__init__.py", "__init__.pyi")
_AROUND_IMPORTS: Final = frozenset({"try_statement", "except_clause", "if_statement", "else_clause", "block"})
"""What an import may stand in and still be one of the module."""
_DEEPEST: Final = 8
"""Levels of nested lists of names that are looked into."""


def passed_on(root: Node, grammar: Grammar, path: str) -> list[tuple[int, str]]:
    """Lines (from 1) and names, in order; `root` is the tree of the file at `path`. Names nobody can say are left out."""
    find = _FINDERS.get(grammar.name)
    if find is None or (grammar.name == "python" and not path.endswith(_PACKAGE_FILES)):
        return []
    named = ((node.start_point[0] + 1, (node.text or b"").decode("utf-8", "replace")) for node in find(root))
    return [(line, name) for line, name in named if name not in ("default", "self", "*", "_")]


def _of_javascript(root: Node) -> Iterator[Node]:
    for statement in root.named_children:
        if statement.type != "export_statement" or statement.child_by_field_name("source") is None:
            continue
        for clause in statement.named_children:
            if clause.type == "namespace_export":
                yield from clause.named_children[:1]
            elif clause.type == "export_clause":
                for one in clause.named_children:
                    yield from _named(one)


def _of_rust(root: Node) -> Iterator[Node]:
    for statement in root.named_children:
        if statement.type == "use_declaration" and any(
            child.text == b"pub" for child in statement.named_children[:1]
        ):
            yield from _used(statement.child_by_field_name("argument"), 0)


def _used(node: Node | None, depth: int) -> Iterator[Node]:
    if node is None or depth > _DEEPEST:
        return
    if node.type == "identifier":
        yield node
    elif node.type == "use_list":
        for child in node.named_children:
            yield from _used(child, depth + 1)
    elif node.type == "scoped_use_list":
        yield from _used(node.child_by_field_name("list"), depth + 1)
    else:
        yield from _named(node)


def _of_python(root: Node, depth: int = 0) -> Iterator[Node]:
    for statement in root.named_children:
        if statement.type == "import_from_statement":
            for one in statement.children_by_field_name("name"):
                yield from _named(one) if one.type == "aliased_import" else one.named_children[-1:]
        elif statement.type in _AROUND_IMPORTS and depth < _DEEPEST:
            yield from _of_python(statement, depth + 1)


def _named(node: Node) -> Iterator[Node]:
    """What a thing is known as from here on: its alias, or else its name."""
    known = node.child_by_field_name("alias") or node.child_by_field_name("name")
    if known is not None:
        yield known


_FINDERS: Final[dict[str, Callable[[Node], Iterator[Node]]]] = {
    "javascript": _of_javascript,
    "typescript": _of_javascript,
    "tsx": _of_javascript,
    "rust": _of_rust,
    "python": _of_python,
}
"""How names are passed on, by grammar."""
