#!/bin/sh
# Many verbs at once on OCI containers: one of them wins, nobody waits for a state, and what was cut off
# in its middle can be taken away.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci
rootfs
before=$(snapshot)
status() { oci state "$1" | jq -r .status; }
cgroups_of() { find /sys/fs/cgroup -maxdepth 4 -type d -name "$1" 2>/dev/null; }
bundle b '.process.args = ["sleep", "1000"]'

# at_once N COMMAND...: N of them; $won is how many succeeded.
at_once() {
  n=$1 won=0 list=
  shift
  while [ "$n" -gt 0 ]; do
    "$@" >"out.$n" 2>&1 &
    list="$list $!"
    n=$((n - 1))
  done
  for process in $list; do
    if wait "$process"; then won=$((won + 1)); fi
  done
}
at_once 8 stave-oci --root oci create -b b a
is 'of eight creates of an id one wins' "$won $(grep -h . out.? | sort | uniq -c | sed 's/^ *//')" \
  '1 7 stave-oci: error: create a: container with given ID already exists'
is 'and is whole' "$(status a)" created
at_once 8 stave-oci --root oci start a
is 'of eight starts one wins' "$won $(status a)" '1 running'
at_once 8 stave-oci --root oci delete --force a
is 'each of eight deletes finds it gone' "$won $(ls oci)$(cgroups_of a)" '8 '
many() { for n in 1 2 3 4 5 6; do stave-oci --root oci run -d -b b "m$n" & done; wait; }
many
is 'six containers at once' "$(oci list -f json | jq -c 'map(.status) | unique, length' | tr '\n' ' ')" '["running"] 6 '
for n in 1 2 3 4 5 6; do stave-oci --root oci delete -f "m$n" & done
wait
is 'and none' "$(oci list -q)" ''

# While somebody holds it, others may look.
oci create -b b a
flock oci/a sleep 1 &
holder=$!
soon sh -c '! flock -n oci/a true'
ok 'state does not wait' timeout 0.8 stave-oci --root oci state a
ok 'list does not either' timeout 0.8 stave-oci --root oci list
ok 'nor does kill' timeout 0.8 stave-oci --root oci kill a KILL
wait $holder
oci delete a

# A start that is stuck in a hook does not keep it from going.
jq '.hooks = {startContainer: [{path: "/bin/sleep", args: ["sleep", "30"]}]}' b/config.json >b/stuck.json
oci create -b b --config stuck.json a
stave-oci --root oci start a 2>err &
start=$!
soon pgrep -x -f 'sleep 30'
ok 'delete --force during start' timeout 5 stave-oci --root oci delete --force a
no 'the start fails' wait $start
is 'and nothing is there' "$(ls oci)$(cgroups_of a)" ''
jq '.hooks = {createRuntime: [{path: "/bin/sleep", args: ["sleep", "31"]}]}' b/config.json >b/stuck.json
stave-oci --root oci create -b b --config stuck.json a 2>err &
create=$!
soon pgrep -x -f 'sleep 31'
is 'during create it is creating' "$(status a)" creating
ok 'kill during create' oci kill a KILL
pkill -x -f 'sleep 31'
no 'the create fails' wait $create
is 'and leaves nothing' "$(ls oci)$(cgroups_of a)" ''
stave-oci --root oci create -b b --config stuck.json a 2>err &
create=$!
soon pgrep -x -f 'sleep 31'
kill -9 $create
pkill -x -f 'sleep 31'
ok 'delete --force of what was cut off' oci delete --force a
is 'leaves nothing' "$(ls oci)$(cgroups_of a)$(pgrep -x stave-oci)" ''
wait $create 2>/dev/null

# Cut off at any moment.
cut=0
for step in 1 2 3 4 5 6 7 8 9 10 12 14 16 18 20 25 30; do
  stave-oci --root oci create -b b a 2>/dev/null &
  create=$!
  sleep "0.00$step"
  kill -9 $create 2>/dev/null
  wait $create 2>/dev/null
  # What it has begun sees that it is alone, and ends.
  ! oci state a >/dev/null 2>&1 || cut=$((cut + 1))
  oci delete --force a || fail "cut off after $step"
  left=$(ls oci)$(cgroups_of a)
  [ -z "$left" ] || fail "cut off after $step" "$left"
done
is 'killed at any moment, create leaves nothing that delete --force does not take' "$(ls oci)$(cgroups_of a)" ''
soon sh -c '! pgrep -x stave-oci'
is 'no process either' "$(pgrep -x stave-oci)" ''

# One that has half begun.
mkdir -m 700 oci/half
is 'half made it is creating' "$(status half)" creating
ok 'list shows it' sh -c 'stave-oci --root oci list | grep -q ^half'
ok 'delete takes it' oci delete half
mkdir -m 700 oci/half && echo '{' >oci/half/config.json
no 'half written it is an error' oci state half
ok 'list goes on' oci list
ok 'delete --force takes it' oci delete --force half
is 'all' "$(ls oci)" ''
nothing_left 'nothing is left' "$before"
