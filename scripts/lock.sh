#!/usr/bin/env bash
# Resolve pyproject.toml into hashed lock files that name no registry.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p requirements
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --no-annotate "$@"
}
compile pyproject.toml --group build -o requirements/runtime.lock
compile pyproject.toml --group build --group test -c requirements/runtime.lock -o requirements/test.lock
