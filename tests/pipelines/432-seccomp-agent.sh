#!/bin/sh
# SCMP_ACT_NOTIFY: an agent behind listenerPath gets the listener and the container process state
# (config-linux.md), before the process goes on, and answers.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)
python3 "$here/agent.py" "$T/agent" >states &
agent=$!
soon grep -q listening states

# asks [NAME...]: linux.seccomp by which the agent is asked about these calls.
asks() {
  jq -cn --args --arg path "$T/agent" '{defaultAction: "SCMP_ACT_ALLOW", listenerPath: $path, listenerMetadata: "meta",
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], syscalls: [{names: $ARGS.positional, action: "SCMP_ACT_NOTIFY"}]}' -- "$@"
}
# under PROFILE FILTER [COMMAND...]
under() {
  profile=$1 filter=$2
  shift 2
  stave new --rootfs "$B" | jq -c --args --argjson s "$profile" \
    ".process.args = \$ARGS.positional | .linux.seccomp = \$s | $filter" -- "$@" >doc
  try sh -c 'stave spawn --rm <doc'
}
state() { tail -n 1 states | jq -r "$1"; }

for nnp in false true; do
  under "$(asks mkdir mkdirat)" ".process.noNewPrivileges = $nnp | .annotations = {a: \"b\"}" sh -c 'mkdir /tmp/x; echo so; sleep 0.1'
  like "noNewPrivileges $nnp: the agent answers" "$err" 'No medium found'
  is "noNewPrivileges $nnp: and the process goes on" "$status $out" '0 so'
  is "noNewPrivileges $nnp: the state" "$(state '[.fds[0], .descriptors, .metadata, .state.status, .state.annotations.a] | join(" ")')" \
    'seccompFd 1 meta creating b'
  is "noNewPrivileges $nnp: its id, and one pid in both places" "$(state '[.state.id, .pid == .state.pid, .pid > 1] | join(" ")')" \
    "$(jq -r .stave.id doc) true true"
  # What the start itself calls goes by the agent too.
  under "$(asks execve read close openat fcntl sendmsg recvmsg capset setresuid prctl)" ".process.noNewPrivileges = $nnp" sh -c 'echo so'
  is "noNewPrivileges $nnp: the start asks as well" "$status $out$err" '0 so'
done

stave new --rootfs "$B" it | jq -c --argjson s "$(asks mkdir mkdirat)" '.linux.seccomp = $s' | stave keep -- sleep 100 >id
try stave exec it mkdir /tmp/x
like 'a process that enters asks' "$err" 'No medium found'
is 'its state is that of the container' "$(state '[.state.status, .pid == .state.pid, .state.pid] | join(" ")')" \
  "running false $(jq .pid "$STAVE_RUN/$(cat id)/state.json")"
stave rm -f it >/dev/null

# What cannot be.
refused() {
  what=$1 regex=$2
  shift 2
  under "$@"
  like "$what" "$status $err" "^125 .*$regex"
  stave rm "$(jq -r .stave.id doc)" 2>/dev/null
}
refused 'no agent there' 'failed to connect with seccomp agent /none: No such file' "$(asks mkdir | jq -c '.listenerPath = "/none"')" . true
refused 'no path' 'listenerPath: is missing' "$(asks mkdir | jq -c 'del(.listenerPath, .listenerMetadata)')" . true
refused 'metadata without one' 'listenerMetadata: without listenerPath' "$(asks mkdir | jq -c 'del(.listenerPath)| .syscalls = []')" . true
refused 'write' 'SCMP_ACT_NOTIFY cannot be used for the write syscall' "$(asks write)" . true
refused 'as the default' 'defaultAction: SCMP_ACT_NOTIFY cannot be' "$(asks mkdir | jq -c '.defaultAction = "SCMP_ACT_NOTIFY"')" . true
under "$(asks mkdir | jq -c '.syscalls[0].action = "SCMP_ACT_LOG" | .listenerPath = "/none"')" . echo so
is 'a path that nobody needs is not looked at' "$status $out" '0 so'

# The runtime of other engines.
mkdir bundle
stave new --rootfs "$B" | jq -c --argjson s "$(asks mkdir mkdirat)" --arg root "$B" \
  '.process.args = ["mkdir", "/tmp/x"] | .linux.seccomp = $s | .root.path = $root | del(.linux.resources, .linux.cgroupsPath)' >bundle/config.json
stave rm "$(jq -r .stave.id bundle/config.json)" >/dev/null
try stave-oci --root "$T/rr" run -b bundle it
like 'stave-oci run' "$err" 'No medium found'
stave-oci --root "$T/rr" create -b bundle made </dev/null >made.out 2>made.err
is 'stave-oci create' $? 0
is 'tells the agent already' "$(state '[.state.id, .state.status] | join(" ")')" 'made creating'
ok 'stave-oci start' stave-oci --root "$T/rr" start made
soon grep -q 'No medium found' made.err
like 'and the agent answers' "$(cat made.err)" 'No medium found'
stave-oci --root "$T/rr" delete -f made

# The agent has gone: such a call is not there.
kill $agent
wait $agent 2>/dev/null
nothing_left 'nothing is left' "$before"
finish
