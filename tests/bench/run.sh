#!/bin/sh
# make bench: whole processes against the peers that are installed, paired in one run.
# Figures in ms: minimum and median of ours, of the peer's, and the median ratio of the pairs.
set -eu
cd "$(dirname "$0")"
runs=${RUNS:-50}
work=$(mktemp -d /tmp/stave-bench.XXXXXX)
export STAVE_ROOT="$work/root" STAVE_RUN="$work/run"
end() {
  for id in $(stave ps -aq); do stave rm -f "$id" >/dev/null; done
  [ -z "${crun_up-}" ] || in_ns crun delete -f "$crun_up" || :
  umount "$work/ns" 2>/dev/null || :
  rm -rf --one-file-system "$work"
}
trap end EXIT
cc -O2 -Wall -o "$work/pair" pair.c
# As installed, which the peers are: what a linker wrote lies in smaller pieces of the page cache, and takes longer
# to map.
mkdir "$work/bin"
for tool in "$(dirname "$(command -v stave-run)")"/stave*; do
  case ${tool##*/} in *.*) ;; *) install "$tool" "$work/bin" ;; esac
done
PATH="$work/bin:$PATH"
mkdir -p "$work/bb/bin" "$work/bb/etc" "$work/bb/tmp" "$work/bb/root" "$work/bb/proc" "$work/bb/sys" "$work/bb/dev"
cp /bin/busybox "$work/bb/bin/"
for a in $(/bin/busybox --list); do [ "$a" = busybox ] || ln -s busybox "$work/bb/bin/$a"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$work/bb/etc/passwd"
tar -C "$work/bb" -cf "$work/busybox.tar" .
stave load -t busybox "$work/busybox.tar" >/dev/null
stave unpack busybox >/dev/null

# Debian's crun refuses a hybrid host: it runs where the v2 part is covered.
touch "$work/ns"
mount --bind "$work" "$work" && mount --make-private "$work"
trap 'end 2>/dev/null || :; umount -l "$work"; rm -rf --one-file-system "$work"' EXIT
unshare --mount="$work/ns" sh -c '[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified'
in_ns() { nsenter --mount="$work/ns" "$@" </dev/null >/dev/null 2>&1; }

bundle() { # DIR ARGS: for runc and crun, with runc's own default isolation
  mkdir -p "$1" && cp -a "$work/bb" "$1/rootfs"
  (cd "$1" && crun spec)
  jq --argjson args "$2" '.process.terminal = false | .process.args = $args' "$1/config.json" >"$1/c"
  mv "$1/c" "$1/config.json"
}

echo "$(uname -r), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); ms: ours min median, theirs min median, ratio"
pair() { # TITLE OURS THEIRS
  echo "$1"
  "$work/pair" -n "$runs" -m "$work/ns" "$2" "$3" || echo "  not measured"
}
run="stave-run --rm busybox true"
printf '%s\n' 'stave unpack busybox | stave new - | stave mount --volatile | stave ns | stave limit -m 64M | stave spawn --rm -- true' >"$work/pipe.sh"

if command -v crun >/dev/null; then
  bundle "$work/b" '["true"]'
  bundle "$work/s" '["sleep", "600"]'
  pair 'run --rm busybox true : crun run' "$run" "crun run -b $work/b bench-$$"
  stave run -d --name e busybox sleep 600 >/dev/null
  if in_ns crun run -d -b "$work/s" "bench-e-$$"; then
    crun_up=bench-e-$$
    pair 'exec e true : crun exec' "stave-exec e true" "crun exec $crun_up true"
  fi
  pair 'six stages in a pipe : crun run' "sh $work/pipe.sh" "crun run -b $work/b bench-$$"
fi
if command -v runc >/dev/null && [ -d "$work/b" ]; then
  pair 'run : runc run' "$run" "runc run -b $work/b bench-$$"
fi
if command -v bwrap >/dev/null; then
  pair 'run : bwrap (no overlay, no cgroup)' "$run" \
    "bwrap --unshare-all --bind $work/bb / --proc /proc --dev /dev true"
fi
if command -v podman >/dev/null; then
  # Root may lack the right to raise limits; podman's defaults do.
  printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\ncgroup_manager = "cgroupfs"\n' >"$work/containers.conf"
  export CONTAINERS_CONF="$work/containers.conf"
  podman="podman --root $work/podman --runroot $work/podman-run"
  if $podman import "$work/busybox.tar" bench >/dev/null 2>&1; then
    runs=10 pair 'run : podman run' "$run" "$podman run --rm --network none bench true"
    $podman rmi -f bench >/dev/null 2>&1 || :
    umount -l "$work/podman/overlay" 2>/dev/null || :
  fi
fi

# The OCI runtime, each with the same bundle. The figure of a process that was created is its own
# parent's no more: CPU is that of the three commands.
cat >"$work/life.sh" <<'LIFE'
"$1" --root "$2" create -b "$3" "$4" && "$1" --root "$2" start "$4" && exec "$1" --root "$2" delete --force "$4"
LIFE
for peer in crun runc; do
  command -v "$peer" >/dev/null || continue
  own="$work/oci" theirs="$work/$peer"
  pair "oci run : $peer run" "stave-oci --root $own run -b $work/b b-$$" "$peer --root $theirs run -b $work/b b-$$"
  pair "oci create, start, delete : $peer" "sh $work/life.sh stave-oci $own $work/b l-$$" \
    "sh $work/life.sh $peer $theirs $work/b l-$$"
  stave-oci --root "$own" run -d -b "$work/s" "e-$$" </dev/null >/dev/null 2>&1
  in_ns "$peer" --root "$theirs" run -d -b "$work/s" "p-$$" || continue
  pair "oci exec : $peer exec" "stave-oci --root $own exec e-$$ true" "$peer --root $theirs exec p-$$ true"
  pair "oci state : $peer state" "stave-oci --root $own state e-$$" "$peer --root $theirs state p-$$"
  stave-oci --root "$own" delete --force "e-$$"
  in_ns "$peer" --root "$theirs" delete --force "p-$$"
done
