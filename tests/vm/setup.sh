#!/bin/bash
# Build the images of the cgroup v2 testbed: a stock Debian kernel, a small
# initramfs, and a Debian root disk with systemd.  Debian packages only.
#
#   VM_CACHE=DIR setup.sh [--minimal]
#
# --minimal leaves the root disk out (enough for run.sh without --debian or
# --systemd).  Nothing is rebuilt while this script is unchanged and the files
# are there; remove DIR to start afresh, e.g. for a newer kernel.
set -euo pipefail
: "${VM_CACHE:?set VM_CACHE to the directory that keeps the images}"
minimal=; [ "${1-}" = --minimal ] && minimal=1

# Programs of the guest's root disk.
packages=(systemd systemd-sysv dbus dbus-user-session libpam-systemd udev kmod procps
  iproute2 iputils-ping iptables nftables util-linux uidmap attr libcap2-bin
  apparmor fuse3 fuse-overlayfs slirp4netns strace python3-minimal busybox-static
  crun runc conmon podman netavark aardvark-dns)
# Modules that the initramfs loads: root disk, shared folder, script, output.
boot_modules=(virtio_pci virtio_blk virtio_console 9pnet_virtio 9p ext4 qemu_fw_cfg)
# Modules that the kernel loads when a program needs them (through modprobe).
more_modules=(overlay fuse loop squashfs erofs tun veth bridge br_netfilter dummy
  macvlan ipvlan vxlan nf_tables nft_masq nft_nat nft_chain_nat nft_ct nft_compat
  nft_fib_inet nft_limit nft_log nft_redir nft_reject_inet nf_conntrack_netlink
  nfnetlink_log xt_MASQUERADE xt_conntrack xt_addrtype xt_comment xt_mark
  xt_multiport xt_nat xt_tcpudp xt_REDIRECT xt_LOG ip_tables iptable_nat
  iptable_filter ip6_tables ip6table_nat ip6table_filter ipt_REJECT ip6t_REJECT
  inet_diag tcp_diag udp_diag unix_diag sch_tbf sch_netem sch_htb sch_ingress
  cls_bpf cls_u32 autofs4 dm_mod binfmt_misc)

self=$(realpath "${BASH_SOURCE[0]}")
mkdir -p "$VM_CACHE"; cd "$VM_CACHE"
exec 9>lock; flock 9                            # one builder at a time
id=$(sha256sum <"$self")
[ "$(cat id 2>/dev/null)" = "$id" ] || rm -f vmlinux initrd rootfs.ext4
[ -e initrd ] && [ "$minimal" ] && exit
[ -e initrd ] && [ -e rootfs.ext4 ] && exit
work=$(mktemp -d "$PWD/work.XXXXXX"); trap 'rm -rf "$work"' EXIT

# Host tools.  Other programs may hold apt's locks: wait for them.
tools=(qemu-system-x86 busybox-static kmod cpio xz-utils mmdebstrap e2fsprogs)
if ! dpkg -s "${tools[@]}" >/dev/null 2>&1; then
  apt-get -qq -o DPkg::Lock::Timeout=600 install --no-install-recommends "${tools[@]}"
fi

# The kernel: unpacked, since installing it would run the host's boot hooks.
pkg=$(apt-cache depends --important linux-image-amd64 | sed -n 's/.*Depends: //p')
kver=${pkg#linux-image-}; kernel=$work/kernel
(cd "$work" && apt-get -qq download "$pkg" 2>/dev/null)
dpkg-deb -x "$work"/linux-image-*.deb "$kernel"
depmod -b "$kernel" "$kver"
# Emulation decompresses slowly, so take the ELF kernel out of vmlinuz: qemu
# starts it as it is (PVH), with no boot loader and no decompression.
vmlinuz=$kernel/boot/vmlinuz-$kver
offset=$(LC_ALL=C grep -aboP '\xfd7zXZ\x00' "$vmlinuz" | cut -d: -f1)
offset=${offset%%[!0-9]*}                       # the first match
{ tail -c "+$((offset + 1))" "$vmlinuz" || :; } | xz -dc --single-stream >vmlinux 2>/dev/null || :
[ "$(head -c 4 vmlinux | tail -c 3)" = ELF ] || { echo "no ELF kernel in $pkg" >&2; exit 1; }

# copy_modules ROOT NAME...: modules with what they depend on, from $kernel.
copy_modules() {
  local root=$1 file name; shift
  for name; do
    modprobe -d "$kernel" -S "$kver" -D "$name" 2>/dev/null || echo "no module $name" >&2
  done | sed -n 's/^insmod //p' | sort -u | while read -r file _; do
    install -D -m 644 "$file" "$root${file#"$kernel"}"
  done
  cp "$kernel/lib/modules/$kver"/modules.{order,builtin*} "$root/lib/modules/$kver/"
  depmod -b "$root" "$kver"
}

# The guest's init.  Three parts: the initramfs's /init, /sbin/vm-init (process 1
# without systemd) and /sbin/vm-job (runs the script, reports, powers off).
guest_files() {
  mkdir -p "$1/sbin" "$1/etc/systemd/system/multi-user.target.wants" "$1/usr/local/bin"
  cat >"$1/sbin/vm-init" <<'GUEST'
#!/bin/sh
# Process 1 without systemd: mount what systemd would mount, then run the job.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /tmp
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs securityfs /sys/kernel/security
mount --make-rshared /            # as systemd does; runtimes rely on it
ln -sf /proc/self/fd /dev/fd
modprobe -a fuse tun               # their /dev nodes; without udev nothing else loads them
for c in $(cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control
done
ip link set lo up
hostname vm
/sbin/vm-job
GUEST
  cat >"$1/sbin/vm-job" <<'GUEST'
#!/bin/sh
# Run the host's script in the shared folder; output to port 1, status to port 2.
modprobe -a 9p 9pnet_virtio virtio_console qemu_fw_cfg
mkdir -p /shared /run/vm
mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,cache=mmap shared /shared
cat /sys/firmware/qemu_fw_cfg/by_name/opt/vm/script/raw >/run/vm/script
chmod +x /run/vm/script
cd /shared || exit
set -- /dev/vport*p1
export HOME=/root USER=root LOGNAME=root TERM=dumb LANG=C.UTF-8
/run/vm/script </dev/null >"$1" 2>&1
echo $? >"${1%1}2"
cd / && umount /shared
sync
poweroff -f
GUEST
  cat >"$1/etc/systemd/system/vm-job.service" <<'GUEST'
[Unit]
Description=Run the script of the host
After=dbus.service systemd-logind.service systemd-user-sessions.service
[Service]
Type=exec
ExecStart=/sbin/vm-job
Delegate=yes
OOMPolicy=continue
TasksMax=infinity
GUEST
  ln -sf ../vm-job.service "$1/etc/systemd/system/multi-user.target.wants/"
  cat >"$1/usr/local/bin/as-user" <<'GUEST'
#!/bin/sh
# as-user CMD...: CMD as the ordinary user "tester", in a delegated scope of a
# systemd user session (like a login over ssh).  Needs run.sh --systemd.
loginctl enable-linger tester && systemctl start user@1000.service || exit
exec systemd-run --quiet --machine=tester@.host --user --pipe --wait --collect \
  --property=Delegate=yes --working-directory=/home/tester \
  --setenv=PATH="$PATH" -- "$@"
GUEST
  chmod +x "$1"/sbin/vm-{init,job} "$1/usr/local/bin/as-user"
}

# The initramfs: busybox, the modules for booting, and (for the mode without a
# root disk) all the others.
root=$work/initramfs
mkdir -p "$root"/{bin,usr/bin,usr/sbin,dev,proc,sys,tmp,run,etc,root,var/tmp,disk,shared}
ln -s bin "$root/sbin"
for applet in $(busybox --list); do ln -s busybox "$root/bin/$applet"; done
cp --remove-destination /bin/busybox "$root/bin/"
echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
copy_modules "$root" "${boot_modules[@]}" "${more_modules[@]}"
guest_files "$root"
cat >"$root/init" <<'GUEST'
#!/bin/sh
# The initramfs's init: go on to the root that the kernel parameter vm= asks for.
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
modprobe -a virtio_pci
case $(cat /proc/cmdline) in
  *vm=minimal*)  # a tmpfs: pivot_root refuses the initramfs itself
    mount -t tmpfs -o size=75% root /disk
    cp -a /bin /sbin /usr /etc /lib /root /var /disk/
    mkdir /disk/dev /disk/proc /disk/sys /disk/tmp /disk/run
    init=/sbin/vm-init ;;
  *)
    modprobe -a virtio_blk ext4
    mount -t ext4 /dev/vda /disk || poweroff -f
    init=/sbin/vm-init ;;
esac
case $(cat /proc/cmdline) in *vm=systemd*) init=/sbin/init ;; esac
umount /proc /sys
mount -o move /dev /disk/dev
exec switch_root /disk $init
GUEST
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >initrd.new

# The root disk: ext4 (overlayfs can stack on it), big and sparse; every run
# writes to a throw-away snapshot of it.
if [ ! "$minimal" ]; then
  root=$work/root
  # shellcheck source=/dev/null
  . /etc/os-release
  mmdebstrap --quiet --variant=apt --include="$(IFS=,; echo "${packages[*]}")" \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$VERSION_CODENAME" "$root"
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
  copy_modules "$root" "${boot_modules[@]}" "${more_modules[@]}"
  guest_files "$root"
  mkdir "$root/shared"
  echo vm >"$root/etc/hostname"; echo 127.0.0.1 localhost vm >"$root/etc/hosts"
  echo '/dev/vda / ext4 defaults 0 1' >"$root/etc/fstab"
  echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
  chroot "$root" useradd -m -s /bin/bash tester
  # Leave out what only costs boot time.  udev serves devices made later (it
  # renames and re-addresses veths on real hosts, too), but not those there already.
  for unit in systemd-udev-{trigger,settle} systemd-{firstboot,pstore} {serial-getty@ttyS0,getty@tty1} \
    apparmor nftables podman{,-restart,-auto-update} \
    {apt-daily,apt-daily-upgrade,dpkg-db-backup,fstrim,podman-auto-update}.timer; do
    chroot "$root" systemctl --quiet mask "$unit"
  done
  mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=0 -d "$root" rootfs.ext4.new 4G
  mv rootfs.ext4.new rootfs.ext4
fi
mv initrd.new initrd
echo "$id" >id
