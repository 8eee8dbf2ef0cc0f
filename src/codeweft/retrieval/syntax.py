"""From a syntax tree to the definitions in it. Which nodes count is the table's business (`languages.py`)."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from codeweft.retrieval.languages import NAMES_ONLY, Grammar

if TYPE_CHECKING:
    from tree_sitter import Node, Parser
    from tree_sitter_language_pack import SupportedLanguage

DEEPEST: Final = 60
"""Levels looked into. Code stays far above; deeper trees are data or made to exhaust a stack."""
LONG_FUNCTION: Final = 160
"""Lines above which a function is looked into for the functions it holds (module wrappers, factories)."""
SIGNATURE_CHARACTERS: Final = 400
DOCSTRING_CHARACTERS: Final = 2000

_BODY_FIELDS: Final = ("body", "block", "consequence")
_BODY_TYPE_LIST: Final = """
    block class_body compound_statement declaration_list field_declaration_list function_body statement_block
    template_body do_block enum_body interface_body enum_class_body protocol_body Block body_statement match
"""
_BODY_TYPES: Final = frozenset(_BODY_TYPE_LIST.split())
NAME_FIELDS: Final = ("name", "declarator", "function", "variable_type_function", "pattern", "left", "type")
_NAME_TYPES: Final = frozenset(
    {"name", "constant", "word", "variable", "alias", "IDENTIFIER", "operator_name"}
)
_NAME_END: Final = re.compile(r"[<(\[{\s=;]")
_TYPE_NAME: Final = re.compile(r"[A-Z][\w.]*")
_MADE_FOR: Final = re.compile(r"\bfor:\s*\[?\s*([\w.]+)")
_SELF_NAMED: Final = {
    "constructor_declaration": "",
    "init_declaration": "init",
    "deinit_declaration": "deinit",
    "subscript_declaration": "subscript",
    "secondary_constructor": "constructor",
    "companion_object": "Companion",
    "indexer_declaration": "this[]",
}
"""Definitions that the language itself names; an empty value means they are named like the others."""
_SPECIFIERS: Final = frozenset({"struct_specifier", "union_specifier", "enum_specifier", "class_specifier"})
"""Types of C that may be named, defined, or both."""
_WITH_MACROS: Final = frozenset(("c", "cpp"))
_EXPORT_MACRO: Final = re.compile(
    rb"(?:(?<=\bclass )|(?<=\bstruct ))[ \t]*[A-Z][A-Z0-9_]{2,}(?:\([^()\n]*\))?"
    rb"(?=[ \t]+[A-Za-z_]\w*(?:[ \t]+final)?\s*(?::[^:]|\{))"
)
"""What a library marks its exported types with (`class API Store {`): no grammar knows it, and the type would be
read as a function. Blanked, so that every place in the text stays where it is."""
_COMMENT_MARK: Final = re.compile(
    r"^[ \t]*(?:/\*+!?|\*+/|\*(?!\*)|///?!?|//!|#+!?|--+[ |^]*|\{-[ |]*|-\}|;+|%+|\"\"\"|''')[ \t]?",
    re.MULTILINE,
)
_COMMENT_END: Final = re.compile(r"[ \t]*(?:\*+/|-\}|\"\"\"|''')[ \t]*$")


@dataclass(slots=True)
class Definition:
    """A definition and the lines it spans (from 1, inclusive), with its doc comment, decorators and wrapper."""

    start: int
    end: int
    kind: str
    name: str
    scope: str
    signature: str = ""
    docstring: str = ""
    members: list[Definition] = field(default_factory=list)
    group: bool = False
    """It only groups its members, as a namespace does."""

    @property
    def lines(self) -> int:
        return self.end - self.start + 1


_parsers = threading.local()


def _parser(grammar: str) -> Parser:
    """This thread's parser; grammars are loaded when first needed."""
    cache: dict[str, Parser] = _parsers.__dict__
    if grammar not in cache:
        from tree_sitter_language_pack import get_parser

        cache[grammar] = get_parser(cast("SupportedLanguage", grammar))
    return cache[grammar]


def parse(source: bytes, grammar: Grammar) -> Node:
    """The root of a source text's syntax tree. Never raises on any text."""
    if grammar.name in _WITH_MACROS:
        source = _EXPORT_MACRO.sub(lambda found: b" " * len(found[0]), source)
    return _parser(grammar.name).parse(source).root_node


def definitions_in(root: Node, source: bytes, grammar: Grammar) -> list[Definition]:
    """The definitions below the root of a tree that `source` was parsed into, in order, members inside."""
    return _Reader(source, grammar).collect(root, "", 0)


class _Reader:
    def __init__(self, source: bytes, grammar: Grammar) -> None:
        self.source = source
        self.grammar = grammar

    def collect(self, parent: Node, scope: str, depth: int) -> list[Definition]:
        """Definitions among the children of `parent` and whatever they wrap."""
        grammar = self.grammar
        found: list[Definition] = []
        lead: list[Node] = []
        for node in parent.named_children:
            if lead and node.start_point[0] > lead[-1].end_point[0] + 1:
                lead = []
            # A node makes its type anew each time it is asked for.
            node_type = node.type
            if node_type in grammar.leading:
                lead.append(node)
                continue
            here = self._definitions_of(node, node_type, scope, depth)
            if lead and here and (len(here) == 1 or here[0].start == node.start_point[0] + 1):
                self._take_lead(here[0], lead)
            found.extend(here)
            lead = []
        return self._merged(found) if grammar.merge_same_name else found

    def _definitions_of(self, node: Node, node_type: str, scope: str, depth: int) -> list[Definition]:
        if depth > DEEPEST:
            return []
        grammar = self.grammar
        defines = node_type in grammar.definitions or node_type in grammar.bound or node_type == "call"
        own = self._definition(node, node_type, scope, depth) if defines else None
        wraps = node_type in grammar.wrappers
        if wraps:
            inner = self.collect(node, scope, depth + 1)
            if len(inner) == 1 and (own is None or inner[0].kind != NAMES_ONLY):
                inner[0].start = min(inner[0].start, node.start_point[0] + 1)
                inner[0].end = max(inner[0].end, _last_line(node))
                if own is not None and not inner[0].name:
                    inner[0].name = own.name
                if own is not None and own.name not in ("", inner[0].name):
                    inner.append(Definition(inner[0].start, inner[0].start, NAMES_ONLY, own.name, scope))
                return inner
            if len(inner) > 1:
                return inner
        if own is not None:
            return [own]
        if wraps or node.start_point[0] == node.end_point[0]:
            return []
        return self.collect(node, scope, depth + 1)

    def _definition(self, node: Node, node_type: str, scope: str, depth: int) -> Definition | None:
        grammar = self.grammar
        kind = grammar.definitions.get(node_type)
        container = node_type in grammar.containers
        group = node_type in grammar.groups
        body: Node | None = None
        name = ""
        if node_type in grammar.bound and (bound := self._bound(node)):
            name, body = bound
            kind = "class" if container or body.type in grammar.containers else "function"
            container = kind == "class"
        elif node_type == "call" and grammar.calls:
            call = self._call(node)
            if call is None:
                return None
            kind, name, container = call
            group = kind == "module"
        if kind is None:
            return None
        body = body or _body(node)
        if node_type in _SPECIFIERS and body is None:
            return None
        if node_type in grammar.definitions and (value := self._record(node)) is not None:
            body, container = value, True
        name = name or self._name(node)
        if kind == NAMES_ONLY and not name:
            return None
        if node_type == "mod_item" and body is None:
            kind = NAMES_ONLY
        if node_type == "impl_item":
            name = self._text(node.child_by_field_name("type"), 200) or name
            name = _NAME_END.split(name, maxsplit=1)[0]
        elif node_type == "instance":
            name = _instance_name(name, self._text(node.child_by_field_name("patterns"), 200))
        if (
            node_type == "method_declaration"
            and (receiver := node.child_by_field_name("receiver")) is not None
        ):
            scope = re.sub(r"\[.*", "", self._text(receiver, 200).strip("()").split(" ")[-1].lstrip("*"))
        if not scope and node_type == "function_declaration":
            # An extension function belongs to what it extends.
            extended = self._text(node.child_by_field_name("receiver"), 200)
            scope = _last_segment(_NAME_END.split(extended, maxsplit=1)[0].rstrip("?"))
        if node_type == "type_spec" and body is None:
            inner = node.child_by_field_name("type")
            kind = {"struct_type": "class", "interface_type": "interface"}.get(
                inner.type if inner else "", NAMES_ONLY
            )
        if kind == "class" and node_type == "class_declaration":
            kind = self._kind_by_keyword(node)
        if kind == "function" and scope and self._inside_class(node):
            kind = "method"
        made = Definition(node.start_point[0] + 1, _last_line(node), kind, name, scope, group=group)
        if kind == NAMES_ONLY and made.lines < 2:
            return made
        made.signature = self._signature(node, body)
        made.docstring = self._docstring(body)
        if container or group or (kind in ("function", "method") and made.lines > LONG_FUNCTION):
            inner_scope = f"{scope}.{name}" if scope and name else name or scope
            made.members = self.collect(body or node, inner_scope, depth + 1)
            if kind in ("function", "method"):
                # What a function assigns is its own business.
                made.members = [member for member in made.members if member.kind != NAMES_ONLY]
        return made

    def _inside_class(self, node: Node) -> bool:
        above = node.parent
        for _ in range(4):
            if above is None:
                return False
            if above.type in self.grammar.containers:
                return True
            above = above.parent
        return False

    def _kind_by_keyword(self, node: Node) -> str:
        """Swift and Kotlin name classes, interfaces and enums alike; their keyword tells."""
        for child in node.children[:4]:
            if child.type in ("interface", "enum", "protocol"):
                return "enum" if child.type == "enum" else "interface"
        return "class"

    def _bound(self, node: Node) -> tuple[str, Node] | None:
        """Name and value of a node that names a function or class value; None when the value is something else."""
        name_field, value_field = self.grammar.bound[node.type]
        value = node.child_by_field_name(value_field) if value_field else None
        if value is None:
            value = node.named_children[-1] if node.named_child_count > 1 else None
            for _ in range(4):
                if value is None or value.type in self.grammar.values or not value.named_child_count:
                    break
                value = value.named_children[-1]
        if value is not None and value.type in self.grammar.calls_around:
            value = self._function_inside(value)
        if value is None or value.type not in self.grammar.values:
            return None
        named = node.child_by_field_name(name_field) if name_field else None
        name = self._text(named or node.named_children[0], 200)
        return _last_segment(name).strip("\"'`"), value

    def _function_inside(self, call: Node) -> Node | None:
        """The function with a body that a call is given (`memo(() => {...})`)."""
        arguments = call.child_by_field_name("arguments")
        given = arguments.named_children if arguments is not None else ()
        return next(
            (one for one in given if one.type in self.grammar.values and _body(one) is not None), None
        )

    def _record(self, node: Node) -> Node | None:
        """The value of a name that holds others, as an object literal does."""
        bound = self.grammar.bound.get(node.type)
        value = node.child_by_field_name(bound[1]) if bound and bound[1] else None
        return value if value is not None and value.type in self.grammar.records else None

    def _call(self, node: Node) -> tuple[str, str, bool] | None:
        target = node.child_by_field_name("target")
        called = self._text(target, 40)
        kind = self.grammar.calls.get(called)
        if kind is None:
            return None
        arguments = next((child for child in node.named_children if child.type == "arguments"), None)
        first = arguments.named_children[0] if arguments is not None and arguments.named_child_count else None
        for _ in range(3):
            if first is None or first.type not in ("call", "binary_operator"):
                break
            first = first.child_by_field_name("target" if first.type == "call" else "left")
        name = _NAME_END.split(self._text(first, 200), maxsplit=1)[0]
        if called == "defimpl" and (made_for := _MADE_FOR.search(self._text(arguments, 400))):
            name = _instance_name(name, made_for[1])
        return kind, name, called in self.grammar.containers

    def _name(self, node: Node) -> str:
        children = node.named_children
        types = [child.type for child in children]
        if (fixed := _SELF_NAMED.get(node.type)) and "type_identifier" not in types:
            return fixed
        if node.type in _SPECIFIERS and node.child_by_field_name("name") is None:
            return ""
        at: Node | None = (
            children[types.index("variable_declaration")] if "variable_declaration" in types else node
        )
        for _ in range(6):
            if at is None:
                return ""
            following = next((n for f in NAME_FIELDS if (n := at.child_by_field_name(f)) is not None), None)
            if following is None:
                following = next((child for child in at.named_children if is_name(child)), None)
            if following is None:
                following = at.named_children[0] if at.named_child_count else None
                if following is not None and _is_leading(following):
                    return ""
            if following is None or is_name(following) or "qualified" in following.type:
                at = following
                break
            if following.type in ("primitive_type", "sized_type_specifier"):
                return ""
            at = following
        name = self._text(at, 200).lstrip("*&~ ")
        if "operator" not in name:
            name = _NAME_END.split(name, maxsplit=1)[0]
        return _last_segment(name)

    def _signature(self, node: Node, body: Node | None) -> str:
        end = body.start_byte if body is not None and body.start_byte > node.start_byte else node.end_byte
        raw = self.source[node.start_byte : min(end, node.start_byte + 4 * SIGNATURE_CHARACTERS)]
        text = " ".join(raw.decode("utf-8", "replace").split()).rstrip("{: ")
        return text[:SIGNATURE_CHARACTERS]

    def _docstring(self, body: Node | None) -> str:
        """Python's docstring; other languages document in the comment before."""
        if body is None or self.grammar.name != "python" or not body.named_child_count:
            return ""
        first = body.named_children[0]
        if first.type == "expression_statement" and first.named_child_count:
            first = first.named_children[0]
        if first.type != "string":
            return ""
        return self._text(first, DOCSTRING_CHARACTERS).lstrip("rRbBuUfF").strip("\"'").strip()

    def _take_lead(self, definition: Definition, lead: list[Node]) -> None:
        definition.start = min(definition.start, lead[0].start_point[0] + 1)
        if not definition.docstring:
            comments = (
                self._text(n, DOCSTRING_CHARACTERS)
                for n in lead
                if "attribute" not in n.type and n.type != "signature"
            )
            definition.docstring = plain_comment("\n".join(comments))[:DOCSTRING_CHARACTERS]
        for node in lead:
            if node.type == "signature":
                definition.signature = " ".join(self._text(node, SIGNATURE_CHARACTERS).split())

    def _merged(self, found: list[Definition]) -> list[Definition]:
        merged: list[Definition] = []
        for one in found:
            last = merged[-1] if merged else None
            mergeable = last is not None and last.kind == one.kind == "function" and last.name == one.name
            if last is not None and mergeable and one.start <= last.end + 2:
                last.end = max(last.end, one.end)
            else:
                merged.append(one)
        return merged

    def _text(self, node: Node | None, limit: int) -> str:
        if node is None:
            return ""
        return self.source[node.start_byte : min(node.end_byte, node.start_byte + limit)].decode(
            "utf-8", "replace"
        )


def is_name(node: Node) -> bool:
    """Whether a node is a name or ends in one."""
    node_type = node.type
    return node_type.endswith(("identifier", "_name", "index_expression")) or node_type in _NAME_TYPES


def _is_leading(node: Node) -> bool:
    return "comment" in node.type


def _instance_name(of: str, made_for: str) -> str:
    """`Show Tree` for an instance of the class `Show`: it defines neither the class nor the type."""
    named = _TYPE_NAME.search(made_for)
    return f"{of} {_last_segment(named[0]) if named else made_for}".rstrip()


def _last_segment(name: str) -> str:
    return re.split(r"::|->|[.:\\](?=[^\W\d])", name)[-1]


def _body(node: Node) -> Node | None:
    for name in _BODY_FIELDS:
        if (body := node.child_by_field_name(name)) is not None:
            return body
    return next((child for child in node.named_children if child.type in _BODY_TYPES), None)


def _last_line(node: Node) -> int:
    """The last line the node has text on; some grammars end a node at the start of the next line."""
    row, column = node.end_point
    return row if column == 0 and row > node.start_point[0] else row + 1


def plain_comment(text: str) -> str:
    """A comment without its marks."""
    lines = (_COMMENT_END.sub("", _COMMENT_MARK.sub("", line)).rstrip() for line in text.split("\n"))
    return "\n".join(lines).strip()
