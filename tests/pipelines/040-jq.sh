#!/bin/sh
# jq stands in the middle, other runtimes at the end, other image tools over the store.
# timeout 120
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
image

before=$(snapshot)
stave unpack busybox | stave new web - | stave mount |
  jq -c '{"org.example.first": {"b": 1, "a": [2, {}]}} + .
    | .process = {"x-before": null} + .process + {"x-after": "é\u0001"}
    | .stave["x-mine"] = {"deep": {"er": 1.5}}
    | .linux.resources.memory = {"limit": 33554432, "x-unit": "B"}
    | .process.args = ["sh", "-c", "echo from jq"]' >middle
stave ns <middle | stave limit >end
id=$(id_of web)

if v1; then
  is 'the limit that jq wrote is the kernel'"'"'s' "$(cgroup "$id" memory.limit_in_bytes)" 33554432
else
  is 'the limit that jq wrote is the kernel'"'"'s' "$(cgroup "$id" memory.max)" 33554432
fi
is 'the args that jq wrote are run' "$(stave spawn <end)" 'from jq'

# kept FILTER: the value is as it went in.
kept() { is "foreign: $1" "$(jq -c "$1" end)" "$(jq -c "$1" middle)"; }
kept '."org.example.first"'
kept '.process["x-before"], .process["x-after"]'
kept '.stave["x-mine"]'
kept '.linux.resources.memory'
# in_place OBJECT: its keys that went in come out in that order.
in_place() {
  is "in place: $1" "$(jq -c --slurpfile m middle "(\$m[0] | $1 | keys_unsorted) as \$in | $1 | keys_unsorted | map(select(IN(\$in[])))" end)" \
    "$(jq -c "$1 | keys_unsorted" middle)"
}
for object in . .process .stave .linux; do in_place "$object"; done
is 'what rests on disk is what came out' "$(jq -c 'del(.process.args)' "$STAVE_ROOT/c/$id/config.json")" "$(jq -c 'del(.process.args)' end)"

# A key that is twice in the way: numbers and text survive to the letter.
is 'a large number survives' "$(printf '%s\n' '{"x-n":9007199254740993,"x-f":1e3}' | stave new - | grep -o '"x-n":[0-9]*')" '"x-n":9007199254740993'

# The container's directory is an OCI bundle.
bundle=$STAVE_ROOT/c/$id
if command -v runc >/dev/null; then
  try runc run -b "$bundle" "stave-$id"
  is 'runc run -b on the directory' "$out$err" 'from jq'
else
  skip 'runc run -b on the directory' 'there is no runc'
fi
if command -v crun >/dev/null; then
  # crun 1.8 takes a hybrid host for a pure v2 one where it sees the unified hierarchy.
  try unshare -m sh -c '[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified
    crun run -b "$1" "$2"' sh "$bundle" "stave-$id"
  is 'crun run -b on the directory' "$out$err" 'from jq'
else
  skip 'crun run -b on the directory' 'there is no crun'
fi
# They leave the directory above, in hierarchies too that are none of ours.
rmdir /sys/fs/cgroup/*/stave 2>/dev/null
# shellcheck disable=SC2046 # one word an id
ok 'rm, after the others' stave rm $(stave ps -aq)
nothing_left 'nothing is left' "$before"

# The store is an OCI image layout.
store=$STAVE_ROOT/store
name=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$store/index.json")
if command -v skopeo >/dev/null; then
  ok 'skopeo inspects the store' skopeo inspect "oci:$store:$name"
  is 'and sees the layer' "$(echo "$out" | jq '.Layers | length')" 1
else
  skip 'skopeo inspects the store' 'there is no skopeo'
fi
if command -v umoci >/dev/null; then
  is 'umoci lists the store' "$(umoci list --layout "$store")" "$name"
  ok 'umoci unpacks from it' umoci unpack --image "$store:$name" unpacked
  is 'and gets the same files' "$(cd unpacked/rootfs && find . | sort | sha256sum)" "$(cd "$B" && find . | sort | sha256sum)"
else
  skip 'umoci lists the store' 'there is no umoci'
fi
