#!/usr/bin/env bash
# environment.sh PYTHON VENV LOCK: a virtual environment with exactly what LOCK lists, and Codeweft itself from src/.
set -euo pipefail
python=$1 venv=$2 lock=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Codeweft needs Python 3.11 or newer; '$python' is $("$python" --version 2>&1)." >&2
  echo "Install it, or name another one: make start PYTHON=python3.12" >&2
  exit 1
}
if [ ! -x "$venv/bin/python" ]; then
  echo "Creating the Python environment in $venv…"
  "$python" -m venv "$venv" || {
    echo "The venv module is missing. On Debian or Ubuntu: apt-get install python3-venv" >&2
    exit 1
  }
fi
echo "Installing the packages of $lock…"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# uv installs the same locked files ten times faster; pip does where uv cannot be had.
if { [ -x "$venv/bin/uv" ] || "$venv/bin/python" -m pip install --quiet uv 2>/dev/null; } &&
  "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes -r "$lock"; then
  :
else
  "$venv/bin/python" -m pip install --quiet --require-hashes -r "$lock"
fi
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
