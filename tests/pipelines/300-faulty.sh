#!/bin/sh
# The registries, the token server and the faulty proxy that the scripts after this one stand on:
# each fault is really there, as curl and skopeo see it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 htpasswd zstd
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
noisy lay two 2 100000
copy oci:lay:two "docker://$plain/bb:two" --preserve-digests
is 'the registry has the image' "$(served "$plain/bb:two")" "$digest"
layer=$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")
size=$(jq -r '.layers[0].size' "$(blob_of lay "$digest")")
proxy px "$plain" --blobs "$T/plain/files"
px=$at
ok 'skopeo copies through the proxy' copy "docker://$px/bb:two" oci:back:two --preserve-digests
is 'the same image' "$(jq -r '.manifests[0].digest' back/index.json)" "$digest"
is 'and each request was counted' "$(asked '^GET /v2/bb/(manifests|blobs)/[^ ]* 200 ')" 4

# get [WORDS...]: the layer by curl: its exit status, the HTTP status, how many bytes, whether they are right.
get() {
  : >body
  code=$(curl -sS -o body -D head -w '%{http_code}' "$@" "http://$px/v2/bb/blobs/$layer" 2>complaint)
  result=$?
  right=wrong
  [ "$(sha256sum <body | cut -d' ' -f1)" != "${layer#sha256:}" ] || right=right
  echo "$result $code $(($(wc -c <body) - size)) $right"
}
# fault WHAT WANTED RULE [WORDS of curl...]
fault() {
  echo "$3" | faults
  what=$1 wanted=$2
  shift 3
  is "$what" "$(get "$@")" "$wanted"
}
fault 'without faults' '0 200 0 right' ''
fault 'cut' "18 200 $((100 - size)) wrong" '1 GET /blobs/ cut 100'
is 'as often as it says' "$(get)" '0 200 0 right'
fault 'no answer' "52 000 -$size wrong" '1 GET /blobs/ end'
fault 'a Content-Length too big' '18 200 0 right' '1 GET /blobs/ length +5'
fault 'a Content-Length too small' '0 200 -5 wrong' '1 GET /blobs/ length -5'
fault 'another byte' '0 200 0 wrong' '1 GET /blobs/ flip 70000'
fault 'a longer body' '0 200 9 wrong' '1 GET /blobs/ longer 9'
fault 'a shorter body' '0 200 -9 wrong' '1 GET /blobs/ shorter 9'
fault 'chunked' '0 200 0 right' '1 GET /blobs/ chunked'
fault 'drops of it' '0 200 0 right' '1 GET /blobs/ drip 30000 5'
fault 'Range' '0 206 -1000 wrong' '' -r 1000-
fault 'Range left out' '0 200 0 right' '1 GET /blobs/ norange' -r 1000-
fault 'Range misunderstood' '0 206 0 right' '1 GET /blobs/ badrange' -r 1000-
fault 'a status' "0 429 $((63 - size)) wrong" '1 GET /blobs/ status 429 Retry-After:7'
like 'with its header' "$(cat head)" '^Retry-After: *7'
fault 'a redirect' '0 200 0 right' '1 GET /blobs/ redirect' -L
is 'is seen at the storage' "$(asked '^STORAGE GET [^ ]* 200 auth=-')" 1
fault 'which wants no credentials' "0 400 $((31 - size)) wrong" '1 GET /blobs/ redirect' -L --location-trusted -u a:b
: >go
fault 'held and let go' '0 200 0 right' "1 GET /blobs/ hold 100 $T/go"
echo '* GET /blobs/ meet 2' | faults
(curl -sS -o other "http://$px/v2/bb/blobs/$layer") &
is 'two that wait for each other' "$(get)" '0 200 0 right'
wait "$!"
is 'were there at once' "$(asked ALONE)" 0

echo '1 PATCH . cutup 1000' | faults
no 'an upload cut midway' skopeo --insecure-policy copy -q --dest-tls-verify=false oci:lay:two "docker://$px/other/cut:two" --retry-times 0
upload=$(curl -sS -D - -o /dev/null -X POST "http://$px/v2/up/blobs/uploads/")
like 'where to upload, absolute as the registry says' "$upload" "^Location: http://$px/v2/up/"
echo '1 POST . location relative' | faults
upload=$(curl -sS -D - -o /dev/null -X POST "http://$px/v2/up/blobs/uploads/")
like 'and relative' "$upload" '^Location: /v2/up/'
mount="http://$px/v2/mounted/blobs/uploads/?mount=$layer&from=bb"
echo '1 POST mount= nomount' | faults
is 'a mount refused' "$(curl -sS -o /dev/null -w '%{http_code}' -X POST "$mount")" 202
is 'a mount done' "$(curl -sS -o /dev/null -w '%{http_code}' -X POST "$mount")" 201

# Who may come in.
htpasswd -Bbn joe secret >users.basic
registry basic "auth: {htpasswd: {realm: r, path: $T/users.basic}}"
is 'basic: without' "$(curl -sS -o /dev/null -w '%{http_code}' "http://$at/v2/")" 401
is 'basic: with' "$(curl -sS -o /dev/null -w '%{http_code}' -u joe:secret "http://$at/v2/")" 200
tokens issuer
issuer=$at
echo 'joe secret' >issuer/users
registry token "$token_auth"
token=$at
no 'tokens: nobody may push' copy oci:lay:two "docker://$token/public/bb:two"
ok 'a user may' copy oci:lay:two "docker://$token/public/bb:two" --dest-creds joe:secret --preserve-digests
ok 'all may pull what is public' copy "docker://$token/public/bb:two" oci:public:two
with_token() {
  t=$(curl -sS "http://$issuer/token?service=test-registry&scope=repository:public/bb:pull" | jq -r .token)
  curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $t" "http://$token/v2/public/bb/tags/list"
}
is 'by hand, too' "$(with_token)" 200
echo 0 >issuer/expires
is 'an expired token is none' "$(with_token)" 401

ca good DNS:localhost,IP:127.0.0.1
registry tls "  tls: {certificate: $T/good/cert.pem, key: $T/good/key.pem}"
is 'TLS, with the CA' "$(curl -sS --cacert good/ca.pem "https://$at/v2/" 2>&1)" '{}'
like 'and without' "$(curl -sS "https://$at/v2/" 2>&1)" 'certificate'
