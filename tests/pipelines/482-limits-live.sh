#!/bin/sh
# Limits of a container while it runs: changed, changed back, looked at, and what they do.
# shellcheck disable=SC2016 # for the shell in the container
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'not root'
v1 || skip_all 'the controllers are not v1 here: tests/vm/v2.sh has this'
rootfs
before=$(snapshot)
doc() { stave inspect web | jq -c "$1"; }
# value FILE: of the container $id
value() { cgroup "$id" "$1"; }
# row CONTAINER RESOURCE: what the view says, but where
row() { stave limit "$1" | awk -v r="$2" '$1 == r { print $2, $3 }'; }
set_by() { stave limit "$1" | awk -v r="$2" '$1 == r { print $4 }'; }

stave run -d --name web -m 64M --pids-limit 30 --rootfs "$B" sh -c 'while :; do sleep 0.1; done' >/dev/null
id=$(id_of web)
ok 'the container before the flags' stave limit web -m 128M --cpus 0.5
is 'nothing is printed' "$out" ''
is 'the kernel has it' "$(value memory.limit_in_bytes) $(value cpu.cfs_quota_us) $(value pids.max)" '134217728 50000 30'
is 'and the document' "$(doc '.linux.resources | [.memory.limit, .cpu.quota, .pids.limit]')" '[134217728,50000,30]'
ok 'after them' stave limit -c 512 web
is 'both' "$(value cpu.shares) $(value memory.limit_in_bytes)" '512 134217728'
is 'each is kept' "$(doc '[.stave.was[].resources.memory.limit]')" '[67108864,134217728]'
ok 'again is no other' stave limit -c 512 web
is 'and not kept' "$(doc '.stave.was | length')" 2
echo 40 >"$(echo /sys/fs/cgroup/*/stave/"$id"/pids.max)"
ok 'what a hand wrote' stave limit -m 96M web
is 'stays' "$(value pids.max)" 40
ok 'undo' stave limit --undo web
is 'is the last one' "$(value memory.limit_in_bytes) $(value cpu.shares) $(value cpu.cfs_quota_us)" '134217728 512 50000'
ok 'undo' stave limit web --undo
is 'then the one before' "$(value cpu.shares) $(value cpu.cfs_quota_us)" '1024 50000'
shown=$(stave limit --undo -n web | grep '^echo' | sort)
is 'the shell of it' "$shown" "$(printf 'echo %s >/sys/fs/cgroup/%s\n' \
  100000 "cpu/stave/$id/cpu.cfs_period_us" -1 "cpu/stave/$id/cpu.cfs_quota_us" 67108864 "memory/stave/$id/memory.limit_in_bytes" \
  134217728 "memory/stave/$id/memory.memsw.limit_in_bytes" | sort)"
ok 'undo' stave limit --undo web
is 'and the first' "$(value memory.limit_in_bytes) $(value cpu.cfs_quota_us) $(doc '.linux.resources | [.memory.limit, .cpu]')" '67108864 -1 [67108864,null]'
is 'nothing is kept any more' "$(doc .stave.was)" null
refuses 'with none left a cgroup in use stays' 1 '^stave-limit: undo the limits of web: it runs, and no update is left to undo$' stave limit --undo web
is 'it runs' "$(stave exec web echo yes)" yes
stave limit -n -m 80M web >"$T/update"
is 'the shell of an update does nothing' "$(value memory.limit_in_bytes)" 67108864
ok 'but where it is run' sh -e "$T/update"
is 'the same' "$(value memory.limit_in_bytes) $(doc '[.linux.resources.memory.limit, .stave.was[0].files["memory.limit_in_bytes"]]')" '83886080 [83886080,"67108864"]'
ok 'and it can be undone' stave limit --undo web
is 'as well' "$(value memory.limit_in_bytes)" 67108864
ok 'no limit' stave limit -m -1 web
is 'any more' "$(row web memory | cut -d ' ' -f 1)" none

# A hierarchy that it had no use for comes, and goes.
cpuset=/sys/fs/cgroup/cpuset
ok 'processors' stave limit --cpuset-cpus 0 web
is 'it is in the cpuset' "$(cat "$cpuset/stave/$id/cpuset.cpus") $(wc -l <"$cpuset/stave/$id/cgroup.procs" | sed 's/^[12]$/in/')" '0 in'
ok 'undone' stave limit --undo web
no 'and the cpuset is gone' test -e "$cpuset/stave/$id"
is 'while it runs' "$(stave exec web echo yes)" yes
ok 'devices' stave limit --device-cgroup-rule 'c 10:229 rw' web
is 'one more' "$(value devices.list | grep -c '^c 10:229 rw')" 1
ok 'undone' stave limit --undo web
is 'not any more' "$(value devices.list | grep -c '^c 10:229')$(value devices.list | grep -c '^a')" 00
ok 'a burst, and idle' stave limit --cpu-quota 50000 --cpu-burst 20000 --cpu-idle 1 web
is 'as asked' "$(value cpu.cfs_burst_us) $(value cpu.idle)" '20000 1'
ok 'undone' stave limit --undo web
is 'not any more' "$(value cpu.cfs_burst_us) $(value cpu.idle)" '0 0'
stave limit -c 300 web && stave limit --cpu-idle 1 web
ok 'undone' stave limit --undo web
is 'the weight is what it was' "$(value cpu.idle) $(value cpu.shares)" '0 300'
no 'idle, and what cannot be' stave limit --cpu-idle 1 --pids-limit 99999999999 web
is 'too' "$(value cpu.idle) $(value cpu.shares)" '0 300'
stave limit --undo web
ok 'a weight while it is idle' sh -c 'stave limit --cpu-idle 1 -c 512 web && stave limit -c 700 web'
is 'is not in force' "$(value cpu.idle) $(value cpu.shares)" '1 3'
ok 'then it is not' stave limit --cpu-idle 0 web
is 'the weight is the last one' "$(value cpu.idle) $(value cpu.shares) $(doc .linux.resources.cpu.shares)" '0 700 700'
ok 'undone' stave limit --undo web
is 'idle' "$(value cpu.idle)" 1
ok 'undone twice' sh -c 'stave limit --undo web && stave limit --undo web'
is 'as it was' "$(value cpu.idle) $(value cpu.shares)" '0 1024'

# A refusal leaves all as it was, in both.
was=$(stave inspect web)
stave exec web sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=24' 2>/dev/null
refuses 'a limit below what is in use' 1 "^stave-limit: write '8388608' to .*/memory.limit_in_bytes: unable to set memory limit to 8388608 \(current usage: [0-9]+\)$" \
  stave limit -m 8M --pids-limit 77 --cpus 0.3 web
is 'and nothing is changed' "$(value cpu.cfs_quota_us) $(value pids.max)" '-1 40'
is 'in the document neither' "$(stave inspect web)" "$was"
refuses 'the cgroup is not moved' 1 '^stave-limit: --cgroup-parent x: the container has its cgroup already, at /stave/' stave limit --cgroup-parent x web

ok 'no list of processors' stave limit --cpuset-cpus '' --cpuset-mems '' web
is 'is no change' "$(stave inspect web)" "$was"

# It ends, is changed, and starts again.
stave limit -m 48M web && stave kill web >/dev/null && stave wait web >/dev/null
ok 'one that does not run' stave limit --pids-limit 25 web
stave inspect web | stave mount | stave ns | stave limit | stave keep >/dev/null
is 'starts with both' "$(value memory.limit_in_bytes) $(value pids.max)" '50331648 25'
is 'in a fresh cgroup' "$(value memory.failcnt)" 0
ok 'whose limits can be undone' stave limit --undo web
is 'to the former' "$(value pids.max) $(doc .linux.resources.pids.limit)" '40 30'
stave kill web >/dev/null && stave wait web >/dev/null
ok 'undone while it does not run' stave limit --undo web
is 'too' "$(doc '[.linux.resources.memory.limit, .stave.was[0].files["memory.limit_in_bytes"]]')" '[-1,"67108864"]'
stave rm -f web >/dev/null

# Without a limit of memory there is none of both, also for the next start.
stave new both | stave limit -m 64M --memory-swap 128M | stave keep -- sleep 1000 >/dev/null
id=$(id_of both)
ok 'no limit of memory' stave limit -m -1 both
is 'nor of both' "$(stave inspect both | jq -c '.linux.resources.memory')" '{"limit":-1,"swap":-1}'
ok 'then a limit again' stave limit -m 256M both
is 'of both' "$(value memory.memsw.limit_in_bytes)" 536870912
ok 'undone' stave limit --undo both
stave kill both >/dev/null && stave wait both >/dev/null
ok 'it starts with that' sh -c 'stave inspect both | stave limit | stave keep -- sleep 1000'
is 'as it was' "$(row both memory)" "none $(row both memory | cut -d ' ' -f 2)"
ok 'undone' stave limit --undo both
is 'to both' "$(value memory.limit_in_bytes) $(stave inspect both | jq -c .linux.resources.memory)" '67108864 {"limit":67108864,"swap":134217728}'
stave rm -f both >/dev/null

stave new none | stave keep -- sleep 1000 >/dev/null
refuses 'one that was started without a cgroup' 1 '^stave-limit: limit none: it runs, and was started without a cgroup of its own$' stave limit -m 64M none
is 'is looked at' "$(row none memory)" "none $(awk '$1 == "MemTotal:" { printf "%.1fGiB", $2 / 1048576 }' /proc/meminfo)"
stave rm -f none >/dev/null

# Changed while it is taken away: nothing is made of it again.
for n in 1 2 3 4 5 6 7 8; do
  stave run -d --rm --name brief --rootfs "$B" sleep 0.05 >/dev/null
  id=$(id_of brief)
  while stave limit -m 64M --cpuset-cpus 0 brief && stave limit --undo brief; do :; done 2>>"$T/brief"
  soon sh -c "! test -e '$STAVE_ROOT/c/$id'"
done
is 'one that goes: one line each' "$(sed 's/[0-9a-f]\{12\}/ID/; s/ID .*/ID/' "$T/brief" | grep -vc -e '^stave-limit: no container brief$' -e '^stave-limit: container ID' -e ': it runs, and ')" 0
is 'and nothing of it is left' "$(left "$before")" ''

# With no update left, --undo is the stage's.
stave new one >/dev/null
ok 'the first limits make the cgroup' stave limit -m 64M one
id=$(id_of one)
is 'of one that had none' "$(value memory.limit_in_bytes) $(stave inspect one | jq .stave.was)" '67108864 null'
ok 'an update' stave limit -m 32M one
ok 'undone' stave limit --undo one
is 'it is there' "$(value memory.limit_in_bytes)" 67108864
ok 'undone' stave limit --undo one
is 'it is gone' "$(cgroups "$id")" ''
stave rm one >/dev/null

# Nobody runs without the limits that its document has.
stave new free | stave limit -m 64M --pids-limit 9 >"$T/free.json"
id=$(id_of free)
rmdir "/sys/fs/cgroup/memory/stave/$id"
refuses 'a cgroup that is gone' 125 "^stave-spawn: spawn $id: its document limits memory, but there is no /sys/fs/cgroup/memory/stave/$id \(stave limit $id\)\$" stave spawn free -- true
refuses 'also in the background' 125 'but there is no /sys/fs/cgroup/memory/stave/' stave keep free -- true
ok 'made again' stave limit --memory-reservation 32M free
ok 'it runs' stave spawn free -- true
stave limit --undo free
ok 'undone' stave limit --undo free
refuses 'all of it gone' 125 "but there is no /sys/fs/cgroup/" stave spawn free -- true
stave rm free >/dev/null
refuses 'nobody made it' 125 'its document limits pids, but there is no /sys/fs/cgroup/pids/stave/' \
  sh -c 'echo "{\"linux\":{\"resources\":{\"pids\":{\"limit\":9}}}}" | stave spawn -- true'
is 'and nothing is left of it' "$(stave ps -aq)" ''

# What holds may be set above, and is not taken away with it.
top=stave-482-$$
mkdir "/sys/fs/cgroup/memory/$top" "/sys/fs/cgroup/pids/$top"
echo 33554432 >"/sys/fs/cgroup/memory/$top/memory.limit_in_bytes"
stave new low | stave limit --cgroup-parent "$top" -m 64M >"$T/low.json"
is 'its own, and what holds' "$(row low memory)" '64MiB 32MiB'
is 'which a cgroup above sets' "$(set_by low memory)" "/sys/fs/cgroup/memory/$top/memory.limit_in_bytes"
is 'for a program' "$(stave limit --json low | jq -c '.name, (.limits[] | select(.resource == "memory"))' | tr '\n' ' ')" \
  "\"low\" {\"resource\":\"memory\",\"limit\":67108864,\"effective\":33554432,\"by\":\"/sys/fs/cgroup/memory/$top/memory.limit_in_bytes\"} "
is 'none is said' "$(row low tasks | cut -d ' ' -f 1)" none
is 'and the machine has its bounds' "$(set_by low tasks | grep -c /proc/sys/kernel/)" 1
is 'of processors, too' "$(row low processors)" "none $(nproc --all)"
refuses 'one form for a container alone' 2 'no container is named' stave limit --json
refuses 'which changes nothing' 2 'changes nothing' stave limit --json -m 64M low
stave limit --undo <"$T/low.json" >/dev/null
is 'undo leaves what the caller had made' "$(ls -d "/sys/fs/cgroup/memory/$top" /sys/fs/cgroup/memory/"$top"/*/ 2>/dev/null)" "/sys/fs/cgroup/memory/$top"
ok 'and so does one for a container' sh -c "stave limit low >/dev/null && stave limit --undo low && test -d /sys/fs/cgroup/pids/$top"
stave rm low >/dev/null
is 'and rm' "$(ls -d "/sys/fs/cgroup/memory/$top")" "/sys/fs/cgroup/memory/$top"
find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name "$top" -type d -exec rmdir {} \;

# A name of one's own, and a view of one's own.
echo "{\"linux\":{\"cgroupsPath\":\"/$top/x\"}}" | stave limit -m 64M >"$T/named.json"
is 'a cgroup by its name' "$(stave spawn -- sed -n 's/.*memory://p' /proc/self/cgroup <"$T/named.json")" "/$top/x"
is 'stays for who named it' "$(stave rm "$(jq -r .stave.id "$T/named.json")" >/dev/null; ls -d "/sys/fs/cgroup/memory/$top" 2>&1)" "/sys/fs/cgroup/memory/$top"
find /sys/fs/cgroup -mindepth 1 -maxdepth 3 -depth -path "*/$top*" -type d -exec rmdir {} \;
is 'its own cgroup is the root' "$(stave run --rm -m 64M --rootfs "$B" sed -n 's/.*memory://p' /proc/self/cgroup)" /
like 'or the host shows' "$(stave run --rm -m 64M --cgroupns host --rootfs "$B" sed -n 's/.*memory://p' /proc/self/cgroup)" '^/stave/[0-9a-f]+$'

# What they do. A spinner at a fifth of a processor.
stave new spin | stave limit --cpus 0.2 | stave keep -- sh -c 'while :; do :; done' >/dev/null
id=$(id_of spin)
sleep 1
a=$(value cpuacct.usage) t=$(date +%s%N)
sleep 3
share=$((($(value cpuacct.usage) - a) * 100 / ($(date +%s%N) - t)))
if [ "$share" -ge 10 ] && [ "$share" -le 25 ]; then pass 'a spinner has a fifth'; else fail 'a spinner has a fifth' "$share percent"; fi
is 'it was stopped' "$(value cpu.stat | awk '$1 == "nr_throttled" { print ($2 > 0) }')" 1
stave rm -f spin >/dev/null
stave new bomb | stave limit --pids-limit 20 | stave keep -- sh -c 'b() { while :; do b & done; }; b 2>/dev/null' >/dev/null
id=$(id_of bomb)
soon sh -c "cat /sys/fs/cgroup/pids/stave/$id/pids.events | grep -q 'max [1-9]'"
is 'a bomb stops at its limit' "$(($(value pids.current) <= 20))" 1
stave rm -f bomb >/dev/null
stave run -d --name dev --rootfs "$B" sleep 1000 >/dev/null
is 'a device may be made' "$(stave exec dev mknod /tmp/fuse c 10 229 2>&1)" ''
like 'but not used' "$(stave exec dev sh -c ': </tmp/fuse' 2>&1)" 'not permitted'
stave limit --device-cgroup-rule 'c 10:229 r' dev
unlike 'until a rule says so' "$(stave exec dev sh -c ': </tmp/fuse' 2>&1)" 'not permitted'
stave limit --undo dev
like 'and no longer' "$(stave exec dev sh -c ': </tmp/fuse' 2>&1)" 'not permitted'
stave rm -f dev >/dev/null
stave run -d --name dev --rootfs "$B" sh -c 'n=0; while [ ! -e /stop ]; do : 2>/dev/null >/dev/null || n=$((n + 1)); done; echo "$n times" >/n' >/dev/null
for n in 1 2 3 4 5 6 7 8 9 10; do
  stave limit --device-cgroup-rule "c 10:$n rw" dev && stave limit --undo dev
done
touch "$STAVE_ROOT/c/$(id_of dev)/rootfs/stop"
stave wait dev >/dev/null
is 'and what is granted before and after is granted in between' "$(stave wait dev) $(cat "$STAVE_ROOT/c/$(id_of dev)/upper/n")" '0 0 times'
stave rm -f dev >/dev/null
nothing_left 'nothing is left' "$before"
