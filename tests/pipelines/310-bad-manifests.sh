#!/bin/sh
# Pull of what is no image, or lies: one line each, nothing in the store, nothing outside.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
noisy lay good 2 1000
good=$digest
copy oci:lay:good "docker://$plain/bb:good" --preserve-digests
proxy px "$plain" --blobs "$T/plain/files"
px=$at
manifest=$(blob_of lay "$good")
type=$oci.manifest.v1+json

# served_as TYPE FILE: whatever manifest is asked for, this comes.
served_as() {
  echo "* * /manifests/ body 200 $1 $2" | faults
}
# bad WHAT REGEX [TYPE]: the manifest on stdin is refused.
bad() {
  cat >given
  served_as "${3-$type}" "$T/given"
  another_store
  declines "$1" "^stave-pull: .*($2)" stave pull "$px/bb:x"
  [ -z "$(names)$(untrue)" ] || fail "$1: nothing of it is in the store" "$(names)$(untrue)"
}
# edited FILTER [WORDS]: the good manifest, changed.
edited() {
  jq -c "$@" "$manifest"
}

{ printf '{"pad":"' && head -c 5242880 /dev/zero | tr '\0' x && printf '"}'; } >g
bad 'a manifest of five MiB' 'limit|MiB|large|big|size|bytes' <g
printf '<html>Sign in to the network</html>' >g
bad 'a page' 'html|JSON' text/html <g
printf '<html>Sign in to the network</html>' >g
bad 'a page that says that it is a manifest' 'manifest|JSON' <g
printf '' >g
bad 'nothing' 'manifest|JSON|EOF|empty' <g
printf '[]' >g
bad 'a list' 'manifest|map|object' <g
printf '{}' >g
bad 'an object without keys' 'manifest|config|layers|missing' <g
head -c 60 "$manifest" >g
bad 'half of one' 'manifest|JSON|EOF' <g
printf '\377\376\000' >g
bad 'no text' 'manifest|JSON|UTF|expected' <g
edited '.mediaType = "application/vnd.foo.thing+json"' >g
bad 'an unknown type' 'application/vnd.foo.thing' application/vnd.foo.thing+json <g
edited '.config.mediaType = "application/vnd.cncf.helm.config.v1+json"' >g
bad 'a chart' 'artifact of type application/vnd.cncf.helm' <g
edited '.artifactType = "application/vnd.example.sbom" | .config = {mediaType: "application/vnd.oci.empty.v1+json", digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", size: 2}' >g
bad 'an artifact' 'artifact of type application/vnd.example.sbom' <g
printf '{"schemaVersion":1,"name":"bb","tag":"x","architecture":"amd64","fsLayers":[],"history":[]}' >g
bad "docker's schema 1" 'schema ?1|v1' application/vnd.docker.distribution.manifest.v1+prettyjws <g
edited '.layers[0].mediaType = "application/vnd.foo.layer"' >g
bad 'a layer of unknown type' 'application/vnd.foo.layer' <g
edited '.layers[0] |= (.mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" | .digest = "sha256:" + "2" * 64)' >g
bad 'a foreign layer that is nowhere' '2222222.*foreign' <g
edited '.layers[0] |= (.mediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" | .urls = ["file:///etc/passwd"] | .digest = "sha256:" + "2" * 64)' >g
bad 'a foreign layer in a file' 'file|2222222' <g
edited '.layers[0].digest = "sha256:../../../../../../../../tmp/x"' >g
bad 'a digest that is a path' 'digest' <g
edited '.layers[0].digest = "../../../x"' >g
bad 'a digest without an algorithm' 'digest' <g
edited '.layers[0].digest = "md5:d41d8cd98f00b204e9800998ecf8427e"' >g
bad 'a digest of another algorithm' 'md5' <g
edited '.layers[0].digest |= ascii_upcase' >g
bad 'a digest in upper case' 'digest|SHA256' <g
edited '.layers[0].size = -1' >g
bad 'a negative size' 'size|-1|integer' <g
edited '.layers[0].size = 4611686018427387904' >g
bad 'a size beyond all disks' 'size|4611686018427387904|bytes' <g
edited '.layers[0].size += 1' >g
bad 'a size that is wrong by one' "$(edited -r '.layers[0].digest')" <g
edited '.layers[0].size = 1.5' >g
bad 'half a byte' 'size|1.5|integer|float' <g
edited '.config.size = 100000000' >g
bad 'a config of 100 MB' 'config|limit|size' <g
edited '.config.size += 1' >g
bad 'a config whose size is wrong' "config|$(edited -r '.config.digest')" <g
edited '.config = .layers[0]' >g
bad 'a layer for a config' 'config|mediaType|type' <g
edited '.config |= (.digest = "sha256:" + "0" * 64)' >g
bad 'a config that is not there' '0000000' <g
edited '.layers |= [.[0]]' >g
bad 'fewer layers than the config has' 'diff_id|layers' <g
edited '.layers += [.layers[0]]' >g
bad 'more layers than the config has' 'diff_id|layers' <g
edited ".layers[0] as \$l | .layers = [range(30000) | \$l]" >g
bad 'very many layers' 'limit|MiB|large|big|size|diff_id|layers' <g

# A registry that contradicts itself.
served_as "$type" "$manifest"
another_store
declines 'another manifest than the digest asked for' "$(printf %064d 0)" stave pull "$px/bb@sha256:$(printf %064d 0)"
is 'has no name' "$(names)" ''
echo "* * /manifests/ header Docker-Content-Digest:sha256:$(printf %064d 0)" | faults
pull_fails 'another digest than the registry says' 'digest|0000000' "$px/bb:good"
echo "* * /manifests/ drop Docker-Content-Digest" | faults
pulls 'no word of the digest' "$px/bb:good" "$good"
pulls 'nor where it was asked for' "$px/bb@$good" "$good"
echo "* * /manifests/ header Content-Type:application/octet-stream" | faults
pulls 'a type that says nothing: that in the manifest counts' "$px/bb:good" "$good"
echo "* * /manifests/ header Content-Type:$type;charset=utf-8" | faults
pulls 'a type with parameters' "$px/bb:good" "$good"
echo "* HEAD /manifests/ status 405" | faults
pulls 'a registry that knows no HEAD' "$px/bb:good" "$good"

# What is unusual and right.
foreign=$(edited -r '.layers[0].digest')
edited ".layers[0] |= (.mediaType = \"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\" | .urls = [\"http://127.0.0.1:$(cat "$P/storage")/$foreign\"])" >given
served_as "$type" "$T/given"
echo "* GET /blobs/$foreign status 404" | cat "$P/faults" - >f
faults <f
pulls 'a foreign layer that is where it says' "$px/bb:x" "sha256:$(sha256sum <given | cut -d' ' -f1)"
is 'is fetched there' "$(asked "^STORAGE GET .*$foreign 200 auth=- ")" 1
anew
edited '.layers += [.layers[0]]' >given
c=$(jq -c '.rootfs.diff_ids += [.rootfs.diff_ids[0]]' "$(blob_of lay "$(edited -r .config.digest)")" | blob lay)
d=$(descriptor lay $oci.config.v1+json "$c")
m=$(jq -c --argjson c "$d" '.config = $c' given | blob lay)
tag lay twice "$(descriptor lay $type "$m")"
copy oci:lay:twice "docker://$plain/bb:twice" --preserve-digests
echo | faults
pulls 'a layer twice' "$px/bb:twice" "$m"
is 'is fetched once' "$(asked "GET .*$(edited -r '.layers[0].digest') ")" 1

# Indexes.
other=$(noisy lay arm 1 500 && echo "$digest")
arm=$(platform "$(descriptor lay $type "$other")" linux/arm/v7)
amd=$(platform "$(descriptor lay $type "$good")" linux/amd64)
itype=$oci.index.v1+json
# bad_index WHAT REGEX: the descriptors on stdin as an index are refused.
bad_index() {
  jq -cs --arg t "$itype" '{schemaVersion: 2, mediaType: $t, manifests: .}' >index
  served_as "$itype" "$T/index"
  another_store
  # What the index names is asked for by digest: the registry has it.
  echo "* * /manifests/x\$ body 200 $itype $T/index" | faults
  declines "$1" "^stave-pull: .*($2)" stave pull "$px/bb:x"
  [ -z "$(names)$(untrue)" ] || fail "$1: nothing of it is in the store" "$(names)$(untrue)"
}
printf '' >g
bad_index 'an index of nothing' 'platform|manifest|no image|empty' <g
printf '%s\n' "$arm" >g
bad_index 'an index without our platform' 'linux/amd64' <g
like 'says which there are' "$err" 'linux/arm/v7'
printf '%s\n' "$amd" | jq -c '.size = -5' >g
bad_index 'a negative size in an index' 'size|-5|integer' <g
printf '%s\n' "$amd" | jq -c '.size += 1' >g
bad_index 'a wrong size in an index' "${good#sha256:}|size" <g
printf '%s\n' "$amd" | jq -c '.digest = "sha256:../../x"' >g
bad_index 'a path for a digest in an index' 'digest' <g
printf '%s\n' "$amd" | jq -c '.digest = "sha256:" + "1" * 64' >g
bad_index 'a manifest that is not there' '1111111' <g
inner=$(printf '%s\n' "$amd" | index lay)
inner_digest=$(printf '%s' "$inner" | jq -r .digest)
cp "$(blob_of lay "$inner_digest")" inner
outer=$(printf '%s\n' "$inner" | jq -cs --arg t "$itype" '{schemaVersion: 2, mediaType: $t, manifests: .}')
printf '%s' "$outer" >outer
printf '%s\n' "* * /manifests/x\$ body 200 $itype $T/outer" "* * /manifests/$inner_digest\$ body 200 $itype $T/inner" | faults
another_store
ok 'an index of indexes' stave pull "$px/bb:x"
like 'has the image' "$(find "$STAVE_ROOT/store/blobs" -name "${good#sha256:}")" .
is 'one name' "$(names)" "$px/bb:x"

# Of many indexes in each other.
n=0
printf '%s\n' "* * /manifests/$inner_digest\$ body 200 $itype $T/inner" >f
while [ $n -lt 8 ]; do
  n=$((n + 1))
  inner=$(printf '%s\n' "$inner" | index lay)
  inner_digest=$(printf '%s' "$inner" | jq -r .digest)
  echo "* * /manifests/$inner_digest\$ body 200 $itype $(blob_of "$T/lay" "$inner_digest")" >>f
done
echo "* * /manifests/x\$ body 200 $itype $(blob_of "$T/lay" "$inner_digest")" >>f
faults <f
another_store
declines 'nine indexes in each other' '^stave-pull: .*index' stave pull "$px/bb:x"
is 'no name' "$(names)" ''
