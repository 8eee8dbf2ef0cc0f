"""Where the files of an index come from: a folder, a git URL, a file or archive, web pages, or uploads."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from codeweft.errors import InvalidRequest, NotFound
from codeweft.retrieval.documents.formats import format_of
from codeweft.retrieval.sources import git
from codeweft.retrieval.sources.access import Access
from codeweft.retrieval.sources.unpack import is_archive, unpacked, unpacked_uploads
from codeweft.retrieval.walk import SkippedFile

SourceKind = Literal["folder", "git", "file", "web", "uploads"]
UPLOADS: Final = "uploads:"
FILE: Final = "file:"
WEB: Final = "web+"
_REMOTE: Final = re.compile(
    r"(?P<url>(?:https?|ssh|git)://[\w.@:\[\]~%+-]+(?:/[\w.@~%+/-]*)?|[\w.-]+@[\w.-]+:[\w.~/+-]+)(?:[#](?P<ref>[\w./+-]+))?$"
)
_AT_REF: Final = re.compile(r"(?P<url>.+?/[^@/]+?(?:\.git)?)@(?P<ref>[\w./+-]+)$")
_PAGE: Final = re.compile(r"https?://[^\s/?#@]+(?:/[^\s#]*)?$")
_SECRET: Final = re.compile(r"(?P<scheme>https?://)(?P<secret>[^/@\s]+)@(?P<rest>[^\s]+)")
SHORTEST_TOKEN: Final = 20
"""Characters; a shorter text without a colon before the `@` of an address is a user name."""
_FORGES: Final = ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht", "dev.azure.com")
"""Hosts whose https addresses are repositories, so that nobody has to ask them."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source that is ready to be read: its folder on this machine, its commit ("" outside git), what it left out."""

    root: Path
    commit: str = ""
    skipped: tuple[SkippedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where an index's files come from.

    `location` is an absolute folder or file, a git URL, a page's URL, or "" for uploads; never with a token in it.
    """

    kind: SourceKind
    location: str
    ref: str = ""

    def __str__(self) -> str:
        """The text that `stored_source` reads again."""
        if self.kind == "uploads":
            return UPLOADS
        mark = {"file": FILE, "web": WEB}.get(self.kind, "")
        return mark + (f"{self.location}#{self.ref}" if self.ref else self.location)

    @property
    def repository(self) -> str:
        """A short name: the last part of the folder or URL, the host of web pages."""
        if self.kind == "web":
            return re.sub(r"^https?://", "", self.location).split("/")[0]
        last = re.split(r"[/:]", self.location.rstrip("/"))[-1]
        return last.removesuffix(".git") or "uploads"

    def root(self, state: Path) -> Path:
        """The folder its files are read from once it is prepared."""
        return Path(self.location) if self.kind == "folder" else state / "files"

    def prepare(self, state: Path, report: Callable[[str, int], None], access: Access = Access()) -> Prepared:
        """Bring the files to this machine (below `state` where they have to be copied).

        `report` is told a stage and percent. Raises `NotFound` for a folder or file that is gone, `UpstreamFailed`
        when git or a site cannot be read, `InvalidRequest` for a damaged archive, `TooLarge` for one that is a trap.
        """
        root = self.root(state)
        match self.kind:
            case "folder":
                if not root.is_dir():
                    raise _gone("folder", self.location)
                return Prepared(root, git.commit_of(root))
            case "file":
                if not Path(self.location).is_file():
                    raise _gone("file", self.location)
                return Prepared(root, "", unpacked(Path(self.location), root, access))
            case "uploads":
                root.mkdir(parents=True, exist_ok=True)
                return Prepared(root, "", unpacked_uploads(state))
            case "web":
                # Nobody who indexes folders waits for an HTTP client and an HTML parser to load.
                from codeweft.retrieval.sources.crawl import crawl

                return Prepared(root, "", crawl(self.location, state, access, report))
            case "git":
                return Prepared(root, git.fetch(self.location, self.ref, root, access.token, report))


def _gone(what: str, location: str) -> NotFound:
    return NotFound(
        f"The {what} {location} does not exist any more.",
        fix="Restore it, or remove the index that reads it.",
    )


def parse_source(text: str, *, web: bool | None = None) -> Source:
    """A folder, a git URL (optionally with `#branch`, `#tag`, `#commit` or `@tag`), a file, an archive or a web page.

    A git URL may be https, http, ssh, git or user@host:path; a local bare repository is named by its folder or
    file:// URL, a branch of a work tree by `folder#branch`. With `web` an https address is a page (that one when its path has no `/` at the end, else everything
    below it), with `web=False` a repository; with None git is asked where the address itself does not tell. Raises
    `InvalidRequest` for anything else, `NotFound` for a folder that does not exist.
    """
    text = text.strip()
    if text == UPLOADS:
        return Source("uploads", "")
    if not text:
        raise InvalidRequest(
            "No source was given.", fix="Give a folder, a git URL or the address of a web page."
        )
    if any(ord(character) < 32 for character in text) or text.startswith("-"):
        raise InvalidRequest(
            f"{text!r} is not a folder or git URL.", fix="Give a folder or an https or ssh git URL."
        )
    if text.startswith(WEB) or web:
        return _page(text.removeprefix(WEB))
    if local := _local_repository(text):
        return local
    if match := _REMOTE.match(text):
        return _repository(text, match, web)
    if web is None and _PAGE.match(text):
        return _page(text)
    if "://" in text or "::" in text:
        raise InvalidRequest(
            f"{text!r} is not an address that can be read.",
            fix="Use an https, ssh or git@host:path URL, or a folder.",
        )
    return _on_this_machine(text.removeprefix(FILE))


def split_token(text: str) -> tuple[str, str]:
    """An address without the `user:token@` in front of its host, and that; "" when there is none."""
    match = _SECRET.match(text.strip())
    if match is None or (":" not in match["secret"] and len(match["secret"]) < SHORTEST_TOKEN):
        return text, ""
    return f"{match['scheme']}{match['rest']}", match["secret"]


def stored_source(text: str) -> Source:
    """A source as an index recorded it; its folder may be gone by now."""
    if text == UPLOADS:
        return Source("uploads", "")
    if text.startswith("/"):
        return Source("folder", text)
    if text.startswith(FILE) and not text.startswith(f"{FILE}//"):
        return Source("file", text.removeprefix(FILE))
    if text.startswith(WEB):
        return Source("web", text.removeprefix(WEB))
    location, _, ref = text.partition("#")
    return Source("git", location, ref)


def _repository(text: str, match: re.Match[str], web: bool | None) -> Source:
    if (with_ref := _AT_REF.match(text)) and not match["ref"]:
        return Source("git", with_ref["url"], with_ref["ref"])
    url, ref = match["url"], match["ref"] or ""
    if ref.startswith("-"):
        raise InvalidRequest(f"{ref!r} is not a branch, tag or commit.", fix="Give one after `#`.")
    if web is None and not ref and url.startswith("http") and not url.rstrip("/").endswith(".git"):
        host = url.split("/")[2].rpartition("@")[2]
        if not host.endswith(_FORGES) and not git.is_repository(url):
            return _page(url)
    return Source("git", url.rstrip("/"), ref)


def _page(url: str) -> Source:
    url = url.partition("#")[0]
    if not _PAGE.match(url):
        raise InvalidRequest(
            f"{url!r} is not the address of a web page.",
            fix="Give one that starts with https://",
            param="source",
        )
    return Source("web", url if url.count("/") > 2 else f"{url}/")


def _on_this_machine(text: str) -> Source:
    path = Path(text).expanduser()
    if path.is_file():
        if is_archive(path.name) or format_of(path.name):
            return Source("file", str(path.resolve()))
        raise InvalidRequest(
            f"{path} is a file, not a folder.",
            fix=f"Give its folder: {path.parent} (single files can be archives and documents).",
        )
    if not path.is_dir():
        raise NotFound(
            f"There is no folder {path}.", fix="Check the path, or give a git URL that starts with https://"
        )
    return Source("folder", str(path.resolve()))


def _local_repository(text: str) -> Source | None:
    """A repository on this machine: a bare one by folder, any by file:// URL, and a work tree where a `#ref` is asked for."""
    location, _, ref = text.removeprefix("file://").partition("#")
    folder = Path(location).expanduser()
    try:
        if ref and (folder / ".git").exists() and not Path(text).expanduser().exists():
            text = f"file://{folder.resolve()}#{ref}"
        bare = folder.is_absolute() and (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    except OSError:
        return None
    if text.startswith("file://") and not bare and not (folder / ".git").exists():
        raise NotFound(f"There is no git repository in {folder}.", fix="Check the path.")
    if not bare and not text.startswith("file://"):
        return None
    if ref.startswith("-"):
        raise InvalidRequest(f"{ref!r} is not a branch, tag or commit.", fix="Give one after `#`.")
    return Source("git", f"file://{folder.resolve()}", ref)
