#!/bin/sh
# config-linux.md of the runtime specification: cgroups and their limits. Numbers: ../conformance/musts.tsv
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
before=$(snapshot)
idle='.process.args = ["sleep", "100"]'

# file NAME: what it holds in the last container's cgroup; the controller is the first word of the name.
file() {
  case $1 in cpuacct.*) c=cpuacct ;; devices.*) c=devices ;; *) c=${1%%.*} ;; esac
  cat "$(hierarchy "$c")/$1"
}
# sets WHAT RESOURCES FILE WANTED [FILE WANTED...]: a file of v1's for each.
sets() {
  what=$1 resources=$2
  shift 2
  if creates "$idle | .linux.resources = $resources"; then
    got='' wanted=''
    while [ $# -gt 0 ]; do
      got="$got$1 $(file "$1" 2>&1)
" wanted="$wanted$1 $2
"
      shift 2
    done
    is "$what" "$got" "$wanted"
  else
    fail "$what" "$err"
  fi
  gone
}

# Paths
creates "$idle"
ok 'L50: an absolute path is one below the mount of the hierarchies' grep -qx "$pid" "$(hierarchy pids)/cgroup.procs"
if v1; then
  is 'L50: of each of them' "$(for c in cpu cpuacct memory devices pids; do grep -qx "$pid" "$(hierarchy $c)/cgroup.procs" || echo "$c"; done)" ''
fi
first=$(hierarchy pids)
gone
mkdir -p "$first" && creates "$idle | .linux.cgroupsPath = \$p" --arg p "$(dirname "$(jq -r .linux.cgroupsPath "$bundle/config.json")")/$(basename "$first")"
ok 'L51: the same path is the same place' grep -qx "$pid" "$first/cgroup.procs"
gone
creates "$idle | .linux.cgroupsPath = \"stave/relative-\" + \$n" --arg n "$$"
ok 'L52: a relative path is taken' lives "$pid"
where=$(grep ':pids:\|^0:' "/proc/$pid/cgroup" | head -n 1 | cut -d: -f 3)
gone
creates "$idle | .linux.cgroupsPath = \"stave/relative-\" + \$n" --arg n "$$"
is 'L51: and to the same place each time' "$(grep ':pids:\|^0:' "/proc/$pid/cgroup" | head -n 1 | cut -d: -f 3)" "$where"
gone
# runc cleans such a path; what it never may be is a place outside of the hierarchy.
creates "$idle | .linux.cgroupsPath = \"/stave/../../../conform-outside\""
case $status in
0) unlike 'L53: a path that leads out does not' "$(cut -d: -f 3 "/proc/$pid/cgroup")" '\.\.' ;;
*) no 'L53: a path that leads out does not' rt state "$id" ;;
esac
gone
rejects 'L53: a path that is no string' '.linux.cgroupsPath = 5'

# Devices
# /dev/loop-control, which anybody may open who is allowed to.
rules='.linux.devices = [{path: "/dev/tried", type: "c", major: 10, minor: 237}] | .linux.resources.devices ='
prints 'L54: device rules hold in the listed order' no 'dd if=/dev/tried of=/dev/null count=0 2>/dev/null && echo yes || echo no' \
  "$rules [{allow: false, access: \"rwm\"}, {allow: true, type: \"c\", major: 10, minor: 237, access: \"rwm\"}, {allow: false, type: \"c\", major: 10, minor: 237, access: \"rwm\"}]"
prints 'L54: the last one that matches' yes 'dd if=/dev/tried of=/dev/null count=0 2>/dev/null && echo yes || echo no' \
  "$rules [{allow: false, access: \"rwm\"}, {allow: false, type: \"c\", major: 10, minor: 237, access: \"rwm\"}, {allow: true, type: \"c\", major: 10, minor: 237, access: \"r\"}]"
prints 'L54: for the access that it names' no 'dd if=/dev/null of=/dev/tried count=0 conv=notrunc 2>/dev/null && echo yes || echo no' \
  "$rules [{allow: false, access: \"rwm\"}, {allow: true, type: \"c\", major: 10, minor: 237, access: \"r\"}]"
rejects 'L55: a rule of no known type' '.linux.resources.devices = [{allow: true, type: "z", access: "r"}]'
rejects 'L55: a rule of no known access' '.linux.resources.devices = [{allow: true, type: "c", access: "x"}]'

if v1; then
  sets 'L56: memory' '{memory: {limit: 67108864, reservation: 33554432, swappiness: 10}}' \
    memory.limit_in_bytes 67108864 memory.soft_limit_in_bytes 33554432 memory.swappiness 10
  creates "$idle | .linux.resources.memory.limit = 67108864"
  printf '{"memory": {"limit": 4096, "checkBeforeUpdate": true}}' >"$T/resources"
  if "$runtime" update --help >/dev/null 2>&1; then
    rt start "$id"
    rt exec "$id" sh -c 'head -c 4000000 /dev/zero >/file' </dev/null
    no 'L57: checkBeforeUpdate: no limit below what is used' rt update --resources "$T/resources" "$id"
    is 'L57: the former one stays' "$(file memory.limit_in_bytes)" 67108864
  else
    fail 'L57: checkBeforeUpdate: no limit below what is used' 'there is no update'
  fi
  gone
  rm -f "$bundle/rootfs/file"
  sets 'L58: processor time' '{cpu: {shares: 2048, quota: 50000, period: 100000}}' cpu.shares 2048 cpu.cfs_quota_us 50000 cpu.cfs_period_us 100000
  sets 'L59: a burst within the quota' '{cpu: {quota: 50000, period: 100000, burst: 20000}}' cpu.cfs_burst_us 20000
  rejects 'L59: a burst above the quota' '.linux.resources.cpu = {quota: 50000, period: 100000, burst: 90000}'
  sets 'L60: processors and memory nodes' '{cpu: {cpus: "0", mems: "0"}}' cpuset.cpus 0 cpuset.mems 0
  sets 'L61: processes' '{pids: {limit: 33}}' pids.max 33
  disk=$(sed -n 's/^ *\([0-9]*\) *\([0-9]*\) *[0-9]* vda$/\1:\2/p' /proc/partitions)
  if [ -n "$disk" ] && [ -e /sys/fs/cgroup/blkio/blkio.throttle.read_bps_device ]; then
    sets 'L62: throttled devices' "{blockIO: {throttleReadBpsDevice: [{major: ${disk%:*}, minor: ${disk#*:}, rate: 1000}], throttleWriteIOPSDevice: [{major: ${disk%:*}, minor: ${disk#*:}, rate: 20}]}}" \
      blkio.throttle.read_bps_device "$disk 1000" blkio.throttle.write_iops_device "$disk 20"
  else
    skip 'L62: throttled devices' 'there is no disk vda, or no throttling'
  fi
  creates "$idle | .linux.resources.pids = {limit: 0}"
  case $status in
  0) like 'L63: the limit 0 is one' "$(file pids.max)" '^(0|1|max)$' ;;
  *) pass 'L63: the limit 0 is one' ;;
  esac
  gone
  rejects 'L64: a controller that is not there' '.linux.resources.hugepageLimits = [{pageSize: "3GB", limit: 1}]'
  rejects 'L65: a page size is due' '.linux.resources.hugepageLimits = [{limit: 1}]'
  rejects 'L66: unified, where the controller is not one of v2' '.linux.resources.unified = {"memory.max": "1000000000"}'
else
  for n in 56 57 58 59 60 61 62 63 64 65 66; do skip "L$n: files of v1" 'this machine has v2: tests/vm'; done
fi
nothing_left 'R28: nothing is left' "$before"
