"""Git repositories: fetched with depth 1 at a branch, tag or commit, with a token that no other program sees."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

from codeweft.errors import InvalidRequest, StorageFailed, UpstreamFailed

GIT_SECONDS: Final = 3600
"""A fetch that takes longer hangs."""
PROBE_SECONDS: Final = 20
_SAFE: Final = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-c", "protocol.ext.allow=never"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false"),
)
_USERS: Final = {"bitbucket.org": "x-token-auth", "gitlab.com": "oauth2"}
"""User names that forges want beside a token; GitHub and most others take any."""
_ABBREVIATED: Final = re.compile(r"[0-9a-f]{7,39}")
_NO_REPOSITORY: Final = ("not found", "not valid: is this a git repository", "unable to update url base")
"""What git says of an address that answers and is no repository."""

Report = Callable[[str, int], None]


def fetch(url: str, ref: str, root: Path, token: str, report: Report) -> str:
    """Bring `root` to the newest commit of `ref` ("" for the default branch); that commit.

    Raises `UpstreamFailed` when git cannot fetch, `InvalidRequest` for a token that would travel in the clear,
    `StorageFailed` when the disk is full.
    """
    report(f"fetching {url}", 0)
    cloned = (root / ".git").is_dir()
    before = commit_of(root) if cloned else ""
    try:
        _fetch(url, ref, root, token)
    except UpstreamFailed:
        if not cloned or _run("rev-parse", "--verify", "HEAD^{tree}", cwd=root).returncode == 0:
            raise
        # A fetch that was killed can leave a clone that git does not accept any more.
        shutil.rmtree(root)
        _fetch(url, ref, root, token)
    commit = commit_of(root)
    if before and before != commit:
        _forget_earlier(root)
    report(f"fetched {url}", 100)
    return commit


def commit_of(root: Path) -> str:
    """The commit checked out in `root`, or "" outside git."""
    if shutil.which("git") is None or not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return ""
    done = _run("rev-parse", "--verify", "--quiet", "HEAD", cwd=root, within=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def is_repository(url: str) -> bool:
    """Whether git can read `url`, or at least whether nothing there says that it is no repository."""
    if shutil.which("git") is None:
        return False
    try:
        done = _run(*_SAFE, "ls-remote", "--", url, "HEAD", timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode == 0 or not any(mark in done.stderr for mark in _NO_REPOSITORY)


def check_token(url: str, token: str) -> None:
    """Raises `InvalidRequest` when a token for `url` would be of no use or could be read on its way."""
    parts = urlsplit(url)
    if token and (
        parts.scheme not in ("https", "http") or (parts.scheme == "http" and not _here(parts.hostname))
    ):
        raise InvalidRequest(
            f"A token is sent over https only, not to {url}.",
            fix="Use the https URL of the repository.",
            param="token",
        )


def _here(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _fetch(url: str, ref: str, root: Path, token: str) -> None:
    check_token(url, token)
    if not (root / ".git" / "HEAD").is_file():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        _checked(url, ref, token, "init", "--quiet", cwd=root)
    for lock in (*(root / ".git").glob("*.lock"), *(root / ".git" / "refs").rglob("*.lock")):
        # Only the holder of the index's lock works here: whoever made this one was killed.
        lock.unlink(missing_ok=True)
    if _ABBREVIATED.fullmatch(ref):
        ref = _whole_name(url, ref, root, token)
    _checked(
        url,
        ref,
        token,
        "fetch",
        "--depth",
        "1",
        "--no-tags",
        "--force",
        "--quiet",
        "--",
        url,
        ref or "HEAD",
        cwd=root,
    )
    _checked(url, ref, token, "reset", "--hard", "--quiet", "FETCH_HEAD", cwd=root)
    _run(*_SAFE, "clean", "-ffdxq", cwd=root)


def _whole_name(url: str, ref: str, root: Path, token: str) -> str:
    """The commit that an abbreviation names; `ref` itself when a branch or tag has that name.

    Servers know commits by their whole name only, so the history is fetched, without any files, to look in.
    """
    if _checked(url, ref, token, "ls-remote", "--", url, ref, cwd=root).stdout.strip():
        return ref
    with TemporaryDirectory(dir=root.parent, prefix="history-") as folder:
        history = Path(folder)
        _checked(url, ref, token, "init", "--quiet", "--bare", cwd=history)
        every = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        _checked(url, ref, token, "fetch", "--filter=tree:0", "--quiet", "--", url, *every, cwd=history)
        found = _checked(url, ref, token, "rev-parse", "--verify", f"{ref}^{{commit}}", cwd=history)
        return found.stdout.strip()


def _forget_earlier(root: Path) -> None:
    """Delete what only earlier commits held, so that what the source deleted is not kept here."""
    for name in ("FETCH_HEAD", "ORIG_HEAD"):
        (root / ".git" / name).unlink(missing_ok=True)
    _run(*_SAFE, "reflog", "expire", "--expire=now", "--all", cwd=root)
    _run(*_SAFE, "repack", "-a", "-d", "-q", cwd=root)
    _run(*_SAFE, "prune", "--expire=now", cwd=root)


def _checked(url: str, ref: str, token: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = _run(*_SAFE, *arguments, cwd=cwd, token=token, url=url)
    if done.returncode != 0:
        raise _failed(url, ref, done.stderr, token)
    return done


def _run(
    *arguments: str,
    cwd: Path | None = None,
    token: str = "",
    url: str = "",
    timeout: float = GIT_SECONDS,
    within: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run git. Only `within` may `cwd` belong to a repository further up: no clone of ours may change another one."""
    if shutil.which("git") is None:
        raise UpstreamFailed(
            "git is not installed.", fix="Install git (apt install git), or index a folder instead."
        )
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": os.environ.get(
            "GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new"
        ),
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
        "LC_ALL": "C",
        **({} if within or cwd is None else {"GIT_CEILING_DIRECTORIES": str(cwd.resolve().parent)}),
        **(_credentials(url, token) if token else {}),
    }
    try:
        return subprocess.run(
            ["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, errors="replace",
            check=False, stdin=subprocess.DEVNULL, timeout=timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        if timeout < GIT_SECONDS:
            raise
        raise UpstreamFailed(f"git has not fetched {url} within an hour.", fix="Check the network.") from None


def _credentials(url: str, token: str) -> Mapping[str, str]:
    """The token as git configuration in the environment: arguments are seen by everyone on the machine."""
    parts = urlsplit(url)
    user, _, password = token.rpartition(":")
    pair = f"{user or _USERS.get(parts.hostname or '', 'x-access-token')}:{password}"
    return {
        "GIT_CONFIG_COUNT": "2",
        # An empty value first: helpers of this machine must not answer instead.
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_1": f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}",
    }


def _failed(url: str, ref: str, stderr: str, token: str) -> UpstreamFailed | StorageFailed:
    for secret in filter(None, (token, token.rpartition(":")[2])):
        stderr = stderr.replace(secret, "***")
    lines = [
        line for line in stderr.strip().splitlines() if line.startswith(("fatal", "remote:", "error", "ssh"))
    ]
    why = "; ".join(lines[-2:]) or stderr.strip()[-200:] or "no message"
    if "No space left" in stderr:
        return StorageFailed(
            f"The disk is full, {url} could not be fetched.", fix="Free some space and try again."
        )
    refused = "Check that the token is valid and may read this repository." if token else ""
    fixes = {
        "couldn't find remote ref": f"Check that the branch or tag {ref!r} exists.",
        "not our ref": f"Check that the commit {ref!r} exists and is on a branch or tag.",
        "Needed a single revision": f"Check that the commit {ref!r} exists and is on a branch or tag.",
        "Authentication": refused
        or "Give a token, or check that git has credentials for it (credential helper).",
        "could not read Username": refused
        or "The repository is private or missing: give a token, git credentials, or an ssh URL.",
        "error: 403": refused or "Give a token that may read this repository.",
        "Permission denied": "Check that this machine's ssh key may read the repository.",
        "Could not resolve": "Check the host name and this machine's network.",
    }
    fix = next(
        (text for mark, text in fixes.items() if mark in stderr),
        "Check that `git clone` works with this URL.",
    )
    return UpstreamFailed(f"git could not fetch {url}: {why}.", fix=fix)
