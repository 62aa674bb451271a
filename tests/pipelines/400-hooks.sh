#!/bin/sh
# Hooks (config.md, POSIX-platform Hooks): when, where, with what on stdin, and what a failure does.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
rootfs=$B
before=$(snapshot)

# hook KIND SCRIPT: an entry that runs it by sh, of the host or of the container.
hook() {
  jq -nc --arg kind "$1" --arg script "$2" --arg sh "${3:-/bin/sh}" \
    '{($kind): [{path: $sh, args: ["sh", "-c", $script], env: ["A=of the hook"], timeout: 5}]}'
}
note="cat >>$T/seen; echo \" \$A \$(readlink /proc/self/ns/mnt) \$B\" >>$T/seen"
stave new web --rootfs "$rootfs" | jq -c --argjson a "$(hook prestart "echo prestart >>$T/seen; $note")" \
  --argjson b "$(hook createRuntime "echo createRuntime >>$T/seen; $note")" \
  --argjson c "$(hook createContainer "echo createContainer >>$T/seen; $note")" \
  --argjson d "$(hook startContainer '{ cat; echo; echo "$A $PPID"; } >/tmp/seen')" \
  --argjson e "$(hook poststart "echo poststart >>$T/seen; $note")" \
  --argjson f "$(hook poststop "echo poststop >>$T/seen; $note")" \
  '.hooks = $a + $b + $c + $d + $e + $f | .annotations = {"org.example": "x"}' >"$T/doc"
export B=host
stave spawn -- sh -c 'cat /tmp/seen; rm /tmp/seen; readlink /proc/self/ns/mnt' <"$T/doc" >"$T/inside"
own=$(readlink /proc/self/ns/mnt)
id=$(jq -r .stave.id "$T/doc")
is 'in order' "$(grep -v '{' "$T/seen")" 'prestart
createRuntime
createContainer
poststart'
is 'each is told the state' "$(grep -c '"id":"'"$id"'","status":.*"annotations":{"org.example":"x"}' "$T/seen")" 4
is 'and the status' "$(sed -n 's/.*"status":"\([a-z]*\)".*/\1/p' "$T/seen" | paste -sd' ')" 'creating creating creating running'
pids=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$T/seen" | paste -sd' ')
pid=${pids%% *}
is 'of one process, as each sees it' "$pids" "$pid $pid 1 $pid"
is 'with their own environment alone' "$(grep -c '} of the hook mnt:.* $' "$T/seen")" 4
is 'those of the runtime are in its namespace' "$(grep -cF "$own" "$T/seen")" 3
inside=$(tail -n 1 "$T/inside")
is 'createContainer is in the container'"'"'s' "$(sed -n '/createContainer/{n;p}' "$T/seen" | grep -o 'mnt:.*]')" "$inside"
like 'startContainer too, and sees its root' "$(head -n 1 "$T/inside")" '"status":"created","pid":1,'
like 'as a child of pid 1' "$(sed -n 2p "$T/inside")" '^of the hook 1$'
ok 'rm' stave rm "$id"
like 'poststop comes last' "$(tail -n 2 "$T/seen")" 'poststop'
like 'and knows that it has stopped' "$(tail -n 1 "$T/seen")" '"status":"stopped","pid":0'

for kind in prestart createRuntime createContainer startContainer poststart; do
  stave new --rootfs "$rootfs" | jq -c --argjson h "$(hook $kind 'echo no such thing >&2; exit 3')" '.hooks = $h' >"$T/doc"
  no "a $kind hook that fails" stave spawn --rm -- true <"$T/doc"
  is 'it is named, with what it said' "$err" "stave-spawn: run $kind hook /bin/sh: exit status 3: no such thing"
  is 'status' "$status" 125
done
stave new --rootfs "$rootfs" | jq -c '.hooks = {createRuntime: [{path: "/bin/sleep", args: ["sleep", "60"], timeout: 1}]}' >"$T/doc"
no 'a hook that takes too long' stave spawn --rm -- true <"$T/doc"
is 'is ended' "$err" 'stave-spawn: run createRuntime hook /bin/sleep: not done after 1 s'
stave new --rootfs "$rootfs" | jq -c '.hooks = {createRuntime: [{path: "/no/such/hook"}]}' >"$T/doc"
no 'one that is not there' stave spawn --rm -- true <"$T/doc"
is 'is named' "$err" 'stave-spawn: run createRuntime hook /no/such/hook: No such file or directory'
stave new bad --rootfs "$rootfs" | jq -c '.hooks = {poststop: [{path: "/bin/false"}]}' | stave spawn -- true
ok 'a poststop hook that fails is a warning' stave rm bad
is 'and is named' "$err" 'stave-rm: warning: run poststop hook /bin/false: exit status 1'
nothing_left 'nothing is left' "$before"
