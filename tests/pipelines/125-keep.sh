#!/bin/sh
# keep, again and at odds: started twice, killed in the middle, logged in odd pieces, listed with odd
# names.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
before=$(snapshot)

# A stopped container started again, by any end of the pipe: its changes are kept, its log goes on.
stave new web --rootfs "$B" | stave mount | stave ns | stave limit >doc
id=$(id_of web)
log=$STAVE_ROOT/c/$id/log
stave keep <doc -- sh -c 'echo 1 >>/count; cat /count' >/dev/null
is 'first' "$(stave wait web)" 0
ok 'by name' stave keep web -- sh -c 'echo 2 >>/count; cat /count; exit 3'
is 'it prints the id' "$out" "$id"
is 'second' "$(stave wait web)" 3
is 'in the foreground' "$(stave spawn "$id" -- sh -c 'echo 3 >>/count; cat /count')" '1
2
3'
ok 'by the beginning of its id' stave keep "$(echo "$id" | cut -c1-8)" -- sh -c 'tail -n 1 /count; exit 9'
is 'fourth' "$(stave wait web)" 9
is 'the log has every run' "$(cut -d' ' -f4 "$log" | tr '\n' ' ')" '1 1 2 3 '
is 'the record is of the last' "$(jq -c '.stave.exit | [.code, .signal, .cause]' "$STAVE_RUN/$id/state.json")" '[9,null,"exit"]'
like 'at a time' "$(jq -r .stave.exit.at "$STAVE_RUN/$id/state.json")" '^20[0-9-]{8}T[0-9:.]+Z$'

# The log: text as it came, whole lines in order, streams told apart.
: >"$log"
stave keep web -- sh -c 'printf "a\n\n  b \303\251\033[1m\tc\nlast" ; printf "e1\ne2\n" >&2; exec head -c 40000 /dev/zero' >/dev/null
stave wait web >/dev/null
is 'lines of stderr' "$(grep -a ' stderr ' "$log" | cut -d' ' -f3-)" 'F e1
F e2'
is 'lines of stdout, byte for byte' "$(grep -a ' stdout F ' "$log" | cut -d' ' -f4-)" "$(printf 'a\n\n  b \303\251\033[1m\tc')"
is 'a long line comes in pieces, whole' "$(grep -a ' stdout P ' "$log" | cut -d' ' -f4- | tr -d '\n' | wc -c)" 40004
unlike 'none of them endless' "$(grep -a ' stdout P ' "$log" | awk '{ print length($0) }')" '^[0-9]{6}'

# A workload that closes its streams, and one that leaves somebody behind who holds them.
stave keep web -- sh -c 'exec sleep 0.1 >&- 2>&-' >/dev/null
is 'closed streams are no end' "$(stave wait web)" 0
stave keep web -- sh -c 'sleep 1000 & exit 6' >/dev/null
is 'what it leaves behind ends with it' "$(stave wait web)" 6
ok 'and the monitor too' soon sh -c '! grep -q "^stave-keep" /proc/[0-9]*/comm'
# As a user, to the paths that many images log to.
: >"$log"
stave keep -u web web -- sh -c 'echo out >/dev/stdout; echo err >/dev/stderr' >/dev/null
stave wait web >/dev/null
is 'a user writes to /dev/stdout and /dev/stderr' "$(cut -d' ' -f2- "$log" | sort)" 'stderr F err
stdout F out'
stave rm web >/dev/null
nothing_left 'nothing is left' "$before"

# wait: several, at once, one of them with --rm, one that ends by a signal of its own.
stave run -d --name one --rootfs "$B" sh -c 'exit 1' >/dev/null
stave run -d --name two --rootfs "$B" sh -c 'trap "exit 2" TERM; touch /ready; while :; do sleep 0.02; done' >/dev/null
stave run -d --rm --name three --rootfs "$B" sh -c 'while ! [ -e /tmp/go ]; do sleep 0.02; done; exit 3' >/dev/null
stave wait one two three >waited 2>&1 &
waiter=$!
soon stave exec two test -e /ready
is 'kill -s, three ways to say it' "$(stave kill -s 0 two; stave kill -s SIGCONT two; stave kill -s term two)" 'two
two
two'
soon [ "$(stave wait two)" = 2 ]
stave wait three >third 2>&1 &
third=$!
soon grep -q stave-wait "/proc/$third/comm"
sleep 0.1
stave exec three touch /tmp/go
wait "$waiter" "$third"
is 'wait on three, in order' "$(cat waited)" '1
2
3'
is 'two may wait on one with --rm' "$(cat third)" 3
refuses 'wait on what is not there' 1 'no container three' stave wait three
try stave wait one nosuch two
is 'wait says what it can' "$status $out" '1 1
2'
stave new never >/dev/null
refuses 'wait on what never ran' 1 'never started' stave wait never
refuses 'kill it' 1 'does not run' stave kill never
refuses 'kill with a signal that is none' 2 'no such signal' stave kill -s NOSUCH one
try stave kill nosuch one never
is 'kill goes on after errors' "$status $(echo "$err" | wc -l)" '1 3'
stave rm one two never >/dev/null
nothing_left 'nothing is left' "$before"

# A name is taken once, and what came too late leaves nothing.
stave run -d --name web --rootfs "$B" sleep 1000 >/dev/null
made=$(snapshot)
for how in 'run -d' 'run' 'run --rm'; do
  # shellcheck disable=SC2086 # words
  try stave $how --name web --rootfs "$B" true
  is "stave $how: the name is taken" "$status $(echo "$err" | grep -c "web.*taken by $(id_of web)")" '125 1'
done
nothing_left 'nothing more is there' "$made"
# Ids: unknown, ambiguous, and hostile.
printf '{"stave":{"id":"aaaa11111111"}}' | stave new one - >/dev/null
printf '{"stave":{"id":"aaaa22222222"}}' | stave new two - >/dev/null
for tool in rm inspect kill wait keep spawn 'exec aaaa true; stave inspect'; do
  try sh -c "stave $tool aaaa"
  like "$tool of an ambiguous id" "$err" 'aaaa is ambiguous: aaaa11111111, aaaa22222222$'
done
for word in aaaa3 ../names/one one/ . '' 'a b'; do
  no "'$word' is no container" stave inspect "$word"
  is 'in one line' "$(echo "$err" | wc -l)" 1
done
is 'one digit more tells them apart' "$(stave inspect aaaa2 | jq -r .stave.name)" two
stave rm one two >/dev/null

# The monitor is killed: ps says so, and the container is still there to be looked at and ended.
monitor=$(stave ps --json | jq .monitor)
kill -9 "$monitor"
ok 'no monitor' soon sh -c 'stave ps | grep -q "running .*, no monitor"'
is 'exec still enters it' "$(stave exec web echo yes)" yes
stave wait web >waited 2>&1 &
waiter=$!
soon grep -q stave-wait "/proc/$waiter/comm"
stave kill web >/dev/null
wait "$waiter" && status=0 || status=$?
# The kernel tells a waiter how it ended, if the waiter was quick enough; a record there is none.
like 'wait does not hang' "$status $(cat waited)" '^(0 137|1 .*nobody was there.*)$'
is 'ps --json: stopped, and nobody knows how' "$(stave ps -a --json | jq -c '[.status, .exit, .pid]')" '["stopped",null,null]'
ok 'it can be started again' stave keep web -- sh -c 'exit 5'
is 'with a new monitor' "$(stave wait web)" 5
stave rm web >/dev/null
# A signal to the monitor is the workload's.
stave run -d --name web --rootfs "$B" sh -c 'trap "exit 8" TERM; touch /ready; while :; do sleep 0.02; done' >/dev/null
soon stave exec web test -e /ready
kill -TERM "$(stave ps --json | jq .monitor)"
is 'TERM to the monitor' "$(stave wait web)" 8
stave rm web >/dev/null

# Starts that fail, in the background: one line, the right status, nothing left.
for words in '127 nosuch' '126 /etc/passwd' '125 -w /proc/1/nosuch true'; do
  wanted=${words%% *}
  # shellcheck disable=SC2086 # words
  set -- ${words#* }
  case $1 in -*) set -- stave run -d "$1" "$2" --rootfs "$B" "$3" ;; *) set -- stave run -d --rootfs "$B" "$1" ;; esac
  refuses "run -d: $words" "$wanted" . "$@"
done
nothing_left 'nothing is left' "$before"
for status in 0 0 0 1 1; do stave run -d --rm --rootfs "$B" sh -c "exit $status" >/dev/null; done
nothing_left 'five with --rm that end at once' "$before"
# Held by a pipe? $( ) waits for all who hold it.
is 'keep lets go of its caller' "$(timeout 5 sh -c 'x=$(stave run -d --name web --rootfs "$B" sleep 1000 2>&1); echo ${#x}')" 12
is 'also without any streams' "$(sh -c 'stave run -d --name second --rootfs "$B" sleep 1000 <&- >&- 2>&-'; echo $?; stave ps -q | wc -l)" '0
2'
stave rm -f web second >/dev/null

# ps: a line a container, whatever is in it.
cp -a "$B" "$T/two
lines"
stave new web --rootfs "$T/two
lines" | jq -c '.process.args = ["sh", "-c", "a\nb\u001b[2J\tc"]' | stave mount >/dev/null
is 'ps: one line' "$(stave ps -a | wc -l)" 2
unlike 'no escape sequence' "$(stave ps -a)" "$(printf '\033')"
is 'ps --json: the command itself' "$(stave ps -a --json | jq -r '.command[2]' | od -c)" "$(printf 'a\nb\033[2J\tc\n' | od -c)"
is 'ps -n 1' "$(stave new last >/dev/null; stave ps -n 1 --json | jq -r .name)" last
is 'ps -q' "$(stave ps -q)$(stave ps -aq | wc -l)" 2
stave rm web last >/dev/null
nothing_left 'nothing is left' "$before"
