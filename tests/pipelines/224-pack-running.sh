#!/bin/sh
# A container is packed while it runs: it stands still meanwhile, and goes on whatever happens.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq strace
[ "$(id -u)" = 0 ] || skip_all 'not root'
image

# frozen ID: what its freezer says, v2's or v1's.
frozen() {
  cat /sys/fs/cgroup/*/stave/"$1"/cgroup.events /sys/fs/cgroup/stave/"$1"/cgroup.events \
    /sys/fs/cgroup/freezer/stave/"$1"/freezer.state 2>/dev/null | grep -Ex 'frozen 1|FROZEN'
}
# counts ID: whether its file still grows.
counts() {
  was=$(wc -l <"$STAVE_ROOT/c/$1/upper/count")
  sleep 0.1
  [ "$(wc -l <"$STAVE_ROOT/c/$1/upper/count")" -gt "$was" ]
}
if stave run -d --name ticks -m 64M busybox sh -c 'while :; do echo x >>/count; done' >/dev/null 2>&1 && id=$(id_of ticks) &&
  soon test -s "$STAVE_ROOT/c/$id/upper/count"; then
  ok 'a running container is packed' strace -f -y -o trace -e trace=write stave pack -t ticks ticks
  like 'its cgroup was frozen' "$(grep -E 'cgroup.freeze|freezer.state' trace)" 'write\([0-9]+<[^>]*>, "(1|FROZEN)"'
  is 'it goes on' "$(frozen "$id")$(counts "$id" && echo counts)" counts
  is 'nothing of it was cut' "$(stave run --rm ticks sh -c 'sort -u /count')" x

  # Killed at once after the freezing.
  strace -f -o trace -e trace=openat -e inject=openat:delay_enter=50000 stave pack ticks >/dev/null 2>&1 &
  tracer=$!
  if soon frozen "$id"; then
    pid=$(pgrep -f '^stave-pack ticks$' | head -n 1)
    kill -9 "$pid" "$tracer" 2>/dev/null
    wait "$tracer" 2>/dev/null
    # shellcheck disable=SC2016 # the inner shell expands
    ok 'pack is killed: it goes on' soon sh -c '! cat /sys/fs/cgroup/*/stave/'"$id"'/cgroup.events /sys/fs/cgroup/freezer/stave/'"$id"'/freezer.state 2>/dev/null | grep -Exq "frozen 1|FROZEN"'
    is 'and counts' "$(counts "$id" && echo counts)" counts
  else
    wait "$tracer"
    skip 'pack is killed while it is frozen' 'it was never seen frozen'
  fi
  ok '--no-pause' stave pack --no-pause ticks
  ok 'gc finds what the killed one left' stave images gc
  is 'and nothing is left of it' "$(find "$STAVE_ROOT/store" -name '.blob*' -o -path '*leases/*')" ''
  stave rm -f ticks >/dev/null
else
  skip 'a running container is packed' 'no cgroups here'
fi
stave run -d --name bare busybox sleep 100 >/dev/null
try stave pack bare
like 'without a cgroup a warning says so' "$err" '^stave-pack: warning: bare runs on|^$'
is 'and it is packed' "$status" 0
