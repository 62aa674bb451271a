#!/bin/sh
# Network devices of the host that become the container's (config-linux.md, Network Devices). The host is
# a network namespace of the script's own, with a veth pair: its other end stays there.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq ip unshare
if [ -z "${STAVE_NET-}" ]; then
  unshare -n ip link add type veth >/dev/null 2>&1 || skip_all 'no veth can be made here'
  trap - EXIT
  cd / && rm -rf "$T"
  STAVE_NET=own exec unshare --net sh "$here/$(basename "$0")"
fi
rootfs
before=$(snapshot)
ip link set lo up

# device NAME [N]: one end of a pair, up, with addresses; N tells them apart.
device() {
  ip link del "peer-$1" 2>/dev/null
  n=${2:-1}
  ip link add "$1" type veth peer name "peer-$1" &&
    ip link set "$1" mtu 1400 address "02:00:00:00:99:0$n" &&
    ip link set "$1" up && ip link set "peer-$1" up &&
    ip address add "10.99.$n.1/24" broadcast + label "$1:x" dev "$1" &&
    ip address add "10.99.$n.2/24" dev "$1" &&
    ip address add "10.98.$n.1" peer "10.98.$n.9/32" dev "$1" &&
    ip address add "169.254.9.$n/16" scope link dev "$1" &&
    ip address add "10.97.$n.1/24" valid_lft 1000 preferred_lft 1000 dev "$1" &&
    ip -6 address add "fd00:9$n::1/64" nodad dev "$1" && ip route add "10.8$n.0.0/16" via "10.99.$n.7"
}
# state NAME: all that is set of a device of the host, but what the kernel counts.
state() {
  ip -o link show "$1" | sed 's/^[0-9]*: //; s/ state .* mode/ mode/'
  ip -o address show "$1" | sed 's/^[0-9]*: //; s/ *valid_lft.*//' | grep -v ' fe80:'
  ip route show dev "$1"
}
# lasting: the addresses of `ip -o address` on stdin that are to be there, in order.
lasting() {
  sed -n 's/.*inet6* \(10\.9[0-9.]*\( peer [0-9.\/]*\)*[0-9.\/]*\|fd00[^ ]*\).*/\1/p' | tr '\n' ' '
}
device one
host_had=$(state one)
like 'a device of the host' "$host_had" '^one@peer-one.*UP.*mtu 1400'

# The document of stave's own pipeline.
stave new --rootfs "$B" one >base
# spawn FILTER COMMAND
spawn() {
  jq -c --arg run "$2" '.process.args = ["sh", "-c", $run] | '"$1" base >doc
  stave spawn <doc
}
# cannot WHAT REGEX FILTER: by its first line; the second tells what is still there of the container.
cannot() {
  try spawn "$3" true
  like "$1" "$status $(printf '%s\n' "$err" | head -n 1)" "^12[57] stave-spawn: .*$2"
}
ok 'spawn: a device' spawn '.linux.netDevices = {one: {}}' 'ip -o link; ip -o address'
like 'it is there, up' "$out" ': one@if[0-9]+: <.*[,<]UP[,>].* mtu 1400 '
like 'its hardware address stays' "$out" 'one.*02:00:00:00:99:01'
is 'its lasting addresses too, in their order' "$(grep ': one ' "$T/out" | lasting)" \
  '10.99.1.1/24 10.98.1.1 peer 10.98.1.9/32 10.99.1.2/24 fd00:91::1/64 '
unlike 'no others' "$out" '169\.254\.|10\.97\.'
like 'a label, a broadcast address' "$out" '10\.99\.1\.1/24 brd 10\.99\.1\.255 scope global one:x'
like 'what is secondary' "$out" '10\.99\.1\.2/24 scope global secondary'
like 'lo is up beside it' "$out" 'lo:? .*127\.0\.0\.1'
no 'the host has it no more' ip link show one
soon sh -c '! ip link show peer-one'
no 'it went with its namespace' ip link show peer-one

device one
ok 'under another name' spawn '.linux.netDevices = {one: {name: "inner"}}' 'ip -o link; ip -o address'
like 'that is its name' "$out" ': inner@if'
like 'labels follow it' "$out" '10\.99\.1\.1/24 .* inner:x'
unlike 'the other is gone' "$out" 'one'

device one
device two 2
ok 'two, by a template' spawn '.linux.netDevices = {one: {name: "eth%d"}, two: {name: "eth%d"}}' 'ip -o link; ip -o address; ls /sys/class/net'
is 'each has a number' "$(grep -c ': eth[0-9]*@if' "$T/out")" 2
is 'and addresses' "$(grep -c 'eth[0-9]* .*\(10\.99\.1\.1\|10\.99\.2\.1\|fd00:91::1\|fd00:92::1\)/' "$T/out")" 4

device one
ip address add 10.99.1.100/24 dev peer-one
ok 'its other end answers' spawn '.linux.netDevices = {one: {}}' 'ping -c 1 -W 3 10.99.1.100'

# What cannot be: the host's device is as it was.
device one
host_had=$(state one)
as_before() { is "$1: the device is as it was" "$(state one)" "$host_had"; }
cannot 'a name that is taken' 'one.*: the container has a device lo already' '.linux.netDevices = {one: {name: "lo"}}'
as_before 'a name that is taken'
cannot 'a device that is not there' 'none.*: the host has no such device' '.linux.netDevices = {none: {}}'
cannot 'one that may not leave' 'lo.*does not let it leave' '.linux.netDevices = {lo: {name: "lo9"}}'
cannot 'the network is the host'"'"'s' 'linux.netDevices' '.linux.netDevices = {one: {}} | .linux.namespaces |= map(select(.type != "network"))'
cannot 'by its path too' 'linux.netDevices' '.linux.netDevices = {one: {}} | .linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end)'
cannot 'no name of a device' 'linux.netDevices' '.linux.netDevices = {one: {name: "a%db"}}'
as_before 'what cannot be'

# What fails later: it comes back, but for routes that the kernel does not make by itself.
kept() { state one | grep -v ' via \|10\.97\.\|169\.254'; }
host_had=$(kept)
came_back() { is "$1" "$(kept)" "$host_had"; }
cannot 'one of two is not there' 'none' '.linux.netDevices = {one: {}, none: {}}'
came_back 'the first comes back'
cannot 'a hook fails' 'false' '.linux.netDevices = {one: {name: "inner"}} | .hooks.createRuntime = [{path: "/bin/false"}]'
came_back 'it comes back under its name'
cannot 'the command is not there' '/none' '.linux.netDevices = {one: {name: "inner"}} | .process.args = ["/none"]'
came_back 'it comes back from the last step'

# A namespace by its path, which outlives the container; a device there has the name before it is renamed.
touch net && unshare --net="$T/net" true
in_it() { nsenter --net="$T/net" "$@"; }
in_it ip link add one type veth peer name other
bundle b '.linux.netDevices = {one: {name: "inner"}}' ".linux.namespaces |= map(if .type == \"network\" then .path = \"$T/net\" else . end)" '.process.args = ["sh", "-c", "ip -o link; ip -o address"]'
ok 'run: into a namespace by its path' oci run -b b net-$$
like 'it is there, up' "$out" ': inner@.*[,<]UP[,>]'
is 'with its addresses' "$(grep ': inner ' "$T/out" | lasting)" '10.99.1.1/24 10.98.1.1 peer 10.98.1.9/32 10.99.1.2/24 fd00:91::1/64 '
like 'and stays there when the container is gone' "$(in_it ip -o link)" ': inner@'
device one
in_it ip link add inner type veth peer name other2
host_had=$(state one)
refuses 'run: a name that is taken' 1 'stave-oci: .*the container has a device inner already' oci run -b b net-$$
as_before 'run: a name that is taken'
jq '.linux.netDevices = {one: {}}' b/config.json >c && mv c b/config.json
refuses 'run: without another name' 1 'has a device one already' oci run -b b net-$$
as_before 'run: without another name'
umount net

# The verbs one by one, and a hook that sees it there.
bundle b '.linux.netDevices = {one: {name: "inner"}}' '.process.args = ["sleep", "60"]' \
  ".hooks.createRuntime = [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"nsenter --net=/proc/\$(jq .pid)/ns/net ip -o link >$T/seen\"]}]"
sh -c 'stave-oci --root "$1/oci" create -b b "$2" </dev/null ' sh "$T" net-$$
like 'a createRuntime hook sees it' "$(cat seen)" ': inner@'
ok 'start' oci start net-$$
like 'exec sees it too' "$(oci exec net-$$ ip -o link)" ': inner@.*[,<]UP[,>]'
oci delete -f net-$$
soon sh -c '! ip link show peer-one'
no 'it goes with its namespace' ip link show peer-one

# With ids of its own.
device one
bundle u '.linux.netDevices = {one: {}}' '.process.args = ["ip", "-o", "address"]' \
  '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
chown -R 100000:100000 u && chmod 711 "$T"
ok 'in a user namespace' oci run -b u net-$$
like 'it is there' "$out" 'one .*10\.99\.1\.1/24'

stave rm one >/dev/null
nothing_left 'nothing is left' "$before"
