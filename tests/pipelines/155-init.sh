#!/bin/sh
# --init: pid 1 that does what a workload forgets. It reaps, hands signals on, and ends as the
# command ends.
# shellcheck source=tests/lib.sh
# shellcheck disable=SC2016 # single quotes are for the shell in the container
. "$(dirname "$0")/../lib.sh"
need jq python3
image
before=$(snapshot)

# up NAME FLAGS -- COMMAND...: in the background; waits until it has written `ready`.
up() {
  name=$1 flags=$2
  shift 3
  # shellcheck disable=SC2086 # words
  stave run -d --name "$name" $flags busybox "$@" >/dev/null
  log="$STAVE_ROOT/c/$(id_of "$name")/log"
  soon grep -q ready "$log"
}

# Who is pid 1.
try stave run --rm --init busybox sh -c 'tr "\0" " " </proc/1/cmdline; echo; echo $$; readlink /proc/1/exe'
like '--init: pid 1 is stave-init' "$(printf '%s\n' "$out" | sed -n 1p)" '^/dev/stave-init -- sh -c '
is 'the command is its child' "$(printf '%s\n' "$out" | sed -n 2p)" 2
try stave run --rm --init busybox grep /dev/stave-init /proc/self/mountinfo
like 'its program can only be read there' "$out" ' /dev/stave-init ro[, ]'
try stave run --rm busybox sh -c 'tr "\0" " " </proc/1/cmdline; true'
like 'without it pid 1 is the command' "$out" '^sh -c'

# Orphans: a shell starts one and goes; the one that is left ends, and somebody must bury it.
orphans='for n in 1 2 3; do (sleep 0.2 &); done; echo ready; exec sleep 100'
dead() { stave exec "$1" sh -c 'grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null | wc -l'; }
asleep() { ! stave exec "$1" sh -c 'grep -lx "sleep.0.2." /proc/[0-9]*/cmdline'; }
up reaped --init -- sh -c "$orphans"
soon asleep reaped
is 'with --init no zombie is left' "$(dead reaped)" 0
up heaped '' -- sh -c "$orphans"
soon asleep heaped
is 'without it a workload that does not wait heaps them up' "$(dead heaped)" 3
stave rm -f reaped heaped >/dev/null

# Signals: TERM ends a command that has no handler, which as pid 1 would be deaf to it.
up deaf '' -- sh -c 'echo ready; exec sleep 100'
stave kill -s TERM deaf >/dev/null
up heard --init -- sh -c 'echo ready; exec sleep 100'
stave kill -s TERM heard >/dev/null
is 'with --init TERM ends it' "$(timeout 5 stave wait heard)" 143
is 'without it is deaf' "$(stave ps -q | wc -l)" 1
stave rm -f deaf heard >/dev/null
for signal in HUP INT QUIT USR1 USR2 TERM; do
  up handled --init -- sh -c "trap 'echo got $signal; exit 9' $signal; echo ready; while :; do sleep 0.02; done"
  stave kill -s $signal handled >/dev/null
  is "$signal reaches the command's handler" "$(timeout 5 stave wait handled) $(grep -c "got $signal" "$log")" '9 1'
  stave rm -f handled >/dev/null
done
# From the outside, through a run in the foreground.
stave run --name front --init busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.02; done' >said 2>&1 &
run=$!
soon grep -q ready said
kill -TERM $run
wait $run
is 'TERM to run in the foreground: it ends as the command does' "$?" 5
is 'the record has it' "$(jq .stave.exit.code "$STAVE_RUN/$(id_of front)/state.json")" 5
stave rm front >/dev/null

# Statuses.
for wanted in 0 1 7 126 255; do
  try stave run --rm --init busybox sh -c "exit $wanted"
  is "status $wanted is kept" "$status/$err" "$wanted/"
done
for number in 1 2 9 15; do
  try stave run --rm --init busybox sh -c "kill -$number \$\$"
  is "ended by signal $number: 128 and it" "$status" $((128 + number))
done
refuses 'a command that is not there' 127 'exec moon: not found in PATH' stave run --rm --init busybox moon
try stave run --rm --init busybox sh -c '(sleep 100 &); exit 4'
is 'what the command leaves ends with it' "$status" 4
try sh -c 'echo hello | stave run --rm -i --init busybox cat'
is 'stdin reaches the command' "$out" hello
try stave run --rm --init -u web --read-only busybox sh -c 'id -u; grep -c . /proc/1/cmdline; grep ^Cap[PE] /proc/1/status | cut -f2'
is 'as an ordinary user, on a root that is read-only' "$out" '33
1
0000000000000000
0000000000000000'
try stave run --rm --init busybox sh -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status | cut -f2'
is 'the command has default signals' "$out" '0000000000000000
0000000000000000'

# At a terminal: the command leads it, so its keys reach the command.
cat >typed.py <<'END'
# typed.py KEYS COMMAND...: runs it at a terminal of its own, types KEYS once it says ready.
import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
seen = typed = b""
while True:
    try:
        got = os.read(master, 4096)
    except OSError:
        break
    if not got:
        break
    seen += got
    if b"ready" in seen and not typed:
        typed = sys.argv[1].encode()
        os.write(master, typed)
sys.stdout.write(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
typed() {
  try timeout 5 python3 typed.py "$@"
}
ctrl_c=$(printf '\003')
typed "$ctrl_c" stave run --rm --init -i -t busybox sh -c 'trap "exit 6" INT; echo ready; while :; do sleep 0.02; done'
is '-i -t: Ctrl-C reaches the command' "$status" 6
typed "$ctrl_c" stave run --rm --init -i -t busybox sh -c 'echo ready; exec sleep 100'
is '-i -t: and ends one that has no handler' "$status" 130
# Nothing is read without -i, so the key must remain a signal.
typed "$ctrl_c" stave run --rm --init -t busybox sh -c 'echo ready; exec sleep 3'
is '-t alone: Ctrl-C ends it all the same' "$status" 130
typed 'hello
' stave run --rm --init -i -t busybox sh -c 'tty; echo ready; read -r word; echo got $word; exit 8'
is '-i -t: the status is kept' "$status" 8
like '-i -t: what is typed is read' "$out" '^got hello'
like '-i -t: it has a terminal' "$out" '^/dev/pts/0'

nothing_left 'nothing is left' "$before"
