"""A wire between a browser and a server that can be cut: whatever goes through it breaks off, as a network does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Wire:
    """Carries bytes to and from a server as they are, while it is not cut."""

    def __init__(self, to: str) -> None:
        there = urlsplit(to)
        self._host, self._port = str(there.hostname), there.port
        self._loop = asyncio.new_event_loop()
        self._ends: set[asyncio.StreamWriter] = set()
        self._whole = True
        self.url = ""

    def cut(self) -> None:
        """End every connection at once, and refuse new ones."""
        self._loop.call_soon_threadsafe(self._cut)

    def mend(self) -> None:
        self._whole = True

    def _cut(self) -> None:
        self._whole = False
        for end in self._ends:
            end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        back, on = await asyncio.open_connection(self._host, self._port)
        self._ends |= {writer, on}
        await asyncio.gather(_pump(reader, on), _pump(back, writer))
        self._ends -= {writer, on}

    def run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))

    def stop(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    target.close()


@contextmanager
def wired(to: str) -> Iterator[Wire]:
    """A wire to the server at that address, on a free port, in a thread of its own."""
    wire = Wire(to)
    started = threading.Event()
    thread = threading.Thread(target=wire.run, args=(started,), daemon=True)
    thread.start()
    assert started.wait(10)
    yield wire
    wire.stop()
    thread.join(5)
