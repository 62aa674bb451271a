#!/bin/sh
# Eight processes load, pull, unpack, run, remove and collect at once, on one store: nobody ever
# sees half a thing, and at the end nothing is left. STRESS_SECONDS=60 for longer (make stress).
# timeout 240
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gzip docker-registry
# shellcheck source=tests/registry/lib.sh
. "$here/../registry/lib.sh"
registry plain
seconds=${STRESS_SECONDS:-8}

# Three images that share layers: base; base + x; base + x + y. Half of the layers are gzipped.
mkdir -p base/bin base/etc x/data y/data
cp "$STAVE_PREPARED/busybox/bin/busybox" base/bin/ && ln -s busybox base/bin/sh
for word in cat sha256sum find sort; do ln -s busybox "base/bin/$word"; done
for n in $(seq 40); do head -c 20000 /dev/urandom >"base/etc/$n" && head -c 3000 /dev/urandom >"x/data/$n"; done
head -c 200000 /dev/urandom >y/data/1 && : >y/data/.wh.2
mkdir -p layout/blobs/sha256
put() { sum=$(sha256sum "$1" | cut -d' ' -f1) && cp "$1" "layout/blobs/sha256/$sum" && echo "$sum"; }
arch=amd64
[ "$(uname -m)" != aarch64 ] || arch=arm64
layers='' diffs='' entries=''
for dir in base x y; do
  tar --sort=name --mtime=@0 --owner=0 --group=0 -cf "$dir.tar" -C "$dir" .
  diffs="$diffs,\"sha256:$(sha256sum "$dir.tar" | cut -d' ' -f1)\""
  type=application/vnd.oci.image.layer.v1.tar
  [ "$dir" = x ] || { gzip -nf "$dir.tar" && mv "$dir.tar.gz" "$dir.tar" && type=$type+gzip; }
  layers="$layers,{\"mediaType\":\"$type\",\"digest\":\"sha256:$(put "$dir.tar")\",\"size\":$(stat -c %s "$dir.tar")}"
  echo "{\"architecture\":\"$arch\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[${diffs#,}]}}" >config
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' \
    "$(put config)" "$(stat -c %s config)" "${layers#,}" >manifest
  entries="{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$(put manifest)\",\"size\":$(stat -c %s manifest),\"annotations\":{\"org.opencontainers.image.ref.name\":\"$dir:1\"}}"
  mkdir "oci-$dir" && printf '{"imageLayoutVersion":"1.0.0"}' >"oci-$dir/oci-layout"
  printf '{"schemaVersion":2,"manifests":[%s]}' "$entries" >"oci-$dir/index.json"
  ln -s ../layout/blobs "oci-$dir/blobs"
  tar -chf "$dir.oci.tar" -C "oci-$dir" .
done
for dir in base x y; do
  STAVE_ROOT=$T/from stave load "oci-$dir" >/dev/null
  STAVE_ROOT=$T/from stave push -q "$dir:1" "$at/$dir:1" >/dev/null || fail "the registry has $dir"
done

# What a container of each image must see.
sums() { (cd "$1" && find etc data -type f 2>/dev/null | sort | xargs sha256sum | sha256sum | cut -d' ' -f1); }
mkdir -p sum/base sum/x sum/y
cp -r base/etc sum/base/ && cp -r base/etc x/data sum/x/ && cp -r base/etc x/data sum/y/
rm sum/y/data/2 && cp y/data/1 sum/y/data/1
for dir in base x y; do sums "sum/$dir" >"want-$dir"; done

# A worker notes each wrong sum, and each failure that is none of the clear ones: an image that
# another took away is a fair answer, half of one is not.
until=$(($(date +%s) + seconds))
fair='no image|No such file or directory|was taken away|no container|is not there'
worker() {
  me=$1 round=0
  while [ "$(date +%s)" -lt "$until" ]; do
    round=$((round + 1))
    case $(((me + round) % 3)) in 0) image=base ;; 1) image=x ;; *) image=y ;; esac
    case $me in
    1 | 2 | 3) # load and run, what runs is whole
      stave load "$image.oci.tar" >/dev/null 2>"err-$me" || echo "load: $(cat "err-$me")" >>"bad-$me"
      # shellcheck disable=SC2016 # the container's shell expands
      got=$(stave run --pull never --rm "$image:1" sh -c 'find etc data -type f 2>/dev/null | sort | while read -r f; do sha256sum "$f"; done | sha256sum' 2>"err-$me" | cut -d' ' -f1)
      if [ -s "err-$me" ]; then
        grep -Eq "$fair" "err-$me" || echo "run: $(cat "err-$me")" >>"bad-$me"
        echo "$image" >>"missed-$me"
      elif [ "$got" != "$(cat "want-$image")" ]; then
        echo "run $image: another content: $got" >>"bad-$me"
      else
        echo "$image" >>"ran-$me"
      fi
      ;;
    4 | 5) # pull and unpack, look
      stave pull -q "$at/$image:1" 2>"err-$me" | stave unpack >/dev/null 2>>"err-$me"
      [ ! -s "err-$me" ] || grep -Eq "$fair" "err-$me" || echo "unpack: $(cat "err-$me")" >>"bad-$me"
      stave images ls --json >/dev/null 2>"err-$me" || grep -Eq "$fair" "err-$me" || echo "ls: $(cat "err-$me")" >>"bad-$me"
      ;;
    6) # take away
      stave images rm "$image:1" "$at/$image:1" >/dev/null 2>"err-$me" || grep -Eq "$fair" "err-$me" || echo "rm: $(cat "err-$me")" >>"bad-$me"
      sleep 0.05
      ;;
    7) # collect
      stave images gc >/dev/null 2>"err-$me" || echo "gc: $(cat "err-$me")" >>"bad-$me"
      stave images gc -n >/dev/null 2>"err-$me" || echo "gc -n: $(cat "err-$me")" >>"bad-$me"
      ;;
    8) # a load that is killed midway
      stave load "$image.oci.tar" >/dev/null 2>&1 &
      sleep "0.0$((round % 10))"
      kill -9 $! 2>/dev/null
      wait $! 2>/dev/null
      ;;
    esac
    echo "$round" >"rounds-$me"
  done
}
for me in 1 2 3 4 5 6 7 8; do
  worker "$me" &
  eval "pid_$me=$!"
done
for me in 1 2 3 4 5 6 7 8; do eval "wait \$pid_$me"; done
echo "# rounds: $(cat rounds-* | tr '\n' ' ')ran $(cat ran-* | wc -l), missed $(cat missed-* 2>/dev/null | wc -l)"
is "nobody saw half a thing in $seconds s" "$(cat bad-* 2>/dev/null | sort | uniq -c | sort -rn | head -20)" ''
for me in 1 2 3; do
  if [ -s "ran-$me" ]; then pass "worker $me ran containers"; else fail "worker $me ran containers"; fi
done

# What there is is whole: each image runs; and what was killed leaves nothing that is not found.
for image in base x y; do
  ok "$image loads at the end" stave load "$image.oci.tar"
  # shellcheck disable=SC2016 # the container's shell expands
  is "and is whole" "$(stave run --rm "$image:1" sh -c 'find etc data -type f 2>/dev/null | sort | while read -r f; do sha256sum "$f"; done | sha256sum' | cut -d' ' -f1)" "$(cat "want-$image")"
done
for image in base x y; do
  ok "$image is pulled at the end" stave pull -q "$at/$image:1"
done
bad_blobs() {
  for blob in "$STAVE_ROOT"/store/blobs/sha256/*; do
    [ "$(sha256sum <"$blob" | cut -d' ' -f1)" = "$(basename "$blob")" ] || echo "$blob"
  done
}
is "each blob is what its name says" "$(bad_blobs)" ''
stave images gc >/dev/null
is "after gc nothing is garbage" "$(stave images gc -n --json | jq -r 'select(.keptBy == []) | .path')" ''
is "and no temporary file is left" "$(find "$STAVE_ROOT/store" "$STAVE_ROOT/layers" -mindepth 1 -name '.*')$(ls "$STAVE_ROOT/store/leases")" ''
# shellcheck disable=SC2016 # the inner shell expands
ok "all goes" sh -c 'stave images rm $(stave images --json | jq -r .name)'
is "no blob, no layer" "$(find "$STAVE_ROOT/store/blobs" "$STAVE_ROOT/layers" -mindepth 2)" ''
