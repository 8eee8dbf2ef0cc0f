"""Which branch is checked out in a folder, read from git's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_HEAD: Final = "ref: refs/heads/"


def checked_out_branch(root: Path) -> str:
    """The branch of the repository that `root` is in, "" outside git and at a commit of no branch."""
    for folder in (root, *root.parents):
        entry = folder / ".git"
        try:
            if entry.is_file():
                # A linked work tree: the file says where its own HEAD is.
                location = entry.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
                entry = folder / location
            elif not entry.is_dir():
                continue
            head = (entry / "HEAD").read_text("utf-8", "replace").strip()
        except OSError:
            return ""
        return head.removeprefix(_HEAD) if head.startswith(_HEAD) else ""
    return ""
