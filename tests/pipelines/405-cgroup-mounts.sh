#!/bin/sh
# Mounts of type cgroup: the container's own part of every hierarchy, with a cgroup namespace and without,
# to be written and to be read only; and the other file systems of the kernel.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)
stave new --rootfs "$B" box -m 64M 2>/dev/null >base || stave new --rootfs "$B" box >base
stave limit -m 64M <base >limited
id=$(id_of box)
# in_it FILTER SHELL
in_it() {
  jq -c --arg run "$2" '.process.args = ["sh", "-c", $run] | '"$1" limited >doc
  sh -c 'stave spawn <doc' 2>&1
}
without='.linux.namespaces |= map(select(.type != "cgroup"))'
rw='.mounts |= map(if .type == "cgroup" then .options |= map(select(. != "ro")) else . end)'
if v1; then
  memory=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
else
  memory=/sys/fs/cgroup limit=memory.max
fi
for kind in 'with a cgroup namespace' 'without one'; do
  filter=.
  [ "$kind" = 'without one' ] && v1 && filter=$without
  is "$kind: its own limit" "$(in_it "$filter" "cat $memory/$limit")" 67108864
  is "$kind: read only" "$(in_it "$filter" "mkdir $memory/x 2>&1 | grep -o 'Read-only file system'")" 'Read-only file system'
  is "$kind: all of it" "$(in_it "$filter" 'grep -c "^[a-z0-9]* /sys/fs/cgroup[^ ]* cgroup2* rw" /proc/mounts; touch /sys/fs/cgroup/x 2>/dev/null && echo written')" 0
  is "$kind: to be written" "$(in_it "$filter | $rw" "mkdir $memory/x && rmdir $memory/x && echo made")" made
done
if v1; then
  is 'one directory a hierarchy' "$(in_it . 'ls /sys/fs/cgroup | wc -l')" "$(cgroups "$id" | wc -l)"
  is 'of all that is shown, nothing is above it' "$(in_it "$without" 'sed -n \$= /sys/fs/cgroup/pids/tasks')" \
    "$(in_it . 'sed -n \$= /sys/fs/cgroup/pids/tasks')"
else
  skip 'one directory a hierarchy' 'there is v2 alone'
fi
# Hierarchies of several controllers have a name, a link, for each. This machine may have none: a plan says.
joint=$(awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) == "cgroup" && $5 ~ ",") print $5 }' /proc/self/mountinfo | head -n 1)
if [ -n "$joint" ]; then
  is 'links for joint controllers' "$(in_it . "readlink /sys/fs/cgroup/$(basename "$joint" | cut -d, -f1)")" "$(basename "$joint")"
else
  skip 'links for joint controllers' 'each hierarchy here has one controller'
fi
is 'cgroup2 by its own name' "$(in_it '.mounts |= map(if .type == "cgroup" then .type = "cgroup2" else . end)' \
  'awk "\$2 == \"/sys/fs/cgroup\" { print \$3 }" /proc/mounts')" cgroup2
like 'mqueue' "$(in_it . 'grep " /dev/mqueue " /proc/mounts')" '^mqueue /dev/mqueue mqueue rw,nosuid,nodev,noexec'
like 'proc' "$(in_it . 'grep " /proc proc " /proc/mounts')" '^proc /proc proc rw,nosuid,nodev,noexec'
is 'proc is of its own pid namespace' "$(in_it . 'ls -d /proc/[0-9]* | head -n 1')" /proc/1
like 'sysfs' "$(in_it . 'grep " /sys " /proc/mounts')" '^sysfs /sys sysfs ro,nosuid,nodev,noexec'
is "sysfs shows the container's network" "$(in_it . 'ls /sys/class/net')" lo
mkdir low up work && echo low >low/file
is 'an overlay' "$(in_it ".mounts += [{destination: \"/over\", type: \"overlay\", source: \"overlay\",
  options: [\"lowerdir=$T/low\", \"upperdir=$T/up\", \"workdir=$T/work\"]}]" 'cat /over/file; echo new >/over/new'; cat up/new)" 'low
new'
stave rm box >/dev/null
nothing_left 'nothing is left' "$before"
