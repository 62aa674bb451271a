#!/bin/sh
# User namespaces: new ones with ids of their own, those that are there, what is joined beside them,
# and time namespaces with clocks of their own. runc and crun are peers where they can do it.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci python3
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
python3 -c 'import ctypes; exit(ctypes.CDLL(None).unshare(0x10000000))' || skip_all 'there are no user namespaces'
rootfs

chmod 711 "$T"
mkdir bundle oci runc && cp -a "$B" bundle/rootfs && chown -hR 100000:100000 bundle/rootfs
cat >good.json <<'END'
{ "ociVersion": "1.0.2",
  "process": { "user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/", "env": ["PATH=/bin"],
    "capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL", "CAP_CHOWN"]} },
  "root": {"path": "rootfs"}, "hostname": "inner",
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}],
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}, {"type": "cgroup"}, {"type": "user"}],
    "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
    "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}] } }
END

# in_it FILTER COMMAND...: what it prints in a container of ours whose config was changed so.
in_it() {
  filter=$1
  shift
  jq --args ".process.args = \$ARGS.positional | $filter" -- "$@" <good.json >bundle/config.json
  try stave-oci --root "$T/oci" run --bundle "$T/bundle" "ours-$$" </dev/null
}
# both WHAT FILTER COMMAND...: runc prints the same.
both() {
  what=$1
  shift
  in_it "$@"
  if ! command -v runc >/dev/null; then
    skip "$what" 'there is no runc'
    return
  fi
  theirs=$(runc --root "$T/runc" run --bundle "$T/bundle" "runc-$$" </dev/null 2>&1)
  is "$what" "$status $out$err" "0 $theirs"
}

both 'ids, maps and groups' . sh -c 'id; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups'
both 'another user, with groups' '.process.user = {uid: 33, gid: 34, additionalGids: [7, 8]}' sh -c 'id; touch /tmp/x; stat -c "%u %g" /tmp/x'
both 'several ranges' '.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 10}, {containerID: 1000, hostID: 200000, size: 5}] |
  .process.user.uid = 1003' sh -c 'id -u; cat /proc/self/uid_map'
both 'rights in it' . sh -c 'grep Cap /proc/self/status'
both 'limits, score and names are set by who has the right' '.process.oomScoreAdj = 300 | .hostname = "deep" |
  .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 50, hard: 60}]' sh -c 'ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; hostname'
both 'sysctls of its namespaces' '.linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "9000"}' \
  cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax
in_it '.linux.sysctl = {"user.max_user_namespaces": "7"}' cat /proc/sys/user/max_user_namespaces
is 'and of its own' "$status $out" '0 7'
in_it '.process.scheduler = {policy: "SCHED_BATCH", nice: -5} | .process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}' \
  sh -c 'cut -d" " -f19,41 /proc/self/stat; ionice'
is 'scheduler and I/O priority are set by who has the right' "$out" '-5 3
best-effort: prio 6'
in_it . sh -c 'echo x >/tmp/x && chown 5:6 /tmp/x && stat -c "%u %g" /tmp/x; cat /proc/1/environ >/dev/null && echo own'
is 'root of it is root there' "$out" '5 6
own'
in_it . sh -c 'kill -0 $PPID; mount -t tmpfs x /tmp; cat /proc/1/root/etc/shadow'
unlike 'and nowhere else' "$out" .
in_it '.process.user.uid = 70000' true
like 'an id that is not mapped' "$status $err" '^1 stave-oci: error: run [^:]*: become user 70000:0: no such id in its user namespace'
in_it '.linux.uidMappings[0].containerID = 1' true
like 'without a root' "$status $err" '^1 stave-oci: error: run [^:]*: linux.uidMappings: nothing stands for 0'

# A user namespace that is there, with others that belong to it.
cat >holder.py <<'END'
import ctypes, os, time
libc = ctypes.CDLL(None)
ready, done = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    libc.unshare(0x10000000)
    os.write(ready[1], b"x"), os.read(done[0], 1)
    os.setgroups([]), os.setresgid(0, 0, 0), os.setresuid(0, 0, 0)
    libc.unshare(0x40000000 | 0x08000000 | 0x04000000)
    os.write(ready[1], b"x")
    os.close(1)
    time.sleep(60)
    os._exit(0)
os.read(ready[0], 1)
for name in "gid_map", "uid_map":
    open(f"/proc/{pid}/{name}", "w").write("0 100000 65536")
os.write(done[1], b"x"), os.read(ready[0], 1)
print(pid)
END
holder=$(python3 holder.py)
links='for n in user net uts ipc; do readlink /proc/self/ns/$n; done'
theirs=$(for n in user net uts ipc; do readlink "/proc/$holder/ns/$n"; done)
joined='def at($t; $n): (.linux.namespaces[] | select(.type == $t)).path = "/proc/'$holder'/ns/" + $n;
  del(.hostname) | at("user"; "user") | at("network"; "net") | at("uts"; "uts") | at("ipc"; "ipc")'
# A definition stands before everything else.
in_joined() {
  more=$1
  shift
  jq --args "$joined | .process.args = \$ARGS.positional | $more" -- "$@" <good.json >bundle/config.json
  try stave-oci --root "$T/oci" run --bundle "$T/bundle" "ours-$$" </dev/null
}
in_joined . sh -c "$links; echo \$\$"
is 'joined, with its ids given as well' "$status $out" "0 $theirs
1"
if command -v runc >/dev/null; then
  is 'runc prints the same' "$(runc --root "$T/runc" run --bundle "$T/bundle" "runc-$$" </dev/null 2>&1)" "$out"
fi
in_joined 'del(.linux.uidMappings, .linux.gidMappings)' sh -c "$links; id -u"
is 'joined' "$status $out" "0 $theirs
0"
in_joined '.linux.uidMappings[0].hostID = 5' true
like 'with other ids than are given' "$status $err" '^1 stave-oci: error: run [^:]*: map the ids of the user namespace: its uid_map is another'
in_joined 'del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(select(.type != "pid")) | .mounts = []' \
  sh -c 'exit 7'
is 'joined without a new pid namespace' "$status $err" '7 '
kill "$holder"

# Beside a new user namespace the parent joins, and comes back.
unshare --net=keep-net true 2>/dev/null || { touch keep-net && unshare --net="$T/keep-net" true; }
net=$(nsenter --net=keep-net readlink /proc/self/ns/net)
own=$(readlink /proc/self/ns/net)
in_it '(.linux.namespaces[] | select(.type == "network")).path = "'"$T"'/keep-net"' readlink /proc/self/ns/net
is 'a network of the machine in a user namespace' "$status $out" "0 $net"
is 'the parent has come back' "$(readlink /proc/self/ns/net)" "$own"
umount keep-net

# Time.
if [ -e /proc/self/timens_offsets ]; then
  in_it '.linux.namespaces |= map(select(.type != "user")) | del(.linux.uidMappings, .linux.gidMappings) |
    .mounts += [{destination: "/dev", type: "tmpfs", source: "tmpfs"}] |
    .linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {monotonic: {secs: 86400, nanosecs: 5}, boottime: {secs: 864000}}' \
    sh -c 'cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime'
  is 'clocks of its own' "$(printf '%s\n' "$out" | head -n 2 | tr -s ' ')" 'monotonic 86400 5
boottime 864000 0'
  up=$(cut -d. -f1 /proc/uptime)
  is 'and the time since boot follows them' "$([ "$(printf '%s\n' "$out" | tail -n 1)" -ge $((up + 863990)) ] && echo so)" so
  in_it '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 100}}' \
    sh -c 'tr -s " " </proc/self/timens_offsets; id -u'
  is 'in a user namespace too' "$out" 'monotonic 0 0
boottime 100 0
0'
  is 'the machine has its own' "$(awk '{ print $2 + $3 }' /proc/self/timens_offsets | sort -u)" 0
else
  skip 'clocks of its own' 'the kernel has no time namespaces'
fi

# exec into it: with the ids of the container, and no more.
stave new web | jq -c --slurpfile good good.json --arg root "$T/bundle/rootfs" '. + ($good[0] | del(.ociVersion)) |
  .root.path = $root | .process.args = ["sleep", "60"]' >doc
stave keep <doc >/dev/null
init=$(jq .pid "$STAVE_RUN/$(id_of web)/state.json")
try stave exec web sh -c 'id; for n in user pid net mnt; do readlink /proc/self/ns/$n; done'
is 'exec: ids and namespaces' "$out" "uid=0(root) gid=0(root)
$(for n in user pid net mnt; do readlink "/proc/$init/ns/$n"; done)"
try stave exec -u web web sh -c 'id -u; grep CapEff /proc/self/status'
is 'exec -u' "$out" '33
CapEff:	0000000000000000'
try stave exec web sh -c 'grep CapEff /proc/self/status'
is 'exec has the capabilities of the document' "$out" "CapEff:	0000000000000021"
is 'the user outside' "$(stat -c %u "/proc/$init")" 100000
stave rm -f web >/dev/null
is 'nothing is left' "$(ls oci)" ''
