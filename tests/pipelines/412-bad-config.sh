#!/bin/sh
# A config that is wrong in one place: an error before anything is made, which names the key, and
# nothing left behind. A generated table: each line is one good config changed by one filter of jq.
# What runc refuses too is said with the same exit status.
# timeout 120
# shellcheck disable=SC2016 # quoted for jq
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs

# NAME OF THE KEY | WHO REFUSES IT (runc: runc and the specification; spec: the latter alone) | FILTER
table() {
  cat <<'END'
ociVersion|spec|del(.ociVersion)
ociVersion|spec|.ociVersion = "0.9.0"
ociVersion|spec|.ociVersion = "2.0.0"
ociVersion|spec|.ociVersion = "one"
ociVersion|runc|.ociVersion = 1
root.path|runc|del(.root)
root.path|spec|.root.path = ""
root.path|runc|.root.path = 7
root|runc|.root = "rootfs"
root.readonly|runc|.root.readonly = "yes"
process|runc|del(.process)
process|runc|.process = []
process.cwd|runc|del(.process.cwd)
process.cwd|runc|.process.cwd = ""
process.cwd|runc|.process.cwd = "tmp"
process.args|runc|del(.process.args)
process.args|runc|.process.args = []
process.args|runc|.process.args = "true"
process.args.1|runc|.process.args = ["true", 1]
process.args.0|runc|.process.args = [1]
process.args.1|runc|.process.args = ["true", "a\u0000b"]
process.env|runc|.process.env = {"A": "b"}
process.env|runc|.process.env = ["PATH=/bin", "A"]
process.env.0|runc|.process.env = ["A=b\u0000c"]
process.terminal|runc|.process.terminal = 1
process.consoleSize.height|runc|.process.consoleSize = {height: -1, width: 80}
process.user.uid|runc|.process.user.uid = -1
process.user.uid|runc|.process.user.uid = "root"
process.user.uid|runc|.process.user.uid = 4294967296
process.user.gid|runc|.process.user.gid = 1.5
process.user.additionalGids.0|runc|.process.user.additionalGids = [-5]
process.user.additionalGids|runc|.process.user.additionalGids = 5
process.user.umask|runc|.process.user.umask = "022"
process.capabilities|runc|.process.capabilities = ["CAP_KILL"]
process.capabilities.bounding|runc|.process.capabilities.bounding = "CAP_KILL"
process.noNewPrivileges|runc|.process.noNewPrivileges = "true"
process.rlimits.0.type|runc|.process.rlimits = [{type: "RLIMIT_X", soft: 1, hard: 1}]
process.rlimits.0.type|runc|.process.rlimits = [{soft: 1, hard: 1}]
process.rlimits.0.soft|runc|.process.rlimits = [{type: "RLIMIT_CORE", soft: 2, hard: 1}]
process.rlimits.0.soft|runc|.process.rlimits = [{type: "RLIMIT_CORE", soft: -1, hard: 1}]
process.rlimits.0.hard|spec|.process.rlimits = [{type: "RLIMIT_CORE", soft: 0}]
process.rlimits.1|spec|.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]
process.rlimits|runc|.process.rlimits = {RLIMIT_CORE: 0}
process.oomScoreAdj|runc|.process.oomScoreAdj = 1001
process.oomScoreAdj|runc|.process.oomScoreAdj = "0"
process.selinuxLabel|runc|.process.selinuxLabel = 1
process.apparmorProfile|runc|.process.apparmorProfile = {}
process.scheduler.policy|spec|.process.scheduler = {policy: "SCHED_FAIR"}
process.scheduler.policy|spec|.process.scheduler = {nice: 1}
process.scheduler.nice|spec|.process.scheduler = {policy: "SCHED_OTHER", nice: 20}
process.scheduler.priority|spec|.process.scheduler = {policy: "SCHED_OTHER", priority: 1}
process.scheduler.priority|spec|.process.scheduler = {policy: "SCHED_FIFO", priority: 100}
process.scheduler.runtime|spec|.process.scheduler = {policy: "SCHED_OTHER", runtime: 1}
process.scheduler.flags|spec|.process.scheduler = {policy: "SCHED_OTHER", flags: ["X"]}
process.ioPriority.class|spec|.process.ioPriority = {class: "BEST", priority: 1}
process.ioPriority.priority|spec|.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 8}
process.execCPUAffinity.initial|spec|.process.execCPUAffinity = {initial: "a"}
process.execCPUAffinity.final|spec|.process.execCPUAffinity = {final: "3-1"}
hostname|runc|.linux.namespaces |= map(select(.type != "uts"))
domainname|spec|.domainname = "d" | del(.hostname) | .linux.namespaces |= map(select(.type != "uts"))
hostname|runc|.hostname = 5
mounts|runc|.mounts = {}
mounts.0|runc|.mounts = ["proc"]
mounts.0.destination|spec|.mounts[0] |= del(.destination)
mounts.0.destination|runc|.mounts[0].destination = 1
mounts.0.options|runc|.mounts[0].options = "ro"
mounts.0.options.0|runc|.mounts[0].options = [5]
mounts.0.source|spec|.mounts = [{destination: "/x", type: "bind", options: ["bind"]}] + .mounts
mounts.0.gidMappings|spec|.mounts = [{destination: "/x", type: "bind", source: "/tmp", options: ["bind"], uidMappings: [{containerID: 0, hostID: 0, size: 1}]}] + .mounts
mounts.0.uidMappings|spec|.mounts[0].uidMappings = [{containerID: 0, hostID: 0, size: 1}] | .mounts[0].gidMappings = .mounts[0].uidMappings
no-such-source|runc|.mounts += [{destination: "/srv", type: "bind", source: "/no-such-source", options: ["bind"]}]
nosuchfs|runc|.mounts += [{destination: "/srv", type: "nosuchfs", source: "none"}]
/bin/busybox|runc|.mounts += [{destination: "/bin/busybox", type: "tmpfs", source: "tmpfs"}]
linux.namespaces|runc|.linux.namespaces = "pid"
linux.namespaces.0.type|runc|.linux.namespaces[0].type = "process"
linux.namespaces.0.type|runc|.linux.namespaces[0] = {}
linux.namespaces.6|runc|.linux.namespaces = (.linux.namespaces[:6] + [.linux.namespaces[0]])
linux.namespaces.0.path|spec|.linux.namespaces[0].path = "proc/1/ns/pid"
/no/such/ns|runc|.linux.namespaces |= map(if .type == "ipc" then .path = "/no/such/ns" else . end)
/proc/self/ns/uts|runc|.linux.namespaces |= map(if .type == "ipc" then .path = "/proc/self/ns/uts" else . end)
linux.uidMappings|spec|.linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]
linux.gidMappings|spec|.linux.gidMappings = [{containerID: 0, hostID: 0, size: 1}]
linux.uidMappings|runc|.linux.namespaces += [{type: "user"}]
/proc/self/ns/user|runc|.linux.namespaces += [{type: "user", path: "/proc/self/ns/user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]
linux.uidMappings.0.containerID|runc|.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: -1, hostID: 0, size: 1}]
linux.uidMappings.0.size|runc|.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 0}] | .linux.gidMappings = [{containerID: 0, hostID: 0, size: 1}]
linux.uidMappings.1|runc|.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 9}, {containerID: 5, hostID: 100, size: 9}] | .linux.gidMappings = .linux.uidMappings
linux.timeOffsets|spec|.linux.timeOffsets = {monotonic: {secs: 1}}
linux.timeOffsets|spec|.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {realtime: {secs: 1}}
linux.timeOffsets.boottime.nanosecs|spec|.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {nanosecs: 1000000000}}
linux.sysctl|runc|.linux.sysctl = {"kernel.panic": "1"}
linux.sysctl|runc|.linux.sysctl = {"vm.swappiness": "1"}
linux.sysctl|runc|.linux.sysctl = {"kernel.hostname": "x"}
linux.sysctl|runc|.linux.sysctl = {"../../etc/passwd": "1"}
linux.sysctl|runc|.linux.sysctl = {"net.ipv4.ip_forward": 1}
linux.sysctl|runc|.linux.sysctl = {"net.ipv4.ip_forward": "1"} | .linux.namespaces |= map(select(.type != "network"))
linux.sysctl|runc|.linux.sysctl = {"kernel.msgmax": "1"} | .linux.namespaces |= map(select(.type != "ipc"))
no_such_key|runc|.linux.sysctl = {"net.ipv4.no_such_key": "1"}
linux.cgroupsPath|spec|.linux.cgroupsPath = "/stave/../../x"
linux.cgroupsPath|runc|.linux.cgroupsPath = 1
linux.rootfsPropagation|runc|.linux.rootfsPropagation = "everywhere"
linux.maskedPaths|spec|.linux.maskedPaths = ["proc/kcore"]
linux.maskedPaths|runc|.linux.maskedPaths = "/proc/kcore"
linux.readonlyPaths|spec|.linux.readonlyPaths = ["proc"]
linux.devices.0.type|runc|.linux.devices = [{type: "x", path: "/dev/x", major: 1, minor: 3}]
linux.devices.0.path|spec|.linux.devices = [{type: "c", major: 1, minor: 3}]
linux.devices.0.major|spec|.linux.devices = [{type: "c", path: "/dev/x", minor: 3}]
linux.devices.0.fileMode|runc|.linux.devices = [{type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: "0666"}]
linux.resources|runc|.linux.resources = []
linux.resources.devices.0.type|runc|.linux.resources.devices = [{allow: true, type: "x", access: "rwm"}]
linux.resources.devices.0.access|spec|.linux.resources.devices = [{allow: true, access: "rwx"}]
linux.resources.memory.limit|runc|.linux.resources.memory = {limit: "64M"}
linux.resources.pids.limit|runc|.linux.resources.pids = {limit: 1.5}
linux.resources.cpu.shares|runc|.linux.resources.cpu = {shares: -2}
linux.resources.cpu.cpus|runc|.linux.resources.cpu = {cpus: 0}
linux.resources.blockIO.weight|runc|.linux.resources.blockIO = {weight: 70000}
linux.resources.hugepageLimits.0.pageSize|spec|.linux.resources.hugepageLimits = [{pageSize: "big", limit: 1}]
linux.resources.unified|spec|.linux.resources.unified = {"../memory.max": "1"}
linux.seccomp.defaultAction|runc|.linux.seccomp = {defaultAction: "SCMP_ACT_WHAT"}
linux.seccomp.defaultAction|runc|.linux.seccomp = {defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/x"}
linux.seccomp.architectures|runc|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_PDP11"], syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO"}]}
linux.seccomp.flags|runc|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", flags: ["X"], syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO"}]}
linux.seccomp.syscalls.0.action|runc|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "DENY"}]}
linux.seccomp.syscalls.0.names|spec|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: [], action: "SCMP_ACT_ERRNO"}]}
linux.seccomp.syscalls.0.args.0.op|runc|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [{index: 0, value: 1, op: "SCMP_CMP_LIKE"}]}]}
linux.seccomp.syscalls.0.args.0.index|runc|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [{index: 6, value: 1, op: "SCMP_CMP_EQ"}]}]}
linux.seccomp.syscalls.0.errnoRet|spec|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_KILL", errnoRet: 5}]}
linux.seccomp.listenerMetadata|spec|.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerMetadata: "x"}
linux.personality.domain|spec|.linux.personality = {domain: "BSD"}
linux.memoryPolicy.mode|spec|.linux.memoryPolicy = {mode: "MPOL_NEAR"}
linux.memoryPolicy.nodes|spec|.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "none"}
linux.intelRdt|runc|.linux.intelRdt = {closID: "a/b"}
linux.intelRdt.memBwSchema|spec|.linux.intelRdt = {memBwSchema: "L3:0=1"}
intelRdt|spec|.linux.intelRdt = {schemata: ["L3:0=f"]}
linux.netDevices|spec|.linux.netDevices = {"a/b": {}}
hooks.prestart.0.path|runc|.hooks = {prestart: [{args: ["x"]}]}
hooks.createRuntime.0.path|runc|.hooks = {createRuntime: [{path: "true"}]}
hooks.poststop.0.timeout|spec|.hooks = {poststop: [{path: "/bin/true", timeout: 0}]}
hooks.poststop.0.env|spec|.hooks = {poststop: [{path: "/bin/true", env: ["A"]}]}
hooks.poststart|runc|.hooks = {poststart: {path: "/bin/true"}}
/no/such/hook|runc|.hooks = {prestart: [{path: "/no/such/hook"}]}
annotations.a|runc|.annotations = {"a": 1}
annotations|spec|.annotations = {"": "x"}
annotations|runc|.annotations = []
END
}

mkdir bundle && cp -a "$B" bundle/rootfs
jq . >good.json <<'END'
{ "ociVersion": "1.0.2",
  "process": { "user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/", "env": ["PATH=/bin"],
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
    "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}], "noNewPrivileges": true },
  "root": {"path": "rootfs", "readonly": true}, "hostname": "good",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]} ],
  "linux": { "resources": {"devices": [{"allow": false, "access": "rwm"}]},
    "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}, {"type": "network"}],
    "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"] } }
END

# What a runtime may leave of the container it was to make.
traces() {
  ls oci runc 2>/dev/null
  find /sys/fs/cgroup -mindepth 1 -maxdepth 6 -type d -name "bad-$$*" 2>/dev/null
  grep -F " $T/bundle" /proc/self/mountinfo
  ls -A bundle/rootfs
}
run() {
  "$1" --root "$T/$2" run --bundle "$T/bundle" "bad-$$-$2" </dev/null
}

mkdir oci runc
cp good.json bundle/config.json
ok 'the good one runs' run stave-oci oci
if command -v runc >/dev/null && run runc runc >/dev/null 2>&1; then peer=runc; else peer=''; fi
[ -n "$peer" ] || skip 'runc refuses likewise' 'there is no runc that runs the good one'
traces >before
n=0
table >lines
while IFS='|' read -r key who filter; do
  n=$((n + 1))
  if ! jq "$filter" good.json >bundle/config.json || cmp -s good.json bundle/config.json; then
    fail "$filter: a change"
    continue
  fi
  try run stave-oci oci
  case "$status $(wc -l <"$T/err")" in
    '1 1') ;;
    *) fail "$filter" "status $status, wanted 1 and one line" "$err" && continue ;;
  esac
  if ! printf '%s\n' "$err" | grep -Fq -e "$key"; then
    fail "$filter" "wanted: $key" "$err"
    continue
  fi
  traces >after
  if ! cmp -s before after; then
    fail "$filter: nothing is left" "$(diff before after)"
    continue
  fi
  if [ -n "$peer" ] && [ "$who" = runc ]; then
    run runc runc >runc.out 2>&1
    peer_status=$?
    # What runc leaves is not ours to tell.
    runc --root "$T/runc" delete -f "bad-$$-runc" >/dev/null 2>&1
    [ "$peer_status" = "$status" ] || {
      fail "$filter" "runc's status is $peer_status" "$err" "$(cat runc.out)"
      continue
    }
  fi
  pass "$filter"
done <lines
is 'so many ways to be wrong' "$([ "$n" -ge 100 ] && echo enough)" enough

# What is newer than we are, or known to nobody, is no error.
for filter in '.ociVersion = "1.0.2-dev"' '.ociVersion = "1.3.0"' '.future = {a: 1} | .linux.future = [1] | .process.future = "x"' \
  '.linux.namespaces[0].path = ""' '.process.consoleSize = null | .linux.seccomp = null'; do
  jq "$filter" good.json >bundle/config.json
  try run stave-oci oci
  is "$filter" "$status $err" '0 '
done
jq '.ociVersion = "1.99.0"' good.json >bundle/config.json
try run stave-oci oci
like 'a newer minor version is a warning' "$status $err" '^0 stave-oci: warning: ociVersion 1.99.0 is newer'
traces >after
is 'nothing is left' "$(diff before after)" ''
