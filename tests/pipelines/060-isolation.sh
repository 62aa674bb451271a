#!/bin/sh
# Isolation on the main road is docker's default.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rootfs
before=$(snapshot)
# inside SHELL: a line of shell in a container; user USER [SHELL]: as somebody
inside() { stave run --rm --rootfs "$B" sh -c "$1" 2>&1; }
user() { stave run --rm -u "$1" --rootfs "$B" sh -c "${2:-id}" 2>&1; }

# Capabilities: fourteen, bit by bit.
is 'capabilities' "$(inside 'grep Cap /proc/self/status')" 'CapInh:	0000000000000000
CapPrm:	00000000a80425fb
CapEff:	00000000a80425fb
CapBnd:	00000000a80425fb
CapAmb:	0000000000000000'
is 'a user has none in force' "$(user web 'grep -E "Cap(Eff|Prm|Bnd)" /proc/self/status')" 'CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	00000000a80425fb'

# Six namespaces are not the host's; the user namespace is.
own=$(inside 'for n in cgroup ipc mnt net pid uts user; do readlink /proc/self/ns/$n; done')
for ns in cgroup ipc mnt net pid uts; do
  unlike "a $ns namespace of its own" "$own" "$(readlink /proc/self/ns/$ns | tr '[]' '..')"
done
is 'seven were read' "$(echo "$own" | wc -l)" 7
is 'it is pid 1' "$(inside 'echo $$')" 1
is 'it sees its own processes only' "$(inside 'echo /proc/[0-9]*')" /proc/1
is 'its cgroup is the root' "$(inside 'cut -d: -f3 /proc/self/cgroup | sort -u | grep -v "^/$" | grep -c stave')" 0

# Masked and read-only paths.
is 'masked files are empty' "$(inside 'cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | wc -c')" 0
is 'masked directories are empty' "$(inside 'ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v : | tr -d "\n"')" ''
no 'a masked directory cannot be written' stave run --rm --rootfs "$B" touch /sys/firmware/x
for path in /proc/sys/kernel/domainname /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
  no "$path cannot be written" stave run --rm --rootfs "$B" sh -c "echo 0 >$path"
done
like 'and that is because of a read-only mount' "$(inside 'echo x >/proc/sys/kernel/domainname')" 'Read-only file system'
like '/sys is read-only' "$(inside 'mkdir /sys/fs/cgroup/x; echo 1 >/sys/kernel/profiling')" 'Read-only file system'

# /dev
core=; [ ! -e /proc/kcore ] || core="core "
is '/dev' "$(inside 'ls /dev | tr "\n" " "')" "${core}fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero "
is 'null and zero work' "$(inside 'echo x >/dev/null; head -c 3 /dev/zero | wc -c')" 3
is '/dev/full is full' "$(inside 'echo x >/dev/full 2>/dev/null || echo full')" full
is '/dev/fd' "$(inside 'echo through | cat /dev/fd/0')" through
# A device that the machine itself can read, with its node as mknod takes it: a disk, or else the
# kernel's log.
disk=''
for device in /dev/[hsv]d? /dev/nvme?n? /dev/loop? /dev/kmsg; do
  if [ -z "$disk" ] && dd if="$device" bs=4096 count=1 iflag=nonblock >/dev/null 2>&1; then
    kind=b && [ -b "$device" ] || kind=c
    disk="$kind $(printf '%d %d' "0x$(stat -c %t "$device")" "0x$(stat -c %T "$device")")"
  fi
done
if [ -n "$disk" ] && v1; then
  is 'the node of a device can be made' "$(inside "mknod /tmp/device $disk && echo made")" made
  like 'but not opened' "$(inside "mknod /tmp/device $disk && head -c1 /tmp/device")" 'Operation not permitted'
else
  skip 'the node of a device can be made, but not opened' 'no device can be read, or there are no v1 device rules'
fi
no 'nothing can be mounted' stave run --rm --rootfs "$B" mount -t tmpfs none /tmp
is 'its hostname is its id' "$(inside hostname | grep -Ec '^[0-9a-f]{12}$')" 1
is 'its network has lo alone' "$(inside 'ls /sys/class/net')" lo
is 'which answers' "$(inside 'ping -c1 -W1 127.0.0.1 | grep -c " 0% packet loss"')" 1

# No descriptor of the caller's comes along.
is 'three descriptors' "$(stave run --rm --rootfs "$B" ls /proc/self/fd 7</dev/null | tr '\n' ' ')" '0 1 2 3 '
is 'signals are as they begin' "$(stave run --rm --rootfs "$B" grep -E 'Sig(Blk|Ign)' /proc/self/status)" 'SigBlk:	0000000000000000
SigIgn:	0000000000000000'
# Also those that the C library keeps to itself.
ignoring='import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
for n in (2, 32, 33, 64): libc.syscall(13, n, (ctypes.c_uint64 * 4)(1, 0, 0, 0), None, 8)
os.execvp(sys.argv[1], sys.argv[1:])'
if [ "$(uname -m)" = x86_64 ]; then
  is 'whatever the caller ignores' "$(python3 -c "$ignoring" stave run --rm --rootfs "$B" grep SigIgn /proc/self/status)" \
    'SigIgn:	0000000000000000'
else
  skip 'whatever the caller ignores' 'the number of rt_sigaction is known for x86_64 alone'
fi

# User, group and home are looked up in the container's own files.
is 'by name' "$(user web)" 'uid=33(web) gid=34(www) groups=34(www),101(ssl)'
is 'with a group' "$(user web:ssl)" 'uid=33(web) gid=101(ssl) groups=101(ssl)'
is 'by a number that the file has' "$(user 33)" 'uid=33(web) gid=34(www) groups=34(www),101(ssl)'
is 'by numbers that it has not' "$(user 1000:2000)" 'uid=1000 gid=2000 groups=2000'
is 'a number alone has group 0' "$(user 1000)" 'uid=1000 gid=0(root) groups=0(root)'
is 'home' "$(user web 'echo $HOME'),$(user 1000 'echo $HOME'),$(user root 'echo $HOME')" '/srv,/,/root'
refuses 'a user that is not there' 125 'no user daemon in' stave run --rm -u daemon --rootfs "$B" true
refuses 'a group that is not there' 125 'no group staff in' stave run --rm -u web:staff --rootfs "$B" true
is "whatever the host's say" "$(getent passwd daemon | wc -l)" 1
nothing_left 'nothing is left' "$before"
