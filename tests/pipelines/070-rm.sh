#!/bin/sh
# rm leaves nothing. 50 containers in parallel from one image: all right, all gone.
# timeout 120
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
image
before=$(snapshot)

stave run -d --name web busybox sleep 1000 >/dev/null
refuses 'one that runs is not removed' 1 'rm web: it runs, as process [0-9]+' stave rm web
is 'and runs on' "$(stave exec web echo yes)" yes
id=$(id_of web)
is 'rm -f ends it, and says the name' "$(stave rm -f web)" web
nothing_left 'nothing is left' "$before"
refuses 'rm of what is gone' 1 'no container web' stave rm web
ok 'rm -f of what is gone is fine' stave rm -f web "$id"

stave new a >/dev/null && stave new b >/dev/null
refuses 'several: what can go goes' 1 'no container nosuch' stave rm a nosuch b
nothing_left 'and they went' "$before"

# With processes that are not pid 1's, in a cgroup of their own making, and without a pid namespace.
stave new loose | stave limit | stave spawn -- sh -c 'sleep 1000 >/dev/null 2>&1 & echo $!' >pid
pid=$(cat pid)
ok 'a process that outlives its first' soon grep -q sleep "/proc/$pid/comm"
ok 'goes with its container' stave rm loose
no 'it is gone' kill -0 "$pid"
nothing_left 'and its cgroup' "$before"

# A container's mounts are nobody else's: neither seen on the host, nor held by others.
stave run -d --name one --tmpfs /scratch busybox sleep 1000 >/dev/null
stave run -d --name two busybox sleep 1000 >/dev/null
is 'the mounts of a container are not seen outside' "$(mounts / | grep -c scratch)" 0
ok 'the first goes while the second runs' stave rm -f one
ok 'and the second' stave rm -f two
nothing_left 'nothing is left' "$before"

# 50 at once, by run and by the detached end.
n=0
while [ "$n" -lt 50 ]; do
  n=$((n + 1))
  { stave run --rm busybox sh -c "echo $n; exit $((n % 3))" >"out.$n" 2>"err.$n"; echo $? >"status.$n"; } &
done
wait
right=0 n=0
while [ "$n" -lt 50 ]; do
  n=$((n + 1))
  [ "$(cat "out.$n" "err.$n" "status.$n")" = "$n
$((n % 3))" ] && right=$((right + 1))
done
is '50 in parallel are right' "$right" 50
is 'and none said anything else' "$(cat err.*)" ''
nothing_left 'and all gone' "$before"

n=0
while [ "$n" -lt 50 ]; do
  n=$((n + 1))
  stave run -d --name "many$n" busybox sh -c "echo $n; exec sleep 1000" >/dev/null 2>"err.$n" &
done
wait
is '50 in the background' "$(stave ps -q | wc -l)" 50
is 'nothing was said' "$(cat err.*)" ''
# shellcheck disable=SC2046 # one word an id
for id in $(stave ps -q); do stave rm -f "$id" >/dev/null 2>>errors & done
wait
is 'removed in parallel' "$(cat errors)" ''
nothing_left 'all gone' "$before"
