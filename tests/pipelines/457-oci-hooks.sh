#!/bin/sh
# The lifecycle of runtime.md (1.3) by its numbers: which hook runs when, and what its failure ends.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci
rootfs
before=$(snapshot)
status() { oci state "$1" 2>/dev/null | jq -r .status; }
cgroups_of() { find /sys/fs/cgroup -maxdepth 4 -type d -name "$1" 2>/dev/null; }

# hooks FAILING: a hook of each kind that notes its kind and the state it is told; that of FAILING fails.
hooks() {
  jq -n --arg seen "$T/seen" --arg failing "$1" '
    def hook($kind): {path: "/bin/sh", args: ["sh", "-c",
      "state=$(cat); echo \($kind) $state >>\(if $kind == "startContainer" then "/seen" else $seen end)"
      + (if $kind == $failing then "; echo why >&2; exit 3" else "" end)], env: ["PATH=/bin:/usr/bin"]};
    reduce ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop") as $k
      ({}; .[$k] = [{path: "/bin/true"}, hook($k)])'
}
# seen: the kinds so far, in order.
seen() { cat "$T/seen" b/rootfs/seen 2>/dev/null | cut -d' ' -f1 | tr '\n' ' '; }
fresh_bundle() {
  rm -rf b seen
  bundle b '.process.args = ["sleep", "1000"]' '.annotations = {"org.example": "x"}' ".hooks = $(hooks "$1")"
}

fresh_bundle none
oci create -b b a
is 'create runs three' "$(seen)" 'prestart createRuntime createContainer '
is 'which are told of a container that is being created' "$(sed 's/^[a-zA-Z]* //' seen | jq -c '[.status, .id, .bundle, .annotations]' | sort -u)" \
  "[\"creating\",\"a\",\"$T/b\",{\"org.example\":\"x\"}]"
is 'and of its process' "$(sed -n 's/^createRuntime //p' seen | jq .pid)" "$(oci state a | jq .pid)"
oci start a
is 'start runs two' "$(seen)" 'prestart createRuntime createContainer poststart startContainer '
is 'one before the program' "$(sed 's/^[a-zA-Z]* //' b/rootfs/seen | jq -c '.status')" '"created"'
is 'one after' "$(sed -n 's/^poststart //p' seen | jq -c '.status')" '"running"'
oci kill a KILL
soon sh -c 'stave-oci --root oci state a | grep -q stopped'
unlike 'none runs at its end' "$(seen)" poststop
oci delete a
like 'delete runs the last' "$(seen)" 'poststop'
is 'of a container that has stopped' "$(sed -n 's/^poststop //p' seen | jq -c '[.status, .pid]')" '["stopped",0]'

for kind in prestart createRuntime createContainer; do
  fresh_bundle $kind
  refuses "$kind fails: create fails, and says which" 1 "create a: error running $kind hook #1: /bin/sh: exit status 3: why" oci create -b b a
  is 'the container is gone' "$(ls oci)$(cgroups_of a)" ''
  like 'the poststop hooks have run' "$(seen)" 'poststop '
done
fresh_bundle startContainer
oci create -b b a
refuses 'startContainer fails: start fails' 1 'start a: error running startContainer hook #1: .*exit status 3: why' oci start a
is 'the container is gone' "$(ls oci)$(cgroups_of a)" ''
like 'the poststop hooks have run' "$(seen)" 'poststop '
fresh_bundle poststart
oci create -b b a
refuses 'poststart fails: start fails' 1 'start a: error running poststart hook #1: .*exit status 3: why' oci start a
is 'the container is gone, with its process' "$(ls oci)$(cgroups_of a)$(pgrep -x -f 'sleep 1000')" ''
like 'the poststop hooks have run' "$(seen)" 'poststop '
fresh_bundle poststart
refuses 'in run, too' 1 'run a: error running poststart hook #1' oci run -b b a
is 'and nothing is left' "$(ls oci)$(cgroups_of a)$(pgrep -x -f 'sleep 1000')" ''
fresh_bundle poststop
oci run -d -b b a
try oci delete -f a
is 'poststop fails: delete does not' "$status" 0
like 'but warns' "$err" '^stave-oci: warning: run poststop hook /bin/sh: exit status 3: why$'

rm -rf b && bundle b '.process.args = ["/bin/nope"]' ".hooks = {poststop: [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"echo poststop >>$T/seen\"]}]}"
rm -f seen
refuses 'a program that is not there' 1 'no such file or directory' oci create -b b a
is 'also ends with the poststop hooks' "$(cat seen)" poststop
rm -rf b && bundle b '.process.args = ["/bin/gone"]'
cp b/rootfs/bin/busybox b/rootfs/bin/gone
oci create -b b a
rm b/rootfs/bin/gone
refuses 'one that has gone before the start' 1 'start a: exec: "/bin/gone": no such file or directory' oci start a
is 'leaves the container stopped' "$(status a)" stopped
ok 'until it is deleted' oci delete a

# An engine that hears of the failure deletes what it takes for ended: so it has ended by then. What
# still holds the process's pid namespace up here is another in it, whose parent sees nothing.
rm -rf b && bundle b '.process.args = ["/bin/text"]'
echo text >b/rootfs/bin/text && chmod 755 b/rootfs/bin/text
oci create -b b a
first=$(oci state a | jq .pid)
stave-oci --root oci exec a sh -c 'echo; exec sleep 1000' >inside &
exec=$!
soon test -s inside
kill -STOP "$exec"
stave-oci --root oci start a 2>err &
start=$!
soon test "$(cut -d" " -f3 "/proc/$first/stat")" != S
sleep 0.2
is 'start waits for the end of what could not be started' "$(kill -0 "$start" && echo waits)" waits
kill -CONT "$exec"
wait "$start"
is 'then it says what was wrong' "$? $(cut -d: -f4- err)" '1  exec /bin/text: no program: neither ELF nor a #! line'
is 'the container has stopped' "$(status a)" stopped
ok 'and can be deleted' oci delete a
nothing_left 'nothing is left' "$before"
