#!/usr/bin/env bash
# Install what the end-to-end tests need from the system: Chromium. Does nothing where it is there already.
set -euo pipefail
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null && exit 0
if ! command -v apt-get >/dev/null; then
  echo "Chromium was not found and this is no Debian or Ubuntu: the browser tests will be skipped." >&2
  exit 0
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
echo "Installing Chromium for the browser tests…"
{ $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core fonts-noto-cjk; } >/dev/null 2>&1 ||
  echo "Chromium could not be installed (no rights or no network): the browser tests will be skipped." >&2
