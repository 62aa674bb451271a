#!/bin/sh
# What a container wrote becomes an image, and comes out of it again entry by entry.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 tar gzip zstd
[ "$(id -u)" = 0 ] || skip_all 'not root'
image

tree() { python3 "$here/tree.py" "$@"; }
root_of() { echo "$STAVE_ROOT/c/$(id_of "$1")/rootfs"; }
# from IMAGE NAME: a container of an image, its root mounted; $R is that.
from() {
  stave unpack "$1" | stave new "$2" - | stave mount >doc && R=$(root_of "$2")
}
digest() { jq -r .stave.image.digest; }
# blob DIGEST
blob() { echo "$STAVE_ROOT/store/blobs/sha256/${1#*:}"; }
config_of() { cat "$(blob "$(jq -r .config.digest "$(blob "$1")")")"; }
busybox_digest=$(stave unpack busybox | digest)

# Nothing written.
stave unpack busybox >doc
is 'unpack | pack is the document as it was' "$(stave pack <doc)" "$(cat doc)"
is 'an image that is not unpacked, too' "$(stave unpack busybox | jq -c 'del(.stave.layers)' | stave pack | digest)" "$busybox_digest"
mkdir volume && echo v >file
stave run --name idle -v ./volume:/data/deep/er -v ./file:/etc/given -w /srv/dir busybox sh -c 'echo x >/data/deep/er/in-the-volume'
like 'the runtime made places to mount on' "$(find "$STAVE_ROOT/c/$(id_of idle)/upper" -path '*/data/deep/er')" er
is 'a container that wrote nothing has the same digest' "$(stave pack idle | digest)" "$busybox_digest"
is 'also with a message, which is of nothing' "$(stave pack -m why idle | digest)" "$busybox_digest"
is 'diff lists nothing' "$(stave diff idle)" ''
ok 'and a name' stave pack -t other idle
is 'is one more of it' "$(stave unpack other | digest)" "$busybox_digest"
# Opening a file for writing copies it up; that is no change.
stave run --name touched busybox sh -c ': >>/etc/passwd; chmod 755 /var; chown 0:0 /home'
is 'neither is a copy that is as it was' "$(stave diff touched; stave pack touched | digest)" "$busybox_digest"
stave run --name made -v ./volume:/data busybox sh -c 'mkdir /empty; chmod 700 /home'
is 'an empty directory of its own counts, and a mode' "$(stave diff made)" "A /empty
C /home"

# All kinds of things.
from busybox all
python3 "$here/write.py" "$R"
rm "$R/etc/group" && rm -r "${R:?}/home" && mkdir "$R/home" && echo h >"$R/home/new"
rm -r "${R:?}/srv" && echo file >"$R/srv"
rm "$R/bin/ls" && mkdir "$R/bin/ls" && echo in >"$R/bin/ls/in"
rm -r "${R:?}/var"
tree "$R" | grep -v "^b'opt/socket'" >was
ok 'pack' stave pack -t packed -m 'all kinds' -a me -c 'CMD ["cat","/opt/plain"]' -c 'ENV A=1' all
first=$(digest <"$T/out")
from packed again
tree "$R" >came
is 'what was written comes out: content, modes, owners, times, devices, links, attributes' "$(diff was came)" ''
like 'there is a hard link among it' "$(grep zz-hard came)" " = b'"
is 'one layer more' "$(jq '.stave.layers | length' doc)" 2
is 'it runs' "$(stave run --rm packed)" hello
config_of "$first" >config
is 'history' "$(jq -c '.history[-1] | [.created_by, .author, .comment, .empty_layer]' config)" '["CMD [\"cat\",\"/opt/plain\"]; ENV A=1","me","all kinds",null]'
is 'history has an entry for each layer' "$(jq -c '[(.history | length), (.rootfs.diff_ids | length)]' config)" '[2,2]'
is 'author and environment' "$(jq -c '[.author, .config.Env]' config)" '["me",["A=1"]]'
layer=$(jq -r '.layers[-1].digest' "$(blob "$first")")
is 'the diff_id is that of the plain tar' "sha256:$(gzip -dc "$(blob "$layer")" | sha256sum | cut -d' ' -f1)" "$(jq -r '.rootfs.diff_ids[-1]' config)"
names=$(gzip -dc "$(blob "$layer")" | tar -t)
like 'a whiteout' "$names" '^etc/\.wh\.group$'
like 'an opaque directory, marked right behind its entry' "$(echo "$names" | grep -A1 '^home/$' | tail -n 1)" '^home/\.wh\.\.wh\.\.opq$'
unlike 'no socket' "$names" socket
is 'and no attribute of overlayfs' "$(gzip -dc "$(blob "$layer")" | grep -ac 'overlay\.')" 0

# The same again.
export SOURCE_DATE_EPOCH=1700000000
one=$(stave pack all | digest)
is 'twice the same' "$(stave pack all | digest)" "$one"
for how in gzip zstd none; do
  is "$how: the same from 1 thread as from 3" "$(STAVE_THREADS=1 stave pack --compress $how all | digest)" "$(STAVE_THREADS=3 stave pack --compress $how all | digest)"
done
mkdir -p elsewhere && cp -a "$STAVE_ROOT/." elsewhere/
umount elsewhere/c/*/rootfs 2>/dev/null
is 'the same from another directory' "$(STAVE_ROOT=$T/elsewhere STAVE_RUN=$T/run2 stave pack all | digest)" "$one"
is 'created is that moment' "$(config_of "$one" | jq -r .created)" 2023-11-14T22:13:20Z
is 'and no time is later' "$(stave pack --changes all | TZ=UTC tar -tv --full-time | awk '$4 > "2023-11-14" && $1 !~ /^h/' | grep -v 2242)" ''
unset SOURCE_DATE_EPOCH

# Compressions.
for how in gzip zstd none; do
  ok "--compress $how" stave pack -t $how --compress $how all
  from $how c$how
  tree "$R" >came
  is "$how: the same comes out" "$(diff was came)" ''
done
is 'media types' "$(for how in gzip zstd none; do jq -r '.layers[-1].mediaType' "$(blob "$(stave unpack $how | digest)")"; done)" "application/vnd.oci.image.layer.v1.tar+gzip
application/vnd.oci.image.layer.v1.tar+zstd
application/vnd.oci.image.layer.v1.tar"

# Layer on layer: each sees the one below.
from packed second
rm -r "${R:?}/opt/d" && mkdir "$R/opt/d" && echo 2 >"$R/opt/d/two" && rm "$R/home/new" && mkdir "$R/var" && echo group >"$R/etc/group"
rm "$R/srv" && mkdir "$R/srv" && echo n >"$R/srv/n" && rm -r "${R:?}/bin/ls" && echo ls >"$R/bin/ls"
tree "$R" >was
stave pack -t second second >/dev/null
from second third
tree "$R" >came
is 'pack upon pack: deleted and made again, file and directory' "$(diff was came)" ''

# The filter's document goes on.
stave pack -t filtered - <doc >/dev/null
is 'the filter form packs the container of the document' "$(stave inspect all | stave pack | jq -c '[.stave.layers, (.stave.id != null), (.stave.image.digest | length)]')" '[null,true,71]'
# shellcheck disable=SC2016 # the container's shell expands
is 'a pure change of the config' "$(stave unpack busybox | jq -c 'del(.process)' | stave pack -c 'CMD echo $0 hi' | stave unpack | stave new - | stave mount | stave spawn --rm)" '/bin/sh hi'
is 'is an empty layer in the history' "$(config_of "$(stave unpack busybox | stave pack -c 'ENV X=1' | digest)" | jq -c '[.history[-1].empty_layer, (.rootfs.diff_ids | length)]')" '[true,1]'

# Without an image, and the host.
stave new --rootfs "$B" bare | stave mount | stave spawn -- sh -c 'echo b >/b; rm /etc/passwd' >/dev/null
refuses 'without an image below it is refused' 1 'bare has no image: --scratch' stave pack bare
ok '--scratch' stave pack --scratch -t bare bare
is 'is an image of the changes alone' "$(stave pack --scratch bare | stave unpack | jq -r '.stave.layers[0].dir' | xargs ls)" "b
etc"
refuses '--scratch where there is an image' 2 'has an image below' stave pack --scratch all
stave run --name copy --host sh -c "echo changed >/etc/stave-test; rm /etc/passwd"
refuses 'a copy of the machine is refused' 1 'copy is a copy of this machine' stave pack copy
is 'its changes alone are not' "$(stave pack --changes copy | tar -t | grep etc/)" "etc/
etc/.wh.passwd
etc/stave-test"

# What cannot be.
from busybox odd
echo >"$R/etc/.wh.passwd"
refuses 'a name that means another thing in a layer' 1 '^stave-pack: pack odd: read /etc/.wh.passwd: a name that begins' stave pack odd
rm "$R/etc/.wh.passwd"
refuses 'a line that is none' 1 "pack odd: -c 'FROM x'" stave pack -c 'FROM x' odd
refuses 'a bad name' 2 "^stave-pack: -t: 'Not A Name'" stave pack -t 'Not A Name' odd
refuses 'a level that is none' 2 'level 30' stave pack --level 30 odd
refuses 'an epoch that is none' 1 "SOURCE_DATE_EPOCH 'x'" env SOURCE_DATE_EPOCH=x stave pack odd
refuses 'no such container' 1 'no container none' stave pack none
mkdir "$STAVE_ROOT/c/$(id_of odd)/upper/moved" && setfattr -n trusted.overlay.redirect -v /x "$STAVE_ROOT/c/$(id_of odd)/upper/moved" 2>/dev/null &&
  refuses 'a directory whose content lies elsewhere' 1 '^stave-pack: pack odd: look at /moved: trusted.overlay.redirect: what it holds lies elsewhere' stave pack odd
is 'nothing is left of what failed' "$(find "$STAVE_ROOT/store" -name '.*' -o -path '*leases/*')" ''
