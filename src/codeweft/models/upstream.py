"""HTTP with an endpoint: connecting, retrying before the first byte, and its errors in our words."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from codeweft import errors
from codeweft.errors import CodeweftError, UpstreamFailed
from codeweft.models.wire import MALFORMED

Sign = Callable[[str, str, bytes | None], dict[str, str]]
RETRIED: Final = frozenset((429, 502, 503, 504))
ATTEMPTS: Final = 4
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
CONNECT_TIMEOUT: Final = 10.0
LINGER: Final = 0.1
"""Seconds that the end of a body is waited for after all that matters of it has come."""
_JSON: Final = {"Content-Type": "application/json"}
_BROKEN: Final = (aiohttp.ClientError, ConnectionError, TimeoutError)
_LONGEST_WORDS: Final = 300
_LONGEST_ERROR_BODY: Final = 64 << 10
LONGEST_ANSWER: Final = 256 << 20
"""Bytes of an answer in one piece; two thousand vectors of four thousand numbers each are about 160 MB."""
_FIXES: Final = {
    401: "Check `api_key` of this endpoint in the settings.",
    403: "Check that the key of this endpoint may use this model.",
    404: "Check `base_url` (it usually ends in /v1) and `model` in the settings.",
    429: "The endpoint limits requests; try again later.",
}
_OURS: Final = {
    item.code: item
    for item in vars(errors).values()
    if isinstance(item, type) and issubclass(item, CodeweftError) and item is not CodeweftError
}


class Refused(UpstreamFailed):
    """The endpoint answered with an error status."""

    def __init__(self, answered: int, words: str, message: str, *, fix: str) -> None:
        super().__init__(message, fix=fix, details={"upstream_status": answered})
        self.answered = answered
        self.words = words


class Upstream:
    """One endpoint. `ours` says that it is a Codeweft server, whose errors are taken over as they are."""

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: str | None,
        *,
        timeout: float = 120,
        attempts: int = ATTEMPTS,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        sign: Sign | None = None,
        ours: bool = False,
    ) -> None:
        """`timeout` is the longest silence in seconds; with one attempt a failure is told at once.

        `headers` are sent with every request, `sign` makes further ones of method, URL and body. `secret` is blotted
        out of what the endpoint says, as `api_key` (sent as a bearer token) is.
        """
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._secret = secret or api_key
        sent = dict(headers or {})
        if api_key and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {api_key}"
        self._bare = CIMultiDict(sent)
        self._with_body = CIMultiDict({**_JSON, **sent})
        self._sign = sign
        self._timeout = timeout
        self._attempts = attempts
        self._ours = ours
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        self._urls: dict[str, URL] = {}

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def request(
        self, method: str, path: str, body: Any = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """A response of status 200; leaving the block closes the connection if the answer is not read out.

        Connection errors and the statuses of `RETRIED` are tried again. Raises `UpstreamFailed` (`Refused` when the
        endpoint said no), for a Codeweft server whatever it raised.
        """
        async with self.reading(await self.send(method, path, body)) as response:
            yield response

    def reading(self, response: aiohttp.ClientResponse) -> _Read:
        """A response of `send` to read from; see `request`."""
        return _Read(self, response)

    async def json(self, method: str, path: str, body: Any = None) -> bytes:
        """The whole answer's bytes. Raises `UpstreamFailed` also for one without end."""
        pieces: list[bytes] = []
        length = 0
        async with self.request(method, path, body) as response:
            async for piece in response.content.iter_any():
                pieces.append(piece)
                length += len(piece)
                if length > LONGEST_ANSWER:
                    raise UpstreamFailed(
                        f"The endpoint of {self.name} sent more than {LONGEST_ANSWER >> 20} MB at once.",
                        fix="Check `base_url` of this endpoint in the settings.",
                    )
        return b"".join(pieces)

    def broken(self, error: BaseException | None = None) -> UpstreamFailed:
        """The error for an answer that ended too early."""
        if isinstance(error, TimeoutError):
            return UpstreamFailed(
                f"The endpoint of {self.name} sent nothing for {self._timeout:.0f} s.",
                fix="Try again, or raise `timeout` of this model in the settings.",
            )
        return UpstreamFailed(
            f"The endpoint of {self.name} broke off in the middle of its answer.", fix="Try again."
        )

    async def send(
        self, method: str, path: str, body: Any = None, *, patience: float = 1
    ) -> aiohttp.ClientResponse:
        """A response of status 200, its body unread: give it to `reading`. Raises as `request` does.

        `patience` multiplies the longest silence, for answers that come in one piece.
        """
        session = self._open()
        data = None if body is None else msgspec.json.encode(body)
        headers: Mapping[str, str] = self._bare if data is None else self._with_body
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self.base_url + path, encoded=True)
        timeout = _timeout(self._timeout * patience)
        failure: CodeweftError
        for attempt in range(1, self._attempts + 1):
            if self._sign is not None:
                # A signature holds for some minutes only, and finding credentials may ask the network.
                headers = {**headers, **await asyncio.to_thread(self._sign, method, str(url), data)}
            try:
                response = await session.request(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    timeout=timeout,
                    proxy=self._proxy,
                )
            except TimeoutError as error:
                # The request may be running there; only the connection is known to have failed.
                if not isinstance(error, aiohttp.ConnectionTimeoutError):
                    raise self.broken(error) from None
                failure = self._unreachable("it does not answer")
            except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, ConnectionError) as error:
                failure = self._unreachable(_cause(error))
            except (aiohttp.ClientError, ValueError) as error:
                raise self._unreachable(_cause(error)) from None
            else:
                if response.status == 200:
                    return response
                failure = await self._refused(response)
                if response.status not in RETRIED:
                    raise failure
            wanted = asked_to_wait(failure)
            if attempt == self._attempts or wanted > LONGEST_PAUSE:
                raise failure
            await asyncio.sleep(max(wanted, pause(attempt)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # Not `trust_env`: it reads the file of passwords (~/.netrc) anew for every request.
            self._proxy = _proxy_for(self.base_url)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _unreachable(self, cause: str) -> UpstreamFailed:
        return UpstreamFailed(
            f"The endpoint of {self.name} at {self.base_url} cannot be reached: {cause}.",
            fix="Check `base_url` in the settings and that the server runs.",
        )

    async def _refused(self, response: aiohttp.ClientResponse) -> CodeweftError:
        try:
            body = await response.content.read(_LONGEST_ERROR_BODY)
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            body = b""
        finally:
            response.close()
        failure = self.failure(response.status, body)
        after = response.headers.get("Retry-After", "")
        # It may also be a date, which says as much as the sender's clock is right.
        if after.isdecimal() and len(after) < 6:
            failure.details["retry_after"] = int(after)
            failure.fix = f"The endpoint asks to be left alone for {after} s; try again then."
        return failure

    def failure(self, status: int, body: bytes) -> CodeweftError:
        """The error for an answer with `status` and `body`."""
        found = _error_body(body)
        if self._ours and found is not None and found.code in _OURS:
            return _OURS[found.code](found.message)
        words = self._without_key(shorten(found.message if found is not None else _plain(body)))
        said = f": {words}" if words else " and no explanation"
        return Refused(
            status,
            words,
            f"The endpoint of {self.name} answered with status {status}{said}.".replace("..", "."),
            fix=_FIXES.get(status, "Try again." if status >= 500 else "Change the request accordingly."),
        )

    def _without_key(self, words: str) -> str:
        return words.replace(self._secret, "…") if self._secret else words


class _Read:
    """See `Upstream.reading`."""

    def __init__(self, upstream: Upstream, response: aiohttp.ClientResponse) -> None:
        self._upstream = upstream
        self._response = response

    async def __aenter__(self) -> aiohttp.ClientResponse:
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        response = self._response
        try:
            if kind is None and not response.content.at_eof():
                # Many servers end a body with a packet of its own; waiting for it saves the next request a handshake.
                # The answer is whole by now, however the connection ends.
                with suppress(*_BROKEN):
                    async with asyncio.timeout(LINGER):
                        while await response.content.readany():
                            pass
        finally:
            # Releases a finished connection to the pool, closes one that still sends.
            response.close() if not response.content.at_eof() else response.release()
        if isinstance(error, _BROKEN):
            raise self._upstream.broken(error) from None


@lru_cache(256)
def _timeout(silence: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=silence)


def _proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names for an address."""
    url = URL(base_url)
    if url.host is None or proxy_bypass(url.host):
        return None
    return getproxies().get(url.scheme)


class _ErrorBody(msgspec.Struct, frozen=True):
    message: str = ""
    code: str | int | None = None


class _ErrorAnswer(msgspec.Struct, frozen=True):
    error: _ErrorBody | str | None = None
    detail: Any = None
    message: str | None = None


def _error_body(body: bytes) -> _ErrorBody | None:
    """The error in OpenAI's shape, FastAPI's (`detail`) or a bare one."""
    try:
        answer = msgspec.json.decode(body, type=_ErrorAnswer)
    except MALFORMED:
        return None
    if isinstance(answer.error, _ErrorBody):
        return answer.error
    said = answer.error or answer.message or answer.detail
    return _ErrorBody(said if isinstance(said, str) else str(said)) if said else None


def _plain(body: bytes) -> str:
    """The readable words of an error page."""
    text = body.decode("utf-8", "replace")
    if "<" in text:
        text = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", text)
        text = re.sub(r"<[^>]*>", " ", text)
    return text


def shorten(words: str) -> str:
    """One line of bounded length."""
    line = " ".join(words.split())
    return line if len(line) <= _LONGEST_WORDS else line[: _LONGEST_WORDS - 1] + "…"


def _cause(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name is not known"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shorten(str(error)) or type(error).__name__


def asked_to_wait(error: CodeweftError) -> float:
    """Seconds that an endpoint wants to be left alone, 0 when it did not say."""
    seconds = error.details.get("retry_after")
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def pause(attempt: int) -> float:
    """Seconds before the next attempt: doubling, with jitter so that clients do not come back all at once."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
