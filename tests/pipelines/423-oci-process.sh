#!/bin/sh
# The process of config.md of the runtime specification. Numbers: ../conformance/musts.tsv
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
before=$(snapshot)

# Console
config '.process.terminal = true'
no 'C120: a terminal without anybody who takes it' rt create --bundle "$bundle" "$id"
gone
prints 'C121: consoleSize is nothing without a terminal' yes 'echo yes' '.process.consoleSize = {height: 10, width: 20}'
prints 'C121: whatever terminal is not true' yes 'echo yes' '.process.terminal = false | .process.consoleSize = {height: 0, width: 0}'
console() {
  config ".process.terminal = true | .process.args = [\"sh\", \"-c\", \"stty size; tty; ls -l /dev/console | cut -c 1; [ /dev/console -ef \$(tty) ] && echo same\"] | $1"
  python3 - "$runtime" "$T/state" "$bundle" "$id" >"$T/console" 2>&1 <<'PYTHON'
import os, socket, subprocess, sys
runtime, state, bundle, name = sys.argv[1:]
path = os.path.join(os.path.dirname(bundle), "tty.sock")
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen(1)
    call = [runtime, "--root", state]
    subprocess.run(call + ["create", "--bundle", bundle, "--console-socket", path, name], stdin=subprocess.DEVNULL, check=True)
    connection, _ = listener.accept()
    _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
    subprocess.run(call + ["start", name], check=True)
    text = b""
    try:
        while got := os.read(fds[0], 4096):
            text += got
    except OSError:
        pass
    sys.stdout.write(text.decode().replace("\r", ""))
    os.unlink(path)
PYTHON
}
if command -v python3 >/dev/null; then
  console '.process.consoleSize = {height: 11, width: 22}'
  is 'C122: consoleSize is the size of the terminal' "$(head -n 1 "$T/console")" '11 22'
  gone
  console .
  is 'L40: the console is the terminal' "$(sed -n '2,$p' "$T/console" | paste -sd' ')" '/dev/pts/0 c same'
  gone
else
  skip 'C122: consoleSize is the size of the terminal' 'there is no python3'
  skip 'L40: the console is the terminal' 'there is no python3'
fi

# cwd, args, env
rejects 'C123: a process without a cwd' 'del(.process.cwd)'
rejects 'C124: a cwd that is not absolute' '.process.cwd = "tmp"'
rejects 'C124: an empty one' '.process.cwd = ""'
prints 'C123: one that is not there is made, also where the root is read-only' /new/dir pwd '.process.cwd = "/new/dir" | .root.readonly = true'
prints 'C123: the cwd is where it begins' /tmp pwd '.process.cwd = "/tmp"'
config 'del(.process.args)'
no 'C125: a process without args' rt run --bundle "$bundle" "$id"
gone
config '.process.args = []'
no 'C125: nor with an empty list' rt run --bundle "$bundle" "$id"
gone
config '.process.args = ["one", "two  words", ""] | .process.env = ["PATH=/tool"]'
mkdir "$bundle/rootfs/tool" && printf '#!/bin/sh\nfor arg; do echo "[$arg]"; done; echo "$PATH $#"\n' >"$bundle/rootfs/tool/one" && chmod 755 "$bundle/rootfs/tool/one"
try rt run --bundle "$bundle" "$id"
is 'C126: args are found by PATH, as execvp does' "$out" '[two  words]
[]
/tool 2'
prints 'C127: env is the environment' 'A=b c:' 'echo "A=$A:$C"' '.process.env += ["A=b c"]'

# rlimits
prints 'C128: rlimits: the soft and the hard one' '100 200' 'awk "/Max open files/ { print \$4, \$5 }" /proc/self/limits' '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 200}]'
limits=$(jq -nc '[["CORE", 0, 0], ["NOFILE", 64, 128], ["NICE", 0, 0], ["RTPRIO", 0, 0], ["MSGQUEUE", 4096, 8192], ["MEMLOCK", 4096, 8192], ["STACK", 4194304, 8388608]] | map({type: ("RLIMIT_" + .[0]), soft: .[1], hard: .[2]})')
prints 'C130: all of them as said' '0 0 64 128 0 0 0 0 4096 8192 4096 8192 4194304 8388608' \
  'for n in core.file open.files nice.priority realtime.priority msgqueue locked.memory stack; do awk -v n="$n" "tolower(\$0) ~ \"max \" n { sub(/^.{26}/, \"\"); printf \"%s %s \", \$1, \$2 }" /proc/self/limits; done | sed "s/ $//"' \
  '.process.rlimits = $l' --argjson l "$limits"
rejects 'C131: a type that no kernel knows' '.process.rlimits = [{type: "RLIMIT_NONE", soft: 1, hard: 1}]'
rejects 'C131: none at all' '.process.rlimits = [{soft: 1, hard: 1}]'
rejects 'C132: one type twice' '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0, hard: 0}, {type: "RLIMIT_CORE", soft: 0, hard: 0}]'
rejects 'C133: no soft limit' '.process.rlimits = [{type: "RLIMIT_CORE", hard: 5}]'
rejects 'C134: no hard one' '.process.rlimits = [{type: "RLIMIT_CORE", soft: 0}]'

# Capabilities
caps() { echo "{bounding: $1, effective: $2, permitted: $3, inheritable: $4, ambient: $5}"; }
prints 'C135: capabilities are in the sets that are said' '0000000000000020 0000000000000020 0000000000000020 0000000000000023 0000000000000020' \
  'for s in Inh Prm Eff Bnd Amb; do sed -n "s/^Cap$s:.//p" /proc/self/status; done | paste -sd" "' \
  ".process.capabilities = $(caps '["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL"]' '["CAP_KILL"]' '["CAP_CHOWN", "CAP_KILL"]' '["CAP_KILL"]' '["CAP_KILL"]') | .process.user = {uid: 0, gid: 0} | .process.noNewPrivileges = true
   | .process.user.uid = 1000"
runs 'echo went on' '.process.capabilities |= map_values(. + ["CAP_TO_FLY"])'
is 'C136: one that nobody knows does not matter' "$status $(echo "$out" | tail -n 1)" '0 went on'
like 'C136: it is a warning' "$err" 'CAP_TO_FLY'
prints 'C137: noNewPrivileges' '1' 'sed -n "s/^NoNewPrivs:.//p" /proc/self/status' '.process.noNewPrivileges = true'
prints 'C137: which is not set by itself' '0' 'sed -n "s/^NoNewPrivs:.//p" /proc/self/status'

# oomScoreAdj
prints 'C138: oomScoreAdj' 321 'cat /proc/self/oom_score_adj' '.process.oomScoreAdj = 321'
config '.process.args = ["cat", "/proc/self/oom_score_adj"]'
try sh -c 'echo 123 >/proc/self/oom_score_adj && exec "$0" --root "$1" run --bundle "$2" "$3"' "$runtime" "$T/state" "$bundle" "$id" </dev/null
is 'C139: which stays as it is where nothing is said' "$out" 123

# Scheduler, priorities, affinity
prints 'C140: a scheduler: its policy and nice value, as proc(5) has them' '3 5' 'p=$(cat /proc/self/stat); set -- ${p#*) }; echo "${39} ${17}"' '.process.scheduler = {policy: "SCHED_BATCH", nice: 5}'
rejects 'C141: a scheduler without a policy' '.process.scheduler = {nice: 1}'
rejects 'C141: a policy that no kernel knows' '.process.scheduler = {policy: "SCHED_NONE"}'
rejects 'C141: a flag that no kernel knows' '.process.scheduler = {policy: "SCHED_OTHER", flags: ["SCHED_FLAG_NONE"]}'
prints 'C142: an I/O priority' 'best-effort: prio 3' 'ionice -p $$' '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 3}'
rejects 'C143: an I/O priority without a class' '.process.ioPriority = {priority: 3}'
rejects 'C143: a class that no kernel knows' '.process.ioPriority = {class: "IOPRIO_CLASS_NONE_SUCH", priority: 3}'
list='sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status'
own=$(sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status)
creates '.process.args = ["sleep", "100"] | .process.execCPUAffinity = {}' && rt start "$id"
is 'C145: nothing is changed where no final one is said' "$(rt exec "$id" sh -c "$list" </dev/null)" "$own"
gone
if [ "$(nproc)" -gt 1 ]; then
  creates '.process.args = ["sleep", "100"] | .process.execCPUAffinity = {initial: "0", final: "1"}' && rt start "$id"
  is 'C144: the final CPU affinity, of what is executed in a container' "$(rt exec "$id" sh -c "$list" </dev/null)" 1
  gone
else
  skip 'C144: the final CPU affinity, of what is executed in a container' 'there is one CPU'
fi

# User
prints 'C147: uid and gid in the container' '1000 2000' 'echo $(id -u) $(id -g)' '.process.user = {uid: 1000, gid: 2000}'
prints 'C148: additional groups, and no other' '7 8' 'sed -n "s/^Groups:.//p" /proc/self/status | sed "s/ *$//"' '.process.user = {uid: 1000, gid: 2000, additionalGids: [7, 8]}'
prints 'C149: the umask' '0077' umask '.process.user.umask = 63'
rejects 'C150: a uid that is none' '.process.user.uid = -1'
rejects 'C150: a gid that is none' '.process.user.gid = "root"'

# Host and domain name
prints 'C151: the host name' here hostname '.hostname = "here"'
prints 'C152: the domain name' there 'cat /proc/sys/kernel/domainname' '.domainname = "there"'
rejects 'C153: a host name without a UTS namespace of its own' '.linux.namespaces |= map(select(.type != "uts"))'
nothing_left 'R28: nothing is left' "$before"
