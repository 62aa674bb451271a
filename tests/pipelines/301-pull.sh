#!/bin/sh
# Pull: each form in which a registry has an image becomes the same image here, and nothing is
# fetched that is here.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need docker-registry skopeo jq curl openssl python3 zstd
rootfs
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"

registry plain
plain=$at
proxy px "$plain" --blobs "$T/plain/files"
px=$at
for form in gzip zstd none; do
  noisy lay $form 2 150000 $form
  copy "oci:lay:$form" "docker://$plain/bb:$form" --preserve-digests
done
copy oci:lay:gzip "docker://$plain/bb:docker" --format v2s2
copy oci:lay:zstd "docker://$plain/deep/er/na-me_x.y:1.0_RC-1" --preserve-digests

# runs: what the document on stdin names can be unpacked and run.
runs() {
  stave unpack | stave new - | stave mount | stave spawn --rm -- sh -c 'grep ssl /etc/group; cat /noise1 /noise2 | wc -c'
}
for form in gzip zstd none docker; do
  wanted=$(served "$plain/bb:$form")
  pulls "an image of $form layers" "$px/bb:$form" "$wanted"
  is 'its name in the store' "$(names) $(stored "$px/bb:$form")" "$px/bb:$form $wanted"
  is 'and in the document' "$(printf '%s' "$doc" | jq -r '.stave.image.annotations["org.opencontainers.image.ref.name"]')" "$px/bb:$form"
  is 'it runs' "$(printf '%s' "$doc" | runs 2>&1)" "ssl:x:101:web
300000"
done
pulls 'a long name' "$px/deep/er/na-me_x.y:1.0_RC-1" "$(served "$plain/bb:zstd")"

# Names.
copy oci:lay:gzip "docker://$plain/bb:latest" --preserve-digests
gzip=$(served "$plain/bb:latest")
pulls 'without a tag: latest' "$px/bb" "$gzip"
is 'which is its name' "$(names)" "$px/bb:latest"
pulls 'by digest' "$px/bb@$gzip" "$gzip"
printf '%s' "$doc" >doc
is 'it runs' "$(runs <doc 2>&1 | tail -n 1)" 300000
pulls 'tag and digest: the digest counts' "$px/bb:zstd@$gzip" "$gzip"
port=${px#*:}
pulls 'localhost' "localhost:$port/bb" "$gzip"
is 'has that name' "$(names)" "localhost:$port/bb:latest"

# What goes to which stream.
another_store
ok 'pull' sh -c "stave pull $px/bb >doc 2>said"
is 'the document is one line' "$(wc -l <doc)" 1
is 'it is as load makes it' "$(jq -c '[.ociVersion, .stave.v, .stave.image.mediaType, (.stave | keys)]' doc)" \
  '["1.0.2",1,"application/vnd.oci.image.manifest.v1+json",["image","v"]]'
is 'nothing else is said where nobody looks' "$(cat said)" ''
anew
ok 'pull of what is there' sh -c "stave pull $px/bb >again 2>said"
is 'gives the same document' "$(cat again)" "$(cat doc)"
is 'no blob is fetched' "$(asked /blobs/)" 0
is 'the manifest is asked for once' "$(asked /manifests/)" 1
anew
ok 'pull by a digest that is there' stave pull "$px/bb@$gzip"
is 'needs no blob' "$(asked /blobs/)" 0
rm "$(blob_of "$STAVE_ROOT/store" "$(jq -r '.layers[1].digest' "$(blob_of lay "$gzip")")")"
anew
ok 'a blob that went missing' stave pull "$px/bb"
is 'is fetched, it alone' "$(asked 'GET .*/blobs/')" 1

# Another image on the same layers.
noisy lay more 3 150000
copy oci:lay:more "docker://$plain/other:more" --preserve-digests
anew
ok 'an image with one more layer' stave pull "$px/other:more"
is 'the layer and the config are fetched' "$(asked 'GET .*/blobs/')" 2

# Each blob is asked for once; layers come at the same time.
another_store
config=$(jq -r .config.digest "$(blob_of lay "$digest")")
echo "* GET /blobs/(?!$config) meet 2" | faults
ok 'layers that wait for each other' stave pull "$px/other:more"
is 'come together' "$(asked ALONE)" 0
is 'one request each' "$(asked 'GET .*/blobs/')" 5

# The document comes as soon as manifest and config are there.
another_store
big=$(jq -r '.layers[2].digest' "$(blob_of lay "$digest")")
echo "* GET $big hold 1000 $T/go" | faults
ok 'the document comes early' sh -c "stave pull $px/other:more | { read -r doc; echo \"\$doc\" >early; : >go; cat; }"
is 'while a layer still came' "$(asked WAITED)" 0
is 'it is the image' "$(digest_of <early)" "$digest"
is 'all of which came' "$(stave images -q | wc -l)" 1

# A pipe that nobody reads.
another_store
ok 'the document into nothing' sh -c "stave pull $px/bb >/dev/null"
is 'the image is there' "$(stored "$px/bb:latest")" "$gzip"

# Events.
another_store
echo | faults
ok '--json' sh -c "stave pull --json $px/bb >doc 2>events"
is 'the document stays apart' "$(digest_of <doc)" "$gzip"
ok 'each event is one JSON object a line' jq -es 'length > 0 and all(type == "object")' events
is 'as many as lines' "$(jq -c . events | wc -l)" "$(wc -l <events)"
like 'the layers are named' "$(cat events)" "$(jq -r '.layers[1].digest' "$(blob_of lay "$gzip")")"
another_store
ok '--json=FD' sh -c "stave pull --json=7 $px/bb 2>said 7>events >doc"
ok 'goes there' jq -es 'length > 0 and all(type == "object")' events
is 'and nowhere else' "$(cat said)" ''
another_store
ok '-q' sh -c "stave pull -q $px/bb >doc 2>said"
is 'is silent' "$(cat said)" ''
is 'but for the document' "$(digest_of <doc)" "$gzip"
declines '--json to a descriptor that is not open' '^stave-pull: ' stave pull --json=99 "$px/bb"

# Names that are none: nothing is asked for.
another_store
anew
for odd in Busybox "$px/BB" "$px/../bb" "$px/a//b" "$px/bb:" "$px/bb:ta/g" "$px/bb@sha256:12" "$px/bb@md5:d41d8cd98f00b204e9800998ecf8427e" \
  "http://$px/bb" 'a b' '' "127.0.0.1:99999/bb" "$px/bb:$(printf %0129d 1)"; do
  declines "no name: '$(printf %.50s "$odd")'" '^stave-pull: ' stave pull "$odd"
done
is 'and nobody was asked' "$(requests)" ''
refuses 'no such tag' 1 "^stave-pull: .*bb:nothing" stave pull "$px/bb:nothing"
refuses 'no such repository' 1 "^stave-pull: .*/none.*" stave pull "$px/none"
is 'neither is in the store' "$(names)" ''
