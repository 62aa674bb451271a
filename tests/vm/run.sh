#!/bin/bash
# Boot the cgroup v2 testbed under qemu, run a script in it as root, and exit
# with the script's status.  The script's output streams to standard output.
#
#   VM_CACHE=DIR run.sh [--debian|--systemd] [-t SECONDS] SCRIPT SHARED_DIR
#
# Without an option the guest is busybox alone (a tmpfs root; for static
# binaries); --debian: the Debian root disk, with a shell script as process 1;
# --systemd: the same disk with systemd as process 1.
# SHARED_DIR is /shared in the guest, and where the script starts.  It is 9p,
# writable: copy programs elsewhere before running them often.
# Status: the script's; 124 if -t (default 300) ran out; 125 if the guest died
# (the kernel's last messages then go to standard error).
# Also: VM_CPUS (2), VM_MEM (2048, MiB), VM_ACCEL (tcg,thread=multi; "kvm" where
# the machine has it), VM_CONSOLE (a file to keep the kernel's messages in),
# VM_APPEND (more kernel parameters).
set -euo pipefail
: "${VM_CACHE:?set VM_CACHE to the directory that setup.sh filled}"

mode=minimal limit=300
while [ $# -gt 0 ]; do
  case $1 in
    --debian | --systemd) mode=${1#--} ;;
    -t) limit=$2; shift ;;
    *) break ;;
  esac
  shift
done
if [ $# -ne 2 ] || [ ! -f "$1" ] || [ ! -d "$2" ]; then
  sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 2
fi
script=$1 shared=$2

tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
console=${VM_CONSOLE:-$tmp/console}
disk=()
[ "$mode" = minimal ] || disk=(-drive "file=$VM_CACHE/rootfs.ext4,format=raw,if=virtio,snapshot=on")

# cryptomgr.notests shortens the boot; panic=-1 with -no-reboot ends qemu at a
# panic.  Port 1 is the script's output, port 2 its status.
rc=0
timeout --foreground -k 5 "$limit" qemu-system-x86_64 -nodefaults -no-reboot -display none \
  -machine pc -accel "${VM_ACCEL:-tcg,thread=multi}" -cpu max \
  -smp "${VM_CPUS:-2}" -m "${VM_MEM:-2048}" \
  -kernel "$VM_CACHE/vmlinux" -initrd "$VM_CACHE/initrd" \
  -append "vm=$mode console=ttyS0 loglevel=4 panic=-1 cryptomgr.notests ${VM_APPEND-}" \
  "${disk[@]}" \
  -virtfs "local,path=${shared//,/,,},mount_tag=shared,security_model=none,multidevs=remap" \
  -fw_cfg "name=opt/vm/script,file=${script//,/,,}" \
  -serial "file:$console" -device virtio-serial \
  -chardev file,id=out,path=/dev/stdout -device virtserialport,chardev=out,nr=1 \
  -chardev "file,id=status,path=$tmp/status" -device virtserialport,chardev=status,nr=2 \
  </dev/null | cat || rc=$?

[ -s "$tmp/status" ] && exit "$(cat "$tmp/status")"
[ "$rc" = 124 ] || rc=125
echo "run.sh: the guest ended without a status ($rc); its console:" >&2
tail -n 60 "$console" >&2
exit "$rc"
