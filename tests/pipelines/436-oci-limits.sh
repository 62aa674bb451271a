#!/bin/sh
# Limits of an OCI container on v1 and hybrid hosts: made, changed while it runs, and what they leave.
# shellcheck disable=SC2016 # for the shell in the container
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
v1 || skip_all 'the controllers are not v1 here: tests/vm/v2-oci.sh has this'
rootfs
before=$(snapshot)
cg=/sys/fs/cgroup parent=stave-436-$$
v() { cat "$cg/$1/$parent/x/$2" 2>&1; }
b() { rm -rf "$T/b" && bundle "$T/b" '.process.args = ["sleep", "1000"]' ".linux.cgroupsPath = \"/$parent/x\"" "$@"; }
up() {
  b "$@"
  oci run -d -b "$T/b" x </dev/null >"$T/up" 2>&1 || fail 'it runs' "$(cat "$T/up")"
}
update() { printf '%s' "$1" | oci update -r - x; }

up '.linux.resources = {memory: {limit: 33554432, reservation: 25165824, kernel: 9, useHierarchy: true, disableOOMKiller: false},
  cpu: {shares: 100, quota: 500000, period: 1000000}, pids: {limit: 20}}'
is 'limits' "$(v memory memory.limit_in_bytes) $(v memory memory.soft_limit_in_bytes) $(v cpu cpu.shares) $(v cpu cpu.cfs_quota_us) $(v pids pids.max)" \
  '33554432 25165824 100 500000 20'
pid=$(oci state x | jq .pid)
is 'it is in every hierarchy' "$(grep -vc ":/.*/$parent/x$\|:/$parent/x$" "/proc/$pid/cgroup")" 0
is 'its cpuset is that above' "$(v cpuset cpuset.cpus) $(v cpuset cpuset.mems)" "$(cat $cg/cpuset/cpuset.cpus) $(cat $cg/cpuset/cpuset.mems)"
is 'devices that no rule speaks of are denied' "$(v devices devices.list | grep -c '^a')" 0
is 'those that every container has are not' "$(v devices devices.list | grep -c '^c 1:3 rwm')" 1
is 'nor is /dev/net/tun' "$(v devices devices.list | grep -c '^c 10:200 rwm')" 1

ok 'raised above both' oci update x --memory 100M --memory-swap 150M
ok 'lowered' oci update x --memory 30M --memory-swap 50M
is 'it is so' "$(v memory memory.limit_in_bytes)" 31457280
ok 'no limit' oci update x --memory -1
is 'none of both' "$(v memory memory.limit_in_bytes)" "$(cat $cg/memory/memory.limit_in_bytes)"
ok 'all single flags' oci update --cpu-period 900000 --cpu-quota 600000 --cpu-share 200 --cpuset-cpus 0 --cpuset-mems 0 \
  --memory 64M --memory-reservation 32M --pids-limit 11 --kernel-memory 9 x
is 'are in force' "$(v cpu cpu.cfs_period_us) $(v cpu cpu.cfs_quota_us) $(v cpu cpu.shares) $(v cpuset cpuset.cpus) $(v memory memory.soft_limit_in_bytes) $(v pids pids.max)" \
  '900000 600000 200 0 33554432 11'
no 'a refusal' update '{"memory": {"limit": 134217728}, "cpu": {"shares": 512}, "pids": {"limit": 77}, "cpuset": 1, "blockIO": {"throttleReadBpsDevice": [{"major": 999, "minor": 9, "rate": 1}]}}'
like 'one line that names it' "$err" "^stave-oci: error: update x: write '999:9 1' to .*read_bps_device: "
is 'leaves the former limits' "$(v memory memory.limit_in_bytes) $(v cpu cpu.shares) $(v pids pids.max)" '67108864 200 11'
is 'and the document' "$(jq -c '.linux.resources | [.memory.limit, .cpu.shares, .pids.limit]' "$T/oci/x/config.json")" '[67108864,200,11]'
no 'v2 alone' update '{"unified": {"memory.min": "1"}}'
like 'is said' "$err" 'invalid configuration'
no 'not a list of processors' oci update x --cpuset-cpus 0-

oci kill x KILL && soon sh -c 'stave-oci --root "$0" state x | grep -q stopped' "$T/oci"
refuses 'one that has ended is not changed' 1 '^stave-oci: error: update x: container not running$' oci update x --memory 70M
oci delete x && up '.linux.resources.devices = [{allow: false, type: "c", major: 10, minor: 200, access: "rw"}]'
is 'but where a rule denies it' "$(v devices devices.list | grep '^c 10:200')" ''
oci delete -f x && up '.linux.resources = {memory: {limit: 33554432}}'
pid=$(oci state x | jq .pid)

# Cgroups of its own go with it, deepest first; the parent stays.
mkdir -p "$cg/memory/$parent/x/a/b" "$cg/freezer/$parent/x/c"
echo "$pid" >"$cg/memory/$parent/x/a/b/cgroup.procs"
ok 'deleted' oci delete -f x
is 'with all of its cgroups' "$(find $cg -maxdepth 6 -path "*/$parent/x*" 2>/dev/null)" ''
ok 'the parent stays' test -d "$cg/memory/$parent"

# An ordinary user's container stays in the cgroups of who ran it where none may be made, and so does what
# is run in it later, though who asks for that is in others.
chmod 711 "$T"
mkdir "$T/own" && chown 65534:65534 "$T/own"
mkdir "$cg/memory/$parent/one" "$cg/memory/$parent/two"
from() {
  at=$cg/memory/$parent/$1 && shift
  sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$at" \
    setpriv --reuid=65534 --regid=65534 --clear-groups stave-oci --root "$T/own/oci" "$@"
}
b 'del(.linux.cgroupsPath)' '.linux.namespaces += [{type: "user"}]' \
  '.linux.uidMappings = [{containerID: 0, hostID: 65534, size: 1}]' '.linux.gidMappings = .linux.uidMappings'
chown -R 65534:65534 "$T/b"
if from one --version >/dev/null 2>&1; then
  ok 'without a cgroup of its own' from one run -d -b "$T/b" x </dev/null
  is 'exec from its user'"'"'s cgroup' "$(from one exec x echo so 2>&1)" so
  is 'and from another' "$(from two exec x echo so 2>&1)" so
  refuses 'ps cannot tell its processes' 1 'ps x: it is in no cgroup of its own' from two ps x
  ok 'kill --all' from two kill --all x KILL
  ok 'ends it' soon sh -c 'stave-oci --root "$0" state x | grep -q stopped' "$T/own/oci"
  ok 'delete' from two delete x
else
  skip 'exec without a cgroup' 'an ordinary user cannot reach the tools'
fi
rmdir "$cg/memory/$parent/one" "$cg/memory/$parent/two"

# What starts a container needs little of its memory.
b '.process.args = ["true"] | .linux.resources = {memory: {limit: 524288}}'
ok '512 KiB are enough to run' oci run -b "$T/b" x
ok 'and to be created, started, deleted' sh -c 'stave-oci --root "$0" create -b "$1" x && stave-oci --root "$0" start x' "$T/oci" "$T/b"
soon sh -c 'stave-oci --root "$0" state x | grep -q stopped' "$T/oci"
oci delete x

# A cgroup that is there: after a failure it is as it was.
for h in memory cpu pids; do mkdir "$cg/$h/$parent/x"; done
echo 77777 >"$cg/pids/$parent/x/pids.max"
echo 8192000 >"$cg/memory/$parent/x/memory.limit_in_bytes"
b '.linux.resources = {memory: {limit: 16777216}, pids: {limit: 5}, cpu: {period: 7}}'
no 'a limit that the kernel refuses' oci create -b "$T/b" x
is 'one line' "$(printf '%s\n' "$err" | wc -l)" 1
is 'what was there is as it was' "$(v memory memory.limit_in_bytes) $(v pids pids.max)" '8192000 77777'
is 'and nothing else is there' "$(find $cg -maxdepth 3 -path "*/$parent/x" 2>/dev/null | wc -l) $(ls "$T/oci" 2>/dev/null)" '3 '
for h in memory cpu pids; do rmdir "$cg/$h/$parent/x"; done
for bad in '.linux.cgroupsPath = "/a/../../b"' '.linux.resources.cpu = {quota: 1000, burst: 5000}' '.linux.resources.pids = {limit: "x"}' \
  '.linux.resources.memory = {limit: 4096, swap: 1024}' '.linux.resources.hugepageLimits = [{pageSize: "2MB/..", limit: 1}]' \
  '.linux.resources.devices = [{allow: true, type: "z"}]' '.linux.resources.cpu = {shares: 1}'; do
  b "$bad"
  try oci create -b "$T/b" x
  is "$bad: one line, nothing made" "$((status > 0)) $(printf '%s\n' "$err" | wc -l) $(find $cg -maxdepth 4 -path '*/x' -path "*$parent*" 2>/dev/null)" '1 1 '
done
find $cg -mindepth 2 -maxdepth 3 -depth -path "*/$parent*" -type d -exec rmdir {} \;
nothing_left 'nothing is left' "$before"
