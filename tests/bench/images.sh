#!/bin/sh
# make bench-images IMAGES=DIR: what is done with the image DIR/app.oci (tests/bench/make-images.sh
# makes it), against the peers that are installed. Figures in ms: minimum and median of ours, of the
# peer's, and the median ratio of the pairs; the largest process in MiB. RUNS=3; WORK=DIR says where
# things are written (a tmpfs, unless told otherwise).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
images=$(realpath "${1:?a directory with app.oci}")
work=$(mktemp -d "${WORK:-/dev/shm}/stave-bench.XXXXXX")
end() {
  [ -z "${registry-}" ] || kill "$registry"
  [ ! -e "$work/to.pid" ] || kill "$(cat "$work/to.pid")"
  rm -rf --one-file-system "$work"
}
trap end EXIT
cc -O2 -Wall -o "$work/pair" "$here/pair.c"
export STAVE_RUN="$work/run" STAVE_ROOT="$work/root"
STAVE_ROOT=$work/loaded stave load -t app "$images/app.oci" >/dev/null

# A registry on loopback with the image, and one that is emptied before each push; their files are
# where all others are.
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
at=127.0.0.1:$(port) to=127.0.0.1:$(port)
for one in at to; do
  addr=$at
  [ "$one" = at ] || addr=$to
  cat >"$work/$one.yml" <<R
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry-$one}}
http: {addr: $addr}
R
done
docker-registry serve "$work/at.yml" >"$work/at.log" 2>&1 &
registry=$!
skopeo="skopeo --insecure-policy copy -q --src-tls-verify=false --dest-tls-verify=false"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  $skopeo "oci:$images/app.oci:latest" "docker://$at/app:latest" 2>/dev/null && break
  sleep 0.5
done

# Scripts, since a command of pair is words.
script() { printf '#!/bin/sh\nset -e\n%s\n' "$2" >"$work/$1" && chmod +x "$work/$1"; }
# Fresh places for both sides before each run. On a disk nothing is removed: rm just before would
# burn the time of what comes next.
case $(stat -f -c %T "$work") in
tmpfs) script fresh "rm -rf --one-file-system $work/root $work/flat $work/copy; mkdir $work/flat" ;;
*) script fresh "for d in root flat copy; do [ ! -e $work/\$d ] || mv $work/\$d $work/old-\$(date +%s%N); done; mkdir $work/flat; sync" ;;
esac
script has "$work/fresh; mkdir -p $work/root; cp -a $work/loaded/store $work/root/; sync"
layers=$(python3 - "$images/app.oci" <<'P'
import json, sys
at = sys.argv[1]
blob = lambda d: json.load(open(at + "/blobs/sha256/" + d.split(":")[1]))
manifest = blob(json.load(open(at + "/index.json"))["manifests"][0]["digest"])
print(*[at + "/blobs/sha256/" + l["digest"].split(":")[1] for l in manifest["layers"]])
P
)
number=0
for layer in $layers; do
  number=$((number + 1))
  gzip -dc "$layer" >"$work/plain-$number.tar"
done
# shellcheck disable=SC2086 # words
script tar "for n in $(seq -s ' ' $number); do mkdir $work/flat/\$n; tar -C $work/flat/\$n --xattrs --xattrs-include='*' -xf $work/plain-\$n.tar; done"
script gunzip "n=0; for l in $layers; do n=\$((n+1)); mkdir $work/flat/\$n; gzip -dc \$l | tar -C $work/flat/\$n --xattrs --xattrs-include='*' -xf -; done"
script pull-unpack "stave-pull -q $at/app | stave-unpack"
script push-skopeo "$skopeo oci:$images/app.oci:latest docker://$to/app:1"
script empty "[ ! -e $work/to.pid ] || kill \$(cat $work/to.pid); sleep 0.2; rm -rf $work/registry-to
docker-registry serve $work/to.yml >$work/to.log 2>&1 & echo \$! >$work/to.pid
for n in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; ! python3 -c 'import urllib.request as u; u.urlopen(\"http://$to/v2/\")' 2>/dev/null || exit 0; done; exit 1"

echo "$(uname -r), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg), $(stat -f -c %T "$work"); ms: ours min median, theirs min median, ratio"
pair() { # TITLE PREPARE OURS THEIRS
  echo "$1"
  "$work/pair" -n "${RUNS:-3}" -p "$work/$2 </dev/null" "$3" "$4" || echo "  not measured"
}
has() { command -v "$1" >/dev/null; }
pair 'unpack : tar -xf of the plain layers' has "stave-unpack app" "$work/tar"
pair 'unpack : gzip -d | tar -x' has "stave-unpack app" "$work/gunzip"
if has umoci; then pair 'unpack : umoci unpack' has "stave-unpack app" "umoci unpack --image $images/app.oci:latest $work/copy"; fi
pair 'pull | unpack : unpack' has "env STAVE_ROOT=$work/flat/root $work/pull-unpack" "stave-unpack app"
pair 'pull : skopeo copy to a layout' fresh "stave-pull -q $at/app" "$skopeo docker://$at/app:latest oci:$work/copy:latest"
stave pull -q "$at/app" >/dev/null
script nothing true
pair 'pull with nothing to do : skopeo inspect' nothing "stave-pull -q $at/app" "skopeo inspect --tls-verify=false docker://$at/app:latest"
STAVE_ROOT=$work/loaded pair 'push : skopeo copy' empty "stave-push -q app $to/app:1" "$work/push-skopeo"
pair 'load a docker archive : skopeo copy to a layout' fresh "stave-load $images/app.docker.tar" "$skopeo docker-archive:$images/app.docker.tar oci:$work/copy:latest"
