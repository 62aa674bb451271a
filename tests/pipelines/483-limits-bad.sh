#!/bin/sh
# Limits that cannot be: one line each, and the former ones in force.
# shellcheck disable=SC2016 # for the shell in the container
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'not root'
v1 || skip_all 'the controllers are not v1 here: tests/vm/v2.sh has this'
rootfs
before=$(snapshot)
stave run -d --name web -m 64M --pids-limit 30 --cpus 0.5 --rootfs "$B" sleep 1000 >/dev/null
id=$(id_of web) was=$(stave inspect web)
value() { cgroup "$id" "$1"; }
now() { echo "$(value memory.limit_in_bytes) $(value pids.max) $(value cpu.cfs_quota_us)"; }
# is_former WHAT: what held holds.
is_former() {
  is "$1: the former limits" "$(now)" '67108864 30 50000'
  is "$1: and the former document" "$(stave inspect web)" "$was"
}
cpus=$(nproc --all)
while IFS='|' read -r wanted line flags; do
  # shellcheck disable=SC2086 # several flags
  refuses "$flags" "$wanted" "^stave-limit: $line" stave limit --pids-limit 77 $flags web
  is_former "$flags"
done <<END
2|invalid value '0' for '--memory <SIZE>': nothing runs in 0 bytes|-m 0
2|invalid value '4k' for '--memory <SIZE>': 6m is the least|-m 4k
2|invalid value '64Q' for '--memory <SIZE>': not a size \(a number and b, k, m, g, t or p\)|-m 64Q
2|--memory-reservation 134217728: more than the limit, -m 67108864$|-m 64M --memory-reservation 128M
2|invalid value '-1' for '--cpus <N>': not a number of processors above 0|--cpus -1
2|--cpus 1000: this machine has $cpus processors$|--cpus 1000
2|--cpus 0.001: the kernel's least is 0.01$|--cpus 0.001
2|--cpuset-cpus 0-$cpus: the processors that run here are |--cpuset-cpus 0-$cpus
1|linux.resources.cpu.cpus: "1-0" is no list such as 0-3,7$|--cpuset-cpus 1-0
2|invalid value '2' for '--cpu-idle <N>': 2 is not in 0..=1|--cpu-idle 2
2|--cgroup-conf memory.high: not of the form FILE=TEXT$|--cgroup-conf memory.high
1|invalid configuration: linux.resources.unified: memory.high is a file of cgroup v2, and v1 holds the limits here$|--cgroup-conf memory.high=1g
1|linux.resources.memory.swap: memory\+swap limit \(33554432\) should be >= memory limit \(67108864\)$|--memory-swap 32M
1|linux.resources.cpu.burst: 60000: more than cpu.quota \(50000\)$|--cpu-burst 60000
1|write '64' to .*/cpu.cfs_period_us: Invalid argument$|--cpu-period 64
1|write '9' to .*/cpuset.mems: the cgroup above has 0$|--cpuset-mems 9
END

refuses 'of several files the one that it was' 1 "^stave-limit: write '7' to .*/cpu/stave/$id/cpu.cfs_quota_us: Invalid argument\$" \
  stave limit --cpu-period 90000 --cpu-quota 7 web
is_former 'one of two'

# The hierarchy can only be read.
unshare -m sh -c "mount -o remount,ro,bind /sys/fs/cgroup/memory && stave limit -m 32M web" 2>err
is 'a hierarchy that cannot be written' "$? $(cat err)" "1 stave-limit: write '33554432' to /sys/fs/cgroup/memory/stave/$id/memory.limit_in_bytes: Read-only file system"
is_former 'read-only'
unshare -m sh -c "mount -o remount,ro,bind /sys/fs/cgroup/pids && stave new ro | stave limit --pids-limit 5 >/dev/null" 2>err
like 'nor can a cgroup be made' "$(cat err)" '^stave-limit: make directory /sys/fs/cgroup/pids/stave/[0-9a-f]+: Read-only file system$'
stave rm ro >/dev/null
# It is gone.
unshare -m sh -c "umount -l /sys/fs/cgroup/memory && stave limit -m 32M web" 2>err
is 'a hierarchy that is gone' "$? $(cat err)" "1 stave-limit: limit memory: no cgroup hierarchy here has the memory controller: nothing is mounted at /sys/fs/cgroup/memory, /sys/fs/cgroup/unified/cgroup.controllers lacks it; mount -t cgroup -o memory none /sys/fs/cgroup/memory"
is 'which comes as the line says' "$(unshare -m sh -c 'umount -l /sys/fs/cgroup/memory
  $(stave limit -n -m 32M web 2>&1 | sed "s/.*; //")
  mountpoint -q /sys/fs/cgroup/memory && echo there')" there
is_former 'gone'
refuses 'a controller that the kernel has not' 1 '^stave-limit: limit rdma: no cgroup hierarchy here has the rdma controller: .*; this kernel has none$' \
  sh -c 'echo "{\"linux\":{\"resources\":{\"rdma\":{\"x\":{\"hcaHandles\":1}}}}}" | stave limit'
stave rm -f web >/dev/null

# More than the cgroup above has.
top=stave-483-$$ devices=/sys/fs/cgroup/devices/stave-483-$$
mkdir "$devices" && echo 'a *:* rwm' >"$devices/devices.deny"
for rule in 'c *:* m' 'b *:* m' 'c 1:* rwm' 'c 5:* rwm' 'c 136:* rwm'; do echo "$rule" >"$devices/devices.allow"; done
stave run -d --name low --cgroup-parent "$top" --cpus 0.2 --rootfs "$B" sleep 1000 >/dev/null
id=$(id_of low) was=$(stave inspect low)
echo 50000 >"/sys/fs/cgroup/cpu/$top/cpu.cfs_quota_us"
list() { sort "$devices/$id/devices.list"; }
had=$(list)
refuses 'a device that the cgroup above has not' 1 "^stave-limit: put device rules on $devices/$id: write 'c 10:229 rw' to devices.allow: the cgroup above does not grant that\$" \
  stave limit --pids-limit 7 --device-cgroup-rule 'c 1:4 rw' --device-cgroup-rule 'c 10:229 rw' --device-cgroup-rule 'c 1:10 r' low
is 'those that it had' "$(list)" "$had"
is 'it has' "$(stave exec low sh -c 'echo x >/dev/null && echo yes' 2>&1)" yes
is 'and the rest' "$(cat "/sys/fs/cgroup/pids/$top/$id/pids.max") $(stave inspect low)" "max $was"
ok 'one that it has' stave limit --device-cgroup-rule 'c 1:4 rw' low
is 'is one more' "$(list | grep -c '^c 1:4 rw$')" 1
ok 'undone' stave limit --undo low
is 'none' "$(list)" "$had"
refuses 'time' 1 "^stave-limit: write '70000' to .*/$id/cpu.cfs_quota_us: Invalid argument: out of bounds, or more than the cgroup above has \(50000 of 100000 microseconds\)\$" \
  stave limit --cpus 0.7 low
is 'as it was' "$(cat "/sys/fs/cgroup/cpu/$top/$id/cpu.cfs_quota_us") $(stave inspect low)" "20000 $was"
stave rm -f low >/dev/null
# Without rules of its own it has what that one has, and no more after an undo.
stave new none | stave limit --cgroup-parent "$top" | stave keep -- sleep 1000 >/dev/null
id=$(id_of none) had=$(list)
ok 'a rule' stave limit --device-cgroup-rule 'c 1:4 rw' none
ok 'undone' stave limit --undo none
is 'what the cgroup above has' "$(list)" "$had"
stave rm -f none >/dev/null
find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -name "$top" -type d -exec rmdir {} \;

# A parent that is not there is made, as by docker.
top=stave-483-$$
is 'a parent that is not there' "$(stave new | stave limit --cgroup-parent "$top/a" -m 64M | stave spawn --rm -- sed -n "s/.*memory://p" /proc/self/cgroup | sed 's,/[^/]*$,,')" "/$top/a"
# v1 knows no threads' mode, and takes processes at every level.
mkdir -p "/sys/fs/cgroup/pids/$top" && sleep 1000 &
busy=$!
sleep 0.1
echo $busy >"/sys/fs/cgroup/pids/$top/cgroup.procs"
is 'one that holds processes is no matter to v1' "$(stave new | stave limit --cgroup-parent "$top" --pids-limit 9 | stave spawn --rm -- echo fine)" fine
kill $busy
wait $busy 2>/dev/null
find /sys/fs/cgroup -mindepth 1 -maxdepth 3 -depth -path "*/$top*" -type d -exec rmdir {} \;

# An ordinary user, to whom no cgroup was given.
if setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
  chmod 711 "$T" && mkdir -m 777 "$T/user"
  as_user() { STAVE_ROOT="$T/user/root" STAVE_RUN="$T/user/run" setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
  refuses 'an ordinary user' 1 '^stave-limit: make directory /sys/fs/cgroup/memory/stave: Permission denied; it needs write access to the cgroup tree \(root, or a delegated cgroup\)$' \
    as_user sh -c 'echo "{\"linux\":{\"resources\":{\"memory\":{\"limit\":67108864}}}}" | stave limit'
else
  skip 'an ordinary user' 'there is no setpriv'
fi
nothing_left 'nothing is left' "$before"
