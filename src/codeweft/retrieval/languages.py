"""The table of languages: which syntax nodes are definitions, or what the lines look like that blocks begin with.

To support another language, add a row. Node names are those of the grammars in tree-sitter-language-pack.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

NAMES_ONLY: Final = ""
"""Kind of a definition too small for a chunk of its own; its name is still known to the chunk that holds it."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """What to look for in the syntax trees of one grammar.

    `definitions` maps node types to chunk kinds. `containers` are the definitions looked into for members, `groups`
    those that only group (namespaces). `bound` are nodes that give a name (field 1) to a function or class value
    (field 2, of a type in `values`). `leading` nodes belong to what follows them, `wrappers` to what they hold.
    """

    name: str
    definitions: Mapping[str, str]
    containers: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    bound: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    values: frozenset[str] = frozenset()
    leading: frozenset[str] = frozenset({"comment", "line_comment", "block_comment"})
    wrappers: frozenset[str] = frozenset()
    calls: Mapping[str, str] = field(default_factory=dict)
    """Definitions that are calls by syntax (Elixir's `def`): the callee's name to the kind."""
    calls_around: frozenset[str] = frozenset()
    """Calls that a bound function may be wrapped in (`const View = memo(() => {...})`)."""
    records: frozenset[str] = frozenset()
    """Bound values that are looked into for members (object literals)."""
    merge_same_name: bool = False
    """Neighbouring definitions of one name are one (the equations of a Haskell function)."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its name in results, its grammar, or the lines its blocks begin with when it has none."""

    name: str
    grammar: Grammar | None = None
    block: re.Pattern[str] | None = None
    """Matches a line that begins a block; the group `name` names it."""
    kind: str = "section"
    """Kind of what no definition covers."""
    prose: bool = False


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_PYTHON = Grammar(
    "python",
    {"function_definition": "function", "class_definition": "class", "assignment": NAMES_ONLY},
    containers=_set("class_definition"),
    wrappers=_set("decorated_definition expression_statement"),
)
_JS_DEFINITIONS = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "class_declaration": "class",
    "class": "class",
    "method_definition": "method",
    "variable_declarator": NAMES_ONLY,
    "field_definition": NAMES_ONLY,
}
_JS_BOUND = {
    "variable_declarator": ("name", "value"),
    "assignment_expression": ("left", "right"),
    "pair": ("key", "value"),
    "field_definition": ("property", "value"),
    "public_field_definition": ("name", "value"),
}
_JS_VALUES = _set("arrow_function function_expression function generator_function class")
_JS_WRAPPERS = _set(
    "export_statement lexical_declaration variable_declaration expression_statement ambient_declaration"
)
_JAVASCRIPT = Grammar(
    "javascript",
    _JS_DEFINITIONS,
    containers=_set("class_declaration class"),
    bound=_JS_BOUND,
    values=_JS_VALUES,
    leading=_set("comment decorator"),
    wrappers=_JS_WRAPPERS,
    calls_around=_set("call_expression"),
    records=_set("object"),
)
_TS_DEFINITIONS = {
    **_JS_DEFINITIONS,
    "abstract_class_declaration": "class",
    "interface_declaration": "interface",
    "enum_declaration": "enum",
    "type_alias_declaration": NAMES_ONLY,
    "internal_module": "module",
    "module": "module",
    "function_signature": NAMES_ONLY,
    "abstract_method_signature": NAMES_ONLY,
    "method_signature": NAMES_ONLY,
    "public_field_definition": NAMES_ONLY,
}
_TS_CONTAINERS = _set("class_declaration class abstract_class_declaration")


def _typescript(name: str) -> Grammar:
    return Grammar(
        name,
        _TS_DEFINITIONS,
        containers=_TS_CONTAINERS,
        groups=_set("internal_module module"),
        bound=_JS_BOUND,
        values=_JS_VALUES,
        leading=_set("comment decorator"),
        wrappers=_JS_WRAPPERS,
        calls_around=_set("call_expression"),
        records=_set("object"),
    )


_C_DEFINITIONS = {
    "function_definition": "function",
    "struct_specifier": "class",
    "union_specifier": "class",
    "enum_specifier": "enum",
    "type_definition": NAMES_ONLY,
    "preproc_function_def": NAMES_ONLY,
    "preproc_def": NAMES_ONLY,
    "declaration": NAMES_ONLY,
}
_C = Grammar("c", _C_DEFINITIONS, wrappers=_set("type_definition declaration"))
_CPP = Grammar(
    "cpp",
    {
        **_C_DEFINITIONS,
        "class_specifier": "class",
        "namespace_definition": "module",
        "concept_definition": NAMES_ONLY,
        "alias_declaration": NAMES_ONLY,
        "field_declaration": NAMES_ONLY,
    },
    containers=_set("class_specifier struct_specifier union_specifier"),
    groups=_set("namespace_definition"),
    wrappers=_set("template_declaration type_definition declaration field_declaration"),
)

_GRAMMARS: Final = {
    "python": _PYTHON,
    "javascript": _JAVASCRIPT,
    "typescript": _typescript("typescript"),
    "tsx": _typescript("tsx"),
    "c": _C,
    "cpp": _CPP,
    "go": Grammar(
        "go",
        {
            "function_declaration": "function",
            "method_declaration": "method",
            "type_spec": "class",
            "type_alias": NAMES_ONLY,
            "const_spec": NAMES_ONLY,
            "var_spec": NAMES_ONLY,
        },
        wrappers=_set("type_declaration const_declaration var_declaration"),
    ),
    "rust": Grammar(
        "rust",
        {
            "function_item": "function",
            "function_signature_item": NAMES_ONLY,
            "struct_item": "class",
            "union_item": "class",
            "enum_item": "enum",
            "trait_item": "interface",
            "impl_item": "class",
            "mod_item": "module",
            "macro_definition": "function",
            "type_item": NAMES_ONLY,
            "const_item": NAMES_ONLY,
            "static_item": NAMES_ONLY,
        },
        containers=_set("impl_item trait_item"),
        groups=_set("mod_item"),
        leading=_set("line_comment block_comment attribute_item"),
    ),
    "java": Grammar(
        "java",
        {
            "class_declaration": "class",
            "record_declaration": "class",
            "interface_declaration": "interface",
            "annotation_type_declaration": "interface",
            "enum_declaration": "enum",
            "method_declaration": "method",
            "constructor_declaration": "method",
            "compact_constructor_declaration": "method",
            "field_declaration": NAMES_ONLY,
        },
        containers=_set("class_declaration record_declaration interface_declaration enum_declaration"),
    ),
    "csharp": Grammar(
        "csharp",
        {
            "class_declaration": "class",
            "struct_declaration": "class",
            "record_declaration": "class",
            "interface_declaration": "interface",
            "enum_declaration": "enum",
            "method_declaration": "method",
            "constructor_declaration": "method",
            "destructor_declaration": "method",
            "operator_declaration": "method",
            "conversion_operator_declaration": "method",
            "indexer_declaration": "method",
            "property_declaration": NAMES_ONLY,
            "field_declaration": NAMES_ONLY,
            "delegate_declaration": NAMES_ONLY,
            "namespace_declaration": "module",
        },
        containers=_set("class_declaration struct_declaration record_declaration interface_declaration"),
        groups=_set("namespace_declaration"),
    ),
    "ruby": Grammar(
        "ruby",
        {
            "method": "method",
            "singleton_method": "method",
            "class": "class",
            "module": "module",
            "assignment": NAMES_ONLY,
        },
        containers=_set("class singleton_class"),
        groups=_set("module"),
    ),
    "php": Grammar(
        "php",
        {
            "function_definition": "function",
            "method_declaration": "method",
            "class_declaration": "class",
            "trait_declaration": "class",
            "interface_declaration": "interface",
            "enum_declaration": "enum",
            "namespace_definition": "module",
            "property_declaration": NAMES_ONLY,
            "const_declaration": NAMES_ONLY,
        },
        containers=_set("class_declaration trait_declaration interface_declaration enum_declaration"),
        groups=_set("namespace_definition"),
        leading=_set("comment attribute_list"),
    ),
    "kotlin": Grammar(
        "kotlin",
        {
            "function_declaration": "function",
            "secondary_constructor": "method",
            "class_declaration": "class",
            "object_declaration": "class",
            "companion_object": "class",
            "property_declaration": NAMES_ONLY,
            "type_alias": NAMES_ONLY,
        },
        containers=_set("class_declaration object_declaration companion_object"),
        leading=_set("comment line_comment multiline_comment block_comment"),
    ),
    "swift": Grammar(
        "swift",
        {
            "function_declaration": "function",
            "init_declaration": "method",
            "deinit_declaration": "method",
            "subscript_declaration": "method",
            "class_declaration": "class",
            "protocol_declaration": "interface",
            "protocol_function_declaration": NAMES_ONLY,
            "property_declaration": NAMES_ONLY,
            "typealias_declaration": NAMES_ONLY,
        },
        containers=_set("class_declaration protocol_declaration"),
        leading=_set("comment multiline_comment"),
    ),
    "scala": Grammar(
        "scala",
        {
            "function_definition": "function",
            "function_declaration": NAMES_ONLY,
            "class_definition": "class",
            "object_definition": "class",
            "trait_definition": "interface",
            "enum_definition": "enum",
            "given_definition": "class",
            "package_object": "module",
            "val_definition": NAMES_ONLY,
            "type_definition": NAMES_ONLY,
        },
        containers=_set(
            "class_definition object_definition trait_definition given_definition package_object"
        ),
        leading=_set("comment block_comment annotation"),
    ),
    "lua": Grammar(
        "lua",
        {"function_declaration": "function"},
        bound={"assignment_statement": ("", ""), "field": ("name", "value")},
        values=_set("function_definition"),
        wrappers=_set("variable_declaration"),
    ),
    "elixir": Grammar(
        "elixir",
        {},
        calls={
            "defmodule": "module",
            "defprotocol": "interface",
            "defimpl": "class",
            "def": "function",
            "defp": "function",
            "defmacro": "function",
            "defmacrop": "function",
            "defguard": NAMES_ONLY,
        },
        containers=_set("defmodule defprotocol defimpl"),
        leading=_set("comment unary_operator"),
        merge_same_name=True,
    ),
    "haskell": Grammar(
        "haskell",
        {
            "function": "function",
            "bind": "function",
            "signature": NAMES_ONLY,
            "data_type": "class",
            "newtype": "class",
            "class": "interface",
            "instance": "class",
            "type_synomym": NAMES_ONLY,
            "type_family": NAMES_ONLY,
        },
        containers=_set("class instance"),
        leading=_set("comment haddock pragma signature"),
        merge_same_name=True,
    ),
    "zig": Grammar(
        "zig",
        {"FnProto": "function", "TestDecl": "function", "VarDecl": NAMES_ONLY},
        bound={"VarDecl": ("variable_type_function", "")},
        values=_set("ContainerDecl"),
        containers=_set("VarDecl"),
        leading=_set("doc_comment line_comment container_doc_comment"),
        wrappers=_set("Decl"),
    ),
    "bash": Grammar("bash", {"function_definition": "function", "variable_assignment": NAMES_ONLY}),
    "proto": Grammar(
        "proto",
        {"message": "class", "service": "interface", "enum": "enum", "rpc": NAMES_ONLY},
    ),
}


def _lines(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CODE_LINE: Final = _lines(
    r"\s{0,4}(?:(?:public|private|protected|internal|static|final|abstract|export|pub|local|async|override|inline)\s+)*"
    r"(?:def|defn|defun|fn|func|fun|function|sub|proc|procedure|class|struct|interface|trait|module|type|impl|let rec"
    r"|method|object|enum|record|macro|data|namespace|package|instance)\s+(?P<name>[\w.:$!?-]+)"
)
_TEXT: Final = Language("text", prose=True)
LANGUAGES: Final = {
    **{name: Language(name, grammar) for name, grammar in _GRAMMARS.items()},
    "markdown": Language("markdown", prose=True),
    "rst": Language("rst", prose=True),
    "text": _TEXT,
    # What documents are in; see `documents`.
    **{name: Language(name, prose=True) for name in ("pdf", "word", "slides", "sheets")},
    "json": Language("json", block=_lines(r'\s{1,4}"(?P<name>[^"]+)"\s*:\s*[\[{]'), kind="block"),
    "yaml": Language("yaml", block=_lines(r"(?P<name>[\w./-]+)\s*:"), kind="block"),
    "toml": Language("toml", block=_lines(r"\[+(?P<name>[^\]]+)\]"), kind="block"),
    "ini": Language("ini", block=_lines(r"\[+(?P<name>[^\]]+)\]"), kind="block"),
    "sql": Language(
        "sql",
        block=_lines(
            r"\s*(?:create|alter|drop)\s+(?:or\s+replace\s+)?(?:\w+\s+)?(?:table|view|index|function|procedure|trigger"
            r"|type|schema|policy)\s+(?:if\s+(?:not\s+)?exists\s+)?(?P<name>[\w.\"`]+)"
            r"|(?P<verb>insert|update|delete|select|with|begin|grant)\b"
        ),
        kind="block",
    ),
    "html": Language(
        "html",
        block=_lines(r"\s{0,8}<(?P<name>head|body|section|main|script|style|form|table|template)\b"),
        kind="block",
    ),
    "css": Language("css", block=_lines(r"(?P<name>[.#@:\[*a-z][^{;]*?)\s*[{,]\s*$"), kind="block"),
    "dockerfile": Language("dockerfile", block=_lines(r"FROM\s+(?P<name>\S+)"), kind="block"),
    "make": Language("make", block=_lines(r"(?P<name>[\w./%-]+)\s*:(?!=)"), kind="block"),
    "cmake": Language("cmake", block=_lines(r"(?:function|macro)\s*\(\s*(?P<name>\w+)"), kind="block"),
    "terraform": Language(
        "terraform",
        block=_lines(r'(?:resource|data|module|variable|output|provider)\s+(?P<name>"[^{]+")'),
        kind="block",
    ),
    "graphql": Language(
        "graphql", block=_lines(r"(?:type|input|enum|interface|union|scalar)\s+(?P<name>\w+)"), kind="block"
    ),
    "vue": Language("vue", block=_lines(r"<(?P<name>template|script|style)\b"), kind="block"),
    "svelte": Language("svelte", block=_lines(r"<(?P<name>script|style)\b"), kind="block"),
    **{
        name: Language(name, block=_CODE_LINE)
        for name in _set(
            "clojure crystal dart elm erlang fsharp fortran groovy julia lisp nim objc ocaml pascal perl powershell r"
            " scheme solidity tcl verilog vhdl vim assembly"
        )
    },
}
