"""Where a source text mentions a name, told by its syntax tree: as a definition, a call, an import or otherwise.

A word in a comment or a string is no mention. Names are not resolved: two things of one name are told apart only by
what stands before the name (`symbols.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from codeweft.retrieval.languages import LANGUAGES, NAMES_ONLY, Grammar
from codeweft.retrieval.store.base import last_segment
from codeweft.retrieval.syntax import NAME_FIELDS, Definition, definitions_in, is_name, parse

if TYPE_CHECKING:
    from tree_sitter import Node

Role = Literal["definition", "call", "import", "reference"]


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_CALLS: Final = _set(
    """
    call call_expression new_expression macro_invocation method_invocation object_creation_expression
    invocation_expression function_call_expression member_call_expression nullsafe_member_call_expression
    scoped_call_expression function_call instance_expression apply command decorator marker_annotation annotation
    jsx_self_closing_element jsx_opening_element explicit_constructor_invocation constructor_invocation
    """
)
"""Nodes that call what they name first. A decorator calls what it names, an element its component."""
_CALLEE_FIELDS: Final = ("function", "method", "macro", "constructor", "name", "target", "type")
_MEMBERS: Final = _set(
    """
    attribute member_expression field_expression selector_expression scoped_identifier qualified_identifier
    template_function template_method generic_function generic_name generic_type member_access_expression
    member_binding_expression conditional_access_expression navigation_suffix navigation_expression
    dot_index_expression method_index_expression dot qualified qualified_name qualified_type scoped_type_identifier
    command_name dotted_name user_type parenthesized_expression identifier
    """
)
"""Nodes that stand for their last part: `a.b.name` is called when `name` is."""
_ARGUMENTS: Final = _set("type_arguments template_argument_list type_argument_list arguments argument_list")
_IMPORTS: Final = _set(
    """
    import_statement import_from_statement future_import_statement import_declaration import_header import_list import
    use_declaration namespace_use_declaration using_directive export_clause extern_crate_declaration
    """
)
_IMPORT_CALLS: Final = frozenset(("import", "alias", "use", "require"))
"""What Elixir imports with, which are calls by syntax."""
_NOT_MENTIONS: Final = frozenset(("keyword_argument", "labeled_statement", "named_argument"))
"""Nodes whose name is that of a parameter or a label."""
_NOT_DEFINING: Final = frozenset(("impl_item",))
"""Definitions for the chunker that only add to what is defined elsewhere."""
_WORDS_THAT_NAME: Final = {"word": frozenset(("command_name", "function_definition"))}
"""Node types that are names only below certain parents: a shell's words are mostly arguments."""
_BEFORE: Final = re.compile(
    rb"([\w$@\x80-\xff]+|\)|\])[ \t\r\n]*(?:\?\.|!!\.|!\.|&\.|\.|::|->|\\|:(?=$))\s*$"
)
_LOOK_BACK: Final = 160
"""Bytes before a name in which its qualifier is looked for."""
_DEPTH: Final = 8
"""Nodes above a name that are looked at."""

_Named = tuple[Definition, str]
"""A definition and its qualified name."""


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where a name stands. `line` and `column` count from 1, columns in characters.

    `qualifier` is the word before it (`store` in `store.open`), "()" for a result, "" for none. `within` is the
    qualified name of the innermost definition around it, which begins at `within_line`; empty and 0 at top level.
    A definition says its `kind` and its own qualified name in `defines`, and ends at `end_line`.
    """

    line: int
    column: int
    role: Role
    qualifier: str
    within: str
    within_line: int
    text: str
    defines: str = ""
    kind: str = ""
    end_line: int = 0


class Source:
    """A source text as a tree. Raises nothing on any text; a language without a grammar has no names."""

    def __init__(self, text: str, language: str) -> None:
        known = LANGUAGES.get(language)
        self.grammar: Grammar | None = known.grammar if known else None
        self._bytes = text.encode("utf-8", "replace")
        self._lines = text.split("\n")
        self._definitions: list[_Named] = []
        if self.grammar is not None:
            self._root = parse(self._bytes, self.grammar)
            self._definitions = list(_walk(definitions_in(self._root, self._bytes, self.grammar)))

    def mentions(self, name: str) -> Iterator[Mention]:
        """The places where `name` (a last segment, exact) stands, in order."""
        if self.grammar is None or not name:
            return
        for match in _whole_word(name).finditer(self._bytes):
            node = self._root.descendant_for_byte_range(match.start(), match.end())
            if node is None or node.start_byte != match.start() or not _names(node, match.end()):
                continue
            if node.parent is not None and node.parent.type in _NOT_MENTIONS and _is_first(node, node.parent):
                continue
            yield self._mention(node, name)

    def calls(self, start: int, end: int) -> dict[str, int]:
        """Names that lines `start` to `end` (inclusive) call, each with the first line where they do."""
        found: dict[str, int] = {}
        if self.grammar is None:
            return found
        stack = [self._root]
        while stack:
            node = stack.pop()
            if node.end_point[0] + 1 < start or node.start_point[0] + 1 > end:
                continue
            line = node.start_point[0] + 1
            if not node.named_child_count and line >= start and is_name(node) and _is_call(node):
                found.setdefault(_source(node, self._bytes), line)
            stack.extend(reversed(node.named_children))
        return found

    def _mention(self, node: Node, name: str) -> Mention:
        line, byte_column = node.start_point[0] + 1, node.start_point[1]
        before = self._bytes[max(0, node.start_byte - byte_column) : node.start_byte]
        own = self._defined_here(node, name, line)
        role: Role = "reference"
        if own is not None:
            role = "definition"
        elif _is_import(node, self._bytes):
            role = "import"
        elif _is_call(node):
            role = "call"
        around = self._around(line, but=own)
        return Mention(
            line,
            len(before.decode("utf-8", "replace")) + 1,
            role,
            self._qualifier(node.start_byte),
            around[1] if around else "",
            around[0].start if around else 0,
            self._lines[line - 1] if line <= len(self._lines) else "",
            own[1] if own else "",
            own[0].kind if own else "",
            own[0].end if own else 0,
        )

    def _qualifier(self, at: int) -> str:
        match = _BEFORE.search(self._bytes[max(0, at - _LOOK_BACK) : at])
        if match is None:
            return ""
        word = match[1].decode("utf-8", "replace")
        return "()" if word in (")", "]") else word

    def _around(self, line: int, but: _Named | None) -> _Named | None:
        """The innermost definition that spans a line, other than `but`."""
        best: _Named | None = None
        for one, qualified in self._definitions:
            if one.kind == NAMES_ONLY or not one.start <= line <= one.end or (but and one is but[0]):
                continue
            if best is None or one.lines <= best[0].lines:
                best = (one, qualified)
        return best

    def _defined_here(self, node: Node, name: str, line: int) -> _Named | None:
        """The innermost definition that a name is the name of."""
        spanning = [
            named
            for named in self._definitions
            if last_segment(named[0].name) == name and named[0].start <= line <= named[0].end
        ]
        if not spanning or not self._defines(node):
            return None
        return min(reversed(spanning), key=lambda named: named[0].lines)

    def _defines(self, node: Node) -> bool:
        """Whether a name is the one that a definition around it gives."""
        grammar = self.grammar
        assert grammar is not None
        node = _last_part(node)
        for _ in range(_DEPTH):
            parent = node.parent
            if parent is None:
                return False
            if grammar.calls and parent.type in ("call", "arguments", "binary_operator"):
                return _defined_by_call(node, grammar, self._bytes)
            if parent.type in _CALLS:
                return False
            if parent.type in grammar.bound and grammar.bound[parent.type][0]:
                first = parent.child_by_field_name(grammar.bound[parent.type][0])
            else:
                first = next(
                    (n for f in NAME_FIELDS if (n := parent.child_by_field_name(f)) is not None), None
                )
            if first is None:
                first = next((child for child in parent.named_children if is_name(child)), None)
            if first is None and parent.named_child_count:
                first = parent.named_children[0]
            if first is None or not (first.start_byte <= node.start_byte and node.end_byte <= first.end_byte):
                return False
            if parent.type in grammar.definitions or parent.type in grammar.bound:
                return parent.type not in _NOT_DEFINING
            node = parent
        return False


def _whole_word(name: str) -> re.Pattern[bytes]:
    escaped = re.escape(name.encode("utf-8", "replace"))
    return re.compile(rb"(?<![\w$\x80-\xff])" + escaped + rb"(?![\w$\x80-\xff])")


def _walk(definitions: Sequence[Definition], above: str = "") -> Iterator[_Named]:
    """Definitions with their qualified names, outer ones first."""
    for one in definitions:
        scope = one.scope or above
        qualified = f"{scope}.{one.name}" if scope and one.name else one.name or scope
        yield one, qualified
        yield from _walk(one.members, qualified)


def _names(node: Node, end: int) -> bool:
    """Whether a leaf that begins where the word does is a name that ends with it, not a string or a comment."""
    if node.end_byte != end or node.child_count or not node.is_named or not is_name(node):
        return False
    parents = _WORDS_THAT_NAME.get(node.type)
    return parents is None or (node.parent is not None and node.parent.type in parents)


def _is_first(node: Node, parent: Node) -> bool:
    return bool(parent.named_child_count) and parent.named_children[0] == node


def _last_part(node: Node) -> Node:
    """The outermost node that stands for `node`: `a.b` for `b`."""
    for _ in range(_DEPTH):
        parent = node.parent
        if parent is None or parent.type not in _MEMBERS:
            break
        parts = [child for child in parent.named_children if child.type not in _ARGUMENTS]
        if not parts or parts[-1] != node:
            break
        node = parent
    return node


def _is_call(node: Node) -> bool:
    whole = _last_part(node)
    parent = whole.parent
    if parent is None:
        return False
    following = whole.next_named_sibling
    if following is not None and following.type == "FnCallArguments":
        return True
    if parent.type == "token_tree":
        # What a Rust macro is given is not parsed; a name before parentheses is called.
        beside = whole.next_sibling
        return beside is not None and beside.type == "token_tree" and beside.text.startswith(b"(")  # type: ignore[union-attr]
    if parent.type not in _CALLS:
        return False
    callee = next((n for f in _CALLEE_FIELDS if (n := parent.child_by_field_name(f)) is not None), None)
    return whole == (callee or parent.named_children[0])


def _is_import(node: Node, source: bytes) -> bool:
    above = node.parent
    for _ in range(_DEPTH):
        if above is None:
            return False
        if above.type in _IMPORTS:
            return True
        target = above.child_by_field_name("target") if above.type == "call" else None
        if target is not None and target != node:
            return _source(target, source) in _IMPORT_CALLS
        above = above.parent
    return False


def _defined_by_call(node: Node, grammar: Grammar, source: bytes) -> bool:
    """Whether a name is the one that Elixir's `def name(…)` defines: the head of its first argument."""
    head: Node = node
    for _ in range(_DEPTH):
        above = head.parent
        if above is None or above.start_byte > node.start_byte:
            return False
        if above.type == "arguments":
            call = above.parent
            target = call.child_by_field_name("target") if call is not None else None
            if target is not None and _source(target, source) in grammar.calls:
                return _is_first(head, above) and head.start_byte == node.start_byte
        head = above
    return False


def _source(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")
