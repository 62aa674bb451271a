#!/bin/sh
# config-linux.md of the runtime specification: file systems, namespaces, id maps, devices, network
# devices. Numbers: ../conformance/musts.tsv
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
before=$(snapshot)

prints 'L01: the file systems that programs expect can be made' 'proc sysfs devpts tmpfs' \
  'for d in /proc /sys /dev/pts /dev/shm; do awk -v d=$d "\$5 == d { for (i = 7; \$i != \"-\"; i++); printf \"%s \", \$(i + 1) }" /proc/self/mountinfo; done | sed "s/ $//"' \
  '.mounts += [{destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"]}, {destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["mode=1777"]}]'

# Namespaces: type|name in /proc/PID/ns|what else is new with it
names='pid:pid mount:mnt uts:uts ipc:ipc network:net cgroup:cgroup time:time user:user'
ids='| if any(.linux.namespaces[]; .type == "user") then .linux += {uidMappings: [{containerID: 0, hostID: 0, size: 65536}], gidMappings: [{containerID: 0, hostID: 0, size: 65536}]} else . end'
see='for n in pid mnt uts ipc net cgroup time user; do readlink /proc/self/ns/$n; done'
sh -c "$see" >"$T/own"
for pair in $names; do
  type=${pair%:*} name=${pair#*:}
  case $name in pid | mnt | uts | ipc | net) also='.' ;; *) also='.linux.namespaces += [{type: $type}]' ;; esac
  [ "$name" != time ] || also="$also | .linux.timeOffsets = {monotonic: {secs: 100}}"
  runs "readlink /proc/self/ns/$name" "$also $ids" --arg type "$type"
  is "L02: the type $type is known" "$status $err" '0 '
  unlike "L03: a new $type namespace is made" "$out" "$(readlink "/proc/self/ns/$name")|^$"
done
runs "$see" '.linux.namespaces |= map(select(.type == "mount")) | del(.hostname) | .mounts |= map(select(.destination == "/proc"))'
is 'L04: namespaces that are not said are the runtime'"'"'s' "$(printf '%s\n' "$out" | sed 2d)" "$(sed 2d "$T/own")"

# Joined: a process holds one of each.
unshare --pid --fork --mount --uts --ipc --net --cgroup --time sleep 100 &
holder=$!
child() { inner=$(cat "/proc/$holder/task/$holder/children" 2>/dev/null) && [ -n "$inner" ] && [ "$(readlink "/proc/${inner% }/exe")" = "$(realpath "$(command -v sleep)")" ]; }
soon child
inner=${inner% }
for pair in $names; do
  type=${pair%:*} name=${pair#*:}
  [ "$name" != user ] || continue
  also='.linux.namespaces = ([.linux.namespaces[] | select(.type != $type)] + [{type: $type, path: $path}])'
  [ "$name" != mnt ] || also="$also | .root.path = \"/\" | .mounts = []"
  [ "$name" != uts ] || also="$also | del(.hostname)"
  [ "$name" != mnt ] || continue
  prints "L05: a $type namespace is joined by its path" "$(readlink "/proc/$inner/ns/$name")" "readlink /proc/self/ns/$name" "$also" --arg type "$type" --arg path "/proc/$inner/ns/$name"
  wrong=ipc
  [ "$name" != ipc ] || wrong=net
  rejects "L06: a path of another type than $type" "$also" --arg type "$type" --arg path "/proc/$inner/ns/$wrong"
  rejects "L06: a path that is no namespace, for $type" "$also" --arg type "$type" --arg path /etc/passwd
done
unshare --user --map-root-user sleep 100 &
user=$!
soon sh -c '[ "$(readlink /proc/self/ns/user)" != "$(readlink "/proc/$0/ns/user")" ] && [ "$(readlink "/proc/$0/exe")" = "$(realpath "$(command -v sleep)")" ]' "$user"
prints 'L05: a user namespace is joined by its path' "$(readlink "/proc/$user/ns/user")" 'readlink /proc/self/ns/user' '.linux.namespaces += [{type: "user", path: $path}] | .mounts |= map(select(.type != "devpts")) | .linux.namespaces |= map(select(.type != "network"))' --arg path "/proc/$user/ns/user"
kill "$user" "$inner" 2>/dev/null
rejects 'L07: a path that is not absolute' '.linux.namespaces += [{type: "cgroup", path: "proc/self/ns/cgroup"}]'
rejects 'L08: one type twice' '.linux.namespaces += [{type: "pid"}]'
rejects 'L09: an entry without a type' '.linux.namespaces += [{}]'
rejects 'L09: a type that no kernel knows' '.linux.namespaces += [{type: "planet"}]'
cd /tmp && runs 'true' '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end)'
cd "$T" || exit 1
is 'L05: one that is the caller'"'"'s own' "$status" 0

# User namespaces
map='.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}, {containerID: 1000, hostID: 200000, size: 1}] | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 1000}]'
chmod 711 "$T" "$bundle"
prints 'L10: uidMappings: container, host, size' '0 100000 1000 1000 200000 1' 'echo $(cat /proc/self/uid_map)' "$map"
prints 'L11: gidMappings' '0 300000 1000' 'echo $(cat /proc/self/gid_map)' "$map"
is 'L12: the owners of the root'"'"'s files stay' "$(stat -c %u:%g "$bundle/rootfs/bin")" "$(stat -c %u:%g "$B/bin")"
prints 'L25: devices of the host that are mounted, because none can be made, are only lent' 'ro,nosuid,noexec' \
  'grep -E " /dev/(null|zero|full|random|urandom|tty) " /proc/self/mountinfo | cut -d" " -f6 | sed "s/^rw,//; s/,relatime//" | sort -u' "$map"
rejects 'L10: a map with an id twice' "$map | .linux.uidMappings += [{containerID: 5, hostID: 5, size: 2}]"
prints 'L13: offsets of the clocks' '5000' 'awk "{ print (\$1 >= 1000000 + '"$(cut -d. -f1 /proc/uptime)"' && \$1 < 1000100 + '"$(cut -d. -f1 /proc/uptime)"') ? 5000 : \$1 }" /proc/uptime' \
  '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 1000000, nanosecs: 5}}'
rejects 'L14: offsets without a namespace' '.linux.timeOffsets = {boottime: {secs: 1000000}}'

# Devices
prints 'L20: a device is there, with its numbers, mode and owner' 'crw-rw---- 3 4 a 7' 'stat -c "%A %u %g" /dev/test/device | { read -r a b c; echo "$a $b $c $(stat -c %t /dev/test/device) $(printf %d 0x$(stat -c %T /dev/test/device))"; }' \
  '.linux.devices = [{path: "/dev/test/device", type: "c", major: 10, minor: 7, fileMode: 432, uid: 3, gid: 4}]'
prints 'L20: of each type' 'b c c p' 'echo $(for n in 1 2 3 4; do ls -l /dev/t$n | cut -c 1; done)' \
  '.linux.devices = [{path: "/dev/t1", type: "b", major: 7, minor: 200}, {path: "/dev/t2", type: "c", major: 1, minor: 11}, {path: "/dev/t3", type: "u", major: 1, minor: 11}, {path: "/dev/t4", type: "p"}]'
prints 'L20: anywhere' c 'ls -l /made/device | cut -c 1' '.linux.devices = [{path: "/made/device", type: "c", major: 1, minor: 3}]'
rm -rf "$bundle/rootfs/made"
rejects 'L21: a device without a type' '.linux.devices = [{path: "/dev/x", major: 1, minor: 3}]'
rejects 'L21: one of a type that is none' '.linux.devices = [{path: "/dev/x", type: "z", major: 1, minor: 3}]'
rejects 'L22: one without a path' '.linux.devices = [{type: "c", major: 1, minor: 3}]'
mkdir "$T/dev" && echo text >"$T/dev/file" && mknod "$T/dev/other" c 1 5
there='.mounts += [{destination: "/there", type: "bind", source: $s, options: ["bind"]}] | .linux.devices = [{path: $path, type: "c", major: 1, minor: 3}]'
rejects 'L23: where a file is that is no device' "$there" --arg s "$T/dev" --arg path /there/file
rejects 'L23: where another device is' "$there" --arg s "$T/dev" --arg path /there/other
is 'L23: neither is touched' "$(cat "$T/dev/file") $(stat -c %t:%T "$T/dev/other")" 'text 1:5'
rejects 'L24: one without numbers' '.linux.devices = [{path: "/dev/x", type: "c"}]'
prints 'L25: devices that need not be said' 'null 1:3 zero 1:5 full 1:7 random 1:8 urandom 1:9 tty 5:0' 'echo $(for n in null zero full random urandom tty; do echo "$n $(stat -c %t:%T /dev/$n)"; done)'
holds 'L25: they work' 'echo x >/dev/null && [ "$(head -c 2 /dev/zero | od -An -tx1)" = " 00 00" ] && ! echo x >/dev/full && [ "$(head -c 5 /dev/random | wc -c)" = 5 ] && [ "$(head -c 5 /dev/urandom | wc -c)" = 5 ]'
holds 'L26: ptmx is that of its own devpts' '[ /dev/ptmx -ef /dev/pts/ptmx ]'

# Network devices, moved in from the namespace of the runtime: of its own, so that no name meets another's.
if ! "$runtime" features 2>/dev/null | jq -e .linux.netDevices.enabled >/dev/null; then
  for n in 30 31 32 33 34 35; do skip "L$n: network devices" 'features says that the runtime has none'; done
elif unshare -n ip link add type veth >/dev/null 2>&1; then
  cat >"$T/netdev" <<'NET'
  ip link set lo up
  device() { ip link del "$1" 2>/dev/null; ip link add "$1" type veth peer name "peer-$1" && ip link set "$1" mtu 1400 && ip address add 10.99.0.1/24 dev "$1" && ip -6 address add fd00:99::1/64 dev "$1" nodad && ip address add 169.254.9.9/16 dev "$1" scope link; }
NET
  inside() { printf '%s\n%s\n' "$(cat "$T/netdev")" "$1" >"$T/net.sh"; unshare -n sh "$T/net.sh"; }
  config '.linux.netDevices = {"devone": {}, "devtwo": {name: "renamed"}} | .process.args = ["sh", "-c", "ip -o link; ip -o address"]'
  out=$(inside "device devone; device devtwo; \"$runtime\" --root '$T/state' run --bundle '$bundle' $id" 2>&1 </dev/null)
  like 'L30: a network device is in the container' "$out" ': devone@'
  like 'L30: under another name where one is said' "$out" ': renamed@'
  like 'L33: what it was set to stays' "$out" 'devone@.*mtu 1400'
  like 'L33: its addresses too' "$out" 'devone.*10\.99\.0\.1/24'
  like 'L33: of each family' "$out" 'devone.*fd00:99::1/64'
  unlike 'L33: those of the global scope alone' "$out" '169\.254\.9\.9'
  like 'L34: it is up' "$(printf '%s\n' "$out" | grep 'devone@')" '[<,]UP[,>]'
  unlike 'L34: each of them' "$(printf '%s\n' "$out" | grep 'renamed@.*mtu')" 'state DOWN.*nothing'
  config '.linux.netDevices = {"devone": {name: "lo"}}'
  no 'L31: a name that is taken' inside "device devone; \"$runtime\" --root '$T/state' run --bundle '$bundle' $id"
  gone
  config '.linux.netDevices = {"none-such": {}}'
  no 'L31: a device that is not there' inside "\"$runtime\" --root '$T/state' run --bundle '$bundle' $id"
  gone
  config '.linux.netDevices = {"devone": {}} | .linux.namespaces |= map(select(.type != "network"))'
  no 'L31: without a namespace to move it to' inside "device devone; \"$runtime\" --root '$T/state' run --bundle '$bundle' $id"
  gone
  config '.linux.netDevices = {"devone": {name: "eth%d"}} | .process.args = ["ip", "-o", "link"]'
  like 'L32: a name that is a template' "$(inside "device devone; \"$runtime\" --root '$T/state' run --bundle '$bundle' $id" 2>&1 </dev/null)" ': eth0@'
  config '.linux.netDevices = {"devone": {}} | .process.args = ["sleep", "100"]'
  like 'L35: it goes with its namespace, not back' "$(inside "device devone; r() { \"$runtime\" --root '$T/state' \"\$@\"; }; r create --bundle '$bundle' $id </dev/null >/dev/null; r start $id; r kill $id KILL; sleep 0.3; r delete $id; ip -o link | grep -c devone")" '^0$'
  gone
else
  for n in 30 31 32 33 34 35; do skip "L$n: network devices" 'no veth can be made here'; done
fi
nothing_left 'R28: nothing is left' "$before"
