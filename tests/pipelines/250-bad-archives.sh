#!/bin/sh
# Archives that lie, break off, or lead elsewhere: one line each, and the store is as before. And
# streams that are larger than the memory they may take.
# timeout 180
# shellcheck disable=SC2016 # the inner shells expand
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 gzip zstd prlimit
image
stave save busybox >good.tar
mkdir good && tar -C good -xf good.tar
m=$(jq -r '.manifests[0].digest' good/index.json | cut -d: -f2)
c=$(jq -r .config.digest "good/blobs/sha256/$m" | cut -d: -f2)
l=$(jq -r '.layers[0].digest' "good/blobs/sha256/$m" | cut -d: -f2)
jq -nc --arg c "blobs/sha256/$c" --arg l "blobs/sha256/$l" '[{Config: $c, RepoTags: ["a"], Layers: [$l]}]' >docker.json
export STAVE_ROOT="$T/fresh"

# bad WHAT REGEX FILE...: it is refused from a file and from a pipe, by a fresh store.
bad() {
  refuses "$1" 1 "^stave-load: (load|open) $3: .*($2)" stave load "$3"
  [ -d "$3" ] || refuses "$1, from a pipe" 1 "^stave-load: load stdin: .*($2)" sh -c 'cat "$0" | stave load' "$3"
  is 'nothing came of it' "$(find "$STAVE_ROOT" 2>/dev/null | grep -v "^$STAVE_ROOT$")" ''
}
# like_good EDIT...: a copy of the good layout, changed there, as bad.tar
like_good() {
  rm -rf bad bad.tar && cp -a good bad && (cd bad && eval "$1") && (cd bad && tar -cf ../bad.tar -- *)
}
# oci EDIT: its index.json through jq
oci() { like_good "rm manifest.json; jq -c '$1' index.json >i && mv i index.json"; }
# docker EDIT: a docker archive whose manifest.json went through jq
docker() { like_good "rm index.json oci-layout; jq -c '$1' ../docker.json >manifest.json"; }

for part in 40 90; do
  for form in tar tar.gz tar.zst; do
    case $form in tar.gz) gzip -c good.tar >good.tar.gz ;; tar.zst) zstd -qf good.tar ;; esac
    head -c "$(($(stat -c %s good.$form) * part / 100))" good.$form >short
    bad "$form, cut off at $part %" 'end of|unexpected|end mark|incomplete|cut off|corrupt' short
  done
done
printf 'PK\003\004\024\000' >zip && bad 'a zip' 'a zip archive' zip
echo 'some text' >text && bad 'text' 'no archive' text
head -c 20000 /dev/urandom >noise && bad 'noise' 'no archive|not a tar' noise
printf '\037\213\010\000' >gz && bad 'the head of a gzip' 'no archive' gz
: >empty && refuses 'an empty file' 1 'load empty: it is empty' stave load empty
head -c 4096 /dev/zero >zeros && bad 'nothing but zeros' 'nothing in it' zeros
xz -c good.tar >good.xz 2>/dev/null && bad 'xz' 'xz -dc' good.xz

oci '.manifests = []' && bad 'an index of nothing' 'no images in it' bad.tar
oci '.manifests[0].size += 1' && bad 'a size that is wrong' 'its descriptor says' bad.tar
oci '.manifests[0].digest = "sha256:../../../etc/passwd"' && bad 'a digest that leads elsewhere' 'digest' bad.tar
oci '.manifests[0].mediaType = "text/plain"' && bad 'a media type of something else' 'no manifest of an image but text/plain' bad.tar
oci '.manifests[0].digest = "sha256:" + ("0" * 64)' && bad 'a manifest that is not there' 'no blob sha256:0000' bad.tar
like_good 'echo "{" >index.json' && bad 'an index.json that is none' 'index.json: ' bad.tar
like_good "rm blobs/sha256/$l" && bad 'a layer that is not there' "no blob sha256:$l" bad.tar
like_good "echo >>blobs/sha256/$l" && bad 'a layer that is another' "blob sha256:$l is something else" bad.tar
like_good "ln -sf $l blobs/sha256/$c" && bad 'a config that is another, by a link' 'no blob|something else' bad.tar
like_good "ln -sf $c blobs/sha256/$m; ln -sf $m blobs/sha256/$c" && bad 'links in a circle' 'symbolic links|no blob' bad.tar
like_good 'mv blobs real; ln -s /etc blobs' && bad 'blobs that lie outside' 'no blob|no image' bad.tar
# An index of indexes of indexes.
like_good 'rm manifest.json; for n in 1 2 3 4 5; do
  d=$(sha256sum <index.json | cut -d" " -f1); cp index.json blobs/sha256/$d
  jq -nc --arg d sha256:$d --argjson s "$(stat -c %s index.json)" "{schemaVersion: 2, manifests: [{mediaType: \"application/vnd.oci.image.index.v1+json\", digest: \$d, size: \$s}]}" >i && mv i index.json
done'
bad 'indexes within indexes' 'indexes within indexes' bad.tar
docker '.[0].Layers = ["../../../../etc/passwd"]' && bad 'a layer by ..' 'no ../../../../etc/passwd, which manifest.json names' bad.tar
docker '.[0].Layers = []' && bad 'fewer layers than the config says' '0 layers in manifest.json, 1 in' bad.tar
docker '.[0].RepoTags = ["../x"]' && bad 'a name that is none' "'../x' is not a name" bad.tar
docker '[]' && bad 'no images' 'no images in it' bad.tar
docker '.[0].Layers = [.[0].Config]' && bad 'a layer that is another file' 'its diff_id is' bad.tar

# Written by hand: what tar does not write.
python3 - "$c" <<'END'
import io, sys, tarfile
def entry(name, data=b"", **more):
    i = tarfile.TarInfo(name)
    i.size = len(data)
    for k, v in more.items(): setattr(i, k, v)
    return i.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)
end = bytes(1024)
open("twice.tar", "wb").write(entry("index.json", b"{}") + entry("index.json", b"[]") + end)
open("many.tar", "wb").write(entry("index.json", b"{}") + b"".join(entry("blobs/%d" % n) for n in range(60000)) + end)
huge = bytearray(entry("index.json"))
huge[124:136] = b"777777777777"
huge[148:156] = b"        "
huge[148:156] = b"%06o\0 " % sum(huge)
open("huge.tar", "wb").write(bytes(huge) + end)
open("long.tar", "wb").write(entry("index.json", b" " * (17 << 20)) + end)
END
bad 'two files of one name' 'two files are called index.json' twice.tar
bad 'more entries than images have' 'more than 50000 entries' many.tar
bad 'a size beyond the end' 'end of|unexpected' huge.tar
bad 'an index larger than any' 'larger than any JSON' long.tar
mkfifo bad/fifo 2>/dev/null && rm -f bad/index.json bad/manifest.json && mkfifo bad/index.json && bad 'a FIFO for an index' 'no regular file' bad
rm -rf dir && mkdir dir && bad 'a directory of nothing' 'neither index.json' dir

# A store that has something stays as it is, too.
export STAVE_ROOT="$T/root"
was=$(cd "$STAVE_ROOT" && find . | sort)
like_good "echo >>blobs/sha256/$l"
refuses 'a lie, into a store with images' 1 'something else' stave load bad.tar
is 'it is as before' "$(cd "$STAVE_ROOT" && find . | sort)" "$was"
ok 'and takes the good one' stave load good.tar

# 256 MiB of zeros through 64 MiB of address space for all of a process.
zeros() {
  python3 -c '
import sys, tarfile
i = tarfile.TarInfo("zeros"); i.size = 256 << 20
o = sys.stdout.buffer
o.write(i.tobuf())
for n in range(256): o.write(bytes(1 << 20))
o.write(bytes(1024))'
}
small() { prlimit --as=67108864 "$@"; }
zeros | gzip -1 | small stave import -t zeros >/dev/null
is 'import of 256 MiB, gzip, in 64 MiB of address space' "$?" 0
try sh -c 'prlimit --as=67108864 stave save zeros | STAVE_ROOT=$T/small prlimit --as=67108864 stave load'
is 'save and load of it' "$status$err" 0
is 'it is the same' "$(printf '%s\n' "$out" | jq -r .stave.image.digest)" "$(stave images --json | jq -r 'select(.name == "zeros:latest").digest')"
