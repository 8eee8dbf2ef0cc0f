"""Run a command on given files in a sandbox of bubblewrap, and tell how it went.

Inside there is a read-only /usr, the files in a work folder in memory, no network, no other process, no environment,
no capability, and no user of this machine. Nothing is ever run outside of it: where no sandbox can be made, running
raises `NoSandbox`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from codeweft.errors import InvalidRequest, NoSandbox
from codeweft.sandbox import seccomp
from codeweft.sandbox.own_loop import on_own_loop
from codeweft.types import LimitName, Limits, Ran

NOBODY = 65534
WORK = "/code"
MAX_FILES = 512
"""Each is handed over as an open file."""
MEGABYTE = 1 << 20
WATCH_SECONDS = 0.1
"""Between two looks at the memory of all processes together; one alone is stopped by the kernel before."""
_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")
_CONFIGURED = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/java-*")
"""What programs under /usr read of /etc."""
_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_BY_SIGNAL: Mapping[int, LimitName] = {signal.SIGXCPU: "cpu", signal.SIGXFSZ: "file size"}
_PAGE = os.sysconf("SC_PAGE_SIZE")

FIX = (
    "Install bubblewrap and util-linux (Debian and Ubuntu: apt-get install bubblewrap util-linux) and allow user "
    "namespaces; docs/sandbox.md says how."
)


class Bubblewrap:
    """Satisfies `Sandbox`. At most `parallel` commands run at once; more wait.

    `folders` are shown read-only beside /usr, for tools that are installed elsewhere; their `bin` is on the path.
    """

    def __init__(self, *, parallel: int = 2, folders: Sequence[Path] = (), limits: Limits = Limits()) -> None:
        self.limits = limits
        self._gate = asyncio.Semaphore(parallel)
        self._folders = tuple(str(folder.resolve()) for folder in folders)
        self._path = ":".join((*(f"{folder}/bin" for folder in self._folders), *_PATH))
        self._works = False

    async def missing(self) -> str:
        """Why nothing can be run here; empty when it can. Tried until it works once: what is missing may be installed."""
        if self._works:
            return ""
        why = await self._try()
        self._works = not why
        return why

    def tool(self, name: str) -> bool:
        """Whether the command `name` is there inside."""
        found = shutil.which(name, path=self._path)
        return found is not None and os.path.realpath(found).startswith(("/usr/", *self._folders))

    async def run(
        self,
        command: Sequence[str],
        files: Mapping[str, str | bytes],
        limits: Limits | None = None,
        *,
        stdin: bytes = b"",
    ) -> Ran:
        """Run `command` in a folder that holds `files` (relative path: content); it may write there, and it is gone after.

        Cancelling kills everything that was started. Raises `NoSandbox`, and `InvalidRequest` for a path that leads out
        of the folder.
        """
        if why := await self.missing():
            raise NoSandbox(f"Code cannot be run here: {why}", fix=FIX)
        async with self._gate:
            return await self._run(command, _checked(files), limits or self.limits, stdin)

    async def _try(self) -> str:
        if gone := [name for name in ("bwrap", "prlimit") if shutil.which(name, path=self._path) is None]:
            return f"{' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} not installed."
        try:
            ran = await self._run(("true",), {}, Limits(seconds=30), b"")
        except OSError as error:
            return f"bwrap cannot be started: {error.strerror}."
        return "" if ran.ok else f"bwrap cannot make a sandbox: {ran.output.strip() or ran.limit}"

    async def _run(
        self, command: Sequence[str], files: Mapping[str, bytes], limits: Limits, stdin: bytes
    ) -> Ran:
        return await on_own_loop(self._started(command, files, limits, stdin))

    async def _started(
        self, command: Sequence[str], files: Mapping[str, bytes], limits: Limits, stdin: bytes
    ) -> Ran:
        with contextlib.ExitStack() as stack:
            given: list[int] = []

            def handed(data: bytes) -> int:
                descriptor = stack.enter_context(_in_memory(data))
                given.append(descriptor)
                return descriptor

            arguments = [*self._walls(limits, files, handed), "--", *_limited(limits), *command]
            # As root, the sandbox's user would be root outside; a number of nobody's is enough for bubblewrap.
            root = os.geteuid() == 0
            began = time.monotonic()
            process = await _whole(
                asyncio.create_subprocess_exec(
                    "bwrap",
                    *arguments,
                    stdin=handed(stdin),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    env={"PATH": ":".join(_PATH)},
                    cwd="/",
                    pass_fds=given,
                    start_new_session=True,
                    user=NOBODY if root else None,
                    group=NOBODY if root else None,
                    extra_groups=[] if root else None,
                )
            )
        try:
            output, limit = await _watched(process, limits)
        finally:
            await _ended(process)
        code = process.returncode or 0
        limit = limit or _BY_SIGNAL.get(code - 128, "")
        text = output.decode("utf-8", "replace")
        return Ran(None if limit else code, text, time.monotonic() - began, limit)

    def _walls(
        self, limits: Limits, files: Mapping[str, bytes], handed: Callable[[bytes], int]
    ) -> Iterator[str]:
        """The arguments of bubblewrap."""
        yield from ("--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL")
        yield from ("--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox")
        variables = {"PATH": self._path, "HOME": WORK, "TMPDIR": "/tmp", "LANG": "C.UTF-8"}
        for name, value in variables.items():
            yield from ("--setenv", name, value)
        yield from ("--ro-bind", "/usr", "/usr")
        for link in _SYSTEM:
            if Path(link).is_symlink():
                yield from ("--symlink", str(Path(link).readlink()), link)
            elif Path(link).is_dir():
                yield from ("--ro-bind", link, link)
        for pattern in _CONFIGURED:
            for found in sorted(Path("/").glob(pattern.lstrip("/"))):
                yield from ("--ro-bind", str(found), str(found))
        for folder in self._folders:
            yield from ("--ro-bind", folder, folder)
        size = str(2 * limits.file_mb * MEGABYTE)
        yield from ("--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm")
        yield from ("--size", size, "--tmpfs", "/tmp", "--size", size, "--tmpfs", WORK)
        for path, content in files.items():
            yield from ("--perms", "0644", "--file", str(handed(content)), f"{WORK}/{path}")
        # What is left writable, / and /dev, is memory without a bound.
        yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK)
        if (rules := seccomp.program()) is not None:
            yield from ("--seccomp", str(handed(rules)))


def _limited(limits: Limits) -> Iterator[str]:
    """Set inside: the number of processes is counted by user namespace.

    Memory is `data` and not `as`: Node.js and Java reserve far more addresses than they use.
    """
    yield "prlimit"
    yield f"--data={limits.memory_mb * MEGABYTE}"
    # At the softer limit a process is told which one it was; at the harder it is only killed.
    yield f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + 1}"
    yield f"--nproc={limits.processes}"
    yield f"--fsize={limits.file_mb * MEGABYTE}"
    yield "--nofile=256"
    yield "--core=0"
    yield "--"


async def _watched(process: asyncio.subprocess.Process, limits: Limits) -> tuple[bytes, LimitName]:
    """What the process wrote, and the limit that it was stopped for."""
    assert process.stdout is not None
    reader = asyncio.create_task(_read(process.stdout, limits.output))
    memory = asyncio.create_task(_outgrown(process.pid, limits.memory_mb * MEGABYTE))
    ends = time.monotonic() + limits.seconds
    try:
        done, _ = await asyncio.wait(
            {reader, memory}, timeout=limits.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        limit: LimitName = ""
        if memory in done:
            limit = "memory"
        elif reader not in done:
            limit = "time"
        elif reader.result()[1]:
            limit = "output"
        if limit:
            _kill(process)
        output, _ = await reader
        # Output may be closed long before the end.
        if not limit and process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), max(0.1, ends - time.monotonic()))
            except TimeoutError:
                limit = "time"
        return output, limit
    finally:
        for task in (reader, memory):
            task.cancel()
        await asyncio.gather(reader, memory, return_exceptions=True)


async def _whole(starting: Coroutine[Any, Any, asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """The process that is being started. Cancelled meanwhile, asyncio would kill bubblewrap and not what is inside."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _ended(await task)
        raise


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill what still runs and wait for its end, which asyncio tells only when all output has been read."""
    if process.returncode is None:
        _kill(process)
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill bubblewrap and the first process inside, and with that every other inside.

    Bubblewrap alone would not do: while it starts, what is inside does not die with it yet. It is stopped before we look
    so that nothing is started in between.
    """
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGSTOP)
        for child in _children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGKILL)


async def _read(stream: asyncio.StreamReader, most: int) -> tuple[bytes, bool]:
    """Up to `most` bytes, and whether there were more."""
    parts: list[bytes] = []
    room = most
    while room > 0 and (part := await stream.read(min(room, 65536))):
        parts.append(part)
        room -= len(part)
    return b"".join(parts), room == 0 and bool(await stream.read(1))


async def _outgrown(pid: int, most: int) -> None:
    """Return when the processes below `pid` hold more than `most` bytes of memory."""
    while _resident(pid) <= most:  # noqa: ASYNC110 - the kernel tells nobody when memory grows
        await asyncio.sleep(WATCH_SECONDS)


def _resident(pid: int) -> int:
    """Bytes in memory of a process and all below it; 0 for one that is gone."""
    try:
        held = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0
    return held + sum(map(_resident, _children(pid)))


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _checked(files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    """The files as bytes. Raises `InvalidRequest` for a path that leads out of their folder."""
    if len(files) > MAX_FILES:
        raise InvalidRequest(f"{len(files)} files are too many for one run.", fix=f"At most {MAX_FILES}.")
    for path in files:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\0" in path:
            raise InvalidRequest(f"{path!r} is not a path in the work folder.", fix="Use a relative path.")
    return {
        path: content.encode("utf-8", "replace") if isinstance(content, str) else content
        for path, content in files.items()
    }


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """An open file that holds `data`, read from its beginning."""
    descriptor = os.memfd_create("codeweft")
    try:
        with open(descriptor, "wb", closefd=False) as writer:
            writer.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
