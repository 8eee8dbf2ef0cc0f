"""Real HTTP servers on loopback for the tests of sources: pages with validators, and git with a password."""

from __future__ import annotations

import os
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Site:
    """Pages by path. A page is its text, bytes with a type, a status, or where it redirects to."""

    def __init__(self) -> None:
        self.pages: dict[str, str | tuple[str, bytes] | int] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []
        self.unchanged: list[str] = []
        self.url = ""

    def etag(self, path: str) -> str:
        return f'"{hash(self.pages.get(path))}"'


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def pages() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            site.asked.append(path)
            if to := site.redirects.get(path):
                self.send_response(302)
                self.send_header("Location", to)
                self.end_headers()
                return
            found = site.pages.get(path, 404)
            if isinstance(found, int):
                self.send_error(found)
                return
            if self.headers.get("If-None-Match") == site.etag(path):
                site.unchanged.append(path)
                self.send_response(304)
                self.end_headers()
                return
            kind, body = found if isinstance(found, tuple) else ("text/html; charset=utf-8", found.encode())
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", site.etag(path))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with serve(Handler) as url:
        site.url = url
        yield site


class Forge:
    """Bare repositories behind HTTP that want a password; `commands` are command lines seen while git was asking."""

    def __init__(self, root: Path, password: str) -> None:
        self.root = root
        self.password = password
        self.users: set[str] = set()
        self.commands: list[str] = []
        self.url = ""


@contextmanager
def forge(root: Path, password: str) -> Iterator[Forge]:
    """Git's own HTTP backend below `root`."""
    hub = Forge(root, password)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            hub.commands.extend(_command_lines())
            kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
            user, _, given = b64decode(encoded).decode().partition(":") if kind == "Basic" else ("", "", "")
            if given != hub.password:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="forge"')
                self.end_headers()
                return
            hub.users.add(user)
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            environment = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(hub.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": parts.path,
                "QUERY_STRING": parts.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "CONTENT_LENGTH": str(len(body)),
                "REMOTE_USER": user,
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with serve(Handler) as url:
        hub.url = url
        yield hub


def _command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
