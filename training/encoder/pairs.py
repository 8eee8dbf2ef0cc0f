"""Pairs of (what a person would say, code) from documented source files, for training the encoder.

    python -m training.encoder.pairs --corpus DIR --out DIR

Writes `train.jsonl` and `held_out.jsonl` (every 25th package, by hash of its name), one pair a line with the
fields of `Pair`. Sources of the text: the first paragraph of a function's or class's documentation, a file's header
comment, a comment line above statements, and the words of a function's name against its body without that name.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tree_sitter_language_pack import get_parser

from codeweft.retrieval.tokens import words
from training.corpus import SourceFile, files

Node = Any  # tree_sitter.Node; the binding is used through attributes only

LONGEST_CODE: Final = 3000  # characters; what follows rarely says what a function is for
LONGEST_TEXT: Final = 400
HELD_OUT_EVERY: Final = 25
MOST_FILES: Final = 400  # of one package, so that no huge one sets the tone


@dataclass(frozen=True, slots=True)
class Pair:
    """`text` asks for `code`. `kind` is doc, class, file, comment or name; `name` is what the code defines."""

    package: str
    path: str
    language: str
    kind: str
    name: str
    text: str
    code: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """Node types of one language: definitions, and what may stand between a comment and its definition."""

    functions: frozenset[str]
    classes: frozenset[str]
    wrappers: frozenset[str] = frozenset()
    between: frozenset[str] = frozenset()
    docstrings: bool = False


def _grammar(
    functions: str, classes: str = "", wrappers: str = "", between: str = "", docstrings: bool = False
) -> Grammar:
    return Grammar(*(frozenset(part.split()) for part in (functions, classes, wrappers, between)), docstrings)


_ECMA: Final = "function_declaration generator_function_declaration method_definition variable_declarator"
GRAMMARS: Final = {
    "python": _grammar("function_definition", "class_definition", "decorated_definition", docstrings=True),
    "javascript": _grammar(_ECMA, "class_declaration", "export_statement lexical_declaration", "decorator"),
    "typescript": _grammar(
        f"{_ECMA} function_signature method_signature",
        "class_declaration abstract_class_declaration interface_declaration enum_declaration type_alias_declaration",
        "export_statement lexical_declaration ambient_declaration",
        "decorator",
    ),
    "go": _grammar("function_declaration method_declaration", "type_declaration"),
    "rust": _grammar(
        "function_item function_signature_item", "struct_item enum_item trait_item", "", "attribute_item"
    ),
    "java": _grammar(
        "method_declaration constructor_declaration",
        "class_declaration interface_declaration enum_declaration",
    ),
    "c": _grammar("function_definition declaration", "struct_specifier", "type_definition"),
    "cpp": _grammar(
        "function_definition declaration", "class_specifier struct_specifier", "template_declaration"
    ),
    "ruby": _grammar("method singleton_method", "class module"),
    "php": _grammar(
        "function_definition method_declaration", "class_declaration interface_declaration trait_declaration"
    ),
}

_QUOTES: Final = re.compile(r"""^[rRuU]*(?:\"{3}|'{3}|"|')|(?:\"{3}|'{3}|"|')$""")
_COMMENTS: Final = frozenset({"comment", "line_comment", "block_comment", "doc_comment"})
_CONTAINER_LIST: Final = """
    block class_body declaration_list body_statement impl_item mod_item namespace_definition linkage_specification
    field_declaration_list preproc_ifdef preproc_if preproc_else internal_module module statement_block interface_body
    object_type type_spec enum_body enum_body_declarations if_statement else_clause program php namespace_use_declaration
    compound_statement expression_statement
"""
_CONTAINERS: Final = frozenset(_CONTAINER_LIST.split())
_COMMENT_MARK: Final = re.compile(
    r"^[ \t]*(?:/\*+!?|\*+/|//+!?|\*(?!\*)|#+!?|--+|=begin|=end)?<?[ \t]?|\*+/[ \t]*$", re.MULTILINE
)
_TAG: Final = re.compile(
    r"^\s*(?:[@\\]\w|:\w+[\w ]*:|(?:Args|Arguments|Parameters|Params|Returns|Raises|Example|Examples|Yields|Usage|Note|# \w+)\s*:?\s*$)",
    re.MULTILINE,
)
_MARKUP: Final = re.compile(r"\{@\w+\s+([^}]*)\}|</?\w+[^>]*>|:\w+:`~?([^`]*)`|[`*]{1,3}")
_NOISE: Final = re.compile(
    r"copyright|licen[sc]e|all rights reserved|use of this source|redistribution|frozen_string|warranty|permitted provided|governed by|conditions are|todo|fixme|eslint|prettier|noqa|type: ignore|istanbul|pylint|@ts-|"
    r"inheritdoc|see also|auto-?generated|deprecated|nolint|clang-format|https?://\S+$",
    re.IGNORECASE,
)
_BODY_COMMENT: Final = re.compile(
    r"^[ \t]*(?://|#)[ \t]+([A-Z].{14,160})\n((?:[ \t]*[^\s/#*].*\n){2,8})", re.MULTILINE
)


def summary(comment: str) -> str:
    """The first paragraph of a comment or docstring as plain prose; empty when it says nothing."""
    text = _COMMENT_MARK.sub("", comment).strip()
    text = _TAG.split(text, maxsplit=1)[0]
    text = re.split(r"\n\s*\n|```|>>> ", text, maxsplit=1)[0]
    text = _MARKUP.sub(lambda match: match[1] or match[2] or "", text)
    return usable(" ".join(text.split())[:LONGEST_TEXT])


def usable(text: str) -> str:
    """The text itself when it is English prose of three words or more, else nothing."""
    letters = sum(character.isascii() and character.isalpha() for character in text)
    if len(re.findall(r"[A-Za-z]{2,}", text)) < 3 or letters < 0.6 * len(text) or _NOISE.search(text):
        return ""
    return text


def pairs(source: SourceFile) -> Iterator[Pair]:
    """All pairs of one file."""
    data = source.text.encode()
    root = get_parser(source.language).parse(data).root_node
    file = _File(source, data, GRAMMARS[source.language])
    definitions = list(file.definitions(root))
    names = " ".join(found.name for found in definitions)
    if header := file.header(root):
        yield file.pair("file", Path(source.path).stem, header, f"{source.path}\n{names}")
    for found in definitions:
        name, code = found.name, found.code
        if found.text:
            yield file.pair(found.kind, name, found.text, code)
        if found.kind != "doc" or code.count("\n") < 3:
            continue
        # One function in three gives its name: there are far more of these than of documented ones.
        if zlib.crc32(code.encode()) % 3 == 0 and len(spoken := words(name)[:-1]) >= 2:
            yield file.pair("name", name, " ".join(spoken), re.sub(rf"\b{re.escape(name)}\b", " ", code))
        if (match := _BODY_COMMENT.search(code)) and (comment := usable(match[1])):
            yield file.pair("comment", name, comment, match[2])


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class; `code` is its text without `text`, its documentation. `kind` is doc or class."""

    name: str
    kind: str
    text: str
    code: str


class _File:
    def __init__(self, source: SourceFile, data: bytes, grammar: Grammar) -> None:
        self.source, self.data, self.grammar = source, data, grammar

    def pair(self, kind: str, name: str, text: str, code: str) -> Pair:
        source = self.source
        return Pair(source.package, source.path, source.language, kind, name, text, code[:LONGEST_CODE])

    def text(self, start: int, end: int) -> str:
        return self.data[start:end].decode("utf-8", "ignore")

    def header(self, root: Node) -> str:
        """The first comment or docstring of the file that is about the file."""
        for node in root.children[:4]:
            if node.type in _COMMENTS:
                if found := summary(self.text(node.start_byte, node.end_byte)):
                    return found
            elif self.grammar.docstrings and node.type in {"string", "expression_statement"}:
                return summary(_QUOTES.sub("", self.text(node.start_byte, node.end_byte)))
            elif not node.type.endswith("package_declaration"):
                break
        return ""

    def definitions(self, parent: Node, wrapped: tuple[Node, str] | None = None) -> Iterator[Definition]:
        """All definitions below `parent` outside function bodies; `wrapped` is the wrapper and the comment above it."""
        grammar = self.grammar
        above: list[str] = []
        row = -1
        for node in parent.named_children:
            kind = node.type
            if kind in _COMMENTS:
                if node.start_point[0] > row + 1:
                    above = []
                above.append(self.text(node.start_byte, node.end_byte).rstrip("\n"))
                row = node.start_point[0] + above[-1].count("\n")
                continue
            if kind in grammar.between:
                row = node.end_point[0]
                continue
            comment = "\n".join(above) if node.start_point[0] <= row + 1 else ""
            anchor, comment = wrapped or (node, comment)
            above = []
            if kind in grammar.functions:
                if _is_function(node) and (name := self.name(node)):
                    yield Definition(name, "doc", *self.documented(node, anchor, comment))
            elif kind in grammar.classes:
                if name := self.name(node):
                    yield Definition(name, "class", *self.documented(node, anchor, comment))
                yield from self.definitions(node)
            elif kind in grammar.wrappers:
                yield from self.definitions(node, (anchor, comment))
            elif kind in _CONTAINERS:
                yield from self.definitions(node)

    def name(self, node: Node) -> str:
        found = node.child_by_field_name("name")
        while found is None and (node := _inner(node)) is not None:
            found = node.child_by_field_name("name") or (node if node.type.endswith("identifier") else None)
        return self.text(found.start_byte, found.end_byte) if found is not None else ""

    def documented(self, node: Node, anchor: Node, comment: str) -> tuple[str, str]:
        if self.grammar.docstrings:
            return self.docstring(node, anchor)
        return summary(comment), self.text(anchor.start_byte, anchor.end_byte)

    def docstring(self, node: Node, anchor: Node) -> tuple[str, str]:
        body = node.child_by_field_name("body")
        first = body.named_children[0] if body is not None and body.named_children else None
        if first is not None and first.type == "expression_statement":
            first = first.named_children[0]
        if first is None or first.type != "string":
            return "", self.text(anchor.start_byte, anchor.end_byte)
        text = summary(_QUOTES.sub("", self.text(first.start_byte, first.end_byte)))
        code = self.text(anchor.start_byte, first.start_byte) + self.text(first.end_byte, anchor.end_byte)
        return text, code


def _inner(node: Node) -> Node | None:
    """One step towards the name of a C declarator or a Go type declaration."""
    return node.child_by_field_name("declarator") or next(
        (child for child in node.named_children if child.type == "type_spec"), None
    )


def _is_function(node: Node) -> bool:
    """Whether a node that may also declare a plain variable declares a function."""
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        return value is not None and value.type in {"arrow_function", "function_expression", "function"}
    if node.type == "declaration":
        inner = node.child_by_field_name("declarator")
        while inner is not None and inner.type.endswith(("pointer_declarator", "reference_declarator")):
            inner = inner.child_by_field_name("declarator")
        return inner is not None and inner.type == "function_declarator"
    return True


def is_held_out(package: str) -> bool:
    return zlib.crc32(package.lower().encode()) % HELD_OUT_EVERY == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="what training.corpus fetched")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    seen: set[int] = set()
    counts = Counter[tuple[str, str]]()
    per_package = Counter[str]()
    with (args.out / "train.jsonl").open("w") as train, (args.out / "held_out.jsonl").open("w") as held_out:
        for source in files(args.corpus, GRAMMARS.keys()):
            per_package[source.package] += 1
            if per_package[source.package] > MOST_FILES:
                continue
            for pair in pairs(source):
                if (key := hash((pair.text, pair.code[:200]))) in seen:
                    continue
                seen.add(key)
                counts[pair.language, pair.kind] += 1
                out = held_out if is_held_out(pair.package) else train
                out.write(json.dumps(asdict(pair), ensure_ascii=True) + "\n")
    for (language, kind), count in sorted(counts.items()):
        print(language, kind, count)


if __name__ == "__main__":
    main()
