#!/bin/sh
# The detached end: log, record, ps, wait, kill.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
before=$(snapshot)

id=$(stave new web --rootfs "$B" | stave mount | stave ns | stave limit | stave keep -- sh -c 'echo out; echo err >&2; printf part; read x; exec sleep 1000')
is 'keep prints the id' "$id" "$(id_of web)"
log=$STAVE_ROOT/c/$id/log
ok 'the log has both streams' soon sh -c "grep -q 'stdout F out' '$log' && grep -q 'stderr F err' '$log'"
like 'each line with its time' "$(grep out "$log")" '^20[0-9-]{8}T[0-9:.]+Z stdout F out$'
like 'ps says that it runs' "$(stave ps)" "^$id .* running [0-9]+ seconds? +[0-9]+ +web$"
is 'ps --json' "$(stave ps --json | jq -c '[.name, .status, .exit, (.pid > 1), (.monitor > 1)]')" '["web","running",null,true,true]'
is 'inspect --as state is what a runtime prints' "$(stave inspect --as state web | jq -r '"\(.id) \(.status)"')" "$id running"
pid=$(stave inspect --as state web | jq .pid)
is 'its parent is the monitor' "$(cat "/proc/$(stave ps --json | jq .monitor)/comm")" stave-keep
is 'which holds no file of the caller' "$(readlink "/proc/$(stave ps --json | jq .monitor)/fd/"[012] | sort -u)" /dev/null
refuses 'it is not started twice' 125 'runs already' stave keep web
refuses 'in the foreground neither' 125 'runs already' stave spawn web
like 'its record is a file' "$(jq -c '[.id, .pid, .stave.exit]' "$STAVE_RUN/$id/state.json")" "^\[\"$id\",$pid,null\]$"

# wait ends when it does, and says how.
stave wait web >waited &
waiter=$!
ok 'kill -s' stave kill -s KILL web
wait "$waiter"
is 'wait: by a signal' "$(cat waited)" 137
is 'wait on a stopped one' "$(stave wait web)" 137
is 'the record says how' "$(jq -c '.stave.exit | [.code, .signal, .cause]' "$STAVE_RUN/$id/state.json")" '[137,9,"signal"]'
like 'ps -a says so' "$(stave ps -a)" "^$id .* killed by (SIG)?KILL .* web$"
ok 'what was not a whole line is logged too' grep -q 'stdout P part' "$log"
refuses 'kill on a stopped one' 1 'kill web: it does not run' stave kill web
ok 'the monitor has gone' soon sh -c '! grep -q "^stave-keep" /proc/[0-9]*/comm'

# It can be started again: its files are its own.
ok 'again' stave keep web -- sh -c 'exit 4'
is 'wait: its status' "$(stave wait web)" 4
like 'ps -a says so' "$(stave ps -a)" "^$id .* exited 4 .* web$"
stave rm web >/dev/null
nothing_left 'nothing is left' "$before"

# run -d is the pipeline with keep at its end.
id=$(stave run -d --name web --rootfs "$B" sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done')
ok 'it is ready' soon grep -q ready "$STAVE_ROOT/c/$id/log"
stave kill -s TERM web >/dev/null
is 'a signal by name' "$(stave wait web)" 9
stave rm web >/dev/null

# --rm: gone with its process.
stave run -d --rm --name web --rootfs "$B" sleep 1000 >/dev/null
stave wait web >waited 2>&1 &
waiter=$!
ok 'a wait has begun' soon grep -q stave-wait "/proc/$waiter/comm"
stave kill -s 9 web >/dev/null
wait "$waiter"
is 'wait on one with --rm' "$(cat waited)" 137
nothing_left 'it took itself away' "$before"

# Much output, fast, and nothing of it lost.
id=$(stave run -d --name web --rootfs "$B" seq 20000)
is 'a fast writer ends' "$(stave wait web)" 0
is 'every line is there' "$(cut -d' ' -f4 "$STAVE_ROOT/c/$id/log" | sha256sum)" "$(seq 20000 | sha256sum)"
stave rm web >/dev/null

# A foreground spawn that is killed leaves the container running; ps says that nobody watches.
stave run --name web --rootfs "$B" sleep 1000 &
spawn=$!
ok 'it runs' soon sh -c '[ -n "$(stave ps -q)" ]'
kill -9 "$spawn"
wait "$spawn" 2>/dev/null
like 'ps says so' "$(stave ps)" 'running .*, no monitor .* web$'
is 'exec still enters it' "$(stave exec web echo yes)" yes
stave kill web >/dev/null
ok 'it ends' soon sh -c '[ -z "$(stave ps -q)" ]'
like 'nobody saw how' "$(stave ps -a)" 'ended unseen .*web$'
refuses 'wait cannot know' 1 'nobody was there' stave wait web
ok 'rm' stave rm web
# With --die-with-parent it ends with it.
stave run --die-with-parent --name web --rootfs "$B" sleep 1000 &
spawn=$!
ok 'it runs' soon sh -c '[ -n "$(stave ps -q)" ]'
kill -9 "$spawn"
wait "$spawn" 2>/dev/null
ok '--die-with-parent' soon sh -c '[ -z "$(stave ps -q)" ]'
ok 'rm' stave rm web

# ps reads files alone: one that cannot be read does not hide the others.
stave new good >/dev/null && stave new broken >/dev/null
id=$(id_of broken)
echo '{"half' >"$STAVE_ROOT/c/$id/config.json"
like 'ps shows the good one' "$(stave ps -a)" ' good$'
like 'and what is wrong with the other' "$(stave ps -a)" "^$id .*config.json"
ok 'rm takes both' stave rm good "$id"
nothing_left 'nothing is left' "$before"
