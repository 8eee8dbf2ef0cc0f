"""HTTP with an endpoint behind TLS or a proxy, by aiohttp: the same calls as `http1`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from yarl import URL

from codeweft.models.http1 import CONNECT_TIMEOUT, Malformed, NoAnswer


@contextmanager
def telling() -> Iterator[None]:
    """aiohttp's errors as those of `http1`."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError:
        raise NoAnswer("it does not answer") from None
    except (ConnectionError, TimeoutError):
        raise
    except aiohttp.ClientConnectorDNSError:
        raise ConnectionError("its host name is not known") from None
    except aiohttp.ClientConnectorCertificateError:
        raise ConnectionError("its certificate is not trusted") from None
    except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionError(getattr(error, "strerror", None) or str(error)) from None
    except aiohttp.ClientError as error:
        raise Malformed(str(error) or type(error).__name__) from None


class Answer:
    """The answer to one request."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.content_type = response.content_type

    def header(self, name: str) -> str:
        """See `http1.Connection`."""
        return self._response.headers.get(name, "")

    @property
    def at_end(self) -> bool:
        """See `http1.Connection`."""
        return self._response.content.at_eof()

    async def read(self) -> bytes:
        """See `http1.Connection`."""
        with telling():
            return await self._response.content.readany()

    def close(self) -> None:
        """See `http1.Connection`."""
        if self.at_end:
            self._response.release()
        else:
            self._response.close()


class Session:
    """The connections to one endpoint; `proxy` is the address of what they go through."""

    def __init__(self, base_url: str, proxy: str | None) -> None:
        self._base_url = base_url
        self._proxy = proxy
        # Not `trust_env`: it reads the file of passwords (~/.netrc) anew for every request.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], data: bytes | None, silence: float
    ) -> Answer:
        """See `http1.Line.ask`."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=silence)
        try:
            with telling():
                return Answer(
                    await self._session.request(
                        method,
                        URL(self._base_url + path, encoded=True),
                        data=data,
                        headers=headers,
                        allow_redirects=False,
                        timeout=timeout,
                        proxy=self._proxy,
                    )
                )
        except ValueError as error:
            raise Malformed(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()
