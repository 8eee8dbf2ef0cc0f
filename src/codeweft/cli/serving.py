"""Running the server in the foreground: engine, index, and the lines that say when it is ready."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from codeweft.cli.render import err, note, progress
from codeweft.config import Settings, environment_key
from codeweft.errors import CodeweftError

if TYPE_CHECKING:
    from codeweft.runtime.compose import Runtime
    from codeweft.runtime.settings_file import SettingsFile

INDEXING_SECONDS = 60
"""A code base that takes longer to read is announced as ready while the reading goes on."""
POLL_SECONDS = 0.1


def run(settings: Settings, file: SettingsFile, sources: tuple[str, ...]) -> None:
    """Serve until Ctrl-C. `sources` are indexed first; `file` is where the settings come from."""
    from codeweft.runtime.compose import open_runtime
    from codeweft.server.run import run as serve

    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    key = environment_key()
    starting: list[asyncio.Task[None]] = []

    def listening(address: str, runtime: Runtime) -> None:
        task = asyncio.get_running_loop().create_task(_get_ready(address, runtime, sources, key))
        task.add_done_callback(_stop_if_failed)
        starting.append(task)

    note("Starting Codeweft… (Ctrl-C stops it)")
    # uvicorn has stopped everything when it hands the interrupt on.
    with suppress(KeyboardInterrupt):
        serve(partial(open_runtime, file=file), settings, listening)
    for task in starting:
        if not task.cancelled() and (failure := task.exception()) is not None:
            raise failure
    note("Stopped.")


def _stop_if_failed(task: asyncio.Task[None]) -> None:
    """A server that cannot get ready must not look as if it still might."""
    if not task.cancelled() and task.exception() is not None:
        signal.raise_signal(signal.SIGINT)


async def _get_ready(address: str, runtime: Runtime, sources: tuple[str, ...], key: str | None) -> None:
    """Load the model and read the code, then say so."""
    await runtime.announce(address, key)
    await asyncio.gather(_load(runtime), *(_read(runtime, source) for source in sources))
    print(f"Codeweft is ready at {address}", flush=True)
    link = f"{address}/signin?token={await runtime.accounts.signin_link()}"
    print(f"Sign in (once, within 15 minutes): {link}", flush=True)


async def _load(runtime: Runtime) -> None:
    try:
        await runtime.start()
    except CodeweftError as error:
        # The page still works, and says the same where an answer is asked for.
        err.print(f"[yellow]The model {runtime.default_writer} could not be loaded:[/] {error}")


async def _read(runtime: Runtime, source: str) -> None:
    try:
        index = await asyncio.to_thread(runtime.indexes.add, source)
    except CodeweftError as error:
        err.print(f"[yellow]{source} is not indexed:[/] {error}")
        return
    job = runtime.updates.start(index)
    deadline = asyncio.get_running_loop().time() + INDEXING_SECONDS
    with progress() as report:
        while not job.finished and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            job = runtime.jobs.get(job.id)
            report(f"Indexing {index.name}: {job.phase}", job.done, job.total or None)
    if job.error is not None:
        err.print(f"[yellow]{source} is not indexed:[/] {job.error}")
        return
    status = await asyncio.to_thread(index.status)
    what = f"{status.indexed} files, {status.chunks} functions and sections"
    note(
        f"Index {index.name}: {what}"
        if job.finished
        else f"Index {index.name}: {what} so far; reading goes on."
    )
