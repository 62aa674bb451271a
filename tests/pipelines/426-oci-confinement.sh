#!/bin/sh
# config-linux.md of the runtime specification: sysctl, seccomp, propagation, masked and read-only
# paths, personality, memory policy, resctrl; features.md. Numbers: ../conformance/musts.tsv
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
before=$(snapshot)

prints 'L70: sysctl' '200 1' 'echo $(cat /proc/sys/kernel/msgmni /proc/sys/net/ipv4/ip_forward)' '.linux.sysctl = {"kernel.msgmni": "200", "net.ipv4.ip_forward": "1"}'
rejects 'L71: a sysctl of the whole host' '.linux.sysctl = {"kernel.panic": "10"}'
rejects 'L71: one of a namespace that is the host'"'"'s' '.linux.namespaces |= map(select(.type != "network")) | .linux.sysctl = {"net.ipv4.ip_forward": "1"}'
rejects 'L71: one of a namespace that is joined, and the host'"'"'s' '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end) | .linux.sysctl = {"net.ipv4.ip_forward": "1"}'

# resctrl
if [ -d /sys/fs/resctrl/info ]; then
  for n in 72 73; do skip "L$n: no resctrl" 'this machine has it mounted'; done
else
  rejects 'L72: resctrl, which is not mounted' '.linux.intelRdt = {closID: "group", schemata: ["L3:0=f"]}'
  rejects 'L72: nor for one line alone' '.linux.intelRdt = {l3CacheSchema: "L3:0=f"}'
  rejects 'L73: a newline in a line of it' '.linux.intelRdt = {schemata: ["L3:0=f\nMB:0=10"]}'
fi

# Memory policy
prints 'L75: a memory policy' 'bind:0' 'sed -n "s/^[0-9a-f]* \([a-z]*[:=]*[a-z]*[:=]*[0-9]*\) .*/\1/p" /proc/self/numa_maps | sort -u | head -n 1' '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}'
rejects 'L76: a memory policy without a mode' '.linux.memoryPolicy = {nodes: "0"}'
rejects 'L76: one of no known mode' '.linux.memoryPolicy = {mode: "MPOL_NONE", nodes: "0"}'

# seccomp
profile() { jq -nc "{defaultAction: \"SCMP_ACT_ALLOW\", architectures: [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\", \"SCMP_ARCH_AARCH64\"]} + ($1)"; }
with='.linux.seccomp = $s'
rejects 'L80: a filter without a default' "$with" --argjson s '{"syscalls": []}'
rejects 'L80: with one that is no action' "$with" --argjson s '{"defaultAction": "SCMP_ACT_NONE"}'
denies() { # WHAT ERROR RULE
  runs 'mkdir /tmp/x; echo $?' "$with" --argjson s "$(profile "{syscalls: [$3]}")"
  like "$1" "$err$out" "$2"
  rm -rf "$bundle/rootfs/tmp/x"
}
denies 'L81: a call that is denied fails with EPERM' 'Operation not permitted' '{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO"}'
holds 'L81: but what looks for the program is not the program: a filter older than faccessat2' true "$with" --argjson s "$(profile '{syscalls: [{names: ["faccessat2", "faccessat", "access", "statx"], action: "SCMP_ACT_ERRNO"}]}')"
denies 'L82: or with the errno that is said' 'Disk quota exceeded' '{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 122}'
runs 'mkdir /tmp/x' "$with" --argjson s "$(profile '{defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 122, syscalls: [{names: ["read", "write", "readv", "writev", "open", "openat", "close", "mmap", "mprotect", "munmap", "brk", "execve", "exit_group", "exit", "arch_prctl",
  "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "getrandom", "readlink", "readlinkat", "fstat", "newfstatat", "stat", "getuid", "geteuid", "getgid", "getegid", "getpid", "getppid",
  "getcwd", "fcntl", "ioctl", "umask", "prctl", "futex", "uname", "dup2", "dup3", "wait4", "clone", "clone3", "vfork", "fork", "capget", "capset", "setuid", "setgid", "setgroups", "lseek", "sigaltstack", "gettid", "tgkill", "epoll_pwait", "nanosleep",
  "faccessat", "faccessat2", "access", "poll", "ppoll", "pipe2", "chdir", "fchdir", "sendmsg", "recvmsg", "sendto", "recvfrom", "getdents64", "close_range", "statx", "fstatfs", "statfs", "keyctl", "getsockopt", "connect", "socket", "accept4", "accept", "madvise", "sched_yield", "sched_getaffinity", "epoll_ctl", "unlink", "unlinkat", "setresuid", "setresgid"], action: "SCMP_ACT_ALLOW"}]}')"
like 'L82: also for what no rule names' "$err" 'Disk quota exceeded'
rejects 'L83: an errno for an action that has none' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir"], action: "SCMP_ACT_KILL", errnoRet: 1}]}')"
rejects 'L83: for a default that has none' "$with" --argjson s '{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}'
rejects 'L84: a rule without names' "$with" --argjson s "$(profile '{syscalls: [{action: "SCMP_ACT_ERRNO"}]}')"
rejects 'L84: with none' "$with" --argjson s "$(profile '{syscalls: [{names: [], action: "SCMP_ACT_ERRNO"}]}')"
rejects 'L85: a rule without an action' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir"]}]}')"
rejects 'L85: of no known action' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir"], action: "SCMP_ACT_NONE"}]}')"
rejects 'L86: an argument of no known operator' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [{index: 0, value: 1, op: "SCMP_CMP_NONE"}]}]}')"
rejects 'L86: an argument beyond the sixth' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO", args: [{index: 6, value: 1, op: "SCMP_CMP_EQ"}]}]}')"
# chmod(2) takes a number as it is: what each operator makes of two of them.
while read -r op value two yes no; do
  for mode in "$yes" "$no"; do
    runs "exec chmod $mode /tmp" "$with" --argjson s "$(profile "[[\"chmod\", 1], [\"fchmodat\", 2]] as \$calls | {syscalls: [\$calls[] | {names: [.[0]], action: \"SCMP_ACT_KILL_PROCESS\", args: [{index: .[1], value: $value, valueTwo: $two, op: \"$op\"}]}]}")"
    [ "$mode" = "$yes" ] && killed=$status || allowed=$status
  done
  is "L87: $op" "$([ "$killed" != 0 ] && echo killed) $allowed" 'killed 0'
done <<'END'
SCMP_CMP_NE 18 0 0023 0022
SCMP_CMP_LT 5 0 0004 0022
SCMP_CMP_LE 5 0 0005 0022
SCMP_CMP_EQ 23 0 0027 0022
SCMP_CMP_GE 23 0 0027 0022
SCMP_CMP_GT 23 0 0030 0022
SCMP_CMP_MASKED_EQ 32 32 0040 0022
END
runs 'mkdir /tmp/x' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_KILL_PROCESS"}]}')"
no 'L88: SCMP_ACT_KILL_PROCESS' test "$status" = 0
for action in SCMP_ACT_KILL SCMP_ACT_KILL_THREAD SCMP_ACT_TRAP; do
  runs 'mkdir /tmp/x && echo made' "$with" --argjson s "$(profile "{syscalls: [{names: [\"mkdir\", \"mkdirat\"], action: \"$action\"}]}")"
  unlike "L88: $action" "$out" made
done
prints 'L88: SCMP_ACT_LOG' made 'mkdir /tmp/x && echo made' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_LOG"}]}')"
rm -rf "$bundle/rootfs/tmp/x"
runs 'mkdir /tmp/x && echo made' "$with" --argjson s "$(profile '{syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_TRACE"}]}')"
like 'L88: SCMP_ACT_TRACE, without a tracer' "$err" 'Function not implemented'
for flag in SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW SECCOMP_FILTER_FLAG_TSYNC; do
  holds "L89: the flag $flag" true "$with" --argjson s "$(profile "{flags: [\"$flag\"], syscalls: [{names: [\"mkdir\"], action: \"SCMP_ACT_ERRNO\"}]}")"
done
rejects 'L89: a flag that nobody knows' "$with" --argjson s "$(profile '{flags: ["SECCOMP_FILTER_FLAG_NONE"], syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO"}]}')"

# The agent that is told of a call: who, and by which descriptor.
if command -v python3 >/dev/null; then
  export agent="$T/agent.sock"
  cat >"$T/agent.py" <<'PYTHON'
import array, json, os, socket, sys
path, out = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(4)
listener.settimeout(15)
open(out + ".ready", "w").close()
connection, _ = listener.accept()
connection.settimeout(5)
text, fds, messages = b"", [], 0
first = True
while True:
    data, got, _, _ = socket.recv_fds(connection, 65536, 8)
    if not data:
        break
    text += data
    fds.append(len(got))
    held = got if first else held
    first = False
listener.settimeout(0.3)
try:
    listener.accept()
    more = True
except OSError:
    more = False
state = json.loads(text)
links = [os.readlink(f"/proc/self/fd/{fd}") for fd in held]
with open(out, "w") as file:
    json.dump({"state": state, "first": fds[0], "later": sum(fds[1:]), "links": links, "more": more}, file)
PYTHON
  notify=$(profile '{listenerPath: $ENV.agent, listenerMetadata: "of the test", syscalls: [{names: ["getpriority"], action: "SCMP_ACT_NOTIFY"}]}')
  python3 "$T/agent.py" "$T/agent.sock" "$T/agent" &
  soon test -e "$T/agent.ready"
  creates "$with | .annotations = {a: \"b\"} | .process.args = [\"sleep\", \"100\"]" --argjson s "$notify"
  is 'L90: a filter that notifies' "$status $err" '0 '
  rt start "$id"
  soon test -s "$T/agent"
  is 'L91: the agent gets one state, with the container'"'"'s own' "$(jq -c '[.state.id // .state.state.id, .state.state.annotations.a, .state.state.bundle]' "$T/agent")" "[\"$id\",\"b\",\"$bundle\"]"
  is 'L92: the process is named as the runtime sees it' "$(jq .state.pid "$T/agent")" "$pid"
  like 'L93: and the version' "$(jq -r .state.ociVersion "$T/agent")" '^1\.'
  is 'L94: what is passed is named' "$(jq -c .state.fds "$T/agent")" '["seccompFd"]'
  is 'L95: the descriptor comes first, and is that of the filter' "$(jq -c '[.first, .later, .links[0]]' "$T/agent")" '[1,0,"anon_inode:seccomp notify"]'
  is 'L96: metadata' "$(jq -r .state.metadata "$T/agent")" 'of the test'
  is 'L97: no second state' "$(jq .more "$T/agent")" false
  gone
  wait
  rm -f "$T/agent.sock"
  config "$with" --argjson s "$notify"
  no 'L98: an agent that is not there' sh -c '"$0" --root "$1" run --bundle "$2" "$3"' "$runtime" "$T/state" "$bundle" "$id"
  gone
else
  for n in 90 91 92 93 94 95 96 97 98; do skip "L$n: notify" 'there is no python3'; done
fi
rejects 'L99: metadata without a path' "$with" --argjson s "$(profile '{listenerMetadata: "x", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_NOTIFY"}]}')"
holds 'L98: a path that no rule uses does not matter' true "$with" --argjson s "$(profile '{listenerPath: "/no/such/socket", syscalls: [{names: ["mkdir"], action: "SCMP_ACT_ERRNO"}]}')"

# The root's propagation
for kind in private slave shared unbindable; do
  case $kind in private) wanted='^$' ;; slave) wanted='^(master:[0-9]+)?$' ;; shared) wanted='shared:' ;; *) wanted=unbindable ;; esac
  runs 'awk "\$5 == \"/\" { for (i = 7; \$i != \"-\"; i++) printf \"%s \", \$i }" /proc/self/mountinfo | sed "s/ $//"' '.linux.rootfsPropagation = $kind' --arg kind "$kind"
  is "L102: rootfsPropagation $kind is taken" "$status" 0
  like "L102: and is $kind" "$out" "$wanted"
done

# Masked and read-only paths
mkdir -p "$bundle/rootfs/masked-dir" "$bundle/rootfs/readonly" && echo text | tee "$bundle/rootfs/masked-file" >"$bundle/rootfs/masked-dir/file"
prints 'L103: masked paths cannot be read' '0 0' 'echo $(cat /masked-file | wc -c) $(ls /masked-dir | wc -l)' '.linux.maskedPaths = ["/masked-file", "/masked-dir", "/not-there"]'
rejects 'L104: a masked path that is not absolute' '.linux.maskedPaths = ["masked-file"]'
prints 'L105: read-only paths cannot be written' 'no yes' 'touch /readonly/x 2>/dev/null && echo -n "yes " || echo -n "no "; touch /x && echo yes; rm /x' '.linux.readonlyPaths = ["/readonly", "/not-there"]'
rejects 'L106: a read-only path that is not absolute' '.linux.readonlyPaths = ["readonly"]'

# Personality
prints 'L107: personality' 'i686' 'uname -m' '.linux.personality = {domain: "LINUX32"}'
prints 'L107: the other one' 'x86_64' 'uname -m' '.linux.personality = {domain: "LINUX"}'
rejects 'L108: no domain' '.linux.personality = {}'
rejects 'L108: no known one' '.linux.personality = {domain: "BSD"}'

# Features
if "$runtime" features >"$T/features" 2>/dev/null; then
  f() { jq -r "$1" "$T/features"; }
  ok 'F01: features is an object' jq -e 'type == "object"' "$T/features"
  for key in ociVersionMin ociVersionMax; do
    [ $key = ociVersionMin ] && n=F02 || n=F03
    holds "$n: $key is a version that is taken" true ".ociVersion = \$v" --arg v "$(f .$key)"
  done
  is 'F04: the least is not above the greatest' "$(printf '%s\n' "$(f .ociVersionMin)" "$(f .ociVersionMax)" | sort -V | head -n 1)" "$(f .ociVersionMin)"
  is 'F05: no key that the specification does not know' "$(jq -r '(keys - ["ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations", "potentiallyUnsafeConfigAnnotations"]) + ((.linux | keys) - ["namespaces", "capabilities", "cgroup", "seccomp", "apparmor", "selinux", "intelRdt", "mountExtensions", "netDevices", "memoryPolicy"]) | join(" ")' "$T/features")" ''
  is 'F06: the six kinds of hooks' "$(jq -r '.hooks | sort | join(" ")' "$T/features")" 'createContainer createRuntime poststart poststop prestart startContainer'
  jq -r '.mountOptions[]' "$T/features" | grep -Ev '^(r?idmap|remount|r?bind|tmpcopyup)$' >"$T/list"
  bad_options=$(while read -r option; do
    case $option in *shared | *slave | *private | *unbindable | r[a-qs-z]*) words="[\"rbind\", \"$option\"]" ;; *) words="[\"bind\", \"$option\"]" ;; esac
    runs true '.mounts += [{destination: "/made", type: "bind", source: $s, options: $w}]' --arg s "$T" --argjson w "$words"
    [ "$status" = 0 ] || echo "$option: $err"
  done <"$T/list")
  is 'F07: each mount option is one that is taken' "$bad_options" ''
  is 'F08: namespaces' "$(jq -r '.linux.namespaces | sort | join(" ")' "$T/features")" 'cgroup ipc mount network pid time user uts'
  runs true '.process.capabilities |= map_values($c)' --argjson c "$(f .linux.capabilities)"
  unlike 'F09: each capability is known' "$err" 'nknown|not known'
  unlike 'F10: annotations are words with words' "$(f '.annotations // {} | map(type) | unique | join(" ")')" 'number|object|array|boolean|null'
  # Of one order of bytes: nobody mixes them in a filter.
  runs true "$with" --argjson s "$(jq -c '{defaultAction: "SCMP_ACT_ALLOW", architectures: (.linux.seccomp.archs | map(select(test("X86|AARCH64|ARM$|RISCV64|PPC64LE")))), flags: ((.linux.seccomp.supportedFlags // []) - ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]),
    syscalls: [{names: ["acct"], action: "SCMP_ACT_ERRNO"}]}' "$T/features")"
  is 'F11: archs and flags of seccomp are taken' "$status $err" '0 '
  is 'F12: all operators are there' "$(f '.linux.seccomp.operators // [] | length')" 7
  is 'F13: and actions' "$(f '.linux.seccomp.actions // [] | length >= 9')" true
  is 'F12: each operator' "$(for op in $(f '.linux.seccomp.operators[]'); do
    runs true "$with" --argjson s "$(profile "{syscalls: [{names: [\"acct\"], action: \"SCMP_ACT_ERRNO\", args: [{index: 0, value: 77, valueTwo: 77, op: \"$op\"}]}]}")"
    [ "$status" = 0 ] || echo "$op: $err"
  done)" ''
  is 'F13: each action' "$(for action in $(f '.linux.seccomp.actions[]' | grep -v NOTIFY); do
    runs true "$with" --argjson s "$(profile "{syscalls: [{names: [\"acct\"], action: \"$action\"}]}" | jq -c 'if .syscalls[0].action == .defaultAction then .syscalls = [] else . end')"
    [ "$status" = 0 ] || echo "$action: $err"
  done)" ''
  is 'F14: each mode of a memory policy' "$(for mode in $(f '.linux.memoryPolicy.modes[]?'); do
    case $mode in MPOL_DEFAULT | MPOL_LOCAL) p="{mode: \"$mode\"}" ;; *) p="{mode: \"$mode\", nodes: \"0\"}" ;; esac
    runs true ".linux.memoryPolicy = $p"
    [ "$status" = 0 ] || echo "$mode: $err"
  done)" ''
  is 'F15: id maps of mounts' "$(f .linux.mountExtensions.idmap.enabled)" true
else
  for n in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15; do fail "F$n: features" 'there is no command features'; done
fi
nothing_left 'R28: nothing is left' "$before"
