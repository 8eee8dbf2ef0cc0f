"""How code is checked, by language: one row each, of the tool, its command, and what its messages mean.

Pure: a check becomes files and a command for the sandbox, and what came of it becomes a verdict.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath

from codeweft.types import Ran, Sandbox

MESSAGE_CHARACTERS = 2000
"""Of a tool's output: the first and the last lines say what is wrong."""
MARK = "codeweft-tests-passed"
"""Printed when tests ran to their end; without it, code that leaves early would count as passing."""


def _as_is(code: str) -> str:
    return code


def _java(code: str) -> str:
    """Methods alone need a class around them."""
    return (
        code
        if re.search(r"^\s*(?:[\w@()\"]+\s+)*(?:class|interface|record|enum)\s+\w", code, re.M)
        else f"class Solution {{\n{code}\n}}\n"
    )


def _php(code: str) -> str:
    return code if "<?" in code else f"<?php\n{code}"


@dataclass(frozen=True, slots=True)
class Language:
    """One row. `check` is a command with `{file}` (and for tests `{main}`), run by `sh`; `says` is what its success means.

    `tests` is run on the code with tests behind it, or for Python beside it; empty where tests are not run.
    `lacks` finds in the output what is not installed here, which is no fault of the code.
    """

    name: str
    also: tuple[str, ...]
    suffixes: tuple[str, ...]
    tool: str
    check: str
    says: str = "accepts its syntax"
    tests: str = ""
    lacks: str = r"(?!)"
    whole: Callable[[str], str] = _as_is


_JAVAC = "javac -J-Xmx256m -J-XX:+UseSerialGC -J-XX:TieredStopAtLevel=1 -proc:none -nowarn -d /tmp/out {file}"
_C_LACKS = r"fatal error: (\S+): No such file"

LANGUAGES: tuple[Language, ...] = (
    Language(
        "python", ("py", "python3"), (".py", ".pyi"), "python3", "python3 -I -m py_compile {file}", "compiles it",
        "python3 run_tests.py {main} " + MARK, r"ModuleNotFoundError: No module named '([^']+)'", textwrap.dedent,
    ),
    Language(
        "javascript", ("js", "node", "nodejs", "jsx", "mjs", "ecmascript"), (".js", ".mjs", ".cjs"), "node",
        "node --check {file}", "accepts its syntax", "node -r ./globals.cjs {file}", r"Cannot find (?:module|package) '([^']+)'",
    ),
    Language(
        "typescript", ("ts",), (".ts",), "tsc", "tsc --noEmit --skipLibCheck --target es2022 --moduleResolution node {file}",
        "compiles it", lacks=r"TS2307: Cannot find module '([^']+)'",
    ),
    Language(
        "java", (), (".java",), "javac", _JAVAC, "compiles it",
        _JAVAC + " && java -ea -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp /tmp/out {main}",
        r"package (\S+) does not exist", _java,
    ),
    Language(
        "c", (), (".c", ".h"), "gcc", "gcc -fsyntax-only -w {file}", "compiles it",
        "gcc -w -o /tmp/out {file} -lm && /tmp/out", _C_LACKS,
    ),
    Language(
        "cpp", ("c++", "cxx", "cc"), (".cpp", ".cc", ".cxx", ".hpp"), "g++", "g++ -std=gnu++20 -fsyntax-only -w {file}",
        "compiles it", "g++ -std=gnu++20 -w -o /tmp/out {file} && /tmp/out", _C_LACKS,
    ),
    Language("go", ("golang",), (".go",), "gofmt", "gofmt -e -l {file}"),
    Language(
        "rust", ("rs",), (".rs",), "rustc",
        "rustc --edition 2021 --crate-type lib --emit metadata -A warnings -o /tmp/out {file}", "compiles it",
        "rustc --edition 2021 --test -A warnings -o /tmp/out {file} && /tmp/out", r"(?:can't find crate for|use of undeclared crate or module) `([^`]+)`",
    ),
    Language("csharp", ("c#", "cs"), (".cs",), "mcs", "mcs -target:library -nologo -out:/tmp/out.dll {file}", "compiles it"),
    Language("ruby", ("rb",), (".rb",), "ruby", "ruby -c {file}"),
    Language("php", (), (".php",), "php", "php -l {file}", whole=_php),
    Language("perl", ("pl",), (".pl", ".pm"), "perl", "perl -c {file}", lacks=r"Can't locate (\S+) in @INC"),
    Language("bash", ("sh", "shell"), (".sh", ".bash"), "bash", "bash -n {file}"),
    Language("lua", (), (".lua",), "luac", "luac -p {file}"),
    Language("swift", (), (".swift",), "swiftc", "swiftc -parse {file}"),
    Language("kotlin", ("kt",), (".kt",), "kotlinc", "kotlinc -nowarn -d /tmp/out {file}", "compiles it"),
    Language("haskell", ("hs",), (".hs",), "ghc", "ghc -fno-code {file}", "compiles it"),
    Language("ocaml", ("ml",), (".ml",), "ocamlc", "ocamlc -stop-after parsing {file}"),
    Language("fortran", ("f90",), (".f90", ".f"), "gfortran", "gfortran -fsyntax-only -w {file}", "compiles it"),
    Language("cobol", ("cob",), (".cob", ".cbl"), "cobc", "cobc -fsyntax-only -free {file}"),
    Language("r", (), (".r", ".R"), "Rscript", "Rscript -e 'invisible(parse(\"{file}\"))'"),
    Language("json", (), (".json",), "python3", "python3 -I -m json.tool {file} /dev/null"),
)  # fmt: skip

_BY_NAME: Mapping[str, Language] = {name: one for one in LANGUAGES for name in (one.name, *one.also)}
_BY_SUFFIX: Mapping[str, Language] = {suffix: one for one in LANGUAGES for suffix in one.suffixes}

# Tests for JavaScript find what Node.js itself has for them.
_GLOBALS = """\
const { test, describe, it, before, after, beforeEach, afterEach } = require('node:test');
Object.assign(globalThis, { test, describe, it, before, after, beforeEach, afterEach, assert: require('node:assert') });
"""


def of(name: str) -> Language | None:
    """The row of a language by any of its names."""
    return _BY_NAME.get(name.strip().lower())


def by_suffix(suffix: str) -> Language | None:
    return _BY_SUFFIX.get(suffix) or _BY_SUFFIX.get(suffix.lower())


def checkable(sandbox: Sandbox) -> list[str]:
    """The languages whose tools are there."""
    return [one.name for one in LANGUAGES if sandbox.tool(one.tool)]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run in the sandbox."""

    language: Language
    files: Mapping[str, str]
    command: tuple[str, ...]
    tested: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it. `fault` is what the code has to be mended for; empty when it is right or could not be checked."""

    verified: bool
    message: str
    fault: str = ""


def plan(language: Language, code: str, tests: str = "", path: str = "") -> Plan:
    """How to check `code`, with `tests` where this language's are run. `path` is its file, which tests may import."""
    tested = bool(tests.strip()) and bool(language.tests)
    code = language.whole(code)
    stem = PurePosixPath(path).stem
    stem = stem if stem.isidentifier() and stem not in ("tests", "run_tests") else "solution"
    if language.name == "python":
        held = {f"{stem}.py": code}
        if tested:
            held |= {"tests.py": tests, "run_tests.py": _runner()}
        return Plan(language, held, _shell(language, f"{stem}.py", stem, tested), tested)
    if tested:
        code = f"{code.rstrip()}\n\n{tests}"
    name, main, held = f"{stem}{language.suffixes[0]}", stem, {}
    if language.name == "java":
        public = re.search(r"\bpublic\s+(?:\w+\s+)*(?:class|interface|record|enum)\s+(\w+)", code)
        name = f"{public[1] if public else 'Solution'}.java"
        main = _main_class(code)
    elif language.name == "javascript":
        module = re.search(r"^\s*(?:import\b(?!\s*\()|export\b)", code, re.M)
        name = f"{stem}{'.mjs' if module else '.cjs'}"
        if tested:
            code, held = f"{code}\n;console.log('{MARK}');\n", {"globals.cjs": _GLOBALS}
    return Plan(language, {name: code, **held}, _shell(language, name, main, tested), tested)


def verdict(plan: Plan, ran: Ran) -> Verdict:
    """What a run says about the code."""
    language, said = plan.language, _shortened(ran.output)
    if lacking := re.search(language.lacks, ran.output):
        return Verdict(False, f"it needs {lacking[1]}, which the sandbox does not have")
    if ran.limit:
        message = f"{language.tool} was stopped in the sandbox ({ran.limit})"
        return Verdict(False, message, f"It was stopped for its {ran.limit}." if plan.tested else "")
    marked = re.search(rf"^.*{MARK}(?: (\d+))?", ran.output, re.M)
    if ran.ok and plan.tested and language.name in ("python", "javascript") and marked is None:
        return Verdict(False, "it ended before its tests did", "The program ends before its tests have run.")
    if ran.ok:
        if not plan.tested:
            return Verdict(True, f"{language.tool} {language.says}")
        count = int(marked[1]) if marked and marked[1] else 0
        passed = f"{count} test{'s' * (count > 1)} pass{'es' * (count == 1)}" if count else "its tests pass"
        return Verdict(True, f"{passed} ({language.tool})")
    doing = "its tests fail" if plan.tested else f"{language.tool} refuses it"
    return Verdict(False, f"{doing}: {_first_fault(said)}", said)


def _runner() -> str:
    return files("codeweft.flows").joinpath("run_tests.py").read_text(encoding="utf-8")


def _shell(language: Language, file: str, main: str, tested: bool) -> tuple[str, ...]:
    line = (language.tests if tested else language.check).replace("{file}", file).replace("{main}", main)
    return ("sh", "-c", line)


def _main_class(code: str) -> str:
    """The class that holds `main`, or the first."""
    head = re.split(r"\bstatic\s+void\s+main\b", code)[0]
    names = re.findall(r"\bclass\s+(\w+)", head)
    return names[-1] if names else "Solution"


def _shortened(output: str) -> str:
    text = output.strip()
    if len(text) <= MESSAGE_CHARACTERS:
        return text
    half = MESSAGE_CHARACTERS // 2
    return f"{text[:half]}\n…\n{text[-half:]}"


def _first_fault(said: str) -> str:
    """The line that names the fault: most tools say so with the word error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    named = [line for line in lines if re.search(r"error|exception|tests fail", line, re.I)]
    return (named or lines or ["it says nothing"])[-1 if said.startswith("Traceback") else 0][:300]
