#!/bin/sh
# Files by which root in a container could reach the machine: devices, what the kernel runs by itself (release
# agents, core_pattern, uevent helpers, modprobe), its switches, the cgroup tree.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gcc
[ "$(id -u)" = 0 ] || skip_all 'an ordinary user cannot write to these anyway'
rootfs
before=$(snapshot)
# What the host lends, its null device over a hidden file, keeps its owner and mode: root inside is the root
# who owns it. The host's stands in for one in a mount namespace of its own.
own_null() { unshare -m sh -c 'mkdir dev && mount -t tmpfs none dev && cp -a /dev/null dev/null && mount --bind dev/null /dev/null && "$@" 2>&1 </dev/null | cat; stat -c "%a %u:%g" /dev/null' sh "$@"; rmdir dev; }
tamper='chmod 600 /proc/keys; chown 33:34 /proc/keys; touch -d 2001-01-01 /proc/keys; echo x >/proc/keys && cat /proc/keys && echo null'
like 'a hidden file can be written to, and not changed' "$(own_null stave run --rm --cap-add ALL --rootfs "$B" sh -c "$tamper" | tr '\n' ' ')" '^(ch[a-z]*: [^ ]*: Read-only file system )+.*null 666 0:0 $'
same='.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
bundle lent "$same | .process.args = [\"sh\", \"-c\", \"chmod 600 /dev/null; chown 33 /dev/null; echo x >/dev/null && echo null\"] | .process.capabilities[] += [\"CAP_FOWNER\", \"CAP_CHOWN\"]"
like 'nor a device in a user namespace where ids are the host'"'"'s' "$(own_null stave-oci --root "$T/oci" run -b lent lent | tr '\n' ' ')" '^(ch[a-z]*: [^ ]*: Read-only file system )+null 666 0:0 $'

# Nor is the null device that a stream is.
by='chmod 600 /proc/self/fd/0; chown 33:34 /proc/self/fd/0; cat /proc/self/fd/0; echo null'
bundle streams ".process.args = [\"sh\", \"-c\", \"$by\"] | .process.capabilities[] += [\"CAP_FOWNER\", \"CAP_DAC_OVERRIDE\"]"
is 'a stream of oci run is the null device of its own' "$(own_null stave-oci --root "$T/oci" run -b streams streams | tr '\n' ' ')" 'null 666 0:0 '
is 'of run' "$(own_null stave run --rm --rootfs "$B" sh -c "$by" | tr '\n' ' ')" 'null 666 0:0 '
stave run -d --name evil --rootfs "$B" sleep 1000 >/dev/null
is 'of exec' "$(own_null stave exec evil sh -c "$by" | tr '\n' ' ')" 'null 666 0:0 '
is 'which is still the container'"'"'s own afterwards' "$(stave exec evil stat -c '%a %u:%g' /dev/null)" '600 33:34'
stave exec evil sh -c 'rm /dev/null; mkfifo /dev/null'
like 'one that has put something else there gets one that it cannot change' "$(own_null stave exec evil sh -c "$by" | tr '\n' ' ')" '^(ch[a-z]*: [^ ]*: Read-only file system )+null 666 0:0 $'
stave rm -f evil >/dev/null
is 'and of who runs in the background' "$(own_null sh -c 'stave run -d --name evil --rootfs "$B" sh -c "$1; sleep 1000" >/dev/null; sleep 0.5; stave rm -f evil >/dev/null' sh "$by")" '666 0:0'

# A path that can only be read, with all below it: in a proc of the host's, binfmt_misc is there.
mkdir kernel kernel/sys kernel/sys/misc && mount -t tmpfs none kernel/sys/misc
bundle below '.linux.readonlyPaths = ["/kernel/sys"] | .process.args = ["sh", "-c", "for d in sys/misc sys .; do { echo x >/kernel/$d/register; } 2>/dev/null && echo $d; done"]' \
  ".mounts += [{destination: \"/kernel\", type: \"bind\", source: \"$T/kernel\", options: [\"rbind\"]}]"
is 'what is mounted below a read-only path' "$(oci run -b below below 2>&1)" .
umount kernel/sys/misc

# No device comes over a file of the kernel's, to which the image may have a link.
ln -s /proc/self/attr/current lent/rootfs/link
jq '.linux.devices = [{path: "/link", type: "c", major: 1, minor: 3}] | .process.args = ["true"]' lent/config.json >changed && mv changed lent/config.json
refuses 'a device by a link into /proc' 1 'make device /link: .*(not device 1:3|inside /proc)' oci run -b lent lent

stave run -d --name web -m 64M --rootfs "$B" sleep 1000 >/dev/null
# inside SHELL: as root of the container, with its default rights.
inside() { stave exec web sh -c "$1" 2>&1; }

# What the kernel runs, and what turns the machine: not one of them can be opened for writing; nothing is written.
for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug /proc/sys/kernel/poweroff_cmd \
  /proc/sys/vm/panic_on_oom /proc/sys/kernel/panic /proc/sys/fs/binfmt_misc/register /proc/sysrq-trigger \
  /proc/sys/net/core/somaxconn /proc/irq/default_smp_affinity /proc/mtrr /proc/acpi/wakeup /proc/bus/pci/00/00.0 \
  /sys/kernel/uevent_helper /sys/kernel/mm/transparent_hugepage/enabled /sys/power/state /sys/kernel/profiling \
  /sys/fs/cgroup/release_agent /sys/module/kernel/parameters/panic /sys/block/vda/queue/read_ahead_kb; do
  [ -e "$file" ] || [ "$file" = /sys/fs/cgroup/release_agent ] || continue
  is "$file cannot be written to" "$(inside "[ ! -e $file ] || { : >>$file; } 2>/dev/null && [ -e $file ] && echo opened")" ''
done
for way in /proc/1/root /proc/self/root /proc/self/task/1/root /proc/self/cwd; do
  is "nor by $way" "$(inside "cd /; { : >>$way/proc/sys/vm/panic_on_oom; } 2>/dev/null && echo opened")" ''
done
is 'a copy of proc cannot be mounted' "$(inside 'mkdir /p && mount -t proc proc /p && echo mounted' | grep mounted)" ''
is 'nor can what covers it be taken away' "$(inside 'umount /proc/sys && echo gone; umount /proc/kcore && echo gone; mount -o remount,rw,bind /proc/sys && echo gone' | grep gone)" ''
is 'nor in a user namespace of its own' "$(inside 'unshare -Ur sh -c "mount -t proc proc /p || umount /proc/sys" && echo gone' | grep gone)" ''

# The cgroup tree: its own part, and that to read.
is 'cgroups can only be read' "$(inside 'for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/x && echo made; done' | grep made)" ''
is 'limits stay' "$(inside 'for f in /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; do { echo 99999999999 >$f; } 2>/dev/null && echo raised; done' | grep raised)" ''
is 'no release agent is there' "$(inside 'ls /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent 2>/dev/null')" ''
is 'no other cgroup is seen' "$(inside 'ls -d /sys/fs/cgroup/*/../* /sys/fs/cgroup/*/stave /sys/fs/cgroup/stave 2>/dev/null' | grep stave)" ''
is 'no hierarchy can be mounted' "$(inside 'mkdir -p /cg; for o in memory rdma pids name=x; do mount -t cgroup -o $o none /cg && echo mounted; done; mount -t cgroup2 none /cg && echo mounted' | grep mounted)" ''
# With the right to mount, in a cgroup namespace: what it mounts begins at its own cgroup, where no agent can be set
# but by the root of the hierarchy, and the devices stay shut.
stave run -d --name mighty --cap-add SYS_ADMIN --rootfs "$B" sleep 1000 >/dev/null
might() { stave exec mighty sh -c "$1" 2>&1; }
if v1; then
  is 'even who may mount finds no agent' "$(might 'mkdir -p /cg; for o in memory pids devices freezer; do mount -t cgroup -o $o none /cg && ls /cg/release_agent; umount /cg; done 2>/dev/null')" ''
else
  skip 'even who may mount finds no agent' 'there are no v1 hierarchies'
fi

# Devices: a node can be made, but opens only where the rules say so; also of a file system that brings nodes.
cat >dev.c <<'END'
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
// Tries all the machine's devices by number; says which it could open.
int main(void) {
  static const int majors[] = {1, 4, 5, 7, 8, 10, 11, 29, 89, 108, 202, 226, 251, 252, 253, 254, 259};
  for (unsigned i = 0; i < sizeof majors / sizeof *majors; i++)
    for (int minor = 0; minor < 256; minor++)
      for (int block = 0; block < 2; block++) {
        const char *at = "/tmp/node";
        unlink(at);
        if (mknod(at, (block ? S_IFBLK : S_IFCHR) | 0600, makedev(majors[i], minor))) continue;
        int fd = open(at, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && (errno == EPERM || errno == EACCES)) continue;
        // Shut or not is decided before the driver is asked.
        if (fd >= 0) close(fd);
        printf("%c%d:%d ", block ? 'b' : 'c', majors[i], minor);
      }
  puts("");
  return 0;
}
END
if v1; then
  cp -a "$B" tools && gcc -static -o tools/bin/dev dev.c
  for cap in MKNOD SYS_ADMIN; do
    is "devices that open, with CAP_$cap" "$(stave run --rm --cap-add "$cap" --rootfs "$T/tools" dev | sed 's/ *$//')" \
      'c1:3 c1:5 c1:7 c1:8 c1:9 c5:0 c5:2'
  done
else
  skip 'devices that open' 'there are no v1 device rules'
fi
is 'a device of the image does not open' "$(mknod tools/disk b 254 0 && stave run --rm --rootfs "$T/tools" sh -c 'head -c1 /disk >/dev/null && echo opened' 2>/dev/null)" ''
is 'memory, ports and logs are not there' "$(inside 'ls /dev/mem /dev/port /dev/kmsg /dev/kvm /dev/fuse /dev/vda 2>/dev/null')" ''
stave rm -f web mighty >/dev/null
nothing_left 'nothing is left' "$before"
