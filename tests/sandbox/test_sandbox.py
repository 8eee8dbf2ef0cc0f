"""What hostile code tries in the sandbox, and what comes of it."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from codeweft.errors import InvalidRequest, NoSandbox
from codeweft.sandbox import Bubblewrap, bubblewrap, seccomp
from codeweft.types import Limits, Ran

QUICK = Limits(seconds=10, cpu_seconds=5, memory_mb=256, processes=32, file_mb=8, output=20_000)
needs_bwrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed (apt-get install bubblewrap)"
)


async def run(*command: str, limits: Limits = QUICK, **files: str) -> Ran:
    sandbox = Bubblewrap()
    if why := await sandbox.missing():
        pytest.skip(why)
    return await sandbox.run(command, {name.replace("__", "."): text for name, text in files.items()}, limits)


async def python(code: str, limits: Limits = QUICK) -> Ran:
    return await run("python3", "-I", "program.py", limits=limits, program__py=code)


def processes_with(mark: str) -> Sequence[str]:
    """The processes of this machine whose command line holds `mark`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


@needs_bwrap
async def test_a_program_gets_its_files_and_its_output_and_exit_code_come_back() -> None:
    sandbox = Bubblewrap()
    if why := await sandbox.missing():
        pytest.skip(why)
    files = {
        "deep/er/data.bin": b"\x00\xff",
        "main.py": "print(open('deep/er/data.bin', 'rb').read()); exit(3)",
    }
    ran = await sandbox.run(("python3", "main.py"), files, QUICK)
    assert (ran.code, ran.output, ran.limit, ran.ok) == (3, "b'\\x00\\xff'\n", "", False)
    assert (await sandbox.run(("cat",), {}, QUICK, stdin=b"from outside")).output == "from outside"


@needs_bwrap
async def test_there_is_no_network_not_even_loopback_of_the_host() -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    code = "import socket\nfor a in (('127.0.0.1', %d), ('1.1.1.1', 53)):\n  try: socket.create_connection(a, 2); print('in')\n  except OSError as e: print(e.errno)"
    ran = await python(code % port)
    server.close()
    assert ran.ok and "in" not in ran.output and len(ran.output.split()) == 2


@needs_bwrap
async def test_nothing_of_the_users_of_this_machine_can_be_read(tmp_path: Path) -> None:
    secret = tmp_path / "codeweft.db"
    secret.write_text("the state")
    places = [
        "/home",
        "/root",
        "/var",
        "/etc/passwd",
        "/etc/shadow",
        "/tmp/codeweft",
        str(secret),
        str(Path.cwd()),
    ]
    ran = await python(f"import os\nprint([p for p in {places!r} if os.path.exists(p)], os.listdir('.'))")
    assert ran.output == "[] ['program.py']\n"


@needs_bwrap
async def test_a_link_leads_to_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the state")
    code = f"import os\nos.symlink({str(tmp_path / 'secret')!r}, 'link')\nos.symlink('/proc/1/root{tmp_path}/secret', 'root')\n"
    code += "os.symlink('/proc/self/fd', 'fds')\nfor one in ('link', 'root'):\n  try: print(open(one).read())\n  except OSError as e: print(type(e).__name__)\nprint(len(os.listdir('fds')) < 6)"
    ran = await python(code)
    assert ran.ok and "the state" not in ran.output and ran.output.endswith("True\n")


@needs_bwrap
async def test_it_runs_as_nobody_with_no_capability_and_no_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ran = await python(
        "import os\nprint(os.getuid(), sorted(os.environ))\n"
        "print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'NoNewPrivs', 'Seccomp:'))])"
    )
    assert (
        ran.output.startswith("65534 ['HOME', 'LANG', 'PATH', 'PWD', 'TMPDIR']")
        or "sk-secret" not in ran.output
    )
    assert "'0000000000000000', '1'" in ran.output
    if seccomp.program() is not None:
        assert "'2'" in ran.output


@needs_bwrap
async def test_the_system_is_read_only_and_memory_outside_the_work_folder_too() -> None:
    code = "import os\nfor p in ('/usr/x', '/x', '/dev/x', '/etc/x', '/code/x', '/tmp/x'):\n  try: open(p, 'w').close(); print(p)\n  except OSError: pass"
    assert (await python(code)).output.split() == ["/code/x", "/tmp/x"]


@needs_bwrap
async def test_calls_that_lead_out_of_sandboxes_are_refused() -> None:
    if seccomp.program() is None:
        pytest.skip("no filter of system calls for this kind of processor")
    code = """
import ctypes, socket
c = ctypes.CDLL(None, use_errno=True)
print(c.unshare(0x10000000), ctypes.get_errno())
print(c.ptrace(0, 0, 0, 0), ctypes.get_errno())
print(c.memfd_create(b"x", 0), ctypes.get_errno())
for family in (40, 38):
    try: socket.socket(family, socket.SOCK_STREAM); print("open")
    except OSError as error: print(error.errno)
import threading; t = threading.Thread(target=print, args=("threads work",)); t.start(); t.join()
socket.socket(socket.AF_INET).close(); socket.socketpair()
"""
    ran = await python(code)
    assert ran.output.split("\n") == ["-1 1", "-1 1", "-1 1", "97", "97", "threads work", ""]


@needs_bwrap
async def test_a_fork_bomb_runs_into_its_limit_and_leaves_nothing() -> None:
    mark = f"bomb{os.getpid()}"
    code = f"import os, time\nmark = '{mark}'\nn = 0\nwhile True:\n  try: pid = os.fork()\n  except BlockingIOError: break\n  if pid == 0: time.sleep(60)\n  n += 1\nprint(n)"
    ran = await run("python3", "-I", "-c", code)
    assert ran.ok and 5 < int(ran.output) < QUICK.processes
    assert not processes_with(mark)


@needs_bwrap
async def test_memory_is_bounded_for_one_process_and_for_all_together() -> None:
    one = await python("x = bytearray(400 << 20)")
    assert one.code == 1 and "MemoryError" in one.output
    many = "import os, time\nfor _ in range(4):\n  if os.fork() == 0:\n    x = b'x' * (100 << 20); time.sleep(60)\ntime.sleep(60)"
    began = time.monotonic()
    assert (await python(many)).limit == "memory"
    assert time.monotonic() - began < 8


@needs_bwrap
async def test_an_endless_loop_ends() -> None:
    assert (await python("while True: pass", Limits(seconds=0.5))).limit == "time"
    assert (await python("while True: pass", Limits(seconds=20, cpu_seconds=1))).limit == "cpu"
    closed = "import os, time\nos.close(1); os.close(2); time.sleep(60)"
    assert (await python(closed, Limits(seconds=0.5))).limit == "time"


@needs_bwrap
async def test_endless_output_is_cut_and_a_huge_file_is_not_written() -> None:
    ran = await python("while True: print('spam' * 1000)")
    assert ran.limit == "output" and ran.code is None and len(ran.output) == QUICK.output
    ran = await python("f = open('big', 'wb')\nwhile True: f.write(b'x' * 1000000)")
    assert not ran.ok and (ran.limit == "file size" or "File too large" in ran.output)
    ran = await python("for n in range(20):\n  open(f'/dev/shm/{n}', 'wb').write(b'x' * 2000000)")
    assert "No space left" in ran.output


@needs_bwrap
async def test_cancelling_kills_everything_that_was_started() -> None:
    mark = f"sleeper{os.getpid()}"
    code = f"import os, time\nmark = '{mark}'\nos.setsid() if os.fork() == 0 else 0\ntime.sleep(60)"
    task = asyncio.create_task(run("python3", "-I", "-c", code))
    while not processes_with(mark) and not task.done():  # noqa: ASYNC110 - another process begins
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(50):
        if not processes_with(mark):
            return
        await asyncio.sleep(0.02)
    pytest.fail("a process outlived its sandbox")


@needs_bwrap
async def test_no_more_run_at_once_than_allowed() -> None:
    sandbox = Bubblewrap(parallel=1)
    if why := await sandbox.missing():
        pytest.skip(why)
    code = ("python3", "-c", "import time; print(time.time()); time.sleep(0.2); print(time.time())")
    runs = await asyncio.gather(*(sandbox.run(code, {}, QUICK) for _ in range(3)))
    spans = sorted(tuple(map(float, ran.output.split())) for ran in runs)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@needs_bwrap
async def test_tools_are_those_that_are_there_inside(tmp_path: Path) -> None:
    tool = tmp_path / "kit" / "bin" / "greet"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho hello\n")
    tool.chmod(0o755)
    assert Bubblewrap().tool("sh") and not Bubblewrap().tool("greet")
    sandbox = Bubblewrap(folders=[tmp_path / "kit"])
    assert sandbox.tool("greet")


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a\0b"])
@needs_bwrap
async def test_files_stay_in_their_folder(path: str) -> None:
    sandbox = Bubblewrap()
    if why := await sandbox.missing():
        pytest.skip(why)
    with pytest.raises(InvalidRequest):
        await sandbox.run(("true",), {path: ""}, QUICK)


async def test_without_bubblewrap_nothing_runs_and_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "_PATH", (str(tmp_path),))
    sandbox = Bubblewrap()
    assert "bwrap and prlimit are not installed" in await sandbox.missing()
    with pytest.raises(NoSandbox, match="apt-get install bubblewrap"):
        await sandbox.run(("touch", str(tmp_path / "ran")), {}, QUICK)
    assert not (tmp_path / "ran").exists()
