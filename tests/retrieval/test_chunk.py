"""Every line is in a chunk, whatever the file; and chunks are the definitions a reader would name."""

from __future__ import annotations

import base64
import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeweft.retrieval.chunk import LONGEST_CHUNK, LONGEST_TEXT, PASSED_ON, chunk
from codeweft.retrieval.decode import decode
from codeweft.retrieval.languages import LANGUAGES
from codeweft.retrieval.recognise import EXTENSIONS, language_of

SHARED = Path(os.environ.get("CODEWEFT_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def spans_cover(text: str, path: str) -> None:
    """Fails unless the pieces of `text` follow each other from the first line to the last."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    at = 1
    for piece in chunk(text, path)[1]:
        assert piece.start_line == at, f"{path}: line {at} is in no chunk or in two"
        assert piece.end_line >= piece.start_line
        at = piece.end_line + 1
    assert at == len(lines) + 1, f"{path}: lines from {at} are in no chunk"


FRAGMENTS = st.sampled_from(
    [
        "def f(x):", "    return x", "class A:", "}", "{", "function g() {", "# note", "// note", "/*", "*/", '"""', "", "",
        "const h = () => {", "};", "impl T for U {", "fn z() {}", "@decorated", "if (x) {", "public void m() {", "end",
        "defmodule M do", "  def k, do: 1", "# Heading", "=====", "```", "namespace N {", "template <class T>", "#ifdef X",
        "#endif", "module M", "where", "x = 1", "f :: Int -> Int", "f 1 = 2", "pub const A = struct {", "\t\t", "é한글", "\x0c",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(FRAGMENTS, max_size=60), st.sampled_from(sorted(EXTENSIONS)), st.booleans())
def test_every_line_of_any_mixture_of_code_is_in_exactly_one_chunk(
    lines: list[str], extension: str, ended: bool
) -> None:
    spans_cover("\n".join(lines) + ("\n" if ended else ""), f"folder/file.{extension}")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.sampled_from(sorted(EXTENSIONS)))
def test_any_text_is_chunked_without_an_error(text: str, extension: str) -> None:
    clean, reason = decode(text.encode("utf-8", "replace"), f"x.{extension}")
    if not reason:
        spans_cover(clean, f"x.{extension}")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["py", "js", "c", "md", "json", "txt"]))
def test_any_bytes_are_either_chunked_or_refused_with_a_reason(data: bytes, extension: str) -> None:
    text, reason = decode(data, f"x.{extension}")
    assert text == "" or not reason
    spans_cover(text, f"x.{extension}")


def test_hostile_strings_and_json_are_chunked_without_an_error() -> None:
    folder = SHARED / "hostile-input"
    if not folder.exists():
        pytest.skip(f"third-party hostile input is not at {folder}")
    strings = json.loads((folder / "blns.json").read_text())
    with gzip.open(folder / "JSONTestSuite-test_parsing.jsonl.gz", "rt") as rows:
        files = [json.loads(row) for row in rows]
    blobs = [next(v for k, v in row.items() if k != "name") for row in files]
    for extension in ("py", "js", "json", "cpp", "md"):
        spans_cover("\n".join(s.replace("\r", "") for s in strings), f"x.{extension}")
        for blob in blobs:
            text, reason = decode(base64.b64decode(blob), f"x.{extension}")
            assert text == "" or not reason
            spans_cover(text, f"x.{extension}")


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    for text in (
        "(" * 20_000,
        "[" * 20_000 + "]" * 20_000,
        "{\n" * 5_000,
        "if x:\n" * 2_000,
        "class A { " * 2_000,
    ):
        for extension in ("py", "js", "json", "java", "hs"):
            spans_cover(text, f"x.{extension}")


GOLDEN = {
    "a.py": (
        "import os\n\n@cached\ndef load(path: str) -> str:\n    '''Read a file.'''\n    return open(path).read()\n\n\nLIMIT = 3\n",
        [("section", "", 1, 3 - 1), ("function", "load", 3, 8), ("section", "", 9, 9)],
    ),
    "a.js": (
        "/** Adds. */\nexport const add = (a, b) => {\n  return a + b;\n};\napp.use = function use(fn) {\n  return fn;\n};\n",
        [("function", "add", 1, 4), ("function", "use", 5, 7)],
    ),
    "a.ts": (
        "export interface Shape {\n  area(): number;\n}\nexport abstract class Base implements Shape {\n  abstract area(): number;\n}\n",
        [("interface", "Shape", 1, 3), ("class", "Base", 4, 6)],
    ),
    "a.go": (
        "package a\n\n// Open opens.\nfunc (s *Store[T]) Open(name string) error {\n\treturn nil\n}\n\ntype Kind struct {\n\tName string\n}\n",
        [("section", "", 1, 2), ("method", "Open", 3, 7), ("class", "Kind", 8, 10)],
    ),
    "a.rs": (
        "/// A point.\n#[derive(Debug)]\npub struct Point {\n    x: f64,\n}\nimpl Display for Point {\n    fn fmt(&self) {}\n}\n",
        [("class", "Point", 1, 5), ("class", "Point", 6, 8)],
    ),
    "A.java": (
        "package a;\n/** Doc. */\npublic enum Color {\n  RED;\n}\ninterface Named {\n  String name();\n}\n",
        [("section", "", 1, 1), ("enum", "Color", 2, 5), ("interface", "Named", 6, 8)],
    ),
    "a.c": (
        "#include <x.h>\nstatic int *find(int a) {\n  return 0;\n}\ntypedef struct node {\n  int x;\n} node_t;\n",
        [("section", "", 1, 1), ("function", "find", 2, 4), ("class", "node", 5, 7)],
    ),
    "a.cpp": (
        "namespace a {\ntemplate <typename T>\nT maximum(T x, T y) {\n  return x > y ? x : y;\n}\nint Tree::depth() const {\n  return 1;\n}\n}\n",
        [("module", "a", 1, 1), ("function", "maximum", 2, 5), ("function", "depth", 6, 9)],
    ),
    "a.cs": (
        "namespace A;\n/// <summary>Runs.</summary>\npublic class Runner\n{\n    public int Run(int x) => x;\n}\n",
        [("section", "", 1, 1), ("class", "Runner", 2, 6)],
    ),
    "a.rb": (
        "# Greets.\nclass Greeter\n  def hello(name)\n    name\n  end\nend\n\ndef helper\nend\n",
        [("class", "Greeter", 1, 7), ("method", "helper", 8, 9)],
    ),
    "a.php": (
        "<?php\n/** Adds. */\nfunction add(int $a): int {\n  return $a;\n}\n",
        [("section", "", 1, 1), ("function", "add", 2, 5)],
    ),
    "a.kt": (
        "/** Doc. */\nfun String.shout(): String {\n    return this\n}\nenum class Side { LEFT }\n",
        [("function", "shout", 1, 4), ("enum", "Side", 5, 5)],
    ),
    "a.swift": (
        "/// Doc.\npublic struct User {\n    let id: Int\n}\nprotocol Named {\n    var name: String { get }\n}\n",
        [("class", "User", 1, 4), ("interface", "Named", 5, 7)],
    ),
    "a.scala": (
        "/** Doc. */\nobject Main {\n  def run(): Int = 1\n}\ntrait Shape {\n  def area: Int\n}\n",
        [("class", "Main", 1, 4), ("interface", "Shape", 5, 7)],
    ),
    "a.lua": (
        "local M = {}\n-- Opens.\nfunction M.open(x)\n  return x\nend\nM.close = function()\nend\n",
        [("section", "", 1, 1), ("function", "open", 2, 5), ("function", "close", 6, 7)],
    ),
    "a.ex": (
        "defmodule Shop.Cart do\n  @doc \"Adds.\"\n  def add(cart, item) do\n    [item | cart]\n  end\nend\n",
        [("module", "Shop.Cart", 1, 1), ("function", "add", 2, 6)],
    ),
    "a.hs": (
        "module A where\n-- | Doubles.\ndouble :: Int -> Int\ndouble 0 = 0\ndouble n = n * 2\ndata Tree = Leaf | Node\n",
        [("section", "", 1, 1), ("function", "double", 2, 5), ("class", "Tree", 6, 6)],
    ),
    "a.zig": (
        "/// A point.\nconst Point = struct {\n    x: u8,\n};\npub fn main() void {\n    return;\n}\n",
        [("class", "Point", 1, 4), ("function", "main", 5, 7)],
    ),
    "a.sh": (
        "#!/bin/sh\nset -e\n# Builds.\nbuild() {\n  make\n}\n",
        [("section", "", 1, 2), ("function", "build", 3, 6)],
    ),
    "a.proto": (
        'syntax = "proto3";\nmessage User {\n  int32 id = 1;\n}\nservice Users {\n  rpc Get(User) returns (User);\n}\n',
        [("section", "", 1, 1), ("class", "User", 2, 4), ("interface", "Users", 5, 7)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(GOLDEN))
def test_definitions_become_chunks_with_their_comments_and_decorators(path: str) -> None:
    text, expected = GOLDEN[path]
    assert [(p.kind, p.name, p.start_line, p.end_line) for p in chunk(text, path)[1]] == expected


def test_methods_of_a_long_class_are_chunks_that_know_their_class() -> None:
    body = "".join(
        f"    def step_{n}(self, x: int) -> int:\n        '''Step {n}.'''\n        return x + {n}\n\n"
        for n in range(9)
    )
    pieces = chunk(f"class Machine(Base):\n    '''A machine.'''\n\n{body}", "m.py")[1]
    head, *methods = pieces
    assert (head.kind, head.name, head.docstring) == ("class", "Machine", "A machine.")
    assert [m.name for m in methods] == [f"step_{n}" for n in range(9)]
    assert {(m.kind, m.scope) for m in methods} == {("method", "Machine")}
    assert methods[4].signature == "def step_4(self, x: int) -> int"
    assert methods[4].docstring == "Step 4."


def test_a_short_class_stays_whole_and_knows_its_methods() -> None:
    (piece,) = chunk("class Pair:\n    def left(self): ...\n    def right(self): ...\n", "p.py")[1]
    assert piece.defines == ("left", "right")


def test_a_long_function_is_split_and_every_part_keeps_its_name() -> None:
    text = "def work():\n" + "".join(f"    x = {n}\n" for n in range(LONGEST_CHUNK * 2))
    pieces = chunk(text, "w.py")[1]
    assert len(pieces) > 1
    assert {p.name for p in pieces} == {"work"}


def test_lines_of_any_length_keep_chunks_small() -> None:
    text = "".join(f"x{n} = '{'a' * 5000}'\n" for n in range(50))
    for piece in chunk(text, "w.py")[1]:
        assert sum(map(len, text.split("\n")[piece.start_line - 1 : piece.end_line])) <= LONGEST_TEXT


def test_a_module_wrapper_is_looked_into() -> None:
    inner = "".join(f"  function part{n}() {{\n    return {n};\n  }}\n" for n in range(60))
    names = [p.name for p in chunk(f"(function () {{\n{inner}}})();\n", "lib.js")[1]]
    assert [f"part{n}" for n in range(60)] == [name for name in names if name]


def test_markdown_sections_know_their_parents_and_code_fences_are_no_headings() -> None:
    lines = [
        "# Guide",
        *["text"] * 8,
        "## Install",
        "```sh",
        "# not a heading",
        "```",
        *["text"] * 6,
        "# Other",
        *["text"] * 9,
    ]
    pieces = chunk("\n".join(lines), "g.md")[1]
    assert [(p.name, p.scope) for p in pieces] == [("Guide", ""), ("Install", "Guide"), ("Other", "")]


def test_data_files_become_blocks_by_their_own_structure() -> None:
    toml = "[tool.a]\n" + "x = 1\n" * 9 + "[tool.b]\n" + "y = 1\n" * 9
    assert [(p.kind, p.name) for p in chunk(toml, "p.toml")[1]] == [("block", "tool.a"), ("block", "tool.b")]
    sql = "CREATE TABLE users (\n" + "  x INT,\n" * 9 + ");\nCREATE INDEX by_name ON users (x);\n"
    assert [p.name for p in chunk(sql, "s.sql")[1]] == ["users", "by_name"]


@pytest.mark.parametrize(
    ("path", "text", "language"),
    [
        ("bin/tool", "#!/usr/bin/env python3\n", "python"),
        ("bin/run", "#!/bin/bash\n", "bash"),
        ("Dockerfile", "", "dockerfile"),
        ("Makefile", "", "make"),
        ("x.h", "namespace a {\n}\n", "cpp"),
        ("x.h", "int f(void);\n", "c"),
        ("app_de.ts", '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n<TS language="de"/>\n', "html"),
        ("guide.docbook", '<?xml version="1.0"?>\n<book/>\n', "html"),
        ("page.php", '<?xml version="1.0"?>\n<?php echo 1;\n', "php"),
        ("app.ts", "export const title = '<?xml?>';\n", "typescript"),
        ("x.unknown", "", "text"),
        ("LICENSE", "", "text"),
    ],
)
def test_languages_are_recognised_by_name_and_first_line(path: str, text: str, language: str) -> None:
    assert language_of(path, text).name == language


def test_every_extension_leads_to_a_language_of_the_table() -> None:
    assert set(EXTENSIONS.values()) <= set(LANGUAGES)


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        (
            "a.ts",
            "export const Button = memo((props) => {\n  return props;\n});\n"
            "export const api = {\n  get(url) {\n    return fetch(url);\n  },\n"
            "  post: async (url) => {\n    return send(url);\n  },\n  retries: 3,\n  limit: 5,\n};\n",
            {"Button", "api", "get", "post"},
        ),
        (
            "a.c",
            "typedef struct {\n  int size;\n  char *data;\n} buffer_t;\n"
            "static const struct file_operations ops = {\n  .open = my_open,\n};\n",
            {"buffer_t", "ops"},
        ),
        (
            "a.kt",
            "val String.lastChar: Char get() = this[length - 1]\n"
            "fun <T> Flow<T>.buffer(capacity: Int): Flow<T> {\n  return this\n}\n"
            "object Dispatchers {\n  val Default: Dispatcher = DefaultScheduler\n  val IO by lazy { create() }\n}\n"
            "interface Channel {\n  companion object Factory {\n    const val UNLIMITED: Int = 1\n  }\n}\n",
            {"lastChar", "buffer", "Dispatchers", "Default", "IO", "Channel", "Factory", "UNLIMITED"},
        ),
    ],
)
def test_all_that_a_file_defines_is_known_by_its_own_name(path: str, text: str, names: set[str]) -> None:
    pieces = chunk(text, path)[1]
    assert {name for piece in pieces for name in (piece.name, *piece.defines) if name} == names


@pytest.mark.parametrize(
    ("path", "text", "defined", "passed_on"),
    [
        (
            "index.ts",
            'export * from "./a.js";\nexport * as core from "../core";\nexport { A, type B as C } from "./b";\n'
            'export { default } from "./d";\nimport { E } from "./e";\nexport { E };\nconst limit = 1;\n',
            {"limit"},
            {"core", "A", "C"},
        ),
        (
            "extract/mod.rs",
            "#[cfg(feature)]\npub use wire_core::extract::{\n    Request, Body as Bytes, d::{Part, self}, f::*,\n};\n"
            "pub use self::x::Y;\npub(crate) use z::Inner;\nuse k::Used;\nconst LIMIT: u8 = 1;\n",
            {"LIMIT"},
            {"Request", "Bytes", "Part", "Y"},
        ),
        (
            "wire/__init__.py",
            "import os\nfrom .a import A, B as C\nfrom x import *\ntry:\n    from .fast import Q\nexcept ImportError:\n"
            "    from .slow import Q\nlimit = 1\n\n\ndef f():\n    from .late import L\n    return L\n",
            {"limit", "f"},
            {"A", "C", "Q"},
        ),
        ("wire/send.py", "from .a import A\nlimit = 1\n", {"limit"}, set()),
    ],
)
def test_names_that_a_file_only_passes_on_are_told_from_those_it_defines(
    path: str, text: str, defined: set[str], passed_on: set[str]
) -> None:
    pieces = chunk(text, path)[1]
    assert {name for piece in pieces for name in piece.own_names} - {""} == defined
    known = {name for piece in pieces for name in piece.defines}
    assert {name.removeprefix(PASSED_ON) for name in known if name.startswith(PASSED_ON)} == passed_on


def test_an_attribute_is_no_documentation_of_a_file() -> None:
    assert chunk("#![deny(missing_docs)]\n\nuse a::B;\n", "lib.rs")[1][0].docstring == ""


def test_an_extension_function_belongs_to_what_it_extends() -> None:
    (piece,) = chunk("fun <T> Flow<T>.buffer(size: Int): Flow<T> {\n  return this\n}\n", "a.kt")[1]
    assert (piece.scope, piece.name) == ("Flow", "buffer")


def test_an_include_is_no_documentation() -> None:
    first = chunk("#include <stdio.h>\n#define LIMIT 3\n\nint main(void) {\n  return 0;\n}\n", "a.c")[1][0]
    assert first.docstring == ""


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("A.hs", "module A where\n\ninstance Layout Full a where\n  pure x = x\n", "Layout Full"),
        (
            "A.hs",
            "module A where\n\ninstance (Show a, Eq a) => Show (Tree a) where\n  show = f\n",
            "Show Tree",
        ),
        (
            "a.ex",
            "defimpl Enumerable, for: [Shop.Cart, Map] do\n  def count(x), do: 1\nend\n",
            "Enumerable Cart",
        ),
    ],
)
def test_an_instance_is_not_named_like_its_class(path: str, text: str, name: str) -> None:
    pieces = chunk(text, path)[1]
    names = {piece.name for piece in pieces} | {one for piece in pieces for one in piece.defines}
    assert name in names
    assert name.split()[0] not in names


def test_a_class_marked_for_export_is_a_class_with_its_members() -> None:
    text = (
        "class SHOP_API Cart final : public Shelf {\n public:\n  void open() {\n    run();\n  }\n"
        "  class Item : public Thing {\n    int price;\n  };\n};\n"
        "struct ALIGNED(8) Row {\n  int a;\n};\nenum class SHOP_API Kind { A, B };\n"
    )
    kinds = {piece.name: piece.kind for piece in chunk(text, "cart.hpp")[1]}
    names = kinds.keys() | {name for piece in chunk(text, "cart.hpp")[1] for name in piece.defines}
    assert kinds["Cart"] == "class"
    assert {"Cart", "open", "Item", "Row", "Kind"} <= names
    spans_cover(text, "cart.hpp")
