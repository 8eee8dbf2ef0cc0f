"""Whether an answer can be given."""

from __future__ import annotations

from codeweft.runtime.compose import Runtime


def ready(runtime: Runtime) -> str | None:
    """Why no answer can be given yet; None when one can. An engine that is stopped starts when it is asked."""
    engines = runtime.engines()
    for engine in engines:
        if engine.status in ("starting", "restarting"):
            return f"the engine of {engine.name} is {engine.status}"
    elsewhere = any(
        info.kind in ("upstream", "scripted") and "chat" in info.skills for info in runtime.infos()
    )
    if elsewhere or any(engine.status != "failed" for engine in engines):
        return None
    if engines:
        return "; ".join(f"the engine of {engine.name} failed: {engine.reason}" for engine in engines)
    return "there is no model that writes"
