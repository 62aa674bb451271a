#!/bin/sh
# Inside the guest, whose process 1 is systemd, and whose controllers are those of v1 (hybrid): the same
# driver there, as root. Started by test.sh with the tools in ./bin and a root file system in ./busybox.tar.
# shellcheck disable=SC2016 # for the shell in the container
set -u
mkdir -p /opt/bin /tmp/t
for tool in exec join keep kill limit load mount new ns oci ps rm run spawn step unpack; do
  cp "bin/stave-$tool" /opt/bin/
done
cp bin/stave /opt/bin/ && cp busybox.tar guest.sh /tmp/t/ && chmod -R a+rX /tmp/t
cd /tmp/t || exit 1
export PATH="/opt/bin:$PATH" STAVE_ROOT=/tmp/t/root STAVE_RUN=/tmp/t/run
# shellcheck source=tests/vm/guest.sh
. /tmp/t/guest.sh
# value CONTROLLER FILE, show PROPERTY...: of $unit
value() { cat "/sys/fs/cgroup/$1/system.slice/$unit/$2"; }
show() { for p in "$@"; do systemctl show -P "$p" "$unit"; done | tr '\n' ' '; }
units() { systemctl list-units --all --plain --no-legend 'stave-*' | cut -d ' ' -f 1; }

is 'the controllers are those of v1' "$(grep -c ' - cgroup .*memory' /proc/self/mountinfo)" 1
stave load -t busybox busybox.tar >doc
is 'auto is cgroupfs' "$(stave new e | stave limit | grep -c '"cgroupDriver":"cgroupfs"')" 1
stave rm e >/dev/null
id=$(stave run -d --cgroup-driver systemd -m 64M --cpus 0.5 --pids-limit 40 --name web busybox sleep 1000)
unit=stave-$id.scope
is 'a scope' "$(show ActiveState Slice MemoryLimit TasksMax)" 'active system.slice 67108864 40 '
is 'its files' "$(value memory memory.limit_in_bytes) $(value pids pids.max) $(value cpu cpu.cfs_quota_us)" '67108864 40 50000'
pid=$(stave ps --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
is 'pid 1 is in it, in every hierarchy that it needs' \
  "$(grep -E ':(memory|pids|cpu,cpuacct|devices|name=systemd|):' "/proc/$pid/cgroup" | grep -vc "/system.slice/$unit\$")" 0
is 'exec ends there too' "$(stave exec web cat /proc/self/cgroup | grep -E ':(memory|pids):' | cut -d : -f 3 | sort -u)" /
stave exec web mknod /tmp/fuse c 10 229
is 'device rules' "$(stave exec web sh -c ': </tmp/fuse' 2>&1 | grep -c 'not permitted')" 1
stave limit -m 32M web
systemctl daemon-reload
systemctl set-property --runtime "$unit" CPUShares=512
is 'a live update stays' "$(value memory memory.limit_in_bytes) $(show MemoryLimit)" '33554432 33554432 '
is 'so do device rules' "$(stave exec web sh -c ': </tmp/fuse' 2>&1 | grep -c 'not permitted')" 1
stave rm -f web >/dev/null
is 'nothing is left' "$(units; find /sys/fs/cgroup -name "$unit")" ''
is 'an ordinary user may not' "$(as-user sh -c 'stave new | stave limit --cgroup-driver systemd' 2>&1 | head -n 1)" \
  'stave-limit: --cgroup-driver systemd: on cgroup v1 systemd hands down nothing to an ordinary user'

mkdir -p b/rootfs && tar -C b/rootfs -xf busybox.tar
cat >b/config.json <<'END'
{"ociVersion":"1.0.2","root":{"path":"rootfs"},
 "process":{"args":["sleep","1000"],"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"]},
 "mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
 "linux":{"resources":{"memory":{"limit":33554432},"cpu":{"shares":512}},
  "namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"}]}}
END
oci() { stave-oci --root /tmp/t/oci --systemd-cgroup "$@"; }
oci run -d -b b x </dev/null >out 2>&1 || cat out
unit=stave-x.scope
is 'oci: a scope' "$(show ActiveState MemoryLimit CPUShares)$(value memory memory.limit_in_bytes) $(value cpu cpu.shares)" 'active 33554432 512 33554432 512'
oci update --memory 16777216 x
systemctl daemon-reload
is 'oci: update' "$(value memory memory.limit_in_bytes) $(show MemoryLimit)" '16777216 16777216 '
oci pause x
is 'oci: pause' "$(oci state x | grep -c paused)" 1
oci resume x
oci delete -f x
is 'oci: nothing is left' "$(units; ls oci; find /sys/fs/cgroup -name "$unit"; systemctl --failed --plain --no-legend | grep stave)" ''
echo "1..$n"
exit $((failed > 0))
