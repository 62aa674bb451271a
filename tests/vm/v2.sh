#!/bin/sh
# Inside the guest, whose only cgroup hierarchy is v2: the pipeline, and where its limits land.
# Started by test.sh with the tools in ./bin and a root file system in ./busybox.tar.
# shellcheck disable=SC2016 # for the shell in the container
set -u
mkdir -p /opt/bin /tmp/t
cp bin/* /opt/bin/ && cp busybox.tar guest.sh v2-*.sh /tmp/t/
cd /tmp/t || exit 1
export PATH="/opt/bin:$PATH" STAVE_ROOT=/tmp/t/root STAVE_RUN=/tmp/t/run
# shellcheck source=tests/vm/guest.sh
. /tmp/t/guest.sh
group=/sys/fs/cgroup/stave
value() { cat "$group/$id/$1"; }

is 'the host has v2 alone' "$(grep -c ' - cgroup ' /proc/self/mountinfo)" 0
stave load -t busybox busybox.tar >doc
is 'load and unpack' "$(stave unpack busybox | grep -c '"layers":\[{')" 1

id=$(stave run -d -m 64M --cpus 0.5 --pids-limit 40 --name web busybox sleep 1000)
is 'memory.max' "$(value memory.max)" 67108864
is 'cpu.max' "$(value cpu.max)" '50000 100000'
is 'pids.max' "$(value pids.max)" 40
is 'pid 1 is in the cgroup' "$(value cgroup.procs | wc -l)" 1
is 'the container sees its own root' "$(stave exec web cat /proc/self/cgroup)" '0::/'
is 'and its own limits' "$(stave exec web cat /sys/fs/cgroup/memory.max)" 67108864
is 'which it cannot change' "$(stave exec web sh -c 'echo max >/sys/fs/cgroup/memory.max' 2>&1 | grep -c Read-only)" 1
stave limit -m 32M web
is 'a live update' "$(value memory.max)" 33554432
stave limit -n -m 16M web | sh -e
is 'the printed shell does the same' "$(value memory.max)" 16777216
stave exec web sh -c 'cat /proc/self/cgroup' >/dev/null
is 'exec ends in the same cgroup' "$(stave join -c web -- cat /proc/self/cgroup)" "0::/stave/$id"
is 'a device may be made' "$(stave exec web mknod /tmp/fuse c 10 229 2>&1)" ''
is 'but not used' "$(stave exec web sh -c ': </tmp/fuse' 2>&1 | grep -c 'not permitted')" 1
is 'null, zero and the like may' "$(stave exec web sh -c 'head -c 5 /dev/zero | wc -c; echo x >/dev/null && echo ok' | tr '\n' ' ')" '5 ok '
stave limit --device-cgroup-rule 'c 10:229 r' web
is 'until a rule says so, while it runs' "$(stave exec web sh -c ': </tmp/fuse' 2>&1)" ''
is 'which does not say all' "$(stave exec web sh -c ': >/tmp/fuse' 2>&1 | grep -c 'not permitted')" 1
is 'too many tasks are refused' "$(stave exec web sh -c 'i=0; while [ $i -lt 60 ]; do sleep 60 & i=$((i+1)); done' 2>&1 | grep -c "can't fork")" 1
stave rm -f web >/dev/null
is 'rm takes the cgroup away' "$(test -e "$group/$id" && echo there)" ''

stave new all | stave limit -m 64M --memory-swap 80M --memory-reservation 32M -c 512 --cpu-quota 20000 --cpu-period 50000 \
  --cpuset-cpus 1 --cpuset-mems 0 --blkio-weight 500 --pids-limit 33 >all.json
id=$(sed 's/.*"id":"\([0-9a-f]*\)".*/\1/' all.json)
is 'swap is what is beyond memory' "$(value memory.swap.max)" 16777216
is 'reservation' "$(value memory.low)" 33554432
is 'shares' "$(value cpu.weight)" 59
is 'quota and period' "$(value cpu.max)" '20000 50000'
is 'processors and nodes' "$(value cpuset.cpus) $(value cpuset.mems)" '1 0'
is 'a process runs there' "$(stave spawn -- grep Cpus_allowed_list /proc/self/status <all.json | cut -f 2)" 1
is 'weight of disks' "$(cat "$group/$id/io.bfq.weight" "$group/$id/io.weight" 2>/dev/null | head -n 1 | cut -d ' ' -f 2)" \
  "$([ -e "$group/$id/io.bfq.weight" ] && echo 500 || echo 4950)"
stave limit -m 16M --memory-swap 16M all
is 'lowered' "$(value memory.max) $(value memory.swap.max)" '16777216 0'
stave limit -m 128M --memory-swap -1 all
is 'raised' "$(value memory.max) $(value memory.swap.max)" '134217728 max'
stave limit -m 32M --pids-limit 44 --cpuset-mems 99 all 2>err
is 'one refusal' "$? $(grep -c "write '99' to $group/$id/cpuset.mems" err)" '1 1'
is 'and the former limits are in force' "$(value memory.max) $(value pids.max) $(value cpuset.cpus)" '134217728 33 1'
stave rm all >/dev/null
# resources JSON [FILE]: what a document with these limits has in that file; or the error
resources() {
  printf '{"ociVersion":"1.0.2","linux":{"resources":%s}}' "$1" | stave limit >doc.json 2>err || { cat err && return; }
  id=$(sed 's/.*"id":"\([0-9a-f]*\)".*/\1/' doc.json)
  value "$2"
  stave rm "$id" >/dev/null
}
is 'unified' "$(resources '{"unified":{"memory.high":"20971520","cpu.weight":"42"}}' memory.high)" 20971520
is 'unified comes last' "$(resources '{"memory":{"limit":4194304},"unified":{"memory.max":"8388608"}}' memory.max)" 8388608
is 'idle' "$(resources '{"cpu":{"idle":1,"shares":0}}' cpu.idle)" 1
is 'burst' "$(resources '{"cpu":{"quota":50000,"period":100000,"burst":9000}}' cpu.max.burst)" 9000
is 'huge pages' "$(resources '{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}' hugetlb.2MB.max)" 4194304
is 'and their reservation' "$(resources '{"hugepageLimits":[{"pagesize":"2MB","limit":4194304}]}' hugetlb.2MB.rsvd.max)" 4194304
is 'no swap without memory' "$(resources '{"memory":{"swap":4194304}}' | grep -c 'without memory limit')" 1
is 'v1 alone: swappiness' "$(resources '{"memory":{"swappiness":3}}' | grep -c 'cgroup v2 has no such limit')" 1
is 'v1 alone: net_cls' "$(resources '{"network":{"classID":3}}' | grep -c '/sys/fs/cgroup/cgroup.controllers lacks it')" 1
is 'no controller' "$(resources '{"unified":{"nosuch.max":"1"}}' | grep -c 'nosuch')" 1
is 'no such file' "$(resources '{"unified":{"memory.nosuch":"1"}}' | grep -c 'this kernel has no memory.nosuch')" 1
is 'leads out' "$(resources '{"unified":{"../memory.max":"1"}}' | grep -c 'no slashes')" 1

# A parent that is not fit.
mkdir /sys/fs/cgroup/busy && sleep 1000 & busy=$!
sleep 0.2 && echo $busy >/sys/fs/cgroup/busy/cgroup.procs
is 'a parent with processes of its own' "$(stave new | stave limit --cgroup-parent busy -m 8M 2>&1 >/dev/null | grep -c 'processes are in the cgroup itself')" 1
kill $busy && wait $busy 2>/dev/null
rmdir /sys/fs/cgroup/busy/* /sys/fs/cgroup/busy 2>/dev/null
echo -io >/sys/fs/cgroup/cgroup.subtree_control
mkdir -p /sys/fs/cgroup/few/less
is 'a controller that is not handed down is' "$(stave new | stave limit --cgroup-parent few/less --blkio-weight 100 2>&1 >/dev/null)" ''
rmdir /sys/fs/cgroup/few/less/* /sys/fs/cgroup/few/less /sys/fs/cgroup/few 2>/dev/null
stave ps -aq | xargs stave rm >/dev/null

is 'the pipeline' "$(stave unpack busybox | stave new p - | stave mount | stave ns | stave limit -m 48M |
  stave spawn --rm -- cat /sys/fs/cgroup/memory.max)" 50331648
is 'a limit alone' "$(stave new | stave limit -m 24M | stave spawn --rm -- sh -c 'cat /sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)/memory.max')" 25165824
is 'out of memory ends the workload' "$(stave run --rm -m 8M --tmpfs /t busybox dd if=/dev/zero of=/t/x bs=1M count=64 >/dev/null 2>&1; echo $?)" 137
is 'twenty at once' "$(for i in $(seq 20); do stave run --rm busybox echo "$i" & done | sort -n | tr '\n' ' '; wait)" \
  "$(seq 20 | tr '\n' ' ')"
is 'nothing is left' "$(stave ps -aq; ls -d $group/*/ 2>/dev/null; grep -c $STAVE_ROOT /proc/self/mountinfo)" 0
# shellcheck source=tests/vm/v2-limits.sh
. ./v2-limits.sh
# shellcheck source=tests/vm/v2-oci.sh
. ./v2-oci.sh
# shellcheck source=tests/vm/v2-stat.sh
. ./v2-stat.sh
echo "1..$n"
exit $((failed > 0))
