#!/bin/sh
# Pull over a bad line and from a bad registry: what can be had is had, without fetching twice what
# came; what cannot is one line, and no name.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
noisy lay bad 2 300000
copy oci:lay:bad "docker://$plain/bb:bad" --preserve-digests
copy oci:lay:bad "docker://$plain/cc:bad" --preserve-digests
layer=$(jq -r '.layers[0].digest' "$(blob_of lay "$digest")")
size=$(jq -r '.layers[0].size' "$(blob_of lay "$digest")")
config=$(jq -r '.config.digest' "$(blob_of lay "$digest")")
aside p500 "$plain" "* GET $layer status 500"
begin p500 stave pull "$at/bb:bad"
aside pcut "$plain" "1 GET $layer cut 100000" "* GET $layer cut 0"
cut=$at/bb:bad
begin pcut stave pull "$cut"
proxy px "$plain" --blobs "$T/plain/files"
px=$at
ref=$px/bb:bad

# survives WHAT RULE...: with these faults the image is pulled nevertheless.
survives() {
  survived=$1
  shift
  printf '%s\n' "$@" | faults
  pulls "$survived" "$ref" "$digest"
}
# fetched: how many bytes of the layer the registry was asked for, by Content-Length, and the Ranges.
ranges() {
  requests "GET .*/$layer " | sed 's/.*range=\([^ ]*\).*/\1/' | tr '\n' ' '
}

survives 'a cut connection' "1 GET $layer cut 100000"
is 'goes on where it was cut' "$(ranges)" '- bytes=100000- '
survives 'cut again and again' "1 GET $layer cut 100000" "2 GET $layer\$ cut 100000"
like 'goes on each time' "$(ranges)" '^- bytes=[0-9]+- '
survives 'cut before the first byte' "1 GET $layer cut 0"
survives 'cut at the last' "1 GET $layer cut $((size - 1))"
is 'one byte is fetched' "$(requests "GET .*$layer 206" | sed 's/.*length=\([0-9]*\).*/\1/')" 1
survives 'no answer at all' "1 GET $layer end" '1 GET /manifests/ end'
survives 'the config cut' "1 GET $config cut 20"
survives 'the manifest cut' '1 GET /manifests/ cut 20'
survives '200 where Range was asked' "1 GET $layer cut 100000" "1 GET $layer norange" "1 GET $layer norange"
survives '206 of another place' "1 GET $layer cut 100000" "1 GET $layer status 500" "1 GET $layer badrange"
survives '416 where there is more' "1 GET $layer cut 100000" "1 GET $layer norange"
survives 'a Content-Length that is too big' "1 GET $layer length +7"
survives 'a Content-Length that is too small' "1 GET $layer length -7"
survives 'no Content-Length' '* GET /blobs/ chunked'
survives 'slow drops' "1 GET $layer drip 30000 20"
survives '429' '1 * /manifests/ status 429 Retry-After:1' "1 GET $layer status 429 Retry-After:0"
survives '429 without a time' "1 GET $layer status 429"
survives '500, 502, 503, 504' "1 GET $layer status 500" "1 GET $config status 502" '1 * /manifests/ status 503' "1 GET $layer status 504"
survives '500 twice' "2 GET $layer status 500"
survives 'a redirect' '* GET /blobs/ redirect'
is 'to where the blobs are' "$(asked '^STORAGE GET')" 3
survives 'a redirect, and a cut there' '* GET /blobs/ redirect' "1 STORAGE $layer cut 100000"
is 'goes on where it was cut' "$(asked "^STORAGE GET .*$layer 206 .*range=bytes=100000-")" 1
survives 'a relative redirect' "1 GET /v2/bb/blobs/$layer status 307 Location:/v2/cc/blobs/$layer"
is 'is followed' "$(asked "GET /v2/cc/blobs/$layer 200")" 1

# What came before a failure is not fetched again by the next try.
declined 'cut for ever' pcut "^stave-pull: .*$layer"
STAVE_ROOT=$T/pcut.store
is 'has no name' "$(names)" ''
mine=$P
P=$T/pcut
echo | faults
ok 'the next try' stave pull "$cut"
like 'begins where the last ended' "$(ranges)" '^bytes=[1-9][0-9]*- $'
is 'and ends well' "$(untrue)$(stored "$cut")" "$digest"
P=$mine

# fails WHAT REGEX RULE...
fails() {
  failed=$1 regex=$2
  shift 2
  printf '%s\n' "$@" | faults
  another_store
  declines "$failed" "^stave-pull: .*($regex)" stave pull "$ref"
  [ -z "$(names)$(untrue)" ] || fail "$failed: nothing of it is in the store" "$(names)$(untrue)"
}
fails 'another byte' "$layer" "* GET $layer flip 1000"
fails 'another byte in the config' "$config" "* GET $config flip 10"
fails 'too long' "$layer" "* GET $layer longer 9"
fails 'too long without a length' "$layer" "* GET $layer longer 9" "* GET $layer chunked"
fails 'too short' "$layer" "* GET $layer shorter 9"
fails 'without end' "$layer" "* GET $layer longer 4000000000"
like 'of which little was taken' "$(du -sk "$STAVE_ROOT" | cut -f1)" '^[0-9]{1,4}$'
fails 'no such blob' "$layer.*404|404.*$layer|$layer.*not (there|found)|unknown" "* GET $layer status 404"
is 'is asked for once' "$(asked "GET .*$layer ")" 1
fails 'not allowed' '403|denied' "* GET $layer status 403"
fails 'no manifest' '404|not found|unknown' '* GET /manifests/ status 404' '* HEAD /manifests/ status 404'
declined '500 for ever' p500 '^stave-pull: .*500'
like 'is asked for a few times' "$(grep -c "GET .*$layer " p500/log)" '^([2-9]|10)$'
STAVE_ROOT=$T/p500.store
is 'and has no name' "$(names)" ''
fails 'a day to wait' '429' '* * /manifests/ status 429 Retry-After:86400'
fails 'redirects in a circle' 'redirect' "* GET $layer redirect http://$px"
is 'soon given up' "$([ "$(asked "GET .*$layer ")" -lt 50 ] && echo so)" so
fails 'a redirect to nowhere' "refused|$layer" "* GET $layer redirect http://127.0.0.1:1"
fails 'a redirect to another scheme' 'scheme|redirect|file' "* GET $layer redirect file:///etc/passwd?"
another_store
declines 'nobody listens' '127\.0\.0\.1:1[ /:].*refused' stave pull 127.0.0.1:1/bb
