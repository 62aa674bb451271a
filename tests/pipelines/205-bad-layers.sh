#!/bin/sh
# timeout 120
# Layers that lie, break off, lead out or are too much: one clear line, nothing outside, nothing left.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 jq
[ "$(id -u)" = 0 ] || skip_all 'mounts of its own need root'
tests=$here/..

mkdir bad && echo canary >bad/canary
python3 "$tests/layers.py" bad bad
left() { ls -A "$STAVE_ROOT/layers/sha256" 2>/dev/null; }
for tar in bad/*.tar; do
  name=$(basename "$tar" .tar)
  rm -rf layout && python3 "$tests/layout.py" layout "$name" "$tar"
  stave load -t "$name" layout >/dev/null
  try stave unpack "$name"
  is "$name: status 1, one line" "$status $(wc -l <err) $(cut -d: -f1-2 err)" '1 1 stave-unpack: unpack layer sha256'
  try stave unpack --to to "$name"
  is "$name: the same for a plain tree, which is not left" "$status $(wc -l <err) $(ls -d to 2>/dev/null)" '1 1 '
  [ "$(wc -c <err)" -lt 500 ] || fail "$name: a short line" "$err"
done
is "no layer is left, nor a piece of one" "$(left)" ''
like "a line says what, where and why" "$(stave unpack pax-uid 2>&1)" \
  '^stave-unpack: unpack layer sha256:[0-9a-f]{64}: extract f: uid 99999999999 is out of range$'
like "a link out" "$(stave unpack hard-link-up 2>&1)" 'extract h: link to etc/hostname: No such file or directory$'
like "a cut archive" "$(stave unpack cut-in-data 2>&1)" 'unexpected end of file$'

# What looks like a way out and is none.
cp bad/inside.ok inside.tar && rm -rf layout && python3 "$tests/layout.py" layout inside inside.tar
stave load -t inside layout >/dev/null
ok "names with .. and absolute ones stay inside" stave unpack --to inside inside
is "what a link outside points to is not written" "$(cat bad/canary)" canary
is "nothing came beside the tree" "$(ls "$T"/up "$T"/absolute "$T"/dots /absolute /up /dots 2>/dev/null)" ''
is "it is in the tree" "$(cd inside && ls -d up absolute dots e ."$(realpath "$T")"/bad/canary)" \
  "./$(realpath "$T" | cut -c2-)/bad/canary
absolute
dots
e
up"
ok "and as a layer" stave unpack inside

# Compressed data.
python3 "$tests/layers.py" good . && gzip -c 1.tar >whole.gz
damaged() {
  sha256sum 1.tar >"$1.diff"
  rm -rf layout && python3 "$tests/layout.py" layout damaged "$1"
  try stave load -t damaged layout
  is "$2: refused by load" "$status $(wc -l <err)" '1 1'
}
head -c -9 whole.gz >cut.gz && damaged cut.gz 'a gzip stream that is cut'
{ cat whole.gz; echo rubbish; } >rubbish.gz && damaged rubbish.gz 'something that is not gzip behind it'
{ gzip -c 1.tar; gzip -c 2.tar; } >two.gz && damaged two.gz 'another diff_id'
# The blob is damaged, or exchanged, behind the store's back.
rm -rf layout && python3 "$tests/layout.py" layout good 1.tar && stave load -t good layout >/dev/null
blob=$STAVE_ROOT/store/blobs/sha256/$(stave unpack -n good | sed -n 's/.*blobs.sha256.\([0-9a-f]*\).*/\1/p')
cp "$blob" kept && gzip -c 4.tar >"$blob"
like "a blob that is another" "$(stave unpack good 2>&1)" 'it is something else: its diff_id is sha256:'
head -c 2000 kept >"$blob"
try stave unpack good
is "a blob that is cut: one line" "$status $(wc -l <err)" '1 1'
cp kept "$blob"
is "nothing is left of it" "$(left | grep '^\.')" ''

# Where it goes to.
mkdir full && : >full/file
like "a directory that is not empty" "$(stave unpack --to full good 2>&1)" '^stave-unpack: full is not empty$'
is "it is as it was" "$(ls full)" file
like "a file" "$(stave unpack --to full/file good 2>&1)" '^stave-unpack: read full/file: Not a directory$'
like "no parent" "$(stave unpack --to no/where good 2>&1)" '^stave-unpack: mkdir no/where: No such file or directory$'
mkdir small && mount -t tmpfs -o size=512k tmpfs small
like "a full disk" "$(stave unpack --to small good 2>&1)" 'extract big: write it: No space left on device$'
is "nothing is left on it" "$(ls -A small)" ''
mount -o remount,ro small
like "a read-only disk" "$(stave unpack --to small/x good 2>&1)" '^stave-unpack: mkdir small/x: Read-only file system$'
umount small
mount -t tmpfs -o size=100M,nr_inodes=20 tmpfs small
like "a disk without inodes" "$(stave unpack --to small good 2>&1)" 'No space left on device$'
is "nothing is left there" "$(ls -A small)" ''
umount small
ok "few descriptors are enough" sh -c 'ulimit -n 20; exec stave unpack --to few good'
try sh -c 'ulimit -n 5; exec stave unpack --to fewer good'
is "too few: one line, and nothing is left" "$status $(wc -l <err) $(ls -d fewer 2>/dev/null)" '1 1 '

like "devices without the right to make them" \
  "$(setpriv --bounding-set -mknod --inh-caps -mknod stave unpack --to devices good 2>&1)" 'extract null: mknod: Operation not permitted$'
is "nothing of it is left" "$(ls -d devices 2>/dev/null)" ''
like "an owner that a user namespace does not have" "$(unshare -Ur stave unpack --to inner good 2>&1)" 'extract suid: chown it to 1000:1000: Invalid argument$'

# Many entries take no memory: they are not remembered.
python3 "$tests/layers.py" many many.tar 60000 && rm -rf layout && python3 "$tests/layout.py" layout many many.tar
stave load -t many layout >/dev/null && mkdir ram && mount -t tmpfs tmpfs ram
ok "60,000 entries within 40 MiB of memory" sh -c 'ulimit -d 40000; exec stave unpack --to ram/many many'

# A signal takes away what was made.
for each in TERM-143 INT-130 HUP-129; do
  signal=${each%-*}
  rm -rf ram/many
  env --default-signal stave unpack --to ram/many many >/dev/null 2>err &
  while [ ! -e ram/many/d1000 ] && kill -0 $! 2>/dev/null; do :; done
  kill "-$signal" $! 2>/dev/null
  wait $!
  status=$?
  is "SIG$signal ends it with 128+n" "$status" ${each#*-}
  is "and nothing is left" "$(ls -A ram)" ''
done
umount ram
