"""What answers for hours does not look through everything that it holds again and again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from codeweft.runtime.garbage import THRESHOLDS

SCRIPT = """
import gc
from mcp.server.mcpserver import MCPServer

async def told(self):
    print(*gc.get_threshold(), gc.get_freeze_count() > 10_000)

MCPServer.run_stdio_async = told
from codeweft.cli.mcp import mcp
mcp()
"""


def test_tools_for_agents_settle_before_they_listen(tmp_path: Path) -> None:
    environment = {**os.environ, "CODEWEFT_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == [*map(str, THRESHOLDS), "True"]
