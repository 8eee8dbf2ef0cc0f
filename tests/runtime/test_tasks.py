"""Tasks and the sandbox as the settings compose them."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeweft.config import SandboxSettings, Settings
from codeweft.runtime.compose import open_runtime, sandbox_of
from codeweft.types import Limits


async def test_tasks_are_models_by_name_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEWEFT_HOME", str(tmp_path))
    settings = Settings.model_validate(
        {"models": {"far": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}}
    )
    async with open_runtime(settings) as runtime:
        listed = [info.name for info in runtime.infos()]
        assert len(runtime.tasks()) == 8 and runtime.sandbox is not None
        assert "codegen@starter" in listed and "fix" in listed and "fix@starter" not in listed
        assert listed[0] == "codegen" and runtime.model("fix@starter").info.kind == "app"


def test_the_settings_bound_the_sandbox_or_leave_it_out() -> None:
    assert sandbox_of(Settings(sandbox=SandboxSettings(enabled=False))) is None
    made = sandbox_of(Settings(sandbox=SandboxSettings(seconds=9, memory_mb=128)))
    assert made is not None and made.limits == Limits(seconds=9, cpu_seconds=3, memory_mb=128)
