#!/bin/sh
# Installs the Debian packages named (all of tests/packages without words) that are missing. Where
# there is no apt, or no right to use it, says what is missing: what needs it is skipped aloud.
set -eu
cd "$(dirname "$0")"
# shellcheck disable=SC2046 # words
[ $# -gt 0 ] || set -- $(cat packages)
missing=
for p in "$@"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q ' installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing, and not installed (no apt, or not root):$missing" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # words
install() { apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 install --no-install-recommends $missing >/dev/null; }
install || { apt-get -qq update && install; }
