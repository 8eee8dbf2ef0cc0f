"""Fetching pages that a user named, and only what is public: no address inside this machine or network."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from codeweft.errors import InvalidRequest, TooLarge, UpstreamFailed

MAX_BYTES = 5_000_000
MAX_REDIRECTS = 5
SECONDS = 20

Allowed = Callable[[str], bool]


def public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # Addresses that carry an IPv4 address reach what that one reaches.
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return public(str(inner))
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


class _CheckedResolver(AbstractResolver):
    """Checks the very addresses that are going to be connected to, so that a name cannot change its mind between."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._names = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        for result in found:
            if not self._allowed(result["host"]):
                raise _refused(host)
        return found

    async def close(self) -> None:
        await self._names.close()


async def fetch(url: str, allowed: Allowed = public) -> tuple[str, str]:
    """The text of a page, and a file name for it. `allowed` says which addresses may be connected to.

    Raises `InvalidRequest` for an address that is not http(s) or not public (also after redirects), `TooLarge` above
    5 MB, `UpstreamFailed` when the page cannot be had.
    """
    connector = aiohttp.TCPConnector(resolver=_CheckedResolver(allowed), use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            return await _follow(session, url, allowed)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # The resolver's refusal comes wrapped by aiohttp.
        inner: BaseException | None = error
        while inner is not None:
            if isinstance(inner, InvalidRequest):
                raise inner from None
            inner = inner.__cause__ or inner.__context__
        raise UpstreamFailed(
            f"{url} could not be fetched: {str(error) or type(error).__name__}.", fix="Check the address."
        ) from None


async def _follow(session: aiohttp.ClientSession, url: str, allowed: Allowed) -> tuple[str, str]:
    for _ in range(MAX_REDIRECTS + 1):
        check(url, allowed)
        async with session.get(url, allow_redirects=False) as response:
            if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                url = urljoin(url, response.headers["Location"])
                continue
            if response.status != 200:
                raise UpstreamFailed(f"{url} answered {response.status}.", fix="Check the address.")
            body = await _read(response, url)
            text = body.decode(response.charset or "utf-8", "replace")
            if response.content_type in ("text/html", "application/xhtml+xml"):
                return page_text(text), file_name(url, ".txt")
            if b"\0" in body:
                raise InvalidRequest(f"{url} is not a text ({response.content_type}).", param="link_list")
            return text, file_name(url, "")
    raise UpstreamFailed(f"{url} redirects more than {MAX_REDIRECTS} times.")


def check(url: str, allowed: Allowed = public) -> None:
    """Raises `InvalidRequest` for an address that must not be fetched, as far as its text tells."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise InvalidRequest(f"{url!r} is not an address.", param="link_list") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidRequest(f"{url!r} is not an http(s) address.", param="link_list")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        # A name is checked when it is resolved. Python and libc read 127.1 or 0x7f000001 as addresses: no names.
        if re.fullmatch(r"[0-9.]+|0[xX].*", host):
            raise _refused(host) from None
        return
    if not allowed(address):
        raise _refused(host)


def _refused(host: str) -> InvalidRequest:
    return InvalidRequest(
        f"{host} is not on the public internet; such addresses are not fetched.",
        fix="Upload the page as a file.",
        param="link_list",
    )


async def _read(response: aiohttp.ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(65536):
        body += part
        if len(body) > MAX_BYTES:
            raise TooLarge(
                f"{url} is larger than {MAX_BYTES / 1e6:g} MB.", fix="Upload the part that matters."
            )
    return bytes(body)


def file_name(url: str, extension: str) -> str:
    """A path for the page at `url`: its host, then its path."""
    parts = urlsplit(url)
    path = "/".join(quote(part, safe="-._~") for part in parts.path.split("/") if part not in ("", ".", ".."))
    if parts.query:
        path += "-" + quote(parts.query, safe="-._~")
    return f"{parts.hostname}/{(path or 'index')[:150]}{extension}"


class _Text(HTMLParser):
    """Collects what a reader of a page sees, a line per block."""

    _HIDDEN = frozenset({"script", "style", "noscript", "template", "svg", "head"})
    _INLINE = frozenset({"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span", "strong", "sub", "sup", "u", "var"})  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in self._HIDDEN
        self._pre += tag == "pre"
        if tag not in self._INLINE:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))
        self._pre = max(0, self._pre - (tag == "pre"))
        if tag not in self._INLINE:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data if self._pre else re.sub(r"\s+", " ", data))


def page_text(html: str) -> str:
    """What a reader of an HTML page sees."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = [line.rstrip() for line in "".join(parser.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
