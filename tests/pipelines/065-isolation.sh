#!/bin/sh
# What keeps a container apart: docker's default, seen from inside, and what a root file system
# that means ill can do about it.
# shellcheck source=tests/lib.sh
# shellcheck disable=SC2016 # single quotes are for the shell in the container
. "$(dirname "$0")/../lib.sh"
rootfs

# in_it COMMAND...: in a container of the default kind; $out and $status are what came.
in_it() {
  try stave run --rm --rootfs "$B" "$@"
}
field() { printf '%s\n' "$out" | awk -v name="$1:" '$1 == name { $1 = ""; print substr($0, 2) }'; }

# Rights.
in_it cat /proc/self/status
is "CapEff is docker's" "$(field CapEff)" 00000000a80425fb
is 'CapPrm is' "$(field CapPrm)" 00000000a80425fb
is 'CapBnd is' "$(field CapBnd)" 00000000a80425fb
is 'CapInh is empty' "$(field CapInh)" 0000000000000000
is 'CapAmb is empty' "$(field CapAmb)" 0000000000000000
in_it -u web cat /proc/self/status
is 'an ordinary user has none in force' "$(field CapEff) $(field CapPrm)" '0000000000000000 0000000000000000'
is 'but may gain those of the bounding set' "$(field CapBnd)" 00000000a80425fb

# Users: names and numbers are those of the container's passwd and group.
in_it -u web sh -c 'id -u; id -g; echo $HOME'
is '-u web: user, group and home' "$out" '33
34
/srv'
in_it -u web cat /proc/self/status
is '-u web: all four user ids' "$(field Uid | tr '\t' ' ')" '33 33 33 33'
is '-u web: all its groups, and the first among them' "$(field Groups)" '34 101'
in_it -u web:ssl cat /proc/self/status
is '-u web:ssl: the group, and no other' "$(field Gid | cut -d' ' -f1)/$(field Groups)" 101/101
in_it -u 33 sh -c 'id -u; id -g; echo $HOME'
is '-u 33: the same entry' "$out" '33
34
/srv'
in_it -u 1000:2000 sh -c 'id -u; id -g; echo $HOME'
is '-u 1000:2000: numbers that nobody knows' "$out" '1000
2000
/'
refuses '-u who' 125 '^stave-run: user who: no user who in the container' stave run --rm --rootfs "$B" -u who true
refuses '-u web:who' 125 '^stave-run: user web:who: no group who in' stave run --rm --rootfs "$B" -u web:who true
# (uid_t) -1 is "as it is" to setresuid(2): whoever asks for it must not get root.
refuses '-u 4294967295 is no user' 125 '4294967295' stave run --rm --rootfs "$B" -u 4294967295 id
refuses '-u 33:4294967295 is no group' 125 '4294967295' stave run --rm --rootfs "$B" -u 33:4294967295 id
number() {
  stave new --rootfs "$B" | jq -c ".process.user.$1 = 4294967295" | stave spawn --rm -- id 2>&1
}
unlike 'nor in a document' "$(number uid)" 'uid=0'
unlike 'nor as its group' "$(number gid)" 'gid=0'

# Namespaces.
in_it sh -c 'for ns in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$ns; done'
is 'six namespaces' "$(printf '%s\n' "$out" | grep -c '^[a-z]*:\[[0-9]*\]$')" 6
for ns in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$ns; done >hosts
is "none is the machine's" "$(printf '%s\n' "$out" | grep -xFf hosts)" ''
in_it sh -c 'echo $$; ls -d /proc/[0-9]*; hostname foreign; cut -d: -f3 /proc/self/cgroup | sort -u; ls /sys/class/net'
is 'it sees itself alone, as pid 1, at the root of its cgroup, with lo' "$(printf '%s\n' "$out" | grep -v '/proc/[2-9]')" '1
/proc/1
/
lo'

# /dev: what docker has, and nothing of the machine's.
in_it sh -c 'stat -c "%A %n %t:%T" /dev/* | grep -v /dev/core | sort -k2'
is '/dev' "$(printf '%s\n' "$out" | sed 's/ 0:0$//')" 'lrwxrwxrwx /dev/fd
crw-rw-rw- /dev/full 1:7
drwxrwxrwt /dev/mqueue
crw-rw-rw- /dev/null 1:3
lrwxrwxrwx /dev/ptmx
drwxr-xr-x /dev/pts
crw-rw-rw- /dev/random 1:8
drwxrwxrwt /dev/shm
lrwxrwxrwx /dev/stderr
lrwxrwxrwx /dev/stdin
lrwxrwxrwx /dev/stdout
crw-rw-rw- /dev/tty 5:0
crw-rw-rw- /dev/urandom 1:9
crw-rw-rw- /dev/zero 1:5'
in_it sh -c 'head -c 4 /dev/zero | wc -c; echo x >/dev/null && head -c 2 /dev/urandom | wc -c; echo x >/dev/full'
is 'its devices work' "$(printf '%s\n' "$out" | head -n 2 | tr '\n' ' ')$status" '4 2 1'

# The machine's disks and memory: a node can be made, and opens for nobody.
disk=$(awk '$3 !~ /^0:/ { sub(":", " ", $3); print $3; exit }' /proc/self/mountinfo)
# shellcheck disable=SC2086 # two numbers
if [ -n "$disk" ] && mknod disk b $disk && head -c 1 disk >/dev/null 2>&1; then
  in_it sh -c "mknod /tmp/disk b $disk && head -c 1 /tmp/disk >/dev/null"
  like 'the disk of the machine cannot be read' "$err/$status" 'Operation not permitted/1$'
else
  skip 'the disk of the machine cannot be read' 'not even the machine can read its disk'
fi
rm -f disk
in_it sh -c 'mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem >/dev/null'
like 'nor its memory' "$err/$status" 'Operation not permitted/1$'
# Where no cgroup holds the rules, the right to make the node goes.
try sh -c 'stave new --rootfs "$B" | stave spawn --rm -- mknod /tmp/mem c 1 1'
like 'without a cgroup no node can be made' "$err/$status" 'mknod: .*Operation not permitted/1$'

# Masked and read-only paths.
stave new --rootfs "$B" | jq -r '.linux.maskedPaths[]' >masked
is 'docker masks eleven paths' "$(wc -l <masked)" 11
in_it sh -c 'for p in $0; do if [ -d $p ]; then ls -A $p; elif [ -e $p ]; then cat $p; fi; done' "$(cat masked)"
is 'a masked path has nothing in it' "$out$err" ''
in_it sh -c 'for p in $0; do if [ -d $p ] && mkdir $p/x; then echo $p; fi; done' "$(cat masked)"
is 'and takes nothing' "$out" ''
like 'because it can only be read' "$err" 'mkdir: .*/sys/firmware/x.: Read-only file system'
for path in /proc/sys/kernel/panic /proc/sysrq-trigger /sys/kernel/x /sys/fs/cgroup/x; do
  in_it sh -c ': >>$0' "$path"
  like "$path cannot be written" "$err/$status" '(Read-only file system|nonexistent directory|Permission denied)/[12]$'
done
in_it mount -t tmpfs none /tmp
is 'nothing can be mounted' "$status" 1
in_it umount /proc/acpi
is 'nor unmounted' "$status" 1
in_it unshare -m true
is 'nor can new namespaces be made' "$status" 1

# Nothing of the caller leaks in: descriptors, signals, umask.
exec 9</etc/passwd
in_it sh -c 'ls /proc/self/fd | grep -vx "[012]" | wc -l' # ls itself has the directory open
is 'no descriptor of the caller' "$out" 1
exec 9<&-
cat >rude.py <<'END'
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGRTMIN})
for number in signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD: signal.signal(number, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])
END
try python3 rude.py stave run --rm --rootfs "$B" grep Sig /proc/self/status
is 'no signal is blocked or ignored' "$(field SigBlk) $(field SigIgn)" '0000000000000000 0000000000000000'
umask 077
in_it -u web -v "$B/etc:/a/b" -w /c/d sh -c 'umask; stat -c %a /a /c /c/d /dev /dev/shm; cat /a/b/group | wc -l'
umask 022
is "the umask of the caller is not the container's" "$out" '0022
755
755
755
755
1777
4'

# A root that means ill: its links lead out, and nothing may follow them.
mkdir outside evil volume devices
cp -a "$B/." evil
up=../../../../../../../../..
rmdir evil/dev evil/sys
ln -s "$up/etc" evil/dev
ln -s "/$up/srv" evil/sys
ln -s /etc evil/data
ln -s "$up$T/outside" evil/out
ln -s /proc/1/root evil/magic
before=$(ls -la "$T/outside" /etc)
# What it answers does not matter; what it made does. ($status is 0 or 125.)
for flags in "-v $T/volume:/out" "-v $T/volume:/out/sub" "-v $T/volume:/$up$T/outside/x" "-w /out/deep" "--tmpfs /out/tmp" \
  "--tmpfs /magic/$T/outside/t" "-w /magic$T/outside/w" "-v $B/etc/passwd:/out/file"; do
  # shellcheck disable=SC2086 # words
  try stave run --rm --rootfs "$T/evil" $flags true
  like "$flags: it is in the container, or nowhere" "$status" '^(0|125)$'
done
try stave run --rm --rootfs "$T/evil" -v "$T/volume:/data" true
is 'nothing was made outside of it' "$(ls -la "$T/outside" /etc)" "$before"
is 'nor in a volume' "$(ls -A volume)" ''
try stave run --rm --rootfs "$B" -v "$T/devices:/dev" true
is 'a volume on /dev gets no devices' "$(find devices -type c -o -type l)" ''
rm -rf evil/etc
mkdir outside/etc
echo 'planted:x:55:55::/:' >outside/etc/passwd
ln -s "$T/outside/etc" evil/etc
refuses 'etc/passwd is looked for in the root alone' 125 'no user planted' \
  stave run --rm --rootfs "$T/evil" -u planted id

# --host hides what Stave keeps.
try stave run --rm --host sh -c 'ls -A "$STAVE_ROOT" "$STAVE_RUN"; ls /etc/passwd' sh
is '--host hides the roots' "$(printf '%s\n' "$out" | grep -v "^$T\|^\$")" /etc/passwd
try stave run --rm --host env STAVE_ROOT="$STAVE_ROOT" sh -c 'ls -A "$STAVE_ROOT"; cat "$STAVE_ROOT"/c/*/config.json'
is 'by any way' "$out" ''
