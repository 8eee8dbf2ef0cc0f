"""Fetching pages that somebody named: guarded, with limits, following redirects one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

import aiohttp

from codeweft import __version__
from codeweft.errors import InvalidRequest, TooLarge, UpstreamFailed
from codeweft.retrieval.sources.guard import Guard, GuardedResolver

MAX_BYTES: Final = 5_000_000
"""Of one page; documents that a crawl finds have the limit of documents."""
MAX_REDIRECTS: Final = 5
SECONDS: Final = 20
AGENT: Final = "codeweft"
HTML: Final = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered in the end; `url` is where the redirects led."""

    url: str
    status: int
    kind: str
    body: bytes = b""
    charset: str | None = None
    headers: Mapping[str, str] | None = None

    def header(self, name: str) -> str:
        return (self.headers or {}).get(name, "")


@asynccontextmanager
async def session(guard: Guard) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that connects only where `guard` lets it, by the addresses it was shown."""
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(guard), use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    headers = {"User-Agent": f"{AGENT}/{__version__}"}
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, trust_env=False, headers=headers
    ) as opened:
        yield opened


async def get(
    client: aiohttp.ClientSession,
    guard: Guard,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """The answer to a GET; bodies of errors are not read.

    Raises `InvalidRequest` for an address that is not http(s) or not allowed (also after redirects), `TooLarge` above
    `max_bytes`, `UpstreamFailed` when there is no answer.
    """
    asked = url
    try:
        for _ in range(MAX_REDIRECTS + 1):
            guard.check(url)
            async with client.get(url, allow_redirects=False, headers=headers) as response:
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    url = urljoin(url, response.headers["Location"])
                    continue
                body = await _read(response, url, max_bytes) if response.status == 200 else b""
                return Answer(
                    url, response.status, response.content_type, body, response.charset, response.headers
                )
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # The resolver's refusal comes wrapped by aiohttp.
        inner: BaseException | None = error
        while inner is not None:
            if isinstance(inner, InvalidRequest):
                raise inner from None
            inner = inner.__cause__ or inner.__context__
        raise UpstreamFailed(
            f"{asked} could not be fetched: {str(error) or type(error).__name__}.", fix="Check the address."
        ) from None
    raise UpstreamFailed(f"{asked} redirects more than {MAX_REDIRECTS} times.")


async def fetch(url: str, guard: Guard) -> tuple[str, str]:
    """The text of one page, and a file name for it. Raises as `get` does, `UpstreamFailed` for anything but a page."""
    # Reading pages takes longer to import, and more memory, than all else of a server that only answers.
    from codeweft.retrieval.sources.page import page, text_of

    async with session(guard) as client:
        answer = await get(client, guard, url)
    if answer.status != 200:
        raise UpstreamFailed(f"{answer.url} answered {answer.status}.", fix="Check the address.")
    if answer.kind in HTML:
        return page(text_of(answer.body, answer.charset), answer.url).text, file_name(answer.url, ".md")
    if b"\0" in answer.body:
        raise InvalidRequest(f"{answer.url} is not a text ({answer.kind}).", param="link_list")
    return text_of(answer.body, answer.charset), file_name(answer.url, "")


async def _read(response: aiohttp.ClientResponse, url: str, max_bytes: int) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(65536):
        body += part
        if len(body) > max_bytes:
            raise TooLarge(
                f"{url} is larger than {max_bytes / 1e6:g} MB.", fix="Upload the part that matters."
            )
    return bytes(body)


def file_name(url: str, extension: str) -> str:
    """A path for the page at `url`: its host, then its path."""
    parts = urlsplit(url)
    path = "/".join(quote(part, safe="-._~") for part in parts.path.split("/") if part not in ("", ".", ".."))
    if parts.query:
        path += "-" + quote(parts.query, safe="-._~")
    return f"{parts.hostname}/{(path or 'index')[:150]}{extension}"
