#!/bin/sh
# SIGKILL at the system calls of whatever writes to the store: the next gc finds all that it left,
# and nothing that was there before is lost.
# timeout 180
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq strace
strace -qq -o trace true 2>/dev/null || skip_all 'strace may not trace here'

mkdir -p one/d two/d && echo 1 >one/d/a && ln one/d/a one/d/b && ln -s a one/d/l && echo 2 >two/d/c && : >two/d/.wh.a
mkdir -p layout/blobs/sha256
put() { sum=$(sha256sum "$1" | cut -d' ' -f1) && cp "$1" "layout/blobs/sha256/$sum" && echo "$sum"; }
arch=amd64
[ "$(uname -m)" != aarch64 ] || arch=arm64
layers='' diffs=''
for dir in one two; do
  tar --sort=name --mtime=@0 --owner=0 --group=0 -cf "$dir.tar" -C "$dir" .
  sum=$(put "$dir.tar")
  layers="$layers,{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$sum\",\"size\":$(stat -c %s "$dir.tar")}"
  diffs="$diffs,\"sha256:$sum\""
done
echo "{\"architecture\":\"$arch\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[${diffs#,}]}}" >config
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' \
  "$(put config)" "$(stat -c %s config)" "${layers#,}" >manifest
printf '{"imageLayoutVersion":"1.0.0"}' >layout/oci-layout
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"two:1"}}]}' \
  "$(put manifest)" "$(stat -c %s manifest)" >layout/index.json

# What is there before: another image, unpacked.
mkdir -p other && echo other >other/file && tar -cf other.tar -C other .
STAVE_ROOT=$T/kept stave load -t other:1 other.tar >/dev/null
STAVE_ROOT=$T/kept stave unpack other:1 >/dev/null

# good: after gc nothing is garbage or temporary, every byte is explained, and `other` is whole.
good() {
  stave images gc >/dev/null || echo 'gc fails'
  stave images gc -n --json | jq -r 'select(.keptBy == []) | .path'
  find "$STAVE_ROOT/store" "$STAVE_ROOT/layers" -name '.*'
  ls "$STAVE_ROOT/store/leases"
  for blob in "$STAVE_ROOT"/store/blobs/sha256/*; do
    [ "$(sha256sum <"$blob" | cut -d' ' -f1)" = "$(basename "$blob")" ] || echo "wrong: $blob"
  done
  dir=$(stave unpack other:1 | jq -r '.stave.layers[0].dir')
  [ "$(cat "$dir/file")" = other ] || echo 'other is lost'
  [ "$(stave images --json | jq -r .name | grep -c other)" = 1 ] || echo 'the name of other is lost'
}

# killed WHAT EVERY COMMAND...: at each of its calls that write, of which each EVERY-th is taken.
calls='mkdir|mkdirat|openat|openat2|write|writev|pwrite64|rename|renameat|renameat2|unlink|unlinkat|rmdir|fsync|fdatasync|syncfs|link|linkat|symlinkat|mknodat|flock|ftruncate|fchown|fchownat|fchmod|fchmodat|utimensat|copy_file_range|sendfile'
killed() {
  what=$1 every=$2 wrong='' killed=0
  shift 2
  rm -rf root && cp -a kept root && ready
  strace -f -qq -o trace "$@" >/dev/null 2>&1 </dev/null
  sed -nE "s/^[0-9]+ +($calls)\\(.*/\\1/p" trace | awk -v every="$every" '{ n[$1]++ } NR % every == 0 { print $1, n[$1] }' >points
  while read -r call n; do
    rm -rf root && cp -a kept root && ready
    strace -f -qq -o trace -e "inject=$call:signal=KILL:when=$n" "$@" >/dev/null 2>&1 </dev/null
    [ "$?" != 137 ] || killed=$((killed + 1))
    found=$(good)
    [ -z "$found" ] || wrong="$wrong
$call number $n: $found"
  done <points
  is "$what, killed at any call: gc finds all that it left" "$wrong" ''
  if [ "$killed" -ge 5 ]; then pass "$what was killed $killed times"; else fail "$what was killed $killed times"; fi
}

STAVE_ROOT=$T/root
export STAVE_ROOT
ready() { :; }
killed load 4 stave-load layout
ready() { stave load layout >/dev/null; }
killed unpack 6 stave-unpack two:1
ready() { stave load layout >/dev/null && stave unpack two:1 >/dev/null; }
killed 'images rm' 2 stave-images rm two:1
ready() { stave load layout >/dev/null && stave unpack two:1 >/dev/null && stave images tag two:1 x:1 && stave images rm two:1 >/dev/null; }
killed 'images tag' 1 stave-images tag x:1 y:1
STAVE_ROOT=$T/none
