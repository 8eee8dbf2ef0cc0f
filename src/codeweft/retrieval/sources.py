"""Where the files of an index come from: a folder, a git URL, or files that were uploaded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from codeweft.errors import InvalidRequest, NotFound, StorageFailed, UpstreamFailed

SourceKind = Literal["folder", "git", "uploads"]
UPLOADS: Final = "uploads:"
GIT_SECONDS: Final = 3600
"""A clone that takes longer hangs."""
_REMOTE: Final = re.compile(
    r"(?P<url>(?:https?|ssh|git)://[\w.@:\[\]~%+-]+(?:/[\w.@~%+/-]*)?|[\w.-]+@[\w.-]+:[\w.~/+-]+)(?:[#](?P<ref>[\w./+-]+))?$"
)
_AT_REF: Final = re.compile(r"(?P<url>.+?/[^@/]+?(?:\.git)?)@(?P<ref>[\w./+-]+)$")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source that is ready to be read: its folder on this machine and its commit ("" outside git)."""

    root: Path
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an index's files come from. `location` is an absolute folder, a git URL, or "" for uploads."""

    kind: SourceKind
    location: str
    ref: str = ""

    def __str__(self) -> str:
        if self.kind == "uploads":
            return UPLOADS
        return f"{self.location}#{self.ref}" if self.ref else self.location

    @property
    def repository(self) -> str:
        """A short name: the last part of the folder or URL."""
        last = re.split(r"[/:]", self.location.rstrip("/"))[-1]
        return last.removesuffix(".git") or "uploads"

    def root(self, state: Path) -> Path:
        """The folder its files are read from once it is prepared."""
        return Path(self.location) if self.kind == "folder" else state / "files"

    def prepare(self, state: Path, report: Callable[[str, int], None]) -> Prepared:
        """Bring the files to this machine (below `state` where they have to be copied).

        `report` is told a stage and percent. Raises `NotFound` for a folder that is gone, `UpstreamFailed` when git
        cannot fetch.
        """
        root = self.root(state)
        if self.kind == "folder":
            if not root.is_dir():
                raise NotFound(
                    f"The folder {root} does not exist any more.",
                    fix="Restore it, or remove the index that reads it.",
                )
            return Prepared(root, _commit(root))
        if self.kind == "uploads":
            root.mkdir(parents=True, exist_ok=True)
            return Prepared(root)
        _fetch(self.location, self.ref, root, report)
        return Prepared(root, _commit(root))


def parse_source(text: str) -> Source:
    """A folder or a git URL, optionally with `#branch`, `#tag` or `@tag`.

    A git URL may be https, http, ssh, git or user@host:path; a local bare repository is named by its folder or
    file:// URL. Raises `InvalidRequest` for anything else.
    """
    text = text.strip()
    if text == UPLOADS:
        return Source("uploads", "")
    if not text:
        raise InvalidRequest("No source was given.", fix="Give a folder or a git URL.")
    if any(ord(character) < 32 for character in text) or text.startswith("-"):
        raise InvalidRequest(
            f"{text!r} is not a folder or git URL.", fix="Give a folder or an https or ssh git URL."
        )
    if local := _local_repository(text):
        return local
    if (match := _REMOTE.match(text)) and (with_ref := _AT_REF.match(text)) and not match["ref"]:
        return Source("git", with_ref["url"], with_ref["ref"])
    if match := _REMOTE.match(text):
        if (ref := match["ref"] or "").startswith("-"):
            raise InvalidRequest(f"{ref!r} is not a branch or tag.", fix="Give a branch or tag after `#`.")
        return Source("git", match["url"].rstrip("/"), ref)
    if "://" in text or "::" in text:
        raise InvalidRequest(
            f"{text!r} is not an address that can be read.",
            fix="Use an https, ssh or git@host:path URL, or a folder.",
        )
    folder = Path(text).expanduser()
    if folder.is_file():
        raise InvalidRequest(f"{folder} is a file, not a folder.", fix=f"Give its folder: {folder.parent}")
    if not folder.is_dir():
        raise NotFound(
            f"There is no folder {folder}.", fix="Check the path, or give a git URL that starts with https://"
        )
    return Source("folder", str(folder.resolve()))


def _local_repository(text: str) -> Source | None:
    """A bare repository on this machine, by folder or file:// URL."""
    location, _, ref = text.removeprefix("file://").partition("#")
    folder = Path(location).expanduser()
    try:
        bare = folder.is_absolute() and (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    except OSError:
        return None
    if text.startswith("file://") and not bare and not (folder / ".git").exists():
        raise NotFound(f"There is no git repository in {folder}.", fix="Check the path.")
    if not bare and not text.startswith("file://"):
        return None
    if ref.startswith("-"):
        raise InvalidRequest(f"{ref!r} is not a branch or tag.", fix="Give a branch or tag after `#`.")
    return Source("git", f"file://{folder.resolve()}", ref)


def _git(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    if shutil.which("git") is None:
        raise UpstreamFailed(
            "git is not installed.", fix="Install git (apt install git), or index a folder instead."
        )
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": os.environ.get(
            "GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new"
        ),
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
        "LC_ALL": "C",
    }
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, errors="replace", check=False,
        stdin=subprocess.DEVNULL, timeout=GIT_SECONDS,
    )  # fmt: skip


def _commit(root: Path) -> str:
    """The commit checked out in `root`, or "" outside git."""
    if shutil.which("git") is None or not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return ""
    done = _git("rev-parse", "--verify", "--quiet", "HEAD", cwd=root)
    return done.stdout.strip() if done.returncode == 0 else ""


def _fetch(url: str, ref: str, root: Path, report: Callable[[str, int], None]) -> None:
    """Clone with depth 1, or bring an earlier clone to the remote's newest commit."""
    report(f"fetching {url}", 0)
    safe = ["-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-c", "protocol.ext.allow=never"]
    if (root / ".git").is_dir():
        done = _git(*safe, "fetch", "--depth", "1", "--no-tags", "origin", ref or "HEAD", cwd=root)
        if done.returncode == 0:
            done = _git(*safe, "reset", "--hard", "--quiet", "FETCH_HEAD", cwd=root)
        if done.returncode == 0:
            _git(*safe, "clean", "-ffdxq", cwd=root)
            report(f"fetched {url}", 100)
            return
        raise _failed(url, ref, done.stderr)
    shutil.rmtree(root, ignore_errors=True)
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    branch = ["--branch", ref] if ref else []
    done = _git(
        *safe, "clone", "--depth", "1", "--no-tags", "--single-branch", *branch, "--", url, str(partial)
    )
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise _failed(url, ref, done.stderr)
    partial.rename(root)
    report(f"fetched {url}", 100)


def _failed(url: str, ref: str, stderr: str) -> UpstreamFailed | StorageFailed:
    lines = [
        line for line in stderr.strip().splitlines() if line.startswith(("fatal", "remote:", "error", "ssh"))
    ]
    why = "; ".join(lines[-2:]) or stderr.strip()[-200:] or "no message"
    if "No space left" in stderr:
        return StorageFailed(
            f"The disk is full, {url} could not be fetched.", fix="Free some space and try again."
        )
    fixes = {
        "Remote branch": f"Check that the branch or tag {ref!r} exists.",
        "couldn't find remote ref": f"Check that the branch or tag {ref!r} exists.",
        "Authentication": "Check the URL and that git has credentials for it (ssh key or credential helper).",
        "could not read Username": "The repository is private or missing: give git credentials, or use an ssh URL.",
        "Permission denied": "Check that this machine's ssh key may read the repository.",
        "Could not resolve": "Check the host name and this machine's network.",
    }
    fix = next(
        (text for mark, text in fixes.items() if mark in stderr),
        "Check that `git clone` works with this URL.",
    )
    return UpstreamFailed(f"git could not fetch {url}: {why}.", fix=fix)


def upload_path(path: str) -> str:
    """A relative path that stays inside the folder it is put into. Raises `InvalidRequest` for any other."""
    pure = PurePosixPath(path.replace("\\", "/"))
    parts = pure.parts
    odd = any(part in ("..", ".git", "") or (part.endswith((" ", ".")) and part != ".") for part in parts)
    unprintable = any(ord(character) < 32 or character == "\x7f" for character in path)
    try:
        too_long = any(len(part.encode()) > 255 for part in parts)
    except UnicodeEncodeError:
        too_long = True
    if not parts or pure.is_absolute() or odd or unprintable or too_long or ":" in parts[0]:
        raise InvalidRequest(
            f"{path!r} cannot be a file name here.", fix="Use a relative path without `..`.", param="path"
        )
    return str(pure)
