#!/bin/sh
# What keeps an image's parts, what they cost, and that nothing stays when nothing keeps them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq

# An image of three layers: the second replaces and removes files of the first.
mkdir -p one/d two three
head -c 300000 /dev/zero >one/big
head -c 200000 /dev/zero >one/d/gone
head -c 50000 /dev/zero >one/stays
head -c 1000 /dev/zero >two/big
mkdir two/d && : >two/d/.wh.gone
echo x >three/x
layers='' diffs=''
mkdir -p layout/blobs/sha256
blob() { sum=$(sha256sum "$1" | cut -d' ' -f1) && cp "$1" "layout/blobs/sha256/$sum" && echo "$sum"; }
for dir in one two three; do
  tar --sort=name --mtime=@0 --owner=0 --group=0 -cf "$dir.tar" -C "$dir" .
  sum=$(blob "$dir.tar")
  layers="$layers,{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$sum\",\"size\":$(stat -c %s "$dir.tar")}"
  diffs="$diffs,\"sha256:$sum\""
done
cat >config <<C
{"architecture":"amd64","os":"linux","config":{"Cmd":["x"]},"rootfs":{"type":"layers","diff_ids":[${diffs#,}]},
"history":[{"created":"2026-01-01T00:00:00Z","created_by":"make one"},{"created_by":"say","empty_layer":true},{"created_by":"make two"},{"created_by":"make three","comment":"c"}]}
C
[ "$(uname -m)" != aarch64 ] || sed -i s/amd64/arm64/ config
config=$(blob config)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' \
  "$config" "$(stat -c %s config)" "${layers#,}" >manifest
manifest=$(blob manifest)
printf '{"imageLayoutVersion":"1.0.0"}' >layout/oci-layout
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"three:1"}}]}' \
  "$manifest" "$(stat -c %s manifest)" >layout/index.json
ok "an image of three layers is loaded" stave load layout

# Every byte is explained: the sum is du's, to the last percent.
# explained: bytes of gc -n --json
explained() {
  stave images gc -n --json | jq -s 'map(.bytes) | add'
}
within() {
  du=$(du -sx -B1 "$STAVE_ROOT" | cut -f1)
  sum=$(explained)
  [ $((sum * 100)) -ge $((du * 99)) ] && [ $((sum * 100)) -le $((du * 101)) ] || echo "du $du, explained $sum"
}
is "what gc -n explains is what du counts" "$(within)" ''
# shellcheck disable=SC2016 # the inner shell expands
ok "unpacked" sh -c 'stave unpack three:1 | stave new c1 - | stave mount >/dev/null && echo hello >"$STAVE_ROOT"/names/c1/upper/file'
is "and with a container and its writable layer" "$(within)" ''
is "nothing is garbage" "$(stave images gc -n --json | jq -s 'map(select(.keptBy == [])) | length')" 0
like "the sum stands at the end, as a comment" "$(stave images gc -n | tail -1)" '^# [0-9]+ bytes in all: .* 0 \(0B\) to collect, 0 things$'
is "what is shown of a store without garbage is comments" "$(stave images gc -n | grep -vc '^#')" 0

# tree: bytes that later layers hide.
tree=$(stave images tree --json three:1)
is "of the first layer what is replaced and removed is wasted" "$(echo "$tree" | jq -c '[.layers[].wasted]')" '[500000,0,0]'
is "each layer's files" "$(echo "$tree" | jq -c '[.layers[].bytes]')" '[550000,1000,2]'
is "the hidden files, largest first" "$(echo "$tree" | jq -c '[.hidden[] | [.path, .layer, .hiddenBy]]')" '[["/big",1,2],["/d/gone",1,2]]'
stave images tag three:1 other:1
is "an image's other name shares nothing with it" "$(stave images tree --json three:1 | jq -c '[.layers[].sharedWith[]]')" '[]'
ok "a layer on its own" sh -c 'stave load -t first:1 one.tar >/dev/null'
is "the layer that two images have" "$(stave images tree --json three:1 | jq -c '.layers[0].sharedWith')" '["first:1"]'
# Read from the archives it is the same.
cp -r "$STAVE_ROOT/store" kept && mkdir other && mv kept other/store
is "layers that are not unpacked say the same" "$(STAVE_ROOT=$PWD/other stave images tree --json three:1 | jq -c '[.layers[].wasted]')" '[500000,0,0]'
like "for people" "$(stave images tree three:1)" '293.0KiB hidden: /big, of layer 1, by layer 2'

# history
is "newest first; a step without a layer has no size" "$(stave images history three:1 --json | jq -c '[.createdBy, .layer != null]')" '["make three",true]
["make two",true]
["say",false]
["make one",true]'
like "for people" "$(stave images history three:1 | tail -1)" "^2026-01-01  $(sha256sum one.tar | cut -c1-12)  [0-9.]+KiB +make one"

# why
one=$(sha256sum one.tar | cut -d' ' -f1)
try stave images why "sha256:$one"
is "a layer is kept by the images that have it" "$(echo "$out" | grep -c 'three:1 > manifest .* > layer 1 of 3')" 2
like "its blob and its directory" "$out" "^layer .*/layers/sha256/$one$"
like "by the container, too" "$out" '  container c1 > manifest .* > layer 1 of 3'
is "status 0: it is kept" "$status" 0
try stave images why three:1
like "a name is its manifest" "$out" "^blob .*$manifest"
refuses "what there is not" 1 'no blob and no layer sha256:000000' stave images why sha256:000000
is "as JSON" "$(stave images why --json "$one" | jq -r .kind | sort -u)" 'blob
layer'

# Names away: the container still keeps its layers; then nothing does.
ok "all names away" stave images rm three:1 other:1 first:1
is "the container's image is there still" "$(stave images why --json "$manifest" | jq -c '[.keptBy[][0]]')" '["container c1"]'
# shellcheck disable=SC2016 # the inner shell expands
ok "it starts" sh -c 'stave inspect c1 | stave mount >/dev/null && test -s "$STAVE_ROOT"/names/c1/rootfs/stays'
stave rm c1 >/dev/null
try stave images why "$one"
is "now nothing keeps it: status 1" "$status" 1
like "and it says so" "$out" 'nothing keeps it'
is "what gc -n shows is what gc removes" "$(stave images gc -n --json | jq -r 'select(.keptBy == []) | .path' | sort)" \
  "$(cp -r "$STAVE_ROOT" copy && STAVE_ROOT=$PWD/copy stave images gc | sed "s|^$PWD/copy|$STAVE_ROOT|" | sort)"
like "as shell" "$(stave images gc -n)" "^rm -f .*$manifest  # .*nothing keeps it"
stave images gc -n >script
ok "which runs" sh -e script
is "and then there is nothing to collect" "$(stave images gc)" ''
is "no blob and no layer is left" "$(find "$STAVE_ROOT/store/blobs" "$STAVE_ROOT/layers" -mindepth 2 | wc -l)" 0

# What a killed process leaves is found; what a living one has is not taken.
stave load layout >/dev/null
mkfifo slow
{ cat one.tar; sleep 1; } >slow &
feeder=$!
stave load -t slow:1 slow >/dev/null 2>&1 &
loader=$!
under_way() { ls -A "$STAVE_ROOT"/store/blobs/sha256/.blob.*; }
if soon under_way; then pass "a load is under way"; else fail "a load is under way"; fi
is "gc does not wait, and takes nothing of it" "$(stave images gc)" ''
like "gc -n says whose it is" "$(stave images gc -n)" 'temporary, lease [0-9a-f]{12}'
kill -9 "$loader"
wait "$loader" 2>/dev/null
wait "$feeder" 2>/dev/null
is "once it is killed, its file and its lease go" "$(stave images gc | sed 's|.*/\.\{0,1\}\([a-z]*\).*|\1|' | sed 's/^[0-9a-f]*$/lease/' | sort | tr '\n' ' ')" 'blob lease '
is "and nothing is left at the next look" "$(stave images gc)" ''
