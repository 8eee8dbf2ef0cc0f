"""Which addresses may be connected to: the public internet, and hosts that the owner of this machine names."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from codeweft.errors import InvalidRequest


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


class Guard:
    """Admits public addresses, and any address of `private_hosts` (names or addresses as they stand in URLs)."""

    def __init__(self, private_hosts: Collection[str] = ()) -> None:
        self._private = frozenset(host.lower().strip("[]") for host in private_hosts)

    def allows(self, host: str, address: str) -> bool:
        return host.lower() in self._private or public(address)

    def check(self, url: str) -> None:
        """Raises `InvalidRequest` for a URL that must not be fetched, as far as its text tells."""
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
                raise refused(host) from None
            return
        if not self.allows(host, address):
            raise refused(host)


class GuardedResolver(AbstractResolver):
    """Checks the very addresses that are going to be connected to, so that a name cannot change its mind between."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._names = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        for result in found:
            if not self._guard.allows(host, result["host"]):
                raise refused(host)
        return found

    async def close(self) -> None:
        await self._names.close()


def refused(host: str) -> InvalidRequest:
    return InvalidRequest(
        f"{host} is not on the public internet; such addresses are not fetched.",
        fix="Upload the page as a file, or name the host in `index.private_hosts` of the settings.",
        param="link_list",
    )
