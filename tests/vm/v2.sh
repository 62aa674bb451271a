#!/bin/sh
# Inside the guest, whose only cgroup hierarchy is v2: the pipeline, and where its limits land.
# Started by test.sh with the tools in ./bin and a root file system in ./busybox.tar.
# shellcheck disable=SC2016 # for the shell in the container
set -u
mkdir -p /opt/bin /tmp/t
cp bin/* /opt/bin/ && cp busybox.tar /tmp/t/
cd /tmp/t || exit 1
export PATH="/opt/bin:$PATH" STAVE_ROOT=/tmp/t/root STAVE_RUN=/tmp/t/run
n=0 failed=0
# is NAME GOT WANTED
is() {
  n=$((n + 1))
  if [ "$2" = "$3" ]; then echo "ok $n - $1"; else
    failed=$((failed + 1))
    echo "not ok $n - $1"
    printf '%s\n' "got:" "$2" "wanted:" "$3" | sed 's/^/# /'
  fi
}
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
is 'too many tasks are refused' "$(stave exec web sh -c 'i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done' 2>&1 | grep -c "can't fork")" 1
is 'devices: mknod is not there to use' "$(stave exec web mknod /tmp/sda b 8 0 2>&1 | grep -c 'not permitted')" 1
stave rm -f web >/dev/null
is 'rm takes the cgroup away' "$(test -e "$group/$id" && echo there)" ''

is 'the pipeline' "$(stave unpack busybox | stave new p - | stave mount | stave ns | stave limit -m 48M |
  stave spawn --rm -- cat /sys/fs/cgroup/memory.max)" 50331648
is 'a limit alone' "$(stave new | stave limit -m 24M | stave spawn --rm -- sh -c 'cat /sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)/memory.max')" 25165824
is 'out of memory ends the workload' "$(stave run --rm -m 8M --tmpfs /t busybox dd if=/dev/zero of=/t/x bs=1M count=64 >/dev/null 2>&1; echo $?)" 137
is 'twenty at once' "$(for i in $(seq 20); do stave run --rm busybox echo "$i" & done | sort -n | tr '\n' ' '; wait)" \
  "$(seq 20 | tr '\n' ' ')"
is 'nothing is left' "$(stave ps -aq; ls -d $group/*/ 2>/dev/null; grep -c $STAVE_ROOT /proc/self/mountinfo)" 0
echo "1..$n"
exit $((failed > 0))
