#!/bin/sh
# Layers with every kind of entry become trees: held against umoci, GNU tar, and overlayfs itself.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 jq tar zstd
[ "$(id -u)" = 0 ] || skip_all 'owners and devices need root'
tests=$here/..

# compare [WORDS] A B: nothing, or what differs.
compare() {
  python3 "$tests/compare.py" "$@" | grep -v '^#'
}

python3 "$tests/layers.py" good .
python3 "$tests/layout.py" layout good 1.tar 2.tar 3.tar 4.tar
ok "layers of every kind are loaded" stave load -t good layout
ok "and unpacked as one plain tree" stave unpack --to flat good
is "its document has the tree as its root" "$(jq -r .root.path out)" "$T/flat"
is "and no layers" "$(jq .stave.layers out)" null
is "nothing of overlayfs is in it" "$(find flat -name '.wh.*' -o -type c ! -name null)" ''
ok "umoci unpacks them" umoci unpack --image layout:good umoci
# umoci leaves the time of now on directories without an entry, keeps aufs' own files, and its
# times end with the year 2262.
is "the tree is umoci's, entry by entry" \
  "$(compare umoci/rootfs flat --skip .wh..wh.plnk --skip late | grep -Ev '^(\.|deep[d/]*|gone|n{180}|p{90}): mtime ')" ''
touch -d @17000000000 probe # ext4 ends before
is "a year far off" "$(stat -c %Y flat/late)" "$(stat -c %Y probe)"

ok "the layers, one by one, for overlayfs" sh -c 'stave unpack good >doc && stave new good - <doc | stave mount >/dev/null'
is "overlayfs shows the same tree, but for the time of its own root" \
  "$(compare flat "$STAVE_ROOT/names/good/rootfs/." | grep -v '^\.: mtime')" ''
ok "the container goes" stave rm good
of_layer() { jq -r ".stave.layers[$1].dir" doc; }
is "a lowest layer without all its directories is called so" "$(basename "$(of_layer 0)")" "$(sha256sum <1.tar | cut -d' ' -f1).base"
is "one that needs those below is not" "$(basename "$(of_layer 1)" | grep -c "$(sha256sum <2.tar | cut -d' ' -f1)")" 0
is "a file through a lower layer's link is where the link leads" "$(ls -d "$(of_layer 1)/usr/lib/through")" "$(of_layer 1)/usr/lib/through"
is "a hard link to a lower layer's file is one more name of it" \
  "$(stat -c %i "$(of_layer 1)/lower")" "$(stat -c %i "$(of_layer 0)/etc/kept")"

# One layer alone is what GNU tar makes of it.
python3 "$tests/layout.py" one one 1.tar
mkdir tar && tar -C tar -xpf 1.tar --xattrs --xattrs-include='*' --numeric-owner --warning=none
ok "the first layer alone" sh -c 'stave load -t one one >/dev/null && stave unpack --to one.flat one >/dev/null'
is "is what GNU tar makes of it" "$(compare tar one.flat | grep -Ev '^(etc|deep/[d/]*): mtime ')" ''

# Files with holes, in all forms that GNU tar writes.
mkdir holes && truncate -s 5M holes/all && truncate -s 3M holes/none
for at in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29; do
  printf %s "$at" | dd of=holes/many bs=1 seek=$((at * 200000)) conv=notrunc status=none
done
printf start | dd of=holes/ends conv=notrunc status=none && printf end | dd of=holes/ends bs=1 seek=9000000 conv=notrunc status=none
cat holes/many holes/ends >holes/dense && touch -d @1.5 holes/*
for form in 'gnu old' 'posix 0.0' 'posix 0.1' 'posix 1.0'; do
  more=
  [ "${form#posix }" = "$form" ] || more="--sparse-version=${form#posix }"
  # shellcheck disable=SC2086 # a word or none
  tar -cSf sparse.tar --format="${form% *}" $more -C holes .
  rm -rf sparse && python3 "$tests/layout.py" sparse sparse sparse.tar
  stave load -t sparse sparse >/dev/null
  rm -rf sparse.flat && stave unpack --to sparse.flat sparse >/dev/null
  is "holes stay holes: $form" "$(compare holes sparse.flat --ignore mtime)" ''
done

# zstd, in frames with skippable ones between, as zstd:chunked has.
{ head -c 100000 1.tar | zstd -q; printf 'P*M\030\003\0\0\0abc'; tail -c +100001 1.tar | zstd -q; printf '_*M\030\001\0\0\0x'; } >1.tar.zst
sha256sum 1.tar >1.tar.zst.diff
python3 "$tests/layout.py" zst zst 1.tar.zst
ok "zstd in several frames" sh -c 'stave load -t zst zst >/dev/null && stave unpack --to zst.flat zst >/dev/null'
is "is the same tree" "$(compare one.flat zst.flat)" ''
# gzip in several members, and zeros behind them.
{ head -c 100000 1.tar | gzip; tail -c +100001 1.tar | gzip; head -c 10000 /dev/zero; } >1.tar.gz
cp 1.tar.zst.diff 1.tar.gz.diff
python3 "$tests/layout.py" gz gz 1.tar.gz
ok "gzip in several members" sh -c 'stave load -t gz gz >/dev/null && stave unpack --to gz.flat gz >/dev/null'
is "is the same tree, too" "$(compare one.flat gz.flat)" ''

# An ordinary user: everything is the user's, and nothing that needs root is there.
chmod 711 "$T"
mkdir user && chown 65534:65534 user
as_nobody() { (cd user && setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$T/user" STAVE_ROOT="$T/user/root" STAVE_RUN="$T/user/run" "$@"); }
cp -r layout user/layout && chmod -R a+rX user/layout
ok "a user loads them" as_nobody stave load -t good layout
ok "and unpacks them as one tree" as_nobody stave unpack --to flat good
is "it is the same but for owners, devices and what needs root" \
  "$(compare flat user/flat --ignore owner --skip disk --skip null | grep -Ev '^(attributes|caps): xattrs ')" ''
ok "and as layers" as_nobody stave unpack good
is "opaque directories are marked for a mount of the user's" \
  "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.overlay.opaque").decode())' "$(jq -r '.stave.layers[1].dir' out)/opaque")" y

# runc and stave spawn take the document; nothing is mounted.
image
ok "a plain root and spawn" sh -c 'stave unpack --to plain busybox | stave spawn --rm -- test -x /bin/busybox'
if command -v runc >/dev/null; then
  mkdir bundle
  stave unpack --to plain2 busybox | jq '.process.args = ["echo", "runc has it"] | del(.linux.resources)' >bundle/config.json
  is "runc runs it" "$(runc run -b bundle "stave-test-$$")" 'runc has it'
fi
