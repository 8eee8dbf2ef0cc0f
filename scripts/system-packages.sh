#!/usr/bin/env bash
# Install what the tests need from the system: Chromium (end-to-end tests) and bubblewrap (the sandbox's tests).
# Does nothing where they are there already.
set -euo pipefail
packages=() missing=()
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  packages+=(chromium fonts-dejavu-core fonts-noto-cjk) missing+=("Chromium")
fi
if ! command -v bwrap >/dev/null; then
  packages+=(bubblewrap) missing+=("bubblewrap")
fi
[ ${#packages[@]} -gt 0 ] || exit 0
names=$(IFS=,; echo "${missing[*]}")
if ! command -v apt-get >/dev/null; then
  echo "This is no Debian or Ubuntu, and this was not found: $names. The tests that need it will be skipped." >&2
  exit 0
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
echo "Installing $names for the tests…"
{ $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >/dev/null 2>&1 ||
  echo "Not installed (no rights or no network): $names. The tests that need it will be skipped." >&2
