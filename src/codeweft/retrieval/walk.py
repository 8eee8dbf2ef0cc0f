"""Which files of a folder are source code worth indexing, and why the others are not.

A git work tree is listed by git itself (fast, and exactly what git ignores); any other folder by a walk that reads
`.gitignore` files the way git does. Both give the same answer. Links are never followed, so loops cannot happen.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pathspec import GitIgnoreSpec

from codeweft.retrieval.documents.formats import format_of

EXCLUDED: Final = (
    # version control, editors
    ".git/", ".hg/", ".svn/", ".jj/", ".idea/", ".vs/", ".DS_Store",
    # installed packages and environments
    "node_modules/", "bower_components/", "jspm_packages/", ".venv/", "venv/", "virtualenv/", "site-packages/",
    ".tox/", ".nox/", "*.egg-info/", ".eggs/", "Pods/", "Carthage/", ".bundle/", "elm-stuff/", "deps/_build/",
    # vendored copies of other projects
    "vendor/", "vendored/", "_vendor/", "third_party/", "third-party/", "thirdparty/",
    # build outputs and caches
    "__pycache__/", ".mypy_cache/", ".ruff_cache/", ".pytest_cache/", ".hypothesis/", ".gradle/", ".next/", ".nuxt/",
    ".svelte-kit/", ".turbo/", ".parcel-cache/", ".terraform/", ".dart_tool/", ".stack-work/", "dist-newstyle/",
    ".zig-cache/", "zig-cache/", "zig-out/", "cmake-build-*/", "CMakeFiles/", ".coverage", "htmlcov/",
    # locks: long, machine-written, never what anybody asks for
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "poetry.lock", "uv.lock",
    "pdm.lock", "Pipfile.lock", "Cargo.lock", "composer.lock", "Gemfile.lock", "go.sum", "mix.lock", "flake.lock",
    "Podfile.lock", "Package.resolved", "packages.lock.json", "gradle.lockfile", "deno.lock", "pubspec.lock",
    # minified and derived
    "*.min.js", "*.min.css", "*.min.mjs", "*.bundle.js", "*.js.map", "*.css.map", "*.map",
)  # fmt: skip
"""Gitignore-style patterns that apply to every source; a later `!pattern` of the user's takes one back."""

BUILD_FOLDERS: Final = {
    "target": ("Cargo.toml", "pom.xml", "build.sbt"),
    "build": (
        "build.gradle",
        "build.gradle.kts",
        "setup.py",
        "pyproject.toml",
        "CMakeLists.txt",
        "package.json",
    ),
    "dist": ("package.json", "setup.py", "pyproject.toml"),
    "out": ("package.json", "build.gradle"),
    "bin": ("*.csproj",),
    "obj": ("*.csproj",),
    "_build": ("mix.exs", "rebar.config", "dune-project"),
}
"""Names that are build output only beside the build file that makes them; elsewhere they may be sources."""

_BINARY_SUFFIX_LIST: Final = """
    7z a aac avi avif bin bmp br bz2 class dll dmg doc dylib eot exe flac gguf gif gz heic ico icns jar jpeg jpg
    ko lib lz4 mkv mo mov mp3 mp4 node npy npz o obj odt ogg onnx otf parquet pickle pkl png ppt psd pyc pyd
    pyo rar safetensors so sqlite sqlite3 tar tgz tif tiff ttf wasm wav webm webp whl woff woff2 xz zip zst
"""
BINARY_SUFFIXES: Final = frozenset(_BINARY_SUFFIX_LIST.split())

Ignores = tuple[tuple[str, GitIgnoreSpec], ...]
"""The `.gitignore` files that hold, outermost first, each with the folder it stands in."""
LEFT_OUT: Final = ("left out by pattern", "folder left out by pattern")
"""Why a file and why a folder is skipped."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file to index. `path` is relative to the root with `/`; `mtime_ns` in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file or folder (`path` ends in `/`) that is left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Walk:
    """What lies in a folder: what to index and what not, both sorted by path.

    What `.gitignore` names is no part of the code base and appears in neither list.
    """

    files: tuple[FoundFile, ...]
    skipped: tuple[SkippedFile, ...]


def path_patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    """Patterns as in `.gitignore`. Raises ValueError for one that cannot be read."""
    # Where re2 happens to be installed it would be chosen, and it refuses names that are not UTF-8.
    return GitIgnoreSpec.from_lines(lines, backend="simple")


class Exclusions:
    """What is never indexed wherever it lies: `EXCLUDED`, and what further gitignore-style patterns name."""

    def __init__(self, further: Sequence[str] = ()) -> None:
        """Raises ValueError for a pattern that cannot be read."""
        self._lines = (*EXCLUDED, *further)
        self._spec = GitIgnoreSpec.from_lines(self._lines, backend="re2")

    def match_file(self, path: str) -> bool:
        """Whether a pattern names `path`; a folder's ends in a slash."""
        try:
            return self._spec.match_file(path)
        except UnicodeEncodeError:
            # re2 looks for all patterns at once, sixteen times faster, and refuses names that are not UTF-8.
            return path_patterns(self._lines).match_file(path)


def walk(
    root: Path,
    *,
    max_bytes: int = 1_000_000,
    max_document_bytes: int = 32_000_000,
    exclude: Sequence[str] = (),
    git: bool = True,
    only: Sequence[str] | None = None,
) -> Walk:
    """List `root`. `exclude` are further gitignore-style patterns. With `git=False` git is not asked.

    With `only`, just those files, and folders with all that is in them; what is not there is left out.

    Documents (PDF, Office, notebooks) have a limit of their own: pictures make them large, not text.
    """
    excluded = Exclusions(exclude)
    listed = _list_by_git(root, only) if git else None
    if listed is not None:
        paths = iter(listed)
    elif only is None:
        paths = _list_by_walking(root, excluded, "", ())
    else:
        paths = (path for one in only for path in _list_one(root, excluded, one))
    files: list[FoundFile] = []
    skipped: dict[str, str] = {}
    beside: dict[str, bool] = {}
    for path in paths:
        if folder := excluded_part(path, excluded) or _build_folder(root, path, beside):
            skipped.setdefault(folder, LEFT_OUT[folder.endswith("/")])
            continue
        outcome = _inspect(root, path, max_document_bytes if format_of(path) else max_bytes)
        if isinstance(outcome, FoundFile):
            files.append(outcome)
        elif outcome is not None:
            skipped[outcome.path] = outcome.reason
    ordered = tuple(SkippedFile(path, reason) for path, reason in sorted(skipped.items()))
    return Walk(tuple(sorted(files, key=lambda file: file.path)), ordered)


def _list_by_git(root: Path, only: Sequence[str] | None) -> list[str] | None:
    """Paths git tracks or would track below `root`; None outside a work tree or without git."""
    if shutil.which("git") is None or not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    command = ["git", "-C", str(root), "-c", "core.quotepath=off", "-c", "core.fsmonitor=false"]
    command += ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    command += ["--", *(only or ())]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    if done.returncode != 0:
        return None
    # A folder that an outer repository ignores lists as empty, though it was named on purpose.
    found = [os.fsdecode(path) for path in done.stdout.split(b"\0") if path]
    return found if found or only is not None else None


def _list_by_walking(root: Path, excluded: Exclusions, start: str, above: Ignores) -> Iterator[str]:
    """Paths below the folder `start` that no `.gitignore` names; folders that cannot be read are yielded themselves.

    `above` are the `.gitignore` files of the folders that `start` lies in.
    """
    pending: list[tuple[str, Ignores]] = [(start, above)]
    while pending:
        folder, ignores = pending.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError:
            yield folder
            continue
        if own := _read_gitignore(root / folder):
            ignores = (*ignores, (folder, own))
        for entry in entries:
            path = f"{folder}{entry.name}"
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder:
                path += "/"
            if entry.name == ".git" or _ignored(path, ignores):
                continue
            if not is_folder or excluded.match_file(path):
                yield path
            elif (root / path / ".git").exists():
                continue  # another repository; git does not look into it either
            else:
                pending.append((path, ignores))


def _list_one(root: Path, excluded: Exclusions, path: str) -> Iterator[str]:
    """A file, or what is in a folder, unless it is ignored where it lies."""
    ignores: Ignores = ()
    folder = ""
    for name in path.rstrip("/").split("/"):
        if own := _read_gitignore(root / folder):
            ignores = (*ignores, (folder, own))
        here = root / folder / name
        is_folder = here.is_dir() and not here.is_symlink()
        shown = f"{folder}{name}/" if is_folder else f"{folder}{name}"
        if name == ".git" or _ignored(shown, ignores):
            return
        if not is_folder or excluded.match_file(shown):
            yield shown
            return
        if (here / ".git").exists():
            return
        folder = shown
    yield from _list_by_walking(root, excluded, folder, ignores)


def _read_gitignore(folder: Path) -> GitIgnoreSpec | None:
    try:
        return path_patterns((folder / ".gitignore").read_text("utf-8", "replace").splitlines())
    except OSError:
        return None


def _ignored(path: str, ignores: Ignores) -> bool:
    """The innermost `.gitignore` that says something about `path` decides."""
    for base, spec in reversed(ignores):
        decision = spec.check_file(path[len(base) :])
        if decision.include is not None:
            return decision.include
    return False


def excluded_part(path: str, excluded: Exclusions) -> str | None:
    """The shallowest folder of `path` that a pattern names, else the path itself, else None."""
    if not excluded.match_file(path):
        return None
    for parent in reversed(PurePosixPath(path).parents[:-1]):
        if excluded.match_file(f"{parent}/"):
            return f"{parent}/"
    return path


def _build_folder(root: Path, path: str, known: dict[str, bool]) -> str | None:
    """The build output folder that `path` lies in, if any. `known` remembers answers between calls."""
    parts = path.split("/")
    for depth, name in enumerate(parts[:-1]):
        markers = BUILD_FOLDERS.get(name)
        if markers is None:
            continue
        folder = "/".join(parts[: depth + 1]) + "/"
        if folder not in known:
            parent = root.joinpath(*parts[:depth])
            known[folder] = any(any(parent.glob(marker)) for marker in markers)
        if known[folder]:
            return folder
    return None


def _inspect(root: Path, path: str, max_bytes: int) -> FoundFile | SkippedFile | None:
    """Decide by the file's metadata alone; None for a file that is gone."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return SkippedFile(
            path.encode(errors="backslashreplace").decode(), "the file name is not valid UTF-8"
        )
    try:
        # Ten thousand files are asked for: a `Path` of each would take as long as all the rest.
        info = os.lstat(f"{root}/{path}")
    except FileNotFoundError:
        return None
    except OSError as error:
        return SkippedFile(path, f"cannot be read: {error.strerror or error}")
    if stat.S_ISLNK(info.st_mode):
        return SkippedFile(path, "symbolic link, not followed")
    if stat.S_ISDIR(info.st_mode):
        # git lists a submodule or nested repository by its folder; the walk lists folders it cannot read.
        nested = (root / path / ".git").exists()
        reason = "another git repository (submodule)" if nested else "folder cannot be read"
        return SkippedFile(path.rstrip("/") + "/", reason)
    if not stat.S_ISREG(info.st_mode):
        return SkippedFile(path, "not a regular file (socket, pipe or device)")
    if path.rpartition(".")[2].lower() in BINARY_SUFFIXES:
        return SkippedFile(path, "binary file")
    if info.st_size > max_bytes:
        return SkippedFile(path, f"too large: {info.st_size:,} bytes, the limit is {max_bytes:,}")
    return FoundFile(path, info.st_size, info.st_mtime_ns)
