#!/bin/sh
# What pack writes is read by others: umoci and skopeo, and podman where it is.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq umoci skopeo python3
[ "$(id -u)" = 0 ] || skip_all 'not root'
image

tree() { python3 "$here/tree.py" "$1" | grep -v "opt/socket"; }
stave unpack busybox | stave new all - | stave mount >/dev/null
R=$STAVE_ROOT/c/$(id_of all)/rootfs
python3 "$here/write.py" "$R"
rm "${R:?}/etc/group" && rm -r "${R:?}/home" && mkdir "$R/home" && echo h >"$R/home/new" && rm -r "${R:?}/srv" && echo file >"$R/srv"
tree "$R" >was

# umoci keeps no attribute trusted.*, and Go's tar no empty one: compare without.
sed 's/ trusted[^ ]*//; s/ user.empty=//' was >plain
for how in gzip zstd none; do
  stave pack -t "$how:1" --compress $how -c 'CMD ["cat","/opt/plain"]' all >/dev/null
  ok "$how: skopeo copies it" skopeo --insecure-policy copy -q "oci:$STAVE_ROOT/store:$how:1" "oci:copy:$how"
  # umoci reads no zstd.
  [ $how != zstd ] || continue
  ok "$how: umoci unpacks it" umoci unpack --image "copy:$how" "umoci-$how"
  tree "umoci-$how/rootfs" | sed 's/ trusted[^ ]*//' >came
  is "$how: entry by entry the same" "$(diff plain came)" ''
done

# The other way round: what umoci packs of the same changes, unpacked by us.
skopeo --insecure-policy copy -q "oci:$STAVE_ROOT/store:busybox:latest" oci:theirs:bb
umoci unpack --image theirs:bb bundle
R=bundle/rootfs
python3 "$here/write.py" "$R"
rm "${R:?}/etc/group" && rm -r "${R:?}/home" && mkdir "$R/home" && echo h >"$R/home/new" && rm -r "${R:?}/srv" && echo file >"$R/srv"
rm "$R/opt/socket"
ok 'umoci repack' umoci repack --image theirs:bb bundle
layer() { jq -r '.layers[-1].digest' "$1/blobs/sha256/$2" | sed 's/sha256://'; }
names() { gzip -dc "$1" | tar -t --quoting-style=escape | sed 's,^\./,,; s,/$,,' | grep -v '^\.\{0,1\}$' | sort; }
ours=$(stave unpack gzip:1 | jq -r .stave.image.digest | cut -d: -f2)
theirs=$(jq -r '.manifests[0].digest' theirs/index.json | cut -d: -f2)
names "$STAVE_ROOT/store/blobs/sha256/$(layer "$STAVE_ROOT/store" "$ours")" >names.ours
names "theirs/blobs/sha256/$(layer theirs "$theirs")" >names.theirs
# They mark each name that is gone, where we mark the directory; and parents that did not change.
is 'umoci writes the same entries' "$(diff names.ours names.theirs | grep '^[<>]' | grep -v 'home\|/\.wh\.')" ''

# docker's media types stay: a layout with a manifest of schema 2.
skopeo --insecure-policy copy -q --format v2s2 "oci:$STAVE_ROOT/store:busybox:latest" dir:schema2
mkdir -p layout/blobs/sha256 && cp schema2/???????????????????????????????????????????????????????????????? layout/blobs/sha256/
sum=$(sha256sum <schema2/manifest.json | cut -d' ' -f1)
cp schema2/manifest.json "layout/blobs/sha256/$sum"
echo '{"imageLayoutVersion":"1.0.0"}' >layout/oci-layout
jq -n --arg d "sha256:$sum" --argjson s "$(stat -c %s schema2/manifest.json)" '{schemaVersion: 2, manifests: [{mediaType: "application/vnd.docker.distribution.manifest.v2+json", digest: $d, size: $s}]}' >layout/index.json
stave load -t schema:2 layout >/dev/null && stave run --name schema schema:2 sh -c 'echo x >/x'
types() {
  digest=$(stave pack --compress "$1" schema | jq -r '.stave.image | .mediaType, .digest')
  echo "$digest" | head -n 1
  jq -r '.mediaType, .config.mediaType, .layers[].mediaType' "$STAVE_ROOT/store/blobs/sha256/${digest##*:}"
}
d=application/vnd.docker o=application/vnd.oci.image
is 'schema 2 stays schema 2' "$(types gzip)" "$d.distribution.manifest.v2+json
$d.distribution.manifest.v2+json
$d.container.image.v1+json
$d.image.rootfs.diff.tar
$d.image.rootfs.diff.tar.gzip"
is 'with zstd it becomes OCI' "$(types zstd)" "$o.manifest.v1+json
$o.manifest.v1+json
$o.config.v1+json
$o.layer.v1.tar
$o.layer.v1.tar+zstd"

if command -v podman >/dev/null; then
  export STORAGE_DRIVER=vfs
  # It refuses long paths.
  runroot=$(mktemp -d /tmp/podman.XXXXXX)
  podman="podman --root $T/podman --runroot $runroot --cgroup-manager=cgroupfs"
  for how in gzip zstd; do
    skopeo --insecure-policy copy -q "oci:$STAVE_ROOT/store:$how:1" "oci-archive:$how.tar:localhost/$how:1"
    if $podman load -q -i $how.tar >/dev/null 2>err; then
      id=$($podman create --network none --ulimit host "localhost/$how:1" 2>err) && at=$($podman mount "$id") && tree "$at" | sed 's/ trusted[^ ]*//' >came
      # podman's own mount points, and attributes that its store drops.
      is "$how: podman's container has the same files" "$(sed 's/ user[^ ]*//g' came | cut -d' ' -f1,2,3 | grep -v "^b'\(dev\|proc\|sys\|etc\|run\|\.\)" | sort)" "$(cut -d' ' -f1,2,3 plain | grep -v "^b'\(dev\|proc\|sys\|etc\|run\|\.\)" | sort)"
    else
      skip "$how: podman reads it" "podman does not work here: $(head -n 1 err)"
    fi
  done
  # It leaves a mount on its root.
  $podman rm -af >/dev/null 2>&1
  umount -l "$T"/podman/*/ "$T"/podman 2>/dev/null
  rm -rf "$runroot"
else
  skip 'podman reads it' 'there is no podman'
fi
