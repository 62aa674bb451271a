#!/bin/sh
# From an image: every form in which one comes is loaded, and a lie in one is found.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need skopeo umoci jq gzip
rootfs

before=$(snapshot)
ok 'a tar of a root file system is an image' stave load -t busybox "$prepared/busybox.tar"
like 'images lists it' "$(stave images)" 'busybox.*latest'

# One line from the image to the process.
try sh -c 'stave unpack busybox | stave new web - | stave mount | stave ns | stave limit -m 64M |
  stave spawn -- sh -c "cat /etc/passwd; pwd"'
like 'the pipeline runs a command in it' "$out" '^web:x:33:34::/srv:$'
is 'and nothing is said beside' "$err" ''
like 'ps -a names the image' "$(stave ps -a)" 'busybox.* exited 0 .* web$'
ok 'rm' stave rm web
nothing_left 'the container is gone' "$before"

# Images as others make them.
umoci init --layout oci && umoci new --image oci:bb
umoci raw add-layer --image oci:bb "$prepared/busybox.tar" 2>/dev/null
umoci config --image oci:bb --config.cmd cat --config.cmd /etc/group --config.env GREETING=hello \
  --config.workingdir /srv --config.user web
copy() { skopeo --insecure-policy copy -q oci:oci:bb "$1"; }
copy oci-archive:oci.tar:bb
copy docker-archive:docker.tar:example.org/bb:1
gzip -k oci.tar docker.tar
gzip -c "$prepared/busybox.tar" >tree.tar.gz
# The same docker archive with its files under other names, the index last.
mkdir docker && tar -C docker -xf docker.tar
mv docker/"$(jq -r '.[0].Config' docker/manifest.json)" docker/a.json
mv docker/"$(jq -r '.[0].Layers[0]' docker/manifest.json)" docker/b.tar
jq -c '.[0].Config = "a.json" | .[0].Layers = ["b.tar"]' docker/manifest.json >m && mv m docker/manifest.json
tar -C docker -cf mixed.tar a.json b.tar manifest.json
# A layout whose blobs are links to somewhere else.
cp -a oci linked && mv linked/blobs/sha256 blobs && mkdir linked/blobs/sha256
for blob in blobs/*; do ln -s "$T/$blob" linked/blobs/sha256/; done

# loads WHAT COMMAND...: in a store of its own the command loads an image, from which a container runs.
loads() {
  what=$1
  shift
  n=$((${n-0} + 1))
  STAVE_ROOT=$T/store$n
  try sh -c '"$@" | stave unpack | stave new - | stave mount | stave spawn --rm -- sh -c "grep ssl /etc/group; ls /bin | wc -l"' sh "$@"
  is "$what" "$out$err" "ssl:x:101:web
$(find "$B/bin" ! -type d | wc -l)"
  STAVE_ROOT=$T/root
}
loads 'an OCI layout' stave load oci
loads 'an OCI layout with links for blobs' stave load linked
for form in oci docker; do
  loads "an $form archive" stave load $form.tar
  loads "an $form archive, gzip" stave load $form.tar.gz
  loads "an $form archive from a pipe" sh -c "cat $form.tar | stave load"
  loads "an $form archive from stdin, gzip" sh -c "stave load - <$form.tar.gz"
done
loads 'a docker archive that does not begin with its index' sh -c 'cat mixed.tar | stave load'
loads 'a tar, gzip, from a pipe' sh -c 'cat tree.tar.gz | stave load -t bb'

# The image's config becomes the process.
is 'a layout gives the name, its reference the tag' "$(stave load oci | jq -r '.stave.image.annotations["org.opencontainers.image.ref.name"]')" oci:bb
stave unpack oci:bb >doc
is 'command' "$(jq -c .process.args doc)" '["cat","/etc/group"]'
is 'working directory' "$(jq -r .process.cwd doc)" /srv
is 'user, and group from its passwd' "$(jq -c '.process.user | [.uid, .gid, .additionalGids]' doc)" '[33,34,[34,101]]'
like 'environment' "$(jq -r '.process.env[]' doc)" '^GREETING=hello$'

# Lies. Each is told in one line, and the store holds nothing of it.
STAVE_ROOT=$T/lies
manifest=$(jq -r '.manifests[0].digest' oci/index.json | cut -d: -f2)
layer=$(jq -r '.layers[0].digest' "oci/blobs/sha256/$manifest" | cut -d: -f2)
config=$(jq -r '.config.digest' "oci/blobs/sha256/$manifest" | cut -d: -f2)
cp -a oci liar
printf 'X' | dd of="liar/blobs/sha256/$layer" bs=1 seek=500 conv=notrunc status=none
refuses 'a layer that is not what its digest says' 1 "$layer" stave load liar

# put: a blob from stdin into layout liar2; prints its digest.
put() {
  cat >blob && sum=$(sha256sum <blob | cut -d' ' -f1) && cp blob "liar2/blobs/sha256/$sum" && echo "$sum"
}
cp -a oci liar2
c=$(jq -c '.rootfs.diff_ids[0] = "sha256:" + ("0" * 64)' "oci/blobs/sha256/$config" | put)
m=$(jq -c --arg d "sha256:$c" --argjson s "$(stat -c %s "liar2/blobs/sha256/$c")" '.config.digest = $d | .config.size = $s' "oci/blobs/sha256/$manifest" | put)
jq -c --arg d "sha256:$m" --argjson s "$(stat -c %s "liar2/blobs/sha256/$m")" '.manifests[0].digest = $d | .manifests[0].size = $s' oci/index.json >liar2/index.json
refuses 'a layer that is not what its diff_id says' 1 'its diff_id is .* the config says sha256:0000000000' stave load liar2
is 'it is no image' "$(stave images -q)" ''
is 'and no layer' "$(ls "$STAVE_ROOT/layers/sha256")" ''

cut_short() { head -c "$(($(stat -c %s "$1") / 2))" "$1"; }
for file in oci.tar docker.tar oci.tar.gz docker.tar.gz tree.tar.gz "$prepared/busybox.tar"; do
  cut_short "$file" >short
  refuses "truncated: $(basename "$file")" 1 'load short: ' stave load -t bb short
done
is 'none of them is in the store' "$(stave images -q)" ''
is 'nor is a file of theirs' "$(find "$STAVE_ROOT" -type f -path '*sha256*')" ''
STAVE_ROOT=$T/root
