#!/bin/sh
# What the cgroup of an OCI container gives: ps, events, update, pause, resume, and kill for all.
# shellcheck disable=SC2016,SC2094 # quoted for the shell inside; the file is not the verb
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci
rootfs
before=$(snapshot)
status() { oci state "$1" | jq -r .status; }
bundle b '.process.args = ["sh", "-c", "sleep 1000 & exec sleep 1000"]'
oci run -d -b b a
pid=$(oci state a | jq .pid)
soon sh -c '[ "$(stave-oci --root oci ps -f json a | jq length)" = 2 ]'

# file HIERARCHY V1 V2: what a file of the cgroup says.
file() {
  for path in "/sys/fs/cgroup/$1/a/$2" "/sys/fs/cgroup/a/$3"; do
    at=$(find /sys/fs/cgroup -maxdepth 4 -path "${path%/a/*}*/a/${path##*/}" 2>/dev/null | head -n 1)
    [ -z "$at" ] || { cat "$at" && return; }
  done
}

is 'ps as JSON is pids' "$(oci ps --format json a | jq -c 'sort')" "$(pgrep -x -f 'sleep 1000' | sort -n | jq -sc .)"
is 'also after the id' "$(oci ps a -f json)" "$(oci ps -f json a)"
if command -v ps >/dev/null; then
  like 'ps is a table' "$(oci ps a)" "^[a-z0-9]+ +$pid .* sleep 1000$"
  is 'of the container alone' "$(oci ps a | wc -l)" 3
  like 'its options are those of ps(1)' "$(oci ps a -o pid,comm)" "^ *$pid sleep$"
  refuses 'which must show the pid' 1 'ps a: ps prints no column PID' oci ps a -o comm
else
  skip 'ps is a table' 'there is no ps(1)'
fi
refuses 'another format' 1 'ps a: invalid format option' oci ps -f yaml a

ok 'events --stats' oci events --stats a
is 'is one event' "$(printf '%s\n' "$out" | jq -c '[.type, .id, .data.pids.current]')" '["stats","a",2]'
is 'with what engines read' "$(printf '%s\n' "$out" | jq -c '.data | [(.cpu.usage.total > 0), (.memory.usage.usage > 0), (.memory.raw | length > 5), (.blkio | type)]')" '[true,true,true,"object"]'
timeout 1 stave-oci --root oci events --interval 200ms a >events
is 'events come at their interval' "$([ "$(jq -r .type events | grep -c stats)" -ge 2 ] && echo yes)" yes
refuses 'no interval' 1 'events a: duration interval must be greater than 0' oci events --interval 0s a
refuses 'what is no time' 1 'events a: duration interval' oci events --interval soon a

ok 'update --memory --pids-limit' oci update --memory 64M --pids-limit 20 a
is 'memory' "$(file memory memory.limit_in_bytes memory.max)" 67108864
is 'tasks' "$(file pids pids.max pids.max)" 20
ok 'update by a file' sh -c 'echo "{\"memory\": {\"limit\": 50331648}, \"cpu\": {\"shares\": 0}, \"pids\": null}" >r.json; stave-oci --root oci update --resources=r.json a'
is 'a zero leaves it as it was' "$(file memory memory.limit_in_bytes memory.max)" 50331648
ok 'update of an old document to 0 tasks' sh -c 'echo "{\"pids\": {\"limit\": 0}}" | stave-oci --root oci update -r - a'
is 'is no limit to set, as engines of its time mean it' "$(file pids pids.max pids.max)" 20
ok 'update by stdin' sh -c 'echo "{\"cpu\": {\"quota\": 30000, \"period\": 60000}}" | stave-oci --root oci update -r - a'
is 'quota' "$(file cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1)" 30000
ok 'one half of a pair' oci update --cpu-quota=20000 a
is 'leaves the other' "$(file cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1) $(file cpu cpu.cfs_period_us cpu.max | sed 's/.* //')" '20000 60000'
ok 'no limit' oci update --memory -1 --pids-limit=-1 --cpu-quota -1 a
is 'any more' "$(file pids pids.max pids.max) $(file cpu cpu.cfs_quota_us cpu.max | sed 's/ .*//; s/max/-1/')" 'max -1'
ok 'weights' oci update --cpu-share 512 --memory-reservation 1m a
like 'by the curve that other runtimes have' "$(file cpu cpu.shares cpu.weight)" '^(512|59)$'
if [ -n "$(file cpuset cpuset.cpus cpuset.cpus)" ]; then
  ok 'processors' oci update --cpuset-cpus 0 --cpuset-mems 0 a
  is 'are these' "$(file cpuset cpuset.cpus cpuset.cpus)" 0
else
  skip 'processors' 'the cpuset controller is not handed down here'
fi
is 'the container knows' "$(jq -c '.linux.resources.cpu | [.quota, .shares]' oci/a/config.json)" '[-1,512]'
try oci update --kernel-memory 1m a
is 'kernel memory is ignored' "$status $err" '0 stave-oci: warning: kernel memory settings are ignored'
refuses 'a limit that is none' 1 'update a: invalid value for memory' oci update --memory lots a
refuses 'a number that is none' 1 'update a: invalid value for cpu-share' oci update --cpu-share=-3 a
refuses 'no resources' 1 'update a: read -' sh -c 'echo nope | stave-oci --root oci update -r - a'
refuses 'Intel RDT' 1 'update a: --l3-cache-schema' oci update --l3-cache-schema 'L3:0=f' a
refuses 'Intel RDT again' 1 'update a: --mem-bw-schema' oci update --mem-bw-schema 'MB:0=20' a

ok 'pause' oci pause a
is 'then it is paused' "$(status a) $(oci list -f json | jq -r '.[0].status')" 'paused paused'
refuses 'once' 1 'pause a: container not running or created: paused' oci pause a
ok 'update of a paused one' oci update --pids-limit 30 a
refuses 'it is not started' 1 'start a: cannot start a container in the paused state' oci start a
refuses 'nor deleted' 1 'delete a: .* not stopped: paused' oci delete a
ok 'resume' oci resume a
is 'then it runs' "$(status a)" running
refuses 'once' 1 'resume a: container not paused' oci resume a
oci pause a
ok 'kill KILL of a paused one' oci kill a KILL
ok 'ends it' soon sh -c 'stave-oci --root oci state a | grep -q stopped'
refuses 'pause of what has stopped' 1 'pause a: container not running' oci pause a
refuses 'events of what has stopped' 1 'events a: container with id a is not running' oci events --stats a
is 'ps of what has stopped' "$(oci ps -f json a)" '[]'
ok 'kill --all of what has stopped' oci kill --all a
oci delete a
oci create -b b a
ok 'pause before the start' oci pause a
is 'is paused' "$(status a)" paused
ok 'delete --force of that' oci delete --force a

# Without a pid namespace the others outlive the first.
bundle c '.process.args = ["sh", "-c", "sleep 1003 & sleep 1003 & exec sleep 1003"]' '.linux.namespaces |= map(select(.type != "pid"))'
oci run -d -b c a
soon sh -c '[ "$(stave-oci --root oci ps -f json a | jq length)" = 3 ]'
ok 'kill KILL' oci kill a KILL
ok 'ends them all' soon sh -c '! pgrep -x -f "sleep 1003"'
oci delete a
oci run -d -b c a
soon sh -c '[ "$(stave-oci --root oci ps -f json a | jq length)" = 3 ]'
kill -9 "$(oci state a | jq .pid)"
soon sh -c 'stave-oci --root oci state a | grep -q stopped'
ok 'also when the first has gone' oci kill a KILL
ok 'they are gone' soon sh -c '! pgrep -x -f "sleep 1003"'
oci delete a
oci run -d -b c a
soon sh -c '[ "$(stave-oci --root oci ps -f json a | jq length)" = 3 ]'
ok 'kill --all with another signal' oci kill -a a TERM
ok 'is for all, too' soon sh -c '! pgrep -x -f "sleep 1003"'
refuses 'a signal that is none' 1 'kill a: unknown signal "NOPE"' oci kill a NOPE
oci delete a
oci run -d -b c a
soon sh -c '[ "$(stave-oci --root oci ps -f json a | jq length)" = 3 ]'
kill -9 "$(oci state a | jq .pid)"
soon sh -c 'stave-oci --root oci state a | grep -q stopped'
ok 'delete of one whose first has gone' oci delete a
is 'takes the others along' "$(pgrep -x -f 'sleep 1003')" ''
# 0 became a limit with 1.3: engines before it write it for none.
for words in '1.0.2-dev max' '1.2.1 max' '1.3.0 1'; do
  jq --arg version "${words% *}" '.ociVersion = $version | .process.args = ["sleep", "1003"] | .linux.resources.pids.limit = 0' b/config.json >b/version.json
  oci run -d -b b -f version.json a
  is "0 tasks in ${words% *}" "$(file pids pids.max pids.max)" "${words#* }"
  oci delete -f a
done
for verb in checkpoint restore; do
  refuses "$verb" 1 "$verb a: $verb is not supported: it would need criu" oci $verb --image-path=x a
done
nothing_left 'nothing is left' "$before"
