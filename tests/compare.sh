#!/bin/sh
# Unpacks each layout DIR/NAME.oci (tag latest) as one plain tree, as layers under overlayfs, and with
# umoci and with GNU tar, and compares them entry by entry.
set -eu
images=${1:?a directory with NAME.oci in it}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/stave-compare.XXXXXX")
export STAVE_ROOT="$work/root" STAVE_RUN="$work/run"
trap 'stave rm -f compared >/dev/null 2>&1 || :; rm -rf --one-file-system "$work"' EXIT
bad=0
for layout in "$images"/*.oci; do
  name=$(basename "$layout" .oci)
  stave load -t "$name" "$layout" >/dev/null
  stave unpack --to "$work/flat" "$name" >/dev/null
  umoci unpack --image "$layout:latest" "$work/umoci"
  echo "$name: umoci's, and ours"
  python3 "$here/compare.py" "$work/umoci/rootfs" "$work/flat" || bad=1
  echo "$name: GNU tar's (whose root has the time of now), and ours"
  python3 "$here/tar-unpack.py" "$layout" "$work/tar"
  python3 "$here/compare.py" --skip . "$work/tar" "$work/flat" || bad=1
  echo "$name: one plain tree, and overlayfs' (whose root has a time of its own)"
  stave unpack "$name" | stave new compared - | stave mount >/dev/null
  python3 "$here/compare.py" --skip . "$work/flat" "$STAVE_ROOT/names/compared/rootfs/." || bad=1
  stave rm -f compared >/dev/null
  rm -rf "$work/flat" "$work/umoci" "$work/tar"
done
exit $bad
