"""A web page, or a documentation site: the pages below an address, as Markdown files in a folder.

An address whose path ends in `/` stands for everything below it on that host, any other for that page alone. Pages
are found by the site's map and by their links; `robots.txt` and the pages' own word to robots are kept. The next
crawl asks only for what changed.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

import aiohttp
from protego import Protego

from codeweft.errors import CodeweftError, InvalidRequest, NotFound, TooLarge, UpstreamFailed
from codeweft.retrieval.documents.formats import FORMATS, format_of
from codeweft.retrieval.sources.access import Access
from codeweft.retrieval.sources.fetch import AGENT, HTML, MAX_BYTES, Answer, get, session
from codeweft.retrieval.sources.guard import Guard
from codeweft.retrieval.sources.names import upload_path
from codeweft.retrieval.walk import SkippedFile

AT_ONCE: Final = 4
"""Pages asked for at the same time; a site that asks for a delay gets them one by one."""
LONGEST_DELAY: Final = 10.0
"""Seconds between pages, however long a site asks to wait."""
RETRY_SECONDS: Final = 2.0
MOST_MAPS: Final = 50
"""Site maps read; large sites split theirs."""
_NOTE: Final = "pages.json"
_TEXTS: Final = ("text/plain", "text/markdown", "text/x-markdown", "text/x-rst")
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/x-ipynb+json": "ipynb",
}
_PAGES: Final = ("", "html", "htm", "xhtml", "php", "asp", "aspx", "jsp", "md", "txt", "rst", *FORMATS)
"""Extensions of addresses that can be pages; others (pictures, archives) are not asked for."""

Report = Callable[[str, int], None]


@dataclass(slots=True)
class _Known:
    """A page as the last crawl saw it: its file, what it linked to, what its server calls this version of it."""

    path: str
    links: list[str] = field(default_factory=list)
    digest: str = ""
    etag: str = ""
    modified: str = ""


def crawl(url: str, state: Path, access: Access, report: Report) -> tuple[SkippedFile, ...]:
    """Bring the pages at `url` into `state/files`; what was left out, by address.

    Raises `UpstreamFailed` or `NotFound` when the first page cannot be had, `InvalidRequest` for an address that must
    not be fetched.
    """
    return asyncio.run(_Crawl(url, state, access, report).run())


def addresses(state: Path) -> dict[str, str]:
    """The address of each file that a crawl wrote."""
    return {known.path: url for url, known in _load(state / _NOTE).items()}


class _Crawl:
    def __init__(self, url: str, state: Path, access: Access, report: Report) -> None:
        self._start = url
        self._state = state
        self._root = state / "files"
        self._access = access
        self._report = report
        self._guard = Guard(access.private_hosts)
        self._known = _load(state / _NOTE)
        self._pages: dict[str, _Known] = {}
        self._skipped: dict[str, str] = {}
        self._seen: set[str] = set()
        self._queue: deque[str] = deque()
        self._paths: set[str] = set()
        self._digests: dict[str, str] = {}
        self._bytes = 0
        self._origin = self._prefix = ""
        self._robots = Protego.parse("")

    async def run(self) -> tuple[SkippedFile, ...]:
        self._root.mkdir(parents=True, exist_ok=True)
        self._report(f"reading {self._start}", 0)
        until = time.monotonic() + self._access.max_seconds
        async with session(self._guard) as client:
            await self._begin(client)
            delay = min(float(self._robots.crawl_delay(AGENT) or 0), LONGEST_DELAY)
            while self._queue:
                if (why := self._enough(until)) is not None:
                    self._skipped[self._queue[0]] = f"this and {len(self._queue) - 1} other pages: {why}"
                    break
                await self._wave(client, 1 if delay else AT_ONCE)
                if delay and self._queue:
                    await asyncio.sleep(delay)
        self._finish()
        return tuple(SkippedFile(url, reason) for url, reason in sorted(self._skipped.items()))

    # ── going ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, client: aiohttp.ClientSession) -> None:
        """Find out where the site is, and what it asks of robots."""
        await self._ask_robots(client, self._start)
        if not self._robots.can_fetch(self._start, AGENT):
            raise InvalidRequest(
                f"{self._start} asks programs not to read it (robots.txt).",
                fix="Ask its owner, or upload a copy.",
            )
        first = await get(client, self._guard, self._start, headers=self._condition(self._start))
        if first.status not in (200, 304):
            error = NotFound if first.status in (404, 410) else UpstreamFailed
            raise error(f"{self._start} answered {first.status}.", fix="Check the address.")
        if urlsplit(first.url).netloc != urlsplit(self._start).netloc:
            await self._ask_robots(client, first.url)
        parts = urlsplit(first.url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path[: parts.path.rfind("/") + 1] or "/"
        whole_site = parts.path.endswith("/") or parts.path == ""
        self._seen |= {self._start, first.url}
        self._take(first.url if first.status == 200 else self._start, first)
        if not whole_site:
            self._queue.clear()
            return
        for listed in await self._mapped(client):
            self._enqueue(listed)

    async def _ask_robots(self, client: aiohttp.ClientSession, url: str) -> None:
        try:
            answer = await get(client, self._guard, urljoin(url, "/robots.txt"))
        except (UpstreamFailed, TooLarge):
            return
        from codeweft.retrieval.sources.page import text_of

        # RFC 9309: no such file allows everything, a server in trouble nothing.
        text = text_of(answer.body, answer.charset) if answer.status == 200 else ""
        self._robots = Protego.parse("User-agent: *\nDisallow: /" if answer.status >= 500 else text)

    async def _mapped(self, client: aiohttp.ClientSession) -> list[str]:
        """Addresses that the site's maps list, sorted."""
        maps = deque([*self._robots.sitemaps, urljoin(self._origin, "/sitemap.xml")])
        asked: set[str] = set()
        found: set[str] = set()
        while maps and len(asked) < MOST_MAPS:
            url = maps.popleft()
            if url in asked or urlsplit(url).netloc != urlsplit(self._origin).netloc:
                continue
            asked.add(url)
            try:
                answer = await get(client, self._guard, url, max_bytes=10 * MAX_BYTES)
            except (UpstreamFailed, TooLarge, InvalidRequest):
                continue
            if answer.status == 200:
                for is_map, address in _locations(answer.body):
                    (maps.append if is_map else found.add)(address)
        return sorted(found)

    async def _wave(self, client: aiohttp.ClientSession, size: int) -> None:
        urls = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
        answers = await asyncio.gather(*(self._ask(client, url) for url in urls))
        for url, answer in zip(urls, answers, strict=True):
            if isinstance(answer, CodeweftError):
                self._keep(url, answer.message)
            else:
                self._take(url, answer)
        done = len(self._pages)
        self._report(f"{done} pages of {self._start}", 100 * done // max(done + len(self._queue), 1))

    async def _ask(self, client: aiohttp.ClientSession, url: str) -> Answer | CodeweftError:
        limit = self._access.max_bytes(document=True) if format_of(urlsplit(url).path) else MAX_BYTES
        for last in (False, True):
            try:
                answer = await get(client, self._guard, url, headers=self._condition(url), max_bytes=limit)
            except (UpstreamFailed, TooLarge, InvalidRequest) as error:
                if last or not isinstance(error, UpstreamFailed):
                    return error
            else:
                if last or answer.status not in (429, 500, 502, 503, 504):
                    return answer
                if (wait := answer.header("Retry-After")).isdecimal():
                    await asyncio.sleep(min(float(wait), LONGEST_DELAY))
            await asyncio.sleep(RETRY_SECONDS)
        raise AssertionError

    def _enough(self, until: float) -> str | None:
        """Why to stop, if at all."""
        if len(self._pages) >= self._access.max_pages:
            return f"the limit is {self._access.max_pages:,} pages"
        if self._bytes > self._access.max_total_bytes:
            return f"the limit is {self._access.max_total_bytes / 1e6:,.0f} MB"
        return "the time is over" if time.monotonic() > until else None

    # ── taking ───────────────────────────────────────────────────────────────────────────────────────────────

    def _enqueue(self, url: str) -> None:
        url = urldefrag(url).url
        parts = urlsplit(url)
        last = parts.path.rpartition("/")[2]
        extension = last.rpartition(".")[2].lower() if "." in last else ""
        if f"{parts.scheme}://{parts.netloc}" != self._origin or not parts.path.startswith(self._prefix):
            return
        # A query makes another view of a page (a search, a highlighted word), which can go on without end.
        if url in self._seen or parts.query or (extension not in _PAGES and not _is_version(extension)):
            return
        self._seen.add(url)
        if self._robots.can_fetch(url, AGENT):
            self._queue.append(url)
        else:
            self._skipped[url] = "robots.txt asks not to read it"

    def _condition(self, url: str) -> dict[str, str]:
        known = self._known.get(url)
        if known is None or not self._intact(known):
            return {}
        values = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
        return {name: value for name, value in values.items() if value}

    def _intact(self, known: _Known) -> bool:
        """Whether a page's file is what the note says; a crawl that was killed leaves newer ones."""
        try:
            return _digest((self._root / known.path).read_bytes()) == known.digest
        except OSError:
            return False

    def _take(self, url: str, answer: Answer) -> None:
        """Keep what the server answered for `url`."""
        known = self._known.get(url)
        if answer.status == 304 and known is not None:
            self._accept(url, known)
        elif answer.status != 200:
            gone = answer.status in (401, 403, 404, 410)
            (self._skip if gone else self._keep)(url, f"answered {answer.status}")
        elif answer.url != url and not self._within(answer.url):
            self._skip(url, f"leads out of the site, to {answer.url}")
        elif answer.url != url and answer.url in self._seen and answer.url != self._start:
            self._skip(url, f"leads to {answer.url}")
        else:
            self._seen.add(answer.url)
            content = self._content(answer)
            if isinstance(content, str):
                self._skip(url, content)
            else:
                self._write(url, answer, *content)

    def _content(self, answer: Answer) -> tuple[str, bytes, list[str]] | str:
        """Extension, content and links of an answer, or why it is no page."""
        from codeweft.retrieval.sources.page import page, text_of

        address = answer.url
        if answer.kind in HTML:
            read = page(text_of(answer.body, answer.charset), address)
            if read.follow:
                for link in read.links:
                    self._enqueue(link)
            if not read.index:
                return "asks not to be indexed (robots meta tag)"
            if not read.text.strip():
                return "no text in it without JavaScript"
            return "md", read.text.encode(errors="replace"), list(read.links) if read.follow else []
        if answer.kind in _TEXTS:
            return "md", text_of(answer.body, answer.charset).encode(errors="replace"), []
        extension = _DOCUMENTS.get(answer.kind) or urlsplit(address).path.rpartition(".")[2].lower()
        if extension in FORMATS:
            return extension, answer.body, []
        return f"not a page ({answer.kind})"

    def _write(self, url: str, answer: Answer, suffix: str, body: bytes, links: list[str]) -> None:
        digest = _digest(body)
        if (same := self._digests.get(digest)) is not None:
            self._skip(url, f"the same as {same}")
            return
        known = self._known.get(url)
        path = (
            known.path
            if known is not None and known.path not in self._paths
            else self._free_path(url, suffix)
        )
        target = self._root / path
        if known is None or known.digest != digest or not self._intact(known):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = self._state / "page.partial"
                partial.write_bytes(body)
                partial.replace(target)
            except (NotADirectoryError, IsADirectoryError, FileExistsError):
                self._skip(url, "its name is in the way of another page")
                return
        self._bytes += len(body)
        etag, modified = answer.header("ETag"), answer.header("Last-Modified")
        self._accept(url, _Known(path, links, digest, etag, modified))

    def _accept(self, url: str, known: _Known) -> None:
        self._pages[url] = known
        self._paths.add(known.path)
        self._digests.setdefault(known.digest, url)
        for link in known.links:
            self._enqueue(link)

    def _keep(self, url: str, reason: str) -> None:
        """A page that cannot be had now stays as it was."""
        known = self._known.get(url)
        if known is not None and (self._root / known.path).is_file():
            self._accept(url, known)
            reason = f"{reason}; the earlier copy is kept"
        self._skipped[url] = reason

    def _skip(self, url: str, reason: str) -> None:
        self._skipped[url] = reason

    def _within(self, url: str) -> bool:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}" == self._origin and parts.path.startswith(self._prefix)

    def _free_path(self, url: str, suffix: str) -> str:
        """A file's path for an address: its own, with the extension of what is written."""
        parts = urlsplit(url)
        names = [
            name for name in unquote(parts.path, errors="replace").split("/") if name not in ("", ".", "..")
        ]
        if parts.path.endswith("/") or not names:
            names.append("index")
        elif names[-1].rpartition(".")[2].lower() in _PAGES[1:]:
            names[-1] = names[-1].rpartition(".")[0] or names[-1]
        base = "/".join(name[:80] for name in names)
        for number in range(1, len(self._paths) + 2):
            path = f"{base}.{suffix}" if number == 1 else f"{base}-{number}.{suffix}"
            try:
                path = upload_path(path)
            except InvalidRequest:
                base = f"page-{blake2b(url.encode(errors='replace'), digest_size=8).hexdigest()}"
                continue
            if path not in self._paths:
                return path
        raise AssertionError

    def _finish(self) -> None:
        """Remove what this crawl has not seen, and note what it has."""
        for path in sorted(self._root.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif str(path.relative_to(self._root)) not in self._paths:
                path.unlink()
        partial = self._state / f"{_NOTE}.partial"
        partial.write_text(json.dumps({url: asdict(known) for url, known in self._pages.items()}))
        partial.replace(self._state / _NOTE)


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _is_version(extension: str) -> bool:
    """The last part of `/en/3.11` or `/api/v1.2`, which is no extension."""
    return extension.isdecimal()


def _locations(body: bytes) -> Iterator[tuple[bool, str]]:
    """What a site map lists: other maps (True) and pages."""
    try:
        packed = body[:2] == b"\x1f\x8b"
        text = zlib.decompressobj(wbits=31).decompress(body, 20 * MAX_BYTES) if packed else body
        if b"<!DOCTYPE" in text[:500] or b"<!ENTITY" in text[:5000]:
            return
        root = ElementTree.fromstring(text)
    except (zlib.error, ElementTree.ParseError):
        return
    is_map = root.tag.endswith("sitemapindex")
    for element in root.iter():
        if element.tag.endswith("}loc") or element.tag == "loc":
            yield is_map, (element.text or "").strip()


def _load(note: Path) -> dict[str, _Known]:
    try:
        found: dict[str, Any] = json.loads(note.read_text())
        return {url: _Known(**known) for url, known in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
