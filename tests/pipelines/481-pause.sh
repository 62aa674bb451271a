#!/bin/sh
# pause and resume, and the end of all processes of a container, however fast they fork: on hybrid hosts, and
# where v1 is all there is.
# shellcheck disable=SC2016 # for the shell in the container
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'not root'
rootfs
before=$(snapshot)
status_of() { stave ps -a --json | jq -r "select(.name == \"$1\").status"; }
# Whether the counter stands still.
still() {
  log=$STAVE_ROOT/c/$(id_of "$1")/log
  was=$(wc -l <"$log")
  sleep 0.3
  [ "$(wc -l <"$log")" = "$was" ] && echo still || echo counts
}
count='while :; do echo; sleep 0.02; done'
# One that is never there: each forks the next two and ends.
cat >storm <<'END'
sh "$0" & sh "$0" &
END

both() {
  stave run -d --name p --rootfs "$B" sh -c "sleep 1000 & $count" >/dev/null
  ok "$1: pause" stave pause p
  is "$1: prints the word" "$out" p
  is "$1: it is paused" "$(status_of p) $(still p)" 'paused still'
  like "$1: ps lists it" "$(stave ps)" ' paused [0-9]+ seconds? '
  is "$1: inspect says so" "$(stave inspect --as state p | jq -r .status)" paused
  ok "$1: again is fine" stave pause p
  refuses "$1: exec" 125 '^stave-exec: exec in p: it is paused \(stave resume p\)$' stave exec p true
  refuses "$1: join" 125 '^stave-join: join p: it is paused \(stave resume p\)$' stave join p -- true
  ok "$1: join of a namespace alone" stave join -u p -- true
  ok "$1: resume" stave resume p
  is "$1: it goes on" "$(status_of p) $(still p)" 'running counts'
  ok "$1: again is fine" stave unpause p
  ok "$1: exec" stave exec p true
  stave pause p >/dev/null
  ok "$1: TERM waits" stave kill -s TERM p
  is "$1: until it goes on" "$(status_of p)" paused
  ok "$1: KILL does not" stave kill p
  is "$1: it has ended" "$(stave wait p) $(status_of p)" '137 stopped'
  ok "$1: and may be started" stave spawn p -- true
  stave keep p -- sleep 1000 >/dev/null && stave pause p >/dev/null
  ok "$1: kill --all of a paused one" stave kill -a p
  is "$1: it has ended" "$(stave wait p)" 137
  ok "$1: its cgroup takes in the next" stave spawn p -- true
  stave keep p -- sleep 1000 >/dev/null
  is "$1: and exec" "$(stave exec p echo in)" in
  stave pause p >/dev/null
  refuses "$1: rm of a paused one" 1 ': it runs, as process' stave rm p
  ok "$1: rm -f" stave rm -f p
  is "$1: takes it away" "$(status_of p)" ''
  refuses "$1: what does not run" 1 '^stave-pause: pause q: no container q$' stave pause q

  # Without a pid namespace the end of the first process is not that of the others.
  stave new s | stave limit --pids-limit 150 | stave keep -- sh -c 'sh storm & exec sleep 1000' >/dev/null
  id=$(id_of s)
  soon sh -c 'cat /sys/fs/cgroup/pids/stave/'"$id"'/pids.current | grep ...'
  ok "$1: kill --all of a storm" stave kill -a s
  is "$1: nobody is left" "$(cgroup "$id" cgroup.procs)" ''
  is "$1: it has ended" "$(stave wait s)" 137
  refuses "$1: kill --all of nobody" 1 '^stave-kill: kill s: it has no process$' stave kill -a s
  stave keep s -- sh -c 'sh storm & exec sleep 1000' >/dev/null
  ok "$1: rm -f of a storm" stave rm -f s
  is "$1: takes its cgroups away" "$(cgroups "$id")" ''

  # Whose processes they are is known of a cgroup of its own alone.
  echo '{"linux":{"namespaces":[{"type":"pid"}]}}' | stave new w - | stave keep -- sleep 1000 >/dev/null
  refuses "$1: TERM to all without a cgroup" 1 '^stave-kill: kill w: it runs in no cgroup of its own: only its first process is known' \
    stave kill -a -s TERM w
  ok "$1: KILL is that of its pid namespace" stave kill -a w
  is "$1: it has ended" "$(stave wait w)" 137
  stave rm w >/dev/null

  # No cgroup, no freezer.
  stave new n | stave keep -- sleep 1000 >/dev/null
  refuses "$1: without a cgroup" 1 '^stave-pause: pause n: it is in no cgroup that can be frozen$' stave pause n
  stave rm -f n >/dev/null
  stave new n >/dev/null
  refuses "$1: never started" 1 '^stave-pause: pause n: it does not run$' stave pause n
  refuses "$1: nor resumed" 1 '^stave-resume: resume n: it does not run$' stave resume n
  stave rm n >/dev/null
}

# It dies by a hand that knows nothing of cgroups, and its cgroup stays as it was.
stave new f | stave limit | stave keep -- sleep 1000 >/dev/null
stave pause f >/dev/null
kill -9 "$(stave ps --json | jq 'select(.name == "f").pid')"
stave wait f >/dev/null
refuses 'a cgroup that is still frozen takes in nobody' 125 "^stave-spawn: spawn $(id_of f): its cgroup is paused" stave spawn f -- true
ok 'until it is resumed' stave resume f
ok 'then it does' stave spawn f -- true
stave rm f >/dev/null

both hybrid

# Where both freezers are, others may use v1's (as runc does), and a process that it holds does not end.
top=/stave-481-$$ freezer=/sys/fs/cgroup/freezer
up() {
  rm -rf b && bundle b '.process.args = ["sleep", "1000"]' ".linux.cgroupsPath = \"$top/x\""
  oci run -d -b b x </dev/null >up 2>&1 || fail 'it runs' "$(cat up)"
}
state_of() { oci state x | jq -r .status; }
ended() { [ "$(state_of)" = stopped ]; }
if v1 && [ -e "$freezer/cgroup.procs" ] && mountpoint -q /sys/fs/cgroup/unified; then
  up
  echo FROZEN >"$freezer$top/x/freezer.state"
  is 'frozen by another hand: it is paused' "$(state_of)" paused
  ok 'and goes on' oci resume x
  is 'as any' "$(state_of) $(cat "$freezer$top/x/freezer.state")" 'running THAWED'
  echo FROZEN >"$freezer$top/x/freezer.state"
  ok 'KILL ends it' oci kill x KILL
  ok 'soon' soon ended
  ok 'deleted' oci delete x
  up
  echo FROZEN >"$freezer$top/x/freezer.state"
  ok 'delete -f ends it' timeout 5 stave-oci --root "$T/oci" delete -f x
  up
  mkdir -p "$freezer$top/x/a/b" && oci state x | jq .pid >"$freezer$top/x/a/b/cgroup.procs"
  echo FROZEN >"$freezer$top/x/a/b/freezer.state"
  ok 'also where it is frozen in a cgroup below' timeout 5 stave-oci --root "$T/oci" delete -f x
  up
  echo FROZEN >"$freezer$top/freezer.state"
  refuses 'a cgroup above is not its own to thaw' 1 "^stave-oci: error: resume x: it is frozen by a cgroup above: $freezer$top\$" oci resume x
  refuses 'which is said at once' 1 "^stave-oci: error: delete x: it is frozen by a cgroup above: $freezer$top\$" \
    timeout 5 stave-oci --root "$T/oci" delete -f x
  echo THAWED >"$freezer$top/freezer.state"
  ok 'once it is thawed' oci delete -f x
  find /sys/fs/cgroup -mindepth 2 -maxdepth 2 -path "*$top" -type d -exec rmdir {} \;
  stave run -d --name h --rootfs "$B" sleep 1000 >/dev/null
  mkdir -p "$freezer/stave/$(id_of h)" && stave ps --json | jq 'select(.name == "h").pid' >"$freezer/stave/$(id_of h)/cgroup.procs"
  echo FROZEN >"$freezer/stave/$(id_of h)/freezer.state"
  is 'of a container of ours' "$(status_of h)" paused
  ok 'that is taken away' timeout 5 stave rm -f h
  is 'with that cgroup' "$(ls -d "$freezer"/stave 2>/dev/null)" ''
else
  skip 'frozen by another hand' 'it is not a hybrid host'
fi
if v1 && mountpoint -q /sys/fs/cgroup/unified; then
  nothing_left 'nothing is left' "$before"
  # From here on there is no v2.
  umount -l /sys/fs/cgroup/unified
  before=$(snapshot)
  stave run -d --name v --rootfs "$B" sleep 1000 >/dev/null
  is 'v1 alone: the freezer is v1'"'"'s' "$(stave pause -n v)" "echo FROZEN >/sys/fs/cgroup/freezer/stave/$(id_of v)/freezer.state"
  stave rm -f v >/dev/null
  both 'v1 alone'
else
  skip 'v1 alone' 'it is not a hybrid host'
fi
nothing_left 'nothing is left' "$before"
