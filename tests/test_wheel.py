"""The wheel holds everything that the first answer needs, and works away from the source tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = [
    "codeweft/server/static/index.html",
    "codeweft/models/starter/starter.gguf",
    "codeweft/models/starter/MODEL_CARD.md",
    "codeweft/retrieval/encoder/encoder.npz",
    *(f"codeweft/retrieval/terms/{name}" for name in ("ko.tsv", "ja.tsv", "zh.tsv", "english.txt")),
    "codeweft/flows/library/codegen.yaml",
    "codeweft/accounts/migrations/env.py",
    "codeweft/py.typed",
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built as `pip install .` does, unpacked."""
    if not (ROOT / "src/codeweft/server/static/index.html").exists():
        pytest.skip("the page is not built (make web)")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy, so that a build never leaves anything in the tree.
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "node_modules", "training", ".*_cache")
    )
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
    ]
    subprocess.run([*build, folder, source], check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("codeweft-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize("name", NEEDED)
def test_the_wheel_holds(unpacked: Path, name: str) -> None:
    assert (unpacked / name).stat().st_size >= 0


def test_the_wheel_holds_no_sources_of_the_page_and_no_caches(unpacked: Path) -> None:
    names = [str(path.relative_to(unpacked)) for path in unpacked.rglob("*")]
    assert not [name for name in names if name.startswith(("web", "tests")) or "__pycache__" in name]


def test_the_wheel_works_away_from_the_tree(unpacked: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "CODEWEFT_HOME": str(tmp_path / "home")}
    code = "import codeweft.cli; print(codeweft.cli.__file__); codeweft.cli.main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "models", "list", "--json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    place, listed = ended.stdout.split("\n", 1)
    assert place.startswith(str(unpacked))
    assert "starter" in [entry["name"] for entry in json.loads(listed)]
