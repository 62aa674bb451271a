#!/bin/sh
# Everything of `process` and its like in `linux` that a process has of its own: rights, limits,
# scheduler, labels, names (config.md, Process; config-linux.md). runc is the peer where it can.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)

# in_it FILTER [COMMAND...]: what a process prints whose document was changed so.
in_it() {
  filter=$1
  shift
  stave new --rootfs "$B" | jq -c --args ".process.args = \$ARGS.positional | $filter" -- "$@" >doc
  try sh -c 'stave spawn --rm <doc'
}
# field NAME: of /proc/self/status
field() { printf '%s\n' "$out" | awk -v name="$1:" '$1 == name { $1 = ""; print substr($0, 2) }'; }
stat() { printf '%s\n' "$out" | cut -d' ' -f"$1"; }

# Capabilities: five sets.
caps='.process.capabilities = { bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"],
  permitted: ["CAP_KILL", "CAP_CHOWN"], inheritable: ["CAP_KILL"], effective: ["CAP_CHOWN"], ambient: ["CAP_KILL"] }'
in_it "$caps | .process.user.uid = 33" cat /proc/self/status
is 'an ordinary user has over exec what is ambient' "$(field CapInh) $(field CapPrm) $(field CapEff) $(field CapBnd) $(field CapAmb)" \
  '0000000000000020 0000000000000020 0000000000000020 0000000000002021 0000000000000020'
in_it "$caps" cat /proc/self/status
is 'root has what is bounding' "$(field CapPrm) $(field CapEff) $(field CapBnd)" \
  '0000000000002021 0000000000002021 0000000000002021'
in_it '.process.capabilities.bounding += ["CAP_NONE", "ALL"]' echo so
is 'an unknown name is passed over' "$status $out" '0 so'
is 'with a warning each' "$err" 'stave-spawn: warning: there is no capability ALL
stave-spawn: warning: there is no capability CAP_NONE'
in_it '.process.capabilities.ambient = ["CAP_KILL"]' echo so
is 'what cannot be ambient likewise' "$status $out $err" "0 so stave-spawn: warning: can't raise ambient capability CAP_KILL: it is not inheritable"
held=$(awk '/^CapPrm/ { print $2 }' /proc/self/status)
if [ $((0x$held >> 24 & 1)) = 0 ]; then
  in_it '.process.capabilities[] += ["CAP_SYS_RESOURCE"]' echo so
  is 'what the caller lacks likewise' "$status $out $err" '0 so stave-spawn: warning: no capability CAP_SYS_RESOURCE to give'
else
  skip 'what the caller lacks likewise' 'the caller lacks nothing'
fi
in_it '.process.noNewPrivileges = true' cat /proc/self/status
is 'noNewPrivileges' "$(field NoNewPrivs)" 1

# Limits.
in_it '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 77, hard: 88}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]' \
  sh -c 'ulimit -n; ulimit -Hn; ulimit -c'
is 'rlimits' "$out" '77
88
0'
in_it '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 88, hard: 9999999999}]' true
like 'what cannot be set is named' "$status $err" '^125 stave-spawn: set RLIMIT_NOFILE to 88:9999999999: Operation not permitted'

# The out-of-memory score: as it is where none is asked for.
in_it 'del(.process.oomScoreAdj)' cat /proc/self/oom_score_adj
is 'oomScoreAdj absent' "$out" "$(cat /proc/self/oom_score_adj)"
in_it '.process.oomScoreAdj = 321' cat /proc/self/oom_score_adj
is 'oomScoreAdj' "$out" 321

# Scheduler. Of /proc/self/stat: nice (19), static priority (40), policy (41).
in_it '.process.scheduler = {policy: "SCHED_BATCH", nice: 7}' cat /proc/self/stat
is 'SCHED_BATCH with a nice value' "$(stat 19,40,41)" '7 0 3'
in_it '.process.scheduler = {policy: "SCHED_OTHER", nice: -3}' cat /proc/self/stat
is 'SCHED_OTHER' "$(stat 19,40,41)" '-3 0 0'
in_it '.process.scheduler = {policy: "SCHED_IDLE"}' cat /proc/self/stat
is 'SCHED_IDLE' "$(stat 41)" 5
in_it '.process.scheduler = {policy: "SCHED_FIFO", priority: 10, flags: ["SCHED_FLAG_RESET_ON_FORK"]}' cat /proc/self/stat
if [ "$status" = 0 ]; then
  is 'SCHED_FIFO with its priority' "$(stat 40,41)" '10 1'
else
  like 'SCHED_FIFO is refused by name' "$status $err" '^125 stave-spawn: set the scheduler to SCHED_FIFO: Operation not permitted'
fi
in_it '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 1000000, deadline: 5000000, period: 5000000,
  flags: ["SCHED_FLAG_RESET_ON_FORK"]}' cat /proc/self/stat
if [ "$status" = 0 ]; then
  is 'SCHED_DEADLINE' "$(stat 41)" 6
else
  like 'SCHED_DEADLINE is refused by name' "$status $err" '^125 stave-spawn: set the scheduler to SCHED_DEADLINE: '
fi
in_it '.process.scheduler = {policy: "SCHED_ISO"}' true
like 'a policy that the kernel lacks' "$status $err" '^125 stave-spawn: set the scheduler to SCHED_ISO: Invalid argument'

in_it '.process.ioPriority = {class: "IOPRIO_CLASS_IDLE", priority: 4}' ionice
is 'ioPriority' "$out" idle
in_it '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}' ionice
is 'ioPriority, best effort' "$out" 'best-effort: prio 6'

# Memory policy, personality, umask, groups.
in_it '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]}' \
  sh -c 'grep -c "bind=static:0 " /proc/self/numa_maps >/tmp/n; [ "$(cat /tmp/n)" -gt 3 ] && echo bound'
case $status$err in
  0*) is 'memoryPolicy' "$out" bound ;;
  125*'Function not implemented') skip 'memoryPolicy' 'the kernel has no NUMA' ;;
  *) fail 'memoryPolicy' "$status $out" "$err" ;;
esac
in_it '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "63"}' true
like 'a node that is not there' "$status $err" '^125 stave-spawn: set the memory policy to MPOL_BIND: '
in_it '.linux.personality = {domain: "LINUX32"}' uname -m
is 'personality LINUX32' "$out" i686
in_it '.linux.personality = {domain: "LINUX"}' uname -m
is 'personality LINUX' "$out" "$(uname -m)"
in_it '.process.user = {uid: 33, gid: 34, umask: 63, additionalGids: [101, 5000]}' sh -c 'umask; id -u; id -g; id -G'
is 'user: umask, ids and groups' "$out" '0077
33
34
34 101 5000'

# Names and sysctls.
names="$(hostname) $(cat /proc/sys/kernel/domainname)"
in_it '.hostname = "box" | .domainname = "nis.example"' sh -c 'hostname; cat /proc/sys/kernel/domainname'
is 'hostname and domainname' "$out" 'box
nis.example'
is "the machine's own stay" "$(hostname) $(cat /proc/sys/kernel/domainname)" "$names"
in_it '.linux.sysctl = {"kernel.domainname": "by.sysctl"}' cat /proc/sys/kernel/domainname
is 'sysctl of uts' "$out" by.sysctl
in_it '.linux.sysctl = {"kernel.msgmax": "9000", "fs.mqueue.msg_max": "77", "net/ipv4/conf/lo/forwarding": "1"}' \
  cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max /proc/sys/net/ipv4/conf/lo/forwarding
is 'sysctls of ipc and network' "$out" '9000
77
1'
in_it '.linux.sysctl = {"kernel.hostname": "x"}' true
like 'hostname has a key of its own' "$status $err" '^125 stave-spawn: document: linux.sysctl: kernel.hostname: '
in_it '.linux.sysctl = {"net.ipv4.no_such_thing": "1"}' true
like 'a sysctl that is not there' "$status $err" "^125 stave-spawn: write '1' to /proc/sys/net/ipv4/no_such_thing: No such file"

# Labels: empty is nothing; asked for where the kernel has none is an error that names it.
in_it '.process.apparmorProfile = "" | .process.selinuxLabel = ""' echo so
is 'empty labels' "$status $out" '0 so'
if [ -e /sys/module/apparmor ]; then
  in_it '.process.apparmorProfile = "no-such-profile"' true
  like 'an AppArmor profile that is not loaded' "$status $err" '^125 stave-spawn: set the apparmor label no-such-profile: '
else
  in_it '.process.apparmorProfile = "docker-default"' true
  is 'AppArmor where there is none' "$status $err" '125 stave-spawn: set the apparmor label docker-default: this kernel does not run apparmor'
fi
if [ -e /sys/fs/selinux/enforce ]; then
  in_it '.process.selinuxLabel = "no such label"' true
  like 'an SELinux label that is none' "$status $err" '^125 stave-spawn: set the selinux label no such label: '
else
  in_it '.process.selinuxLabel = "system_u:system_r:container_t:s0"' true
  is 'SELinux where there is none' "$status $err" \
    '125 stave-spawn: set the selinux label system_u:system_r:container_t:s0: this kernel does not run selinux'
fi

# A keyring of its own: what the caller has in its is out of reach.
if command -v keyctl >/dev/null && keyctl session - keyctl show >/dev/null 2>&1; then
  is 'the session keyring is its own' "$(keyctl session test sh -c '
    keyctl add user stave-test secret @s >/dev/null
    stave new | jq -c --arg b "$1" ".root.path = \$b | .linux.namespaces = [{type: \"mount\"}] | .process.args = [\"cat\", \"/proc/keys\"] |
      .mounts = [{destination: \"/proc\", type: \"proc\"}]" - "$B" | stave spawn --rm | grep -c stave-test' - "$B")" 0
else
  skip 'the session keyring is its own' 'there is no keyctl, or no keyrings'
fi

# The directory: of the user where root may not; outside of the root never.
in_it '.process.cwd = "/deep/er" | .process.user = {uid: 33, gid: 34}' pwd
is 'cwd is made' "$out" /deep/er
in_it '.process.env = ["PATH=/bin"] | .process.user = {uid: 33, gid: 34}' sh -c 'echo $HOME'
is 'HOME is of passwd' "$out" /srv
in_it '.process.env = ["PATH=/bin", "HOME=/x"]' sh -c 'echo $HOME'
is 'unless it is given' "$out" /x
in_it '.process.env = ["A=1"]' sh -c 'echo $A'
is 'without PATH: the search path of execvp(3)' "$out" 1

# exec: the same for a second process.
stave new web --rootfs "$B" | jq -c '.process.args = ["sleep", "60"] | .process.oomScoreAdj = 200 |
  .process.scheduler = {policy: "SCHED_BATCH", nice: 3} | .process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 7} |
  .process.execCPUAffinity = {initial: "0", final: "0"} | .linux.personality = {domain: "LINUX32"}' | stave limit -m 64M | stave keep >/dev/null
try stave exec web sh -c 'cat /proc/self/oom_score_adj; uname -m; ionice; cut -d" " -f19,41 /proc/self/stat; grep Cpus_allowed_list /proc/self/status'
is 'exec has all of it' "$out" '200
i686
best-effort: prio 7
3 3
Cpus_allowed_list:	0'
init=$(jq .pid "$STAVE_RUN/$(id_of web)/state.json")
is 'the affinity is not for pid 1' "$(grep Cpus_allowed_list "/proc/$init/status")" "$(grep Cpus_allowed_list /proc/self/status)"
stave rm -f web >/dev/null

nothing_left 'nothing is left' "$before"
