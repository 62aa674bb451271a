#!/bin/sh
# images cp: from registry to registry, without a store.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 htpasswd
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry src
src=$at
registry dst
dst=$at
noisy lay x 2 100000
x=$digest
copy oci:lay:x "docker://$src/bb:x" --preserve-digests
copy oci:lay:x "docker://$src/bb:docker" --format v2s2
amd=$(platform "$(jq -c '.manifests[0] | del(.annotations)' lay/index.json)" linux/amd64)
seed=50
noisy lay arm 1 3000
arm_digest=$digest
arm=$(platform "$(descriptor lay $oci.manifest.v1+json "$digest")" linux/arm/v7)
whole=$(printf '%s\n' "$amd" "$arm" | index lay)
tag lay all "$whole"
whole=$(printf '%s' "$whole" | jq -r .digest)
copy oci:lay:all "docker://$src/bb:all" --all --preserve-digests
proxy ps "$src"
ps=$at
S=$P
proxy pd "$dst"
pd=$at

# copies WHAT DIGEST SRC DST [WORDS...]
copies() {
  what=$1 wanted=$2 from=$3 into=$4
  shift 4
  try stave images cp "$@" "$from" "$into"
  is "$what" "$status $err $out $(served "$(echo "$into" | sed "s/$pd/$dst/")")" "0  ${into%:*}@$wanted $wanted"
}
copies 'an image' "$x" "$ps/bb:x" "$pd/bb:x"
is 'without a store' "$(find "$STAVE_ROOT" -type f)" ''
anew
copies 'once more' "$x" "$ps/bb:x" "$pd/bb:x"
is 'nothing is sent' "$(asked '^(POST|PATCH|PUT) .*/blobs/')" 0
is 'nor fetched' "$(sed -n '/blobs/p' "$S/log" | grep -c '^GET')" 3
copies "docker's types" "$(served "$src/bb:docker")" "$ps/bb:docker" "$pd/bb:docker"
copies 'by digest' "$x" "$ps/bb@$x" "$pd/dig:x"
anew
copies 'within a registry' "$x" "$pd/bb:x" "$pd/other:x"
is 'by mounts' "$(asked '^POST .*mount=.* 201 ') $(asked '^(PATCH|PUT) .*/blobs/')" '3 0'
copies 'of an index: --all' "$whole" "$ps/bb:all" "$pd/all:x" --all
is 'each of its images is there' "$(served "$dst/all@$arm_digest")" "$arm_digest"
copies 'of an index: one' "$arm_digest" "$ps/bb:all" "$pd/arm:x" --platform linux/arm/v7

layer=$(jq -r '.layers[0].digest' "$(blob_of lay "$x")")
P=$S
printf '%s\n' "1 GET $layer cut 50000" '1 GET /manifests/ status 503' | faults
copies 'cut where it comes from' "$x" "$ps/bb:x" "$pd/cut:1"
P=$T/pd
printf '%s\n' '1 PATCH . cutup 30000' '1 PUT /blobs/ cutup 30000' '1 PUT /manifests/ status 500' | faults
copies 'cut where it goes to' "$x" "$ps/bb:x" "$pd/cut:2"
echo | faults
P=$S
echo "* GET $layer flip 100" | faults
declines 'another byte' "^stave-(push|images): .*$layer" stave images cp "$ps/bb:x" "$pd/flip:1"
is 'is no image there' "$(curl -sS -o /dev/null -w '%{http_code}' "http://$dst/v2/flip/manifests/1")" 404
echo "* GET $layer longer 100000" | faults
declines 'more bytes' "^stave-(push|images): .*$layer" stave images cp "$ps/bb:x" "$pd/flip:1"
echo | faults
declines 'nothing there' '^stave-(push|images): .*none' stave images cp "$ps/none:x" "$pd/none:x"
declines 'nowhere to' 'refused' stave images cp "$ps/bb:x" 127.0.0.1:1/bb:x
declines 'no such platform' 's390x' stave images cp --platform linux/s390x "$ps/bb:all" "$pd/none:x"
declines 'one word' '' stave images cp "$ps/bb:x"
declines 'a name that is none' '' stave images cp "$ps/bb:x" "$pd/BB"
is 'still without a store' "$(find "$STAVE_ROOT" -type f)" ''

# Each registry its own credentials.
htpasswd -Bbn joe one >users.one 2>/dev/null
htpasswd -Bbn ann two >users.two 2>/dev/null
registry one "auth: {htpasswd: {realm: r, path: $T/users.one}}"
one=$at
registry two "auth: {htpasswd: {realm: r, path: $T/users.two}}"
two=$at
copy oci:lay:x "docker://$one/bb:x" --preserve-digests --dest-creds joe:one
refuses 'without credentials' 1 "^stave-push: .*$one.*stave login $one" stave images cp "$one/bb:x" "$two/bb:x"
printf one | stave login -u joe --password-stdin "$one" >/dev/null 2>&1
refuses 'with those of one of them' 1 "^stave-push: .*$two.*stave login $two" stave images cp "$one/bb:x" "$two/bb:x"
printf two | stave login -u ann --password-stdin "$two" >/dev/null 2>&1
try stave images cp "$one/bb:x" "$two/bb:x"
is 'with both' "$status $err $out" "0  $two/bb@$x"
is 'it is there' "$(skopeo inspect --tls-verify=false --creds ann:two "docker://$two/bb:x" | jq -r .Digest)" "$x"
