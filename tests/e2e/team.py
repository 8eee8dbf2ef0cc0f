"""Two people at one server: an administrator, and Grace, who may not read the sample code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.conftest import SAMPLE, Server, start

SECRET_QUESTION = "Where does the plum jam go?"
SETTINGS = """\
sign_in: {registration: approval}
hub: {mirror: "http://127.0.0.1:9"}
"""
"""People register themselves, and models would come from where nobody is."""


@dataclass
class Team:
    server: Server
    admin: httpx.Client
    """The administrator's API."""
    grace: httpx.Client
    conversation: str
    """The administrator's."""

    @property
    def url(self) -> str:
        return self.server.url

    def link(self, name: str = "") -> str:
        """A one-time link for a user; without a name for the administrator."""
        users = done(self.admin.get("/api/users"))
        wanted = next(one for one in users if (one["name"] == name if name else one["role"] == "admin"))
        return self.url + str(done(self.admin.post(f"/api/users/{wanted['id']}/signin"))["path"])


def done(response: httpx.Response) -> Any:
    """The JSON of a response. Raises for one that failed."""
    assert not response.is_error, response.text
    return response.json() if response.content and "json" in response.headers["content-type"] else None


def signed_in(url: str, link: str) -> httpx.Client:
    client = httpx.Client(
        base_url=url, headers={"X-Codeweft": "1"}, follow_redirects=True, timeout=60, trust_env=False
    )
    done(client.get(link))
    return client


@contextmanager
def two_people(folder: Path) -> Iterator[Team]:
    settings = folder / "codeweft.yaml"
    settings.write_text(SETTINGS)
    server = start(folder / "home", "--config", str(settings), "--code", str(SAMPLE))
    try:
        link = server.wait_for(r"Sign in .*?(http://\S+)")[1]
        admin = signed_in(server.url, link)
        user = done(admin.post("/api/users", json={"name": "Grace"}))
        grace = signed_in(server.url, done(admin.post(f"/api/users/{user['id']}/signin"))["path"])
        nobody = {"open": False, "users": [], "teams": []}
        done(admin.put("/api/indexes/sample/access", json=nobody))
        made = done(admin.post("/api/conversations", json={"title": SECRET_QUESTION}))
        yield Team(server, admin, grace, str(made["id"]))
    finally:
        server.stop()
