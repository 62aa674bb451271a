#!/bin/sh
# --seccomp-log: what the profile denies is told, once each, and denied all the same.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)

# with FILTER COMMAND...: spawned with a document that was changed so.
with() {
  filter=$1
  shift
  stave new --rootfs "$B" | jq -c "$filter" >doc
  # shellcheck disable=SC2016
  try sh -c 'stave spawn --rm --seccomp-log -- "$@" <doc' sh "$@"
}
said() { printf '%s\n' "$err" | sed -n 's/^stave-spawn: seccomp: \([^[]*\)\[[0-9]*\] /\1: /p'; }
rules() { printf '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["sethostname"], action: "%s"}]}' "$1"; }

with . sh -c 'mount -t tmpfs t /tmp; mount -t tmpfs t /tmp; hostname x; echo go on'
is 'each denial, once' "$(said)" 'mount: mount: denied with EPERM
hostname: sethostname: denied with EPERM'
is 'and it is denied' "$status $out" '0 go on'
like 'with the pid that the host has' "$err" 'seccomp: mount\[[1-9][0-9]+\] '
with . sh -c 'unshare -U true'
like 'the arguments, where it hangs on them, or the call alone' "$(said)" '^unshare: (unshare|clone)'
with "$(rules SCMP_ACT_KILL_PROCESS)" hostname x
is 'what is killed' "$(said) $status" 'hostname: sethostname: denied, killed 159'
with "$(rules SCMP_ACT_KILL)" sh -c 'hostname x; echo $?'
is 'and what is not pid 1' "$(said) $out" 'hostname: sethostname: denied, killed 137'
with "$(rules SCMP_ACT_LOG)" hostname x
is 'what is only logged' "$(said)" 'hostname: sethostname: let through'
with '.linux.seccomp.defaultAction = "SCMP_ACT_ALLOW" | .linux.seccomp |= del(.defaultErrnoRet)' true
is 'nothing to tell' "$status $(said)" '0 '
with '.process.noNewPrivileges = true' hostname x
is 'under no_new_privs too' "$(said)" 'hostname: sethostname: denied with EPERM'
with '.linux.seccomp.syscalls[0].names -= ["setgroups"]' true
is 'what the start itself is denied' "$(said)" 'stave-spawn: setgroups: denied with EPERM'
like 'ends it' "$status $err" '^125'

# exec tells as well; keep tells the log.
stave new --rootfs "$B" it | stave keep --seccomp-log -- sh -c 'hostname x; sleep 100' >id
soon grep -q denied "$STAVE_ROOT/c/$(cat id)/log"
like 'keep tells the log' "$(cat "$STAVE_ROOT/c/$(cat id)/log")" ' stderr F stave-keep: seccomp: hostname\[[0-9]+\] sethostname: denied with EPERM$'
try stave exec it hostname y
like 'exec tells' "$err" '^stave-exec: seccomp: hostname\[[0-9]+\] sethostname: denied with EPERM$'
stave rm -f it >/dev/null

# At the end of whoever is asked, denied all the same.
stave new --rootfs "$B" it >doc
stave spawn --seccomp-log -- sh -c 'while [ ! -e /tmp/go ]; do sleep 0.02; done; hostname x || echo denied >/tmp/so; sleep 100' <doc >/dev/null 2>&1 &
spawn=$!
soon stave exec it true
kill -KILL $spawn
wait $spawn 2>/dev/null
stave exec it sh -c ': >/tmp/go' 2>/dev/null
soon stave exec it test -e /tmp/so
is 'with nobody left to ask, denied' "$(stave exec it cat /tmp/so)" denied
stave rm -f it >/dev/null

stave new --rootfs "$B" it | jq -c 'del(.linux.seccomp)' >doc
try sh -c 'stave spawn --rm --seccomp-log -- true <doc'
like 'without a profile there is nothing to tell' "$status $err" '^125 stave-spawn: --seccomp-log: the container has no seccomp profile$'
stave rm -f it >/dev/null
nothing_left 'nothing is left' "$before"
finish
