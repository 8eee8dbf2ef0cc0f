#!/usr/bin/env bash
# clients.sh [all]: editors' and agents' programs that tests/clients drives, into .cache/clients.
# Without "all" the small ones (llm, LiteLLM, LangChain, tabby-agent); with it aider, Claude Code, Codex and opencode
# too (1.5 GB).
set -uo pipefail
cd "$(dirname "$0")/.."
at=.cache/clients
mkdir -p "$at"

python_programs() { # folder, lock file
  [ -x "$at/$1/bin/python" ] && [ "$at/$1/.done" -nt "$2" ] && return
  python3 -m venv --clear "$at/$1" &&
    { "$at/$1/bin/python" -m pip install --quiet uv 2>/dev/null || true; } &&
    { "$at/$1/bin/uv" pip install --quiet --python "$at/$1/bin/python" -r "$2" 2>/dev/null ||
      "$at/$1/bin/python" -m pip install --quiet -r "$2"; } &&
    touch "$at/$1/.done" || echo "Not installed: the programs of $2. The tests that need them will be skipped." >&2
}

node_programs() { # folder, packages
  local folder=$at/$1
  shift
  command -v npm >/dev/null || return
  [ "$folder/.done" -nt scripts/clients.sh ] && return
  mkdir -p "$folder" && echo '{"private": true}' >"$folder/package.json" &&
    (cd "$folder" && npm install --silent --no-audit --no-fund --ignore-scripts "$@") &&
    touch "$folder/.done" || echo "Not installed: $*. The tests that need it will be skipped." >&2
}

launcher() { # program, candidates
  local name=$1 native
  shift
  for native in "$@"; do
    [ -f "$native" ] && ln -sf "$PWD/$native" "$at/$name/$name" && return
  done
}

python_programs python tests/clients/python.txt
node_programs node tabby-agent@1.5.0
if [ "${1:-}" = all ]; then
  python_programs aider tests/clients/aider.txt
  node_programs claude @anthropic-ai/claude-code@2.1.197
  node_programs codex @openai/codex@0.169.0
  node_programs opencode opencode-ai@1.18.33
  # Their launchers are put in place by scripts of the packages, which are not run.
  launcher claude "$at/claude/node_modules/@anthropic-ai"/*/claude
  launcher codex "$at/codex/node_modules/@openai"/codex-*/vendor/*/bin/codex
  launcher opencode "$at/opencode/node_modules"/opencode-*-*/bin/opencode
fi
exit 0
