#!/bin/sh
# An end for want of memory is told apart from a kill, recorded, shown and said.
# shellcheck disable=SC2016 # for the shell in the container
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'not root'
rootfs
before=$(snapshot)
exit_of() { jq -c '.stave.exit | [.code, .signal, .cause, .oomKills]' "$STAVE_RUN/$(id_of "$1")/state.json"; }
said() { stave ps -a | grep " $1\$"; }
# One process, so that there is one to choose.
eat='exec dd if=/dev/zero of=/dev/null bs=48M count=1'
limits='-m 16M --memory-swap 16M'
# Whether swap is counted is the kernel's; the eater must not escape into it.
grep -q . /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null || ! v1 || limits='-m 16M'

# shellcheck disable=SC2086 # two flags
try stave run --name eater $limits --rootfs "$B" sh -c "$eat"
is 'an eater is killed' "$status $out" '137 '
is 'and that is said' "$err" 'stave-run: eater: killed for want of memory (limit 16MiB)'
is 'recorded' "$(exit_of eater)" '[137,9,"oom",1]'
like 'shown by ps' "$(said eater)" ' killed by KILL [0-9]+ seconds? ago, out of memory '
is 'by ps --json' "$(stave ps -a --json | jq -c 'select(.name == "eater").exit.cause')" '"oom"'
is 'and by inspect' "$(stave inspect --as state eater | jq -c '.stave.exit | [.cause, .oomKills]')" '["oom",1]'
is 'wait prints the status' "$(stave wait eater)" 137

stave run -d --name kept -m 16M --rootfs "$B" sh -c "until [ -e /go ]; do sleep 0.05; done; $eat" >/dev/null
: >"$STAVE_ROOT/c/$(id_of kept)/rootfs/go"
is 'of a kept one, too' "$(stave wait kept) $(exit_of kept)" '137 [137,9,"oom",1]'

stave run -d --name shot -m 16M --rootfs "$B" sleep 1000 >/dev/null
stave kill shot >/dev/null
is 'a kill is no want of memory' "$(stave wait shot) $(exit_of shot)" '137 [137,9,"signal",null]'
unlike 'nor said to be' "$(said shot)" 'memory'

# The first process goes on, and says how it ends itself.
# shellcheck disable=SC2086 # two flags
try stave run --name parent $limits --rootfs "$B" sh -c "sh -c '$eat'; exit 3"
is 'one of its processes' "$status $out" '3 '
is 'is said to have been' "$err" "$(printf 'Killed\nstave-run: parent: 1 process killed for want of memory (limit 16MiB)')"
is 'and recorded beside its own end' "$(exit_of parent)" '[3,null,"exit",1]'
like 'which ps says' "$(said parent)" ' exited 3 [0-9]+ seconds? ago, was out of memory '

# What was counted in a run before is not this run's.
try stave spawn parent -- true
is 'the next run in the same cgroup has none' "$status $err $(exit_of parent)" '0  [0,null,"exit",null]'

# A limit of a cgroup above, and no own one.
top=stave-480-$$
stave new low | stave limit --cgroup-parent "$top" --pids-limit 50 >"$T/low.json"
for file in /sys/fs/cgroup/memory/$top/memory.limit_in_bytes /sys/fs/cgroup/$top/memory.max; do
  [ ! -e "$file" ] || echo 16777216 >"$file"
done
try stave spawn -- sh -c "$eat" <"$T/low.json"
is 'by a limit above' "$status $(exit_of low)" '137 [137,9,"oom",1]'
like 'whose that is is said' "$err" "^stave-spawn: low: killed for want of memory \(limit 16MiB of /sys/fs/cgroup/.*$top\)$"
# shellcheck disable=SC2086 # two flags
try stave run --rm --name gone $limits --rootfs "$B" sh -c "$eat"
is 'said also of what is taken away' "$status $err" '137 stave-run: gone: killed for want of memory (limit 16MiB)'

stave rm -f eater kept shot parent low >/dev/null
find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name "$top" -type d -exec rmdir {} \;
nothing_left 'nothing is left' "$before"
