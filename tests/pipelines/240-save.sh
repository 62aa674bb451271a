#!/bin/sh
# What save writes is read by others and by load; what others write is read by load.
# timeout 120
# shellcheck disable=SC2016 # the inner shells expand
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need skopeo umoci jq zstd
image
before=$(snapshot)

# digest STORE NAME
digest() { jq -r --arg n "$2" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $n).digest' "$1/store/index.json"; }
# into ROOT COMMAND...: with another root
into() { at=$T/$1 && shift && env STAVE_ROOT="$at" "$@"; }

zstd -qc "$prepared/busybox.tar" | stave load -t example.org/z:1 >/dev/null
stave images tag busybox again:2
stave save busybox again:2 example.org/z:1 >all.tar
ok 'a file, in another order' stave save -o all2.tar busybox again:2 example.org/z:1
ok 'the same images are the same bytes' cmp all.tar all2.tar
is 'a layer that two images share is there once' "$(tar -tf all.tar | sort | uniq -d)" ''
into other stave load all.tar >docs
is 'names and digests come back' "$(jq -r .manifests[].digest other/store/index.json | sort)" "$(jq -r .manifests[].digest "$STAVE_ROOT/store/index.json" | sort)"
for name in busybox:latest again:2 example.org/z:1; do
  is "$name is the same image" "$(digest other $name)" "$(digest "$STAVE_ROOT" $name)"
done

# Peers.
copy() { skopeo --insecure-policy copy -q "$@"; }
sum=$(digest "$STAVE_ROOT" busybox:latest)
is 'skopeo reads it as an OCI archive' "$(skopeo --insecure-policy inspect oci-archive:all.tar:docker.io/library/again:2 | jq -r .Digest)" "$sum"
stave save busybox >one.tar
is 'of one image without its name' "$(skopeo --insecure-policy inspect oci-archive:one.tar | jq -r .Digest)" "$sum"
for name in busybox:latest again:2 example.org/z:1; do
  ok "skopeo reads $name as docker's" copy "docker-archive:all.tar:$name" "dir:$(echo "$name" | tr /: __)"
done
diff_id=$(jq -r '.rootfs.diff_ids[0]' "$STAVE_ROOT/store/blobs/sha256/$(jq -r .config.digest "$STAVE_ROOT/store/blobs/sha256/${sum#*:}" | cut -d: -f2)")
is 'its layer is the same once it is plain' "$(for f in busybox_latest/*; do sha256sum <"$f"; zstd -dcq <"$f" 2>/dev/null | sha256sum; gzip -dc "$f" 2>/dev/null | sha256sum; done | grep -c "${diff_id#*:}")" 1
mkdir layout && tar -C layout -xf one.tar
ok 'umoci unpacks it' umoci unpack --image layout:docker.io/library/busybox:latest bundle
is 'with all its files' "$(find bundle/rootfs | wc -l)" "$(find "$B" | wc -l)"
if command -v podman >/dev/null; then
  # podman takes no long name there.
  podrun=$(mktemp -d /tmp/podrun.XXXXXX)
  pod() { podman --root "$T/pod" --runroot "$podrun" --storage-driver vfs --cgroup-manager cgroupfs "$@"; }
  ok 'podman loads it' pod load -q -i all.tar
  is 'under the same names' "$(pod images --format '{{.Repository}}:{{.Tag}}' | sort)" "$(printf '%s\n' docker.io/library/again:2 docker.io/library/busybox:latest example.org/z:1)"
  for form in docker-archive oci-archive docker-dir oci-dir; do
    pod save -q --format $form -o "p.$form" docker.io/library/busybox:latest
    ok "load reads podman's $form" into "root.$form" stave load "p.$form"
    is 'and it is this image' "$(into "root.$form" stave images inspect "$(into "root.$form" stave images -q)" | jq -r '.config.rootfs.diff_ids[0]')" "$diff_id"
  done
  pod save -q -m -o p.many docker.io/library/busybox:latest example.org/z:1
  into many stave load p.many >docs
  is "podman's archive of several" "$(into many stave images --json | jq -r .name | sort)" "$(printf '%s\n' busybox:latest example.org/z:1)"
  pod rmi -af >/dev/null 2>&1
  umount "$T/pod/vfs" 2>/dev/null
  rm -rf "$podrun"
else
  skip 'podman' 'there is no podman'
fi

# Forms of others that have no program here: docker's of old and of 25 on.
conf=$(jq -r .config.digest "$STAVE_ROOT/store/blobs/sha256/${sum#*:}" | cut -d: -f2)
mkdir -p old/one old/two && cp "$prepared/busybox.tar" old/one/layer.tar && echo 1.0 | tee old/one/VERSION >old/two/VERSION
ln -s ../one/layer.tar old/two/layer.tar && cp "$STAVE_ROOT/store/blobs/sha256/$conf" "old/$conf.json"
echo '{"busybox":{"latest":"two"}}' >old/repositories
jq -nc --arg c "$conf.json" '[{Config: $c, RepoTags: ["busybox:latest"], Layers: ["two/layer.tar"]}]' >old/manifest.json
tar -C old -cf old.tar .
ok 'old: a directory a layer, one of them a link' into old1 stave load old.tar
mkdir -p new && tar -C new -xf one.tar && mv new/blobs/sha256 new/real && ln -s ../real new/blobs/sha256
tar -C new -cf new.tar oci-layout index.json manifest.json blobs real
ok 'new: a layout with manifest.json; a directory of blobs that is a link' into new1 stave load new.tar
is 'it is the same image' "$(digest new1 busybox:latest)" "$sum"
zstd -q all.tar && ok 'an archive compressed by zstd, from a pipe' sh -c 'cat all.tar.zst | STAVE_ROOT=$T/zst stave load'
copy oci-archive:one.tar dir:dir1 && ok "skopeo's dir:" into dir1s stave load dir1
is 'its manifest is the same' "$(digest dir1s dir1:latest)" "$sum"

# Several platforms.
jq -c '.manifests[0] as $m | .manifests = [($m | .platform = {os: "linux", architecture: "s390x"}),
  ($m | .digest = "sha256:" + ("0" * 64) | .platform = {os: "linux", architecture: "amd64"})]' layout/index.json >i && mv i layout/index.json
refuses '--platform that is none' 2 'platform' stave load --platform 'a/b/c/d' layout
refuses '--platform that is not there' 1 'no image for linux/riscv64 \(there are: linux/s390x, linux/amd64\)' into p1 stave load --platform linux/riscv64 layout
refuses '--platform of an image whose config says another' 1 'no image for linux/s390x' into p2 stave load --platform linux/s390x layout

# stdout and files.
at stave save busybox </dev/null
like 'a terminal is no place for an archive' "$(cat typed)" 'stdout is a terminal: redirect it, or -o FILE'
try sh -c '{ stave save busybox; echo $? >st; } | head -c 100 >/dev/null'
is 'a reader that goes away: 1, and nothing is said' "$(cat st)$err" 1
refuses 'no such image' 1 'no image nosuch' stave save -o x.tar nosuch
refuses 'a directory that is not there' 1 'write no/x.tar: No such file' stave save -o no/x.tar busybox
ok 'into a device' stave save -o /dev/null busybox
try sh -c 'stave unpack busybox | stave save | STAVE_ROOT=$T/doc stave load | jq -r .stave.image.digest'
is 'the image of a document' "$out" "$sum"
truncate -s -1 "$STAVE_ROOT/store/blobs/sha256/$conf"
refuses 'a blob that lost a byte' 1 "$conf" stave save -o x.tar busybox
is 'nothing is left of it' "$(find . -maxdepth 1 -name '*x.tar*')" ''
into fresh true
refuses 'an empty store' 1 'no image busybox' into fresh stave save busybox
is 'it stays as it was' "$(ls fresh 2>/dev/null)" ''
nothing_left 'nothing is left' "$before"
