#!/bin/sh
# runtime.md of the runtime specification: state, lifecycle, operations. Numbers: ../conformance/musts.tsv
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
before=$(snapshot)

lines='echo ran >>/seen; trap "echo usr1 >>/seen; exit 7" USR1; hostname >>/seen; while :; do sleep 0.02; done'
loop='.process.args = ["sh", "-c", $script]'
seen=$bundle/rootfs/seen

# State
cd "$bundle/.." || exit 1
config "$loop"' | .annotations = {"org.example.a": "b", "org.example.empty": ""} | .mounts += [{destination: "/made", type: "tmpfs", source: "tmpfs"}]
  | .linux.resources.pids.limit = 77' --arg script "$lines"
ok 'R40: create makes a container' rt create --bundle bundle "$id"
state=$(rt state "$id")
pid=$(echo "$state" | jq .pid)
like 'R02: the state says a version' "$(echo "$state" | jq -r .ociVersion)" '^1\.[0-9]+\.[0-9]+([-+].*)?$'
is 'R03: and the id' "$(echo "$state" | jq -r .id)" "$id"
is 'R05: what is created says so' "$(echo "$state" | jq -r .status)" created
ok 'R09: the pid is that of a process' lives "$pid"
is 'R10: the bundle is an absolute path' "$(echo "$state" | jq -r .bundle)" "$bundle"
is 'R11: annotations are there' "$(echo "$state" | jq -cS .annotations)" '{"org.example.a":"b","org.example.empty":""}'
schema='(.ociVersion | type == "string") and (.id | type == "string") and (.bundle | type == "string") and (.pid | type == "number" and . >= 0 and floor == .)
  and (.status | IN("creating", "created", "running", "stopped")) and ((.annotations // {}) | type == "object" and all(.[]; type == "string"))'
ok 'R12: the state is of the form that the schema asks for' sh -c 'echo "$1" | jq -e "$2"' sh "$state" "$schema"
ok 'R36: a query returns all that a state holds' sh -c 'echo "$1" | jq -e "has(\"ociVersion\") and has(\"id\") and has(\"status\") and has(\"pid\") and has(\"bundle\")"' sh "$state"

# Created
is 'R13: its namespaces are there before it starts' "$(for ns in pid mnt uts ipc net; do [ "$(readlink /proc/self/ns/$ns)" = "$(readlink "/proc/$pid/ns/$ns")" ] && echo $ns; done)" ''
is 'R41: so is what the config says of the host name' "$(nsenter -t "$pid" -u hostname)" conform
like 'R41: of mounts' "$(cat "/proc/$pid/mountinfo")" ' /made .* - tmpfs '
is 'R41: of the cgroup' "$(cat "$(hierarchy pids)/pids.max")" 77
no 'R15: the program does not run before the start' test -e "$seen"
sleep 0.1
no 'R42: nor a little later' test -e "$seen"
cp "$bundle/config.json" "$T/config.json"
jq '.process.args = ["true"] | .hostname = "changed"' "$T/config.json" >"$bundle/config.json"
ok 'R01: another call can start it' rt start "$id"
ok 'R25: the program runs' soon test -s "$seen"
soon grep -q conform "$seen"
is 'R16: as the config was when it was created' "$(cat "$seen")" 'ran
conform'
becomes running
is 'R06: what has started is running' "$(status_of "$id")" running
is 'R47: in the process that was created' "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c 1-5)" 'sh -c'
cp "$T/config.json" "$bundle/config.json"

# Operations on it, running
no 'R46: what runs is not started again' rt start "$id"
is 'R46: nothing happens to it' "$(status_of "$id") $(grep -c ran "$seen")" 'running 1'
no 'R38: its name is not given twice' rt create --bundle "$bundle" "$id"
ok 'R38: nothing happens to it' lives "$pid"
is 'R04: one container has it' "$(rt state "$id" | jq .pid)" "$pid"
no 'R53: what runs is not deleted' rt delete "$id"
is 'R53: nothing happens to it either' "$(status_of "$id") $(lives "$pid" && echo lives)" 'running lives'
ok 'R51: kill sends' rt kill "$id" USR1
ok 'R51: the signal that it is told' soon grep -q usr1 "$seen"
becomes stopped
is 'R07: what has exited is stopped' "$(status_of "$id")" stopped
no 'R50: what is stopped is not killed' rt kill "$id" KILL
is 'R50: it stays so' "$(status_of "$id")" stopped
no 'R46: nor started' rt start "$id"
ok 'R54: delete' rt delete "$id"
is 'R54: the cgroup has gone' "$(find /sys/fs/cgroup/*/stave /sys/fs/cgroup/stave -name "conform-$$-*" 2>/dev/null)" ''
is 'R54: and what the runtime wrote down' "$(find "$T/state" -mindepth 1 2>/dev/null)" ''
ok 'R55: the bundle stays' test -x "$bundle/rootfs/bin/sh"
no 'R35: what is not there has no state' rt state "$id"
like 'R35: which is said' "$err" "."
rm "$seen"

# A signal before the start; killing by name and by number.
creates "$loop" --arg script "$lines"
ok 'R51: what is created can be killed' rt kill "$id" 9
ok 'R51: and is then' becomes stopped
no 'R46: what ended before its start is not started' rt start "$id"
no 'R15: its program never ran' test -e "$seen"
ok 'R54: it is deleted' rt delete "$id"

# Without the words that are due
for verb in state start kill delete create; do
  case $verb in state) n=R34 ;; start) n=R45 ;; kill) n=R49 ;; delete) n=R52 ;; create) n=R37 ;; esac
  no "$n: $verb without a name" rt "$verb"
done
no 'R37: create without a bundle' sh -c 'cd / && "$0" --root "$1" create x' "$runtime" "$T/state"
no 'R37: create with one that is not there' rt create --bundle "$T/none" x
for wrong in ../x a/b . ..; do
  no "R39: the name $wrong" rt create --bundle "$bundle" "$wrong"
done
no 'R39: the empty name' rt create --bundle "$bundle" ''
is 'R39: nothing was made' "$(find "$T/state" -mindepth 1 2>/dev/null)" ''
is 'R33: all five operations are there' "$(for verb in state create start kill delete; do "$runtime" "$verb" --help >/dev/null 2>&1 || echo "$verb"; done)" ''

# Errors
base | jq '.mounts += [{destination: "/x", type: "no-such-type", source: "x"}]' >"$bundle/config.json"
there=$(snapshot)
no 'R14: what cannot be made is an error' rt create --bundle "$bundle" wrong
no 'R43: and no container' rt state wrong
nothing_left 'R31: all is as it was' "$there"
is 'R31: in the runtime'"'"'s own place too' "$(find "$T/state" -mindepth 1 2>/dev/null)" ''
runs 'echo went on' '.process.capabilities.bounding += ["CAP_NO_SUCH"]'
is 'R32: a warning changes nothing' "$status $(echo "$out" | tail -n 1)" '0 went on'

# No process
config 'del(.process)'
if rt create --bundle "$bundle" "$id" >/dev/null 2>&1; then
  no 'R48: without a process nothing is started' rt start "$id"
else
  pass 'R48: without a process nothing is started'
fi
gone

# What is not its own stays.
unshare -n sleep 60 &
holder=$!
soon sh -c '[ "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/$1/ns/net")" ]' sh "$holder"
touch "$T/net" && mount --bind "/proc/$holder/ns/net" "$T/net"
for dir in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do
  [ -e "${dir}cgroup.procs" ] && mkdir -p "${dir}stave/parent-$$"
done 2>/dev/null
creates '.linux.namespaces |= map(if .type == "network" then .path = $net else . end) | .linux.cgroupsPath = "/stave/parent-" + $pid + "/in"' --arg net "$T/net" --arg pid "$$"
rt start "$id" && becomes stopped
no 'R55: its own cgroup goes' sh -c '"$0" --root "$1" delete "$2" && test -d "$3"' "$runtime" "$T/state" "$id" "$(hierarchy pids)"
ok 'R55: not that in which it lay' test -d "$(dirname "$(hierarchy pids)")"
ok 'R55: nor the namespace that it joined' nsenter --net="$T/net" true
umount "$T/net"
kill "$holder"
find /sys/fs/cgroup -mindepth 2 -maxdepth 3 -type d -name "parent-$$" -exec rmdir {} +

# Pause is a state that the specification does not know.
if "$runtime" pause --help >/dev/null 2>&1; then
  creates "$loop" --arg script "$lines" && rt start "$id" && rt pause "$id"
  is 'R08: a state of its own for a state of its own' "$(status_of "$id")" paused
  rt resume "$id"
  is 'R08: which ends' "$(status_of "$id")" running
  rt kill "$id" KILL && becomes stopped
  gone
else
  fail 'R08: a state of its own for a state of its own' 'there is no pause'
fi

# Files
prints 'R56: the links of /dev' '/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2' 'echo $(for n in fd stdin stdout stderr; do readlink /dev/$n; done)'
prints 'R57: three files are open' '0 1 2' 'echo $(ls /proc/self/fd | grep -v 3)'
exec 7</dev/null
prints 'R57: and no other of the caller' '0 1 2' 'echo $(ls /proc/self/fd | grep -v 3)'
exec 7<&-
nothing_left 'R28: nothing is left' "$before"
