#!/bin/sh
# Push: the same bytes arrive, what is there is not sent, and others pull it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 zstd
rootfs
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry src
src=$at
registry dst
dst=$at
for form in gzip zstd none; do
  noisy lay $form 2 150000 $form
  copy "oci:lay:$form" "docker://$src/bb:$form" --preserve-digests
done
copy oci:lay:gzip "docker://$src/bb:docker" --format v2s2
proxy px "$dst"
px=$at

# pushed WHAT REF DIGEST: that is what the last push said, and what is there.
pushed() {
  is "$1" "$status $err $out $(served "$(echo "$2" | sed "s/$px/$dst/")")" "0  ${2%:*}@$3 $3"
}
for form in gzip zstd none docker; do
  wanted=$(served "$src/bb:$form")
  stave pull "$src/bb:$form" >doc
  try sh -c "stave push - $px/$form:1 <doc"
  pushed "pull, push: $form layers, the same digest" "$px/$form:1" "$wanted"
  ok 'skopeo pulls it' copy "docker://$dst/$form:1" "oci:back$form:1" --preserve-digests
  is 'the same' "$(jq -r '.manifests[0].digest' "back$form/index.json")" "$wanted"
done
gzip=$(served "$src/bb:gzip")
try sh -c "stave pull $src/bb:gzip | stave push - $px/pipe:1"
pushed 'in one pipe' "$px/pipe:1" "$gzip"
try sh -c "stave pull $src/bb:gzip | stave unpack | stave push - $px/pipe:2"
pushed 'behind unpack' "$px/pipe:2" "$gzip"
try stave push "$src/bb:gzip" "$px/named:1"
pushed 'by its name' "$px/named:1" "$gzip"
stave images tag "$src/bb:gzip" "$px/own:name"
try stave push "$px/own:name"
pushed 'to its own name' "$px/own:name" "$gzip"
stave pull "$dst/own:name" >doc
try sh -c 'stave push <doc'
is 'the document alone: to its own name' "$status $err $out" "0  $dst/own@$gzip"
try stave push "$gzip" "$px/digest:1"
[ "$status" != 0 ] || pushed 'by digest' "$px/digest:1" "$gzip"

# Who fails for ever is given up after a while.
aside p500 "$dst" '* POST . status 500'
begin_store=$STAVE_ROOT
begin p500 stave push "$src/bb:gzip" "$at/fault:500"

# What is there is not sent.
anew
try stave push "$src/bb:gzip" "$px/named:1"
pushed 'push of what is there' "$px/named:1" "$gzip"
is 'sends no blob' "$(asked '^(POST|PATCH|PUT) .*/blobs/')" 0
noisy lay more 3 150000
copy oci:lay:more "docker://$src/bb:more" --preserve-digests
more=$digest
stave pull "$src/bb:more" >/dev/null
anew
try stave push "$src/bb:more" "$px/named:2"
pushed 'one layer more' "$px/named:2" "$more"
is 'the layer and the config are sent' "$(asked '^POST .*/blobs/uploads/')" 2

# Cross-repository mounts: the image came from this registry.
stave pull "$px/named:2" >/dev/null
anew
try stave push "$px/named:2" "$px/mounted:1"
pushed 'to another repository of the registry it came from' "$px/mounted:1" "$more"
is 'its layers are mounted' "$(asked '^POST .*mount=.* 201 ')" "$(asked '^POST ')"
is 'nothing is sent' "$(asked '^(PATCH|PUT) .*/blobs/')" 0
echo '* POST mount= nomount' | faults
try stave push "$px/named:2" "$px/refused:1"
pushed 'a registry that mounts nothing' "$px/refused:1" "$more"
like 'is sent the blobs' "$(asked '^PUT .*/blobs/')" '^[1-9]'
echo '* POST mount= status 405' | faults
try stave push "$px/named:2" "$px/refused:2"
is 'nor answers well to a mount' "$status $err" '0 '

# Many layers go at the same time.
echo '* PUT /blobs/ meet 2' | faults
try stave push "$src/bb:gzip" "$px/parallel:1"
pushed 'uploads that wait for each other' "$px/parallel:1" "$gzip"
is 'go together' "$(asked ALONE)" 0

# Faults.
for how in absolute relative; do
  echo "* * uploads location $how" | faults
  try stave push "$src/bb:gzip" "$px/location:$how"
  pushed "$how Locations" "$px/location:$how" "$gzip"
done
n=0
# survives WHAT RULE...
survives() {
  survived=$1
  shift
  n=$((n + 1))
  printf '%s\n' "$@" '* POST mount= nomount' | faults
  try stave push "$src/bb:gzip" "$px/fault$n:1"
  pushed "$survived" "$px/fault$n:1" "$gzip"
  [ "$(asked 'fault=[^ ]*(cutup|forget|end|status|drop)')" != 0 ] || fail "$survived: it happened" "$(requests)"
}
survives 'an upload cut midway' '1 PATCH . cutup 50000' '1 PUT /blobs/ cutup 50000'
survives 'an upload whose answer is lost' '1 PATCH . forget' '1 PUT /blobs/ forget'
survives 'a manifest whose answer is lost' '1 PUT /manifests/ end'
survives 'a manifest that does not arrive' '1 PUT /manifests/ forget'
survives '500 at each step, once' '1 POST . status 500' '1 PATCH . status 502' '1 PUT /blobs/ status 503' '1 PUT /manifests/ status 500' '1 HEAD . status 500'
survives '429' '1 POST . status 429 Retry-After:1' '1 PUT /manifests/ status 429 Retry-After:0'
survives 'an upload that is forgotten' '1 PUT /blobs/ status 404' '1 PATCH . status 404'
survives 'no word of the digest' '* * . drop Docker-Content-Digest'
# fails WHAT REGEX RULE...
fails() {
  failed=$1 regex=$2
  shift 2
  n=$((n + 1))
  printf '%s\n' "$@" '* POST mount= nomount' | faults
  declines "$failed" "^stave-push: .*($regex)" stave push "$src/bb:gzip" "$px/fault$n:1"
  [ "$(curl -sS -o /dev/null -w '%{http_code}' -I "http://$dst/v2/fault$n/manifests/1" -H "Accept: $oci.manifest.v1+json")" = 404 ] ||
    fail "$failed: there is no such image"
}
declined '500 for ever' p500 '^stave-push: .*500'
is 'there is no such image' "$(curl -sS "http://$dst/v2/fault/tags/list" | jq -r '.errors[].code')" NAME_UNKNOWN
fails 'not allowed' '403|denied' '* POST . status 403'
is 'is tried once' "$(requests '^POST .*/uploads/ 403' | wc -l)" "$(requests '^HEAD .*/blobs/' | wc -l)"
fails 'a manifest refused' '400|invalid' '* PUT /manifests/ status 400'
fails 'no Location' 'Location|where to' '* POST . drop Location'
fails 'a full registry' '507|413' '* PUT /blobs/ status 507' '* PATCH . status 507'
echo "* PUT /manifests/ header Docker-Content-Digest:sha256:$(printf %064d 0)" | faults
declines 'a registry that says that it has something else' '0000000' stave push "$src/bb:gzip" "$px/liar:1"
echo | faults
declines 'nobody there' 'refused' stave push "$src/bb:gzip" 127.0.0.1:1/bb:1
declines 'no such image' 'none' stave push none "$px/none:1"
declines 'a name that is none' '' stave push "$src/bb:gzip" "$px/BB:1"
declines 'no document' '^stave-push: .*document' sh -c "stave push - $px/bb:1 </dev/null"
declines 'a document without an image' '^stave-push: .*image' sh -c "echo '{}' | stave push - $px/bb:1"
try sh -c "true | stave push - $px/bb:1"
is 'an empty pipe: silent' "$status $err" '1 '
declines 'a store that lost a layer' "$(jq -r '.layers[3].digest' "$(blob_of lay "$more")" | cut -c8-19)" sh -c "
  cp -a '$STAVE_ROOT' lost && rm 'lost/store/blobs/sha256/$(jq -r '.layers[3].digest' "$(blob_of lay "$more")" | cut -c8-)'
  STAVE_ROOT=$T/lost stave push $src/bb:more $px/lost:1" || :

# Streams.
ok 'push' sh -c "stave push $src/bb:gzip $px/streams:1 >said 2>beside"
is 'stdout is NAME@DIGEST, which pull takes' "$(cat said beside)" "$px/streams@$gzip"
ok 'stave pull takes it' stave pull "$(cat said)"
ok '--json' sh -c "stave push --json=5 $src/bb:gzip $px/streams:2 5>events >said 2>beside"
is 'events are lines of JSON' "$(jq -cs 'length > 0 and all(type == "object")' events) $(cat said beside)" "true $px/streams@$gzip"
ok '-q' sh -c "stave push -q $src/bb:gzip $px/streams:3 >said 2>beside"
is 'says the name, nothing else' "$(cat said beside)" "$px/streams@$gzip"

# What load made of an archive.
stave load -t loaded:1 "$prepared/busybox.tar" >doc
try sh -c "stave push - $px/loaded:1 <doc"
pushed 'what was loaded' "$px/loaded:1" "$(digest_of <doc)"
if command -v podman >/dev/null && [ "$(id -u)" = 0 ]; then
  # It wants a short name there.
  short=$(mktemp -d /tmp/stave-p.XXXXXX)
  try podman --root "$T/podman" --runroot "$short" --storage-driver vfs pull -q --tls-verify=false "$dst/loaded:1"
  like 'podman pulls it' "$status $out $err" '^0 [0-9a-f]{64} $'
  rm -rf "$short"
fi

# Credentials.
need htpasswd
tokens issuer
echo 'joe secret' >issuer/users
registry token "$token_auth"
proxy pt "$at"
pt=$at
refuses 'without credentials' 1 '^stave-push: .*(401|nauthorized|denied|login)' stave push "$src/bb:gzip" "$pt/x/bb:1"
mkdir home/.docker
echo "{\"auths\":{\"$pt\":{\"auth\":\"$(printf joe:secret | base64)\"}}}" >home/.docker/config.json
ok 'with them' stave push "$src/bb:gzip" "$pt/x/bb:1"
like 'one token for both' "$(cat issuer/log)" ' repository:x/bb:(pull,push|push,pull) 200$'
stave pull "$pt/x/bb:1" >/dev/null
anew
ok 'a mount with tokens' stave push "$pt/x/bb:1" "$pt/y/bb:1"
is 'is done' "$(asked '^POST .*mount=.* 201 ')" 4
like 'the token is for both' "$(tail -n 1 issuer/log)" 'repository:x/bb:pull'
echo 1 >issuer/expires
echo 300 >issuer/says
printf '%s\n' '1 POST . drip 1 0' '2 PUT /blobs/ status 500' | faults
ok 'tokens that expire midway' stave push "$src/bb:more" "$pt/z/bb:1"
