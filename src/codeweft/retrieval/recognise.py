"""Which language a file is in, by its name, its extension or its first line."""

from __future__ import annotations

import re
from typing import Final

from codeweft.retrieval.languages import LANGUAGES, Language

_EXTENSION_ROWS: Final = """
python: py pyi pyw pyx pxd bzl star
javascript: js jsx mjs cjs es6
typescript: ts mts cts
tsx: tsx
go: go
rust: rs
java: java
c: c h
cpp: cc cpp cxx c++ hh hpp hxx h++ ipp inl tpp cu cuh ino
csharp: cs csx
ruby: rb rake gemspec ru rbi
php: php phtml php5 inc
kotlin: kt kts
swift: swift
scala: scala sc sbt
lua: lua
elixir: ex exs
haskell: hs lhs hsc
zig: zig zon
bash: sh bash zsh ksh bats
proto: proto
markdown: md markdown mdx qmd
rst: rst
json: json jsonc json5 webmanifest ipynb
yaml: yaml yml
toml: toml
ini: ini cfg conf properties editorconfig
sql: sql
html: html htm xhtml xml xsd xsl svg jinja j2 jinja2 erb ejs hbs
css: css scss sass less
dockerfile: dockerfile
make: mk mak
cmake: cmake
terraform: tf tfvars hcl
graphql: graphql gql
vue: vue
svelte: svelte
clojure: clj cljs cljc edn
crystal: cr
dart: dart
elm: elm
erlang: erl hrl
fsharp: fs fsx fsi
fortran: f f90 f95 f03
groovy: groovy gradle
julia: jl
lisp: lisp el
nim: nim
objc: m mm
ocaml: ml mli
pascal: pas
perl: pl pm t
powershell: ps1 psm1
r: r
scheme: scm ss rkt
solidity: sol
tcl: tcl
verilog: v sv
vhdl: vhd vhdl
vim: vim
assembly: asm s
text: txt text adoc org log csv tsv
"""
EXTENSIONS: Final = {
    extension: row.split(":")[0]
    for row in _EXTENSION_ROWS.strip().splitlines()
    for extension in row.split(":")[1].split()
}
SOURCE_SUFFIXES: Final = frozenset(
    "." + extension
    for extension, name in EXTENSIONS.items()
    if LANGUAGES[name].grammar and len(extension) > 1
)
"""What the names of source files end in; one letter after a dot is more likely a member than a file."""
FILENAMES: Final = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "make",
    "gnumakefile": "make",
    "cmakelists.txt": "cmake",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "vagrantfile": "ruby",
    "jenkinsfile": "groovy",
    "build": "python",
    "build.bazel": "python",
    "workspace": "python",
    ".bashrc": "bash",
    ".zshrc": "bash",
    ".profile": "bash",
    "go.mod": "text",
}
_SHEBANG: Final = re.compile(
    r"#!.*?\b(python|node|deno|bun|ruby|php|bash|zsh|sh|ksh|lua|elixir|perl|Rscript|tclsh)[\d.]*(?:\s|$)"
)
_INTERPRETERS: Final = {
    "node": "javascript",
    "deno": "typescript",
    "bun": "typescript",
    "zsh": "bash",
    "sh": "bash",
    "ksh": "bash",
    "Rscript": "r",
    "tclsh": "tcl",
}
_MARKUP: Final = re.compile(r"\s*<(?:\?xml|!DOCTYPE)\b")
"""What begins so is XML, whatever its name says: `.ts` are also the translations of Qt. PHP may write such a head."""
_CPP_HEADER: Final = re.compile(
    r"^\s*(?:class\s+\w+[^;]*\{|namespace\b|template\s*<|using\s+\w+|public:|private:)", re.MULTILINE
)


def language_of(path: str, text: str = "") -> Language:
    """The language of a file by name, extension, `#!` line or XML's head; plain text when nothing is known."""
    filename = path.rpartition("/")[2].lower()
    name = FILENAMES.get(filename) or EXTENSIONS.get(filename.rpartition(".")[2] if "." in filename else "")
    if name is None and text.startswith("#!") and (match := _SHEBANG.match(text)):
        name = _INTERPRETERS.get(match.group(1), match.group(1))
    if name is None and filename.startswith(("dockerfile.", "makefile.")):
        name = filename.split(".")[0].replace("makefile", "make")
    if (name is None or (LANGUAGES[name].grammar and name != "php")) and _MARKUP.match(text):
        name = "html"
    if name == "c" and filename.endswith(".h") and _CPP_HEADER.search(text):
        name = "cpp"
    return LANGUAGES.get(name or "text", LANGUAGES["text"])
