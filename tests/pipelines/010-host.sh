#!/bin/sh
# Your own machine, copy-on-write, stage by stage: what each leaves can be seen with plain tools.
# No image is needed.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

before=$(snapshot)

# new: a directory, which is an OCI bundle, and a document on stdout.
stave new --host web >doc
id=$(jq -r .stave.id doc)
like 'new gives an id' "$id" '^[0-9a-f]{12}$'
is 'the name is a link to the directory' "$(readlink "$STAVE_ROOT/names/web")" "../c/$id"
is 'the document rests in the directory, byte for byte' "$(cat "$STAVE_ROOT/c/$id/config.json")" "$(cat doc)"
is 'it is one line' "$(wc -l <doc)" 1
is 'nobody else may look in' "$(stat -c %a "$STAVE_ROOT/c/$id")" 700
is 'nothing is mounted yet' "$(mounts "$T")" ''

# mount: the root, an overlay over /.
stave mount <doc >doc2
is 'mount mounts an overlay' "$(findmnt -no FSTYPE "$STAVE_ROOT/c/$id/rootfs")" overlay
like 'its lowest layer is the machine itself' "$(findmnt -no OPTIONS "$STAVE_ROOT/c/$id/rootfs")" 'lowerdir=/,'
is 'it changed nothing in the document' "$(cat doc2)" "$(cat doc)"
is 'the machine shows through' "$(cat "$STAVE_ROOT/c/$id/rootfs/etc/hostname")" "$(cat /etc/hostname)"

# ns: three namespaces, without a process.
stave ns --hostname cask <doc2 >doc3
is 'ns pins three namespaces' "$(mounts "$STAVE_RUN/$id/ns")" "$STAVE_RUN/$id/ns/ipc nsfs
$STAVE_RUN/$id/ns/net nsfs
$STAVE_RUN/$id/ns/uts nsfs"
is 'the document says where' "$(jq -r '.linux.namespaces[] | select(.type == "network") .path' doc3)" "$STAVE_RUN/$id/ns/net"
is 'the host name is set in it' "$(nsenter --uts="$STAVE_RUN/$id/ns/uts" hostname)" cask
is 'its network has lo, and lo is up' "$(nsenter --net="$STAVE_RUN/$id/ns/net" ip -o link | grep -c 'lo:.*[<,]UP[,>]')" 1
is 'and nothing that is up beside it' "$(nsenter --net="$STAVE_RUN/$id/ns/net" ip -o link show up | grep -v ' lo:')" ''

# limit: a cgroup with a file for each limit.
stave limit -m 64M --cpus 0.5 --pids-limit 50 <doc3 >doc4
is 'the document holds the limit' "$(jq .linux.resources.memory.limit doc4)" 67108864
if v1; then
  is 'the kernel holds the memory limit' "$(cgroup "$id" memory.limit_in_bytes)" 67108864
  is 'and the processor limit' "$(cgroup "$id" cpu.cfs_quota_us)/$(cgroup "$id" cpu.cfs_period_us)" 50000/100000
else
  is 'the kernel holds the memory limit' "$(cgroup "$id" memory.max)" 67108864
  is 'and the processor limit' "$(cgroup "$id" cpu.max)" '50000 100000'
fi
is 'and the limit of tasks' "$(cgroup "$id" pids.max)" 50

# spawn: a process in all of it.
try sh -c 'stave spawn -- sh -c "hostname; echo pid \$\$; echo changed >/etc/hostname; cat /etc/hostname" <doc4'
is 'spawn runs the command inside' "$out" 'cask
pid 1
changed'
is 'and gives its status' "$status" 0
is 'what it wrote is in the upper directory' "$(cat "$STAVE_ROOT/c/$id/upper/etc/hostname")" changed

unlike 'and not on the machine' "$(cat /etc/hostname)" '^changed$'

# ps, then rm: nothing is left.
like 'ps -a lists it' "$(stave ps -a)" "^$id +\(host\).* exited 0 .* web$"
is 'ps alone lists those that run' "$(stave ps -q)" ''
ok 'rm takes it away' stave rm web
nothing_left 'nothing is left' "$before"
