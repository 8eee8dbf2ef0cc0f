"""The process that holds the engine: llama.cpp's own HTTP server from the xllamacpp wheel, on a loopback port.

It is run by path, with any interpreter that has xllamacpp, and imports nothing of this package. Protocol: one JSON
object of parameters on the first line of standard input (dotted names are attributes of `CommonParams`); one JSON
line on standard output when ready (`{"url"}`) or not (`{"error"}`); it ends when standard input closes, which
happens by itself when the parent dies in whatever way.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

ENUMERATIONS = {
    "speculative.types": ("common_speculative_type", "COMMON_SPECULATIVE_TYPE_"),
    "pooling_type": ("llama_pooling_type", "LLAMA_POOLING_TYPE_"),
}


def configure(engine: Any, parameters: dict[str, Any]) -> Any:
    """`parameters` as the engine's own object."""
    params = engine.CommonParams()
    for name, value in parameters.items():
        if name in ENUMERATIONS:
            enumeration, prefix = ENUMERATIONS[name]
            members = getattr(engine, enumeration)
            names = value if isinstance(value, list) else [value]
            found = [getattr(members, prefix + item) for item in names]
            value = found if isinstance(value, list) else found[0]
        *path, attribute = name.split(".")
        target = params
        for part in path:
            target = getattr(target, part)
        setattr(target, attribute, value)
    return params


def main() -> None:
    """Load the model, say where it listens, and stay until the parent goes."""
    # llama.cpp logs to standard output too; the protocol gets a descriptor of its own.
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with contextlib.suppress(OSError):
        # When memory runs out, the kernel shall take the engine and not the server.
        Path("/proc/self/oom_score_adj").write_text("1000")
    parameters = json.loads(sys.stdin.buffer.readline())
    try:
        import xllamacpp

        server = xllamacpp.Server(configure(xllamacpp, parameters))
        answer = {"url": server.listening_address}
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=protocol, flush=True)
        sys.exit(3)
    print(json.dumps(answer), file=protocol, flush=True)
    sys.stdin.buffer.read()
    # Not sys.exit: the server's destructor waits for running requests.
    os._exit(0)


if __name__ == "__main__":
    main()
