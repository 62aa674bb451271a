#!/bin/sh
# shellcheck disable=SC2016 # for the shell in the container
# Every limit of `stave limit`, where it lands on v1 and hybrid hosts, and what cannot be.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
grep -q ' - cgroup .*memory' /proc/self/mountinfo || skip_all 'memory is no v1 hierarchy here'
rootfs
before=$(snapshot)
hierarchy() { awk -v c="$1" '$(NF-2) == "cgroup" && $NF ~ "(^|,)" c "(,|$)" { print $5; exit }' /proc/self/mountinfo; }
# value CONTROLLER FILE: of the cgroup $path
value() { cat "$(hierarchy "$1")$path/$2" 2>&1; }

stave new a | stave limit -m 64M --memory-swap 96M --memory-reservation 48M --memory-swappiness 10 \
  -c 512 --cpu-quota 20000 --cpu-period 50000 --pids-limit 33 --cpuset-cpus 0 --cpuset-mems 0 >"$T/a.json"
id=$(jq -r .stave.id "$T/a.json") path=/stave/$id
is 'memory' "$(value memory memory.limit_in_bytes)" 67108864
if [ -e "$(hierarchy memory)/memory.memsw.limit_in_bytes" ]; then
  is 'memory and swap' "$(value memory memory.memsw.limit_in_bytes)" 100663296
else
  skip 'memory and swap' 'this kernel does not count swap'
fi
is 'reservation' "$(value memory memory.soft_limit_in_bytes)" 50331648

# Memory and swap where it is not said.
both() { jq -c '.linux.resources.memory | [.limit, .swap] | map(. / 1048576)'; }
is 'of memory alone both are twice' "$(stave new | stave limit -m 64M | tee b.json | both)" '[64,128]'
is 'and again' "$(stave limit -m 32M <b.json | both)" '[32,64]'
is 'what was chosen stays' "$(stave limit -m 80M <"$T/a.json" | both)" '[80,96]'
is 'none, too' "$(stave limit --memory-swap -1 <b.json | stave limit -m 32M | jq -c '.linux.resources.memory | [.limit, .swap]')" '[33554432,-1]'
stave rm "$(jq -r .stave.id b.json)" >/dev/null
is 'swappiness' "$(value memory memory.swappiness)" 10
is 'shares' "$(value cpu cpu.shares)" 512
is 'quota and period' "$(value cpu cpu.cfs_quota_us) $(value cpu cpu.cfs_period_us)" '20000 50000'
is 'tasks' "$(value pids pids.max)" 33
is 'processors and nodes' "$(value cpuset cpuset.cpus) $(value cpuset cpuset.mems)" '0 0'
is 'the process is in the cpuset' "$(stave spawn -- sh -c 'grep Cpus_allowed_list /proc/self/status; grep cpuset: /proc/self/cgroup' <"$T/a.json" |
  tr -s '\t\n' ' ' | sed 's/ [0-9]*:/ /')" "Cpus_allowed_list: 0 cpuset:/stave/$id "

ok 'raised above what both could be' stave limit -m 256M --memory-swap 300M a
is 'both are' "$(value memory memory.limit_in_bytes)" 268435456
ok 'lowered below what one was' stave limit -m 16M --memory-swap 20M a
is 'both are lower' "$(value memory memory.limit_in_bytes)" 16777216
ok 'no limit for both' stave limit --memory-swap -1 a
no 'a refusal' stave limit -m 32M --pids-limit 44 --cpu-period 77 a
like 'it names the file' "$err" "write '77' to $(hierarchy cpu)$path/cpu.cfs_period_us: "
is 'the former limits are in force' "$(value memory memory.limit_in_bytes) $(value pids pids.max) $(value cpu cpu.cfs_period_us)" '16777216 33 50000'
is 'and in the document' "$(stave inspect a | jq -c '.linux.resources | [.memory.limit, .pids.limit, .cpu.period]')" '[16777216,33,50000]'
no 'a processor that the machine has not' stave limit --cpuset-cpus 9999 a
is 'stays where it was' "$(value cpuset cpuset.cpus)" 0
stave rm -f a >/dev/null
no 'rm takes the cpuset away' test -e "$(hierarchy cpuset)$path"

# A cgroup of a parent's, and devices beyond the usual ones.
parent=/stave-435-$$
stave new --rootfs "$B" b | stave limit --cgroup-parent "$parent/sub" --device-cgroup-rule 'c 10:* rw' --pids-limit 9 >"$T/b.json"
path=$parent/sub/$(jq -r .stave.id "$T/b.json")
is 'the parent has it' "$(value pids pids.max)" 9
is 'the rule is the last' "$(value devices devices.list | tail -n 1)" 'c 10:* rw'
is 'all others are denied' "$(value devices devices.list | grep -c '^a')" 0
stave rm -f b >/dev/null
no 'its own is gone' test -e "$(hierarchy pids)$path"
like 'a process is below the parent' "$(stave new | stave limit --cgroup-parent "$parent/sub" |
  stave spawn --rm -- grep pids: /proc/self/cgroup)" ":$parent/sub/[0-9a-f]+$"
find /sys/fs/cgroup -mindepth 2 -maxdepth 3 -depth -path "*$parent*" -type d -exec rmdir {} \;

# A hierarchy that a container had no use for, while it runs: what is in it moves over.
stave run -d --name e --rootfs "$B" sh -c 'sleep 1000 & exec sleep 1000' >/dev/null
path=/stave/$(id_of e)
no 'no cpuset at first' test -e "$(hierarchy cpuset)$path"
ok 'it gets one' stave limit --cpuset-cpus 0 e
is 'for all its processes' "$(value cpuset cgroup.procs | wc -l)" 2
# shellcheck disable=SC2046 # a word each
is 'and so they run' "$(grep -h Cpus_allowed_list $(value cpuset cgroup.procs | sed 's,.*,/proc/&/status,') | sort | uniq -c | tr -s ' \t' ' ')" ' 2 Cpus_allowed_list: 0'
is 'exec joins it' "$(stave exec e grep Cpus_allowed_list /proc/self/status | cut -f 2)" 0
stave rm -f e >/dev/null

disk=$(lsblk -dno PATH 2>/dev/null | head -n 1)
if [ -b "$disk" ] && [ -n "$(hierarchy blkio)" ]; then
  number=$(lsblk -dno MAJ:MIN "$disk" | tr -d ' ')
  stave new d | stave limit --device-read-bps "$disk:1mb" --device-write-iops "$disk:50" >"$T/d.json"
  path=/stave/$(jq -r .stave.id "$T/d.json")
  is 'bytes a second' "$(value blkio blkio.throttle.read_bps_device)" "$number 1048576"
  is 'operations a second' "$(value blkio blkio.throttle.write_iops_device)" "$number 50"
  ok 'another rate' stave limit --device-read-bps "$disk:2mb" d
  is 'takes its place' "$(value blkio blkio.throttle.read_bps_device) $(stave inspect d | jq -c '[.linux.resources.blockIO.throttleReadBpsDevice[].rate]')" \
    "$number 2097152 [2097152]"
  stave rm -f d >/dev/null
else
  skip 'rates of a disk' 'no disk, or no blkio hierarchy'
fi

# What cannot be: one line, and nothing is made.
stave new c >"$T/c.json"
id=$(jq -r .stave.id "$T/c.json")
while read -r wanted flags; do
  # shellcheck disable=SC2086 # several flags
  try stave limit $flags <"$T/c.json"
  is "$flags: one line" "$(printf '%s\n' "$err" | grep -c "$(echo "$wanted" | tr _ ' ')") $(printf '%s\n' "$err" | grep -vc '^stave-limit: left: ')" '1 1'
  [ "$status" != 0 ] || fail "$flags" 'it succeeded'
done <<'END'
nothing_runs_in_0_bytes -m 0
not_a_size -m 64Q
not_a_number_of_processors --cpus -1
least_is_0.01 --cpus 0.001
minimum_allowed_cpu-shares_is_2 -c 1
memory+swap_limit -m 64M --memory-swap 32M
no_list_such_as --cpuset-cpus 0-
not_in_-1..=100 --memory-swappiness -2
not_from_10_to_1000 --blkio-weight 9
PATH:VALUE --device-read-bps /dev/null
not_a_block_device --device-read-bps /dev/null:1m
No_such_file --device-read-bps /no/such/disk:1m
of_the_form --device-cgroup-rule c
below_a_hierarchy --cgroup-parent ../..
cannot_be_used_with --cpus 1 --cpu-quota 5
END
is 'nothing was made' "$(find /sys/fs/cgroup -maxdepth 3 -name "$id" 2>/dev/null)" ''
mutated() { jq -c ".linux.resources = $1" "$T/c.json"; }
while read -r wanted resources; do
  mutated "$resources" >"$T/m.json"
  try stave limit <"$T/m.json"
  is "$resources" "$(printf '%s\n' "$err" | grep -c "$(echo "$wanted" | tr _ ' ')")" 1
done <<'END'
memory.limit {"memory": {"limit": "1"}}
neither_a_number_of_bytes {"memory": {"limit": -5}}
cpu.burst {"cpu": {"quota": 5000, "burst": 6000}}
invalid_configuration {"unified": {"memory.max": "1"}}
takes_a_part_out_of {"devices": [{"allow": false}, {"allow": true, "type": "c", "major": 1}, {"allow": false, "type": "c", "major": 1, "minor": 3}]}
devices.0.access {"devices": [{"allow": true, "access": "x"}]}
has_the_rdma_controller {"rdma": {"x": {"hcaHandles": 1}}}
END
is 'still nothing was made' "$(find /sys/fs/cgroup -maxdepth 3 -name "$id" 2>/dev/null)" ''
stave rm c >/dev/null
nothing_left 'nothing is left' "$before"
