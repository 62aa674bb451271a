#!/bin/sh
# Of an index, the image for a platform: this machine's, or the one that was asked for.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
proxy px "$plain"
px=$at
layout lay
n=0
# one PLATFORM: an image for it; its descriptor, with the platform, is one line more in `all`.
one() {
  n=$((n + 1))
  seed=$((n * 100))
  noise "$seed" 500 >"noise$n"
  tar --mtime=@0 -cf l.tar "noise$n"
  made=$(layer lay l.tar gzip | manifest lay "$1")
  platform "$made" "$1" >>all
}
for p in linux/arm/v6 linux/arm/v7 linux/amd64 linux/arm64/v8 linux/arm/v5 windows/amd64 linux/386; do one $p; done
# What buildkit adds: an attestation for each image, of no platform.
made=$(sed -n 3p all | jq -r .digest)
jq -c --arg d "$made" '.platform = {os: "unknown", architecture: "unknown"} |
  .annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": $d}' all | sed -n 5p >attestation
cat attestation >>all
whole=$(index lay <all)
tag lay all "$whole"
copy oci:lay:all "docker://$plain/bb" --all --preserve-digests
is 'the registry has the index' "$(served "$plain/bb")" "$(printf '%s' "$whole" | jq -r .digest)"

# config: OS/ARCH/VARIANT in the config of the image in the document on stdin. The document may name the
# index; then its manifest is the one that the store has.
config() {
  d=$(digest_of)
  b=$STAVE_ROOT/store
  m=$(blob_of "$b" "$d")
  if jq -e .manifests "$m" >/dev/null; then
    m=$(jq -r '.manifests[].digest' "$m" | while read -r d; do ! [ -e "$(blob_of "$b" "$d")" ] || blob_of "$b" "$d"; done)
  fi
  jq -r '[.os, .architecture, .variant // empty] | join("/")' "$(blob_of "$b" "$(jq -r .config.digest "$m")")"
}
# gives PLATFORM WANTED
gives() {
  another_store
  anew
  try stave pull --platform "$1" "$px/bb"
  is "--platform $1" "$status $(printf '%s' "$out" | config) $err" "0 $2 "
}
machine=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
another_store
anew
try stave pull "$px/bb"
like 'without a word: this machine' "$status $(printf '%s' "$out" | config)" "^0 linux/$machine"
is 'one image of the index is fetched' "$(asked 'GET .*/blobs/')" 2
gives linux/amd64 linux/amd64
gives linux/arm64 linux/arm64/v8
gives linux/arm64/v8 linux/arm64/v8
gives linux/arm/v7 linux/arm/v7
gives linux/arm/v6 linux/arm/v6
gives linux/arm linux/arm/v7
gives linux/386 linux/386
gives linux/x86_64 linux/amd64
gives linux/aarch64 linux/arm64/v8
gives linux/arm/v8 linux/arm/v7
another_store
refuses 'no image for it' 1 '^stave-pull: .*linux/s390x' stave pull --platform linux/s390x "$px/bb"
for odd in '' linux/ /amd64 'linux/amd64/v1/x' 'li nux/amd64' ../..; do
  declines "no platform: '$odd'" '^stave-pull: ' stave pull --platform "$odd" "$px/bb"
done
is 'neither left a name' "$(names)" ''

# One platform after the other in one store: each can be had, the last has the name.
another_store
stave pull --platform linux/arm/v7 "$px/bb" >arm
stave pull --platform linux/amd64 "$px/bb" >amd
is 'one after the other' "$(config <arm) $(config <amd)" 'linux/arm/v7 linux/amd64'
like 'a name of one image' "$(stave images | wc -l)" '^[23]$'

# An image that is no index, for another platform than the one asked for.
arm6=$(sed -n 1p all | jq -r .digest)
another_store
try stave pull "$px/bb@$arm6"
is 'by its digest any image of the index can be had' "$status $(printf '%s' "$out" | config)" "0 linux/arm/v6"

# By the digest of the index.
another_store
try stave pull --platform linux/arm/v7 "$px/bb@$(printf '%s' "$whole" | jq -r .digest)"
is 'by the digest of the index, the platform is chosen' "$status $(printf '%s' "$out" | config)" "0 linux/arm/v7"
