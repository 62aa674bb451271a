#!/bin/sh
# make order: writes common/sys/order.ld, which lays side by side what the programs that clone go through
# when they do their usual work: runs them step by step, and names what was gone through. To be done
# again when the figures of `make bench` say so; a name that is there no more does no harm.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d /tmp/stave-order.XXXXXX)
export LC_ALL=C STAVE_ROOT="$work/root" STAVE_RUN="$work/run"
trap 'rm -rf --one-file-system "$work"' EXIT
cc -O2 -Wall -o "$work/trace" tests/bench/trace.c
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target/order}" CARGO_PROFILE_RELEASE_STRIP=none
cargo build --release -p stave-oci -p stave-run -p stave-exec
bin=$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/release
PATH="$bin:$PATH"

mkdir -p "$work/b/rootfs/bin" "$work/b/rootfs/etc" "$work/b/rootfs/proc" "$work/b/rootfs/sys" "$work/b/rootfs/dev"
cp /bin/busybox "$work/b/rootfs/bin/"
for a in sh true sleep; do ln -s busybox "$work/b/rootfs/bin/$a"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$work/b/rootfs/etc/passwd"
(cd "$work/b" && stave-oci spec && jq '.process.terminal = false | .process.args = ["sleep", "600"]' config.json >c)
mv "$work/b/c" "$work/b/config.json"
cat >"$work/life.sh" <<'LIFE'
set -e
r="stave-oci --root $1/oci"
cd "$1/b"
$r run -d one
$r state one >/dev/null
$r list >/dev/null
$r ps one >/dev/null
$r exec one true
$r kill one KILL
$r delete -f one
$r create two
$r start two
$r delete -f two
LIFE
# what is gone through of PROGRAM while the words run: its functions, as patterns of a linker script.
# A symbol of Rust's has hashes of crates in it (Cs..._), which every compiler and every version makes anew,
# and references back into itself (B..._), which count characters; libc's are found by their file.
gone_through() { # PROGRAM WORD...
  program=$1
  shift
  "$work/trace" "$program" "$@" >"$work/addresses"
  nm --defined-only "$program" | awk '$2 ~ /[tTwWi]/ { print $1, $3 }' >"$work/symbols"
  sort -s -k1,1 "$work/symbols" "$work/addresses" | awk '
    NF == 2 { if ($1 != at) { n = 0; at = $1 } names[n++] = $2; next }
    { for (i = 0; i < n; i++) print names[i]; n = 0 }' >"$work/names"
  sed '/^_R/!d
    s/\.llvm\.[0-9]*$/*/
    s/Cs[0-9A-Za-z]*_/Cs*_/g
    s/B[0-9A-Za-z]*_/B*_/g
    s/.*/*(.text.*&)/' "$work/names"
  libc=$(cc -print-file-name=libc.a)
  grep -v '^_R' "$work/names" | sort -u >"$work/c"
  nm -A --defined-only "$libc" 2>/dev/null | awk -F '[: ]' '
    NR == FNR { wanted[$1] = 1; next }
    $NF in wanted && $(NF - 1) ~ /[tTwWi]/ { print "*libc.a:" $2 "(.text .text.*)" }' "$work/c" -
}
{
  gone_through "$bin/stave-oci" sh "$work/life.sh" "$work"
  tar -C "$work/b/rootfs" -cf "$work/image.tar" .
  stave load -t order "$work/image.tar" >/dev/null
  stave unpack order >/dev/null
  gone_through "$bin/stave-run" stave-run --rm order true
  stave run -d --name order order sleep 600 >/dev/null
  gone_through "$bin/stave-exec" stave-exec order true
  stave rm -f order >/dev/null
} >"$work/patterns"
{
  echo '/* Written by make order: the functions that are gone through, side by side, so that they take few pages. */'
  echo 'SECTIONS {'
  echo '  .text.used : {'
  sort -u "$work/patterns" | sed 's/^/    /'
  echo '  }'
  echo '} INSERT BEFORE .text;'
} >common/sys/order.ld
wc -l common/sys/order.ld
