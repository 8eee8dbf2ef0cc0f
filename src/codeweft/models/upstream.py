"""HTTP with an endpoint: connecting, retrying before the first byte, and its errors in our words."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from codeweft import __version__, errors
from codeweft.errors import CodeweftError, UpstreamFailed
from codeweft.models.http1 import Line, Malformed
from codeweft.models.wire import MALFORMED

Sign = Callable[[str, str, bytes | None], dict[str, str]]
RETRIED: Final = frozenset((429, 502, 503, 504))
ATTEMPTS: Final = 4
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
LINGER: Final = 0.1
"""Seconds that the end of a body is waited for after all that matters of it has come."""
_JSON: Final = {"Content-Type": "application/json"}
_BROKEN: Final = (ConnectionError, TimeoutError)
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


class Response(Protocol):
    """An answer whose head has come."""

    status: int

    @property
    def content_type(self) -> str:
        """Without its parameters, in small letters."""
        ...

    @property
    def at_end(self) -> bool:
        """Whether the whole body was read."""
        ...

    def header(self, name: str) -> str:
        """The header of that name (in small letters), "" when there is none."""
        ...

    async def read(self) -> bytes:
        """What has arrived of the body, b"" at its end. Raises `ConnectionError` and `TimeoutError`."""
        ...

    def close(self) -> None:
        """Keep the connection if the answer is read out, else end it."""
        ...


async def pieces(response: Response) -> AsyncGenerator[bytes]:
    """The body as it arrives. Raises as `Response.read` does."""
    while piece := await response.read():
        yield piece


async def whole(response: Response) -> bytes:
    """The whole body. Raises as `Response.read` does."""
    return b"".join([piece async for piece in pieces(response)])


class Client(Protocol):
    """The connections to one endpoint."""

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, silence: float
    ) -> Response:
        """The answer to a request. `silence` is the longest wait in seconds.

        Raises `Malformed` for what is no answer, `OSError` when there is none, and `TimeoutError`.
        """
        ...

    async def close(self) -> None:
        """End all connections."""
        ...


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
        self._bare = sent
        self._with_body = {**_JSON, **sent}
        self._sign = sign
        self._timeout = timeout
        self._attempts = attempts
        self._ours = ours
        self._client: Client | None = None

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def request(self, method: str, path: str, body: Any = None) -> AsyncGenerator[Response]:
        """A response of status 200; leaving the block closes the connection if the answer is not read out.

        Connection errors and the statuses of `RETRIED` are tried again. Raises `UpstreamFailed` (`Refused` when the
        endpoint said no), for a Codeweft server whatever it raised.
        """
        async with self.reading(await self.send(method, path, body)) as response:
            yield response

    def reading(self, response: Response) -> _Read:
        """A response of `send` to read from; see `request`."""
        return _Read(self, response)

    async def json(self, method: str, path: str, body: Any = None) -> bytes:
        """The whole answer's bytes. Raises `UpstreamFailed` also for one without end."""
        whole: list[bytes] = []
        length = 0
        async with self.request(method, path, body) as response:
            while piece := await response.read():
                whole.append(piece)
                length += len(piece)
                if length > LONGEST_ANSWER:
                    raise UpstreamFailed(
                        f"The endpoint of {self.name} sent more than {LONGEST_ANSWER >> 20} MB at once.",
                        fix="Check `base_url` of this endpoint in the settings.",
                    )
        return b"".join(whole)

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

    async def send(self, method: str, path: str, body: Any = None, *, patience: float = 1) -> Response:
        """A response of status 200, its body unread: give it to `reading`. Raises as `request` does.

        `patience` multiplies the longest silence, for answers that come in one piece.
        """
        client = self._client or self._open()
        data = None if body is None else msgspec.json.encode(body)
        headers: Mapping[str, str] = self._bare if data is None else self._with_body
        silence = self._timeout * patience
        failure: CodeweftError
        for attempt in range(1, self._attempts + 1):
            if self._sign is not None:
                # A signature holds for some minutes only, and finding credentials may ask the network.
                url = self.base_url + path
                headers = {**headers, **await asyncio.to_thread(self._sign, method, url, data)}
            try:
                response = await client.ask(method, path, headers, data, silence)
            except TimeoutError as error:
                # The request may be running there; only the connection is known to have failed.
                raise self.broken(error) from None
            except Malformed as error:
                raise self._unreachable(_cause(error)) from None
            except OSError as error:
                failure = self._unreachable(_cause(error))
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

    def _open(self) -> Client:
        proxy = _proxy_for(self.base_url)
        client: Client | None = _Plain.of(self.base_url) if proxy is None else None
        if client is None:
            # Here, for it takes 10 MB and a fifth of a second to load.
            from codeweft.models.secured import Session

            client = Session(self.base_url, proxy)
        self._client = client
        return client

    def _unreachable(self, cause: str) -> UpstreamFailed:
        return UpstreamFailed(
            f"The endpoint of {self.name} at {self.base_url} cannot be reached: {cause}.",
            fix="Check `base_url` in the settings and that the server runs.",
        )

    async def _refused(self, response: Response) -> CodeweftError:
        body = b""
        try:
            while len(body) < _LONGEST_ERROR_BODY and (piece := await response.read()):
                body += piece
        except _BROKEN:
            pass  # what came may say why
        finally:
            response.close()
        failure = self.failure(response.status, body)
        after = response.header("retry-after")
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

    __slots__ = ("_response", "_upstream")

    def __init__(self, upstream: Upstream, response: Response) -> None:
        self._upstream = upstream
        self._response = response

    async def __aenter__(self) -> Response:
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        response = self._response
        try:
            if kind is None and not response.at_end:
                # Many servers end a body with a packet of its own; waiting for it saves the next request a handshake.
                # The answer is whole by now, however the connection ends.
                with suppress(*_BROKEN):
                    async with asyncio.timeout(LINGER):
                        while await response.read():
                            pass
        finally:
            response.close()
        if isinstance(error, _BROKEN):
            raise self._upstream.broken(error) from None


class _Plain:
    """`http1` for an endpoint at an address. Satisfies `Client`."""

    def __init__(self, host: str, port: int, named: str, path: str) -> None:
        """`named` is the host as the address has it, `path` what comes before the path of each request."""
        self._line = Line(host, port)
        self._named = named
        self._path = path
        self._heads: dict[tuple[str, str], tuple[Mapping[str, str], bytes]] = {}

    @classmethod
    def of(cls, base_url: str) -> _Plain | None:
        """None for an address that needs more: TLS, a password, signs outside of ASCII."""
        url = urlsplit(base_url)
        host = url.hostname
        if url.scheme != "http" or not host or "@" in url.netloc or not re.fullmatch(r"[!-~]+", base_url):
            return None
        return cls(host, url.port or 80, url.netloc, url.path)

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, silence: float
    ) -> Response:
        """See `Client.ask`."""
        known = self._heads.get((method, path))
        if known is None or known[0] is not headers:
            known = self._heads[method, path] = headers, self._head(method, path, headers)
        end = b"\r\n" if body is None else b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        return await self._line.ask(known[1] + end, silence)

    async def close(self) -> None:
        """See `Client.close`."""
        await self._line.close()

    def _head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        """All but the length of the body. Raises `Malformed` for what would end a line."""
        lines = [
            f"{method} {self._path}{path} HTTP/1.1",
            f"Host: {self._named}",
            f"User-Agent: codeweft/{__version__}",
            "Accept: */*",
            # Else any coding would do.
            "Accept-Encoding: identity",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        for line in lines:
            if any(sign in line for sign in "\r\n\0"):
                raise Malformed("the settings of this endpoint hold a line break where none may be")
        return "\r\n".join([*lines, ""]).encode()


def _proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names for an address."""
    url = urlsplit(base_url)
    if not url.hostname or proxy_bypass(url.hostname):
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


def _cause(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its host name is not known"
    return error.strerror or shorten(str(error)) or type(error).__name__


def asked_to_wait(error: CodeweftError) -> float:
    """Seconds that an endpoint wants to be left alone, 0 when it did not say."""
    seconds = error.details.get("retry_after")
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def pause(attempt: int) -> float:
    """Seconds before the next attempt: doubling, with jitter so that clients do not come back all at once."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
