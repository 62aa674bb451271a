#!/bin/sh
# --init: pid 1 that reaps and hands signals on, which a workload seldom does itself.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rootfs
before=$(snapshot)

# A first process that never waits for children: those that lose their parent become its own, and
# stay as zombies. With an init there is somebody to reap them.
orphans='for i in 1 2 3; do (sleep 0.1 & exec true); done; exec sleep 1000'
zombies() { stave exec web sh -c 'cat /proc/[0-9]*/stat' | awk '$3 == "Z"' | wc -l; }
three() { [ "$(zombies)" = 3 ]; }
stave run -d --name web --rootfs "$B" sh -c "$orphans" >/dev/null
ok 'without it three zombies stay' soon three
stave rm -f web >/dev/null
stave run -d --name web --init --rootfs "$B" sh -c "$orphans" >/dev/null
only_sleep() { stave exec web ps >all && ! grep -q ' sleep 0.1$' all; }
ok 'with it the three end' soon only_sleep
is 'and none stays' "$(zombies)" 0
stave rm -f web >/dev/null
is 'it is pid 1' "$(stave run --rm --init --rootfs "$B" cat /proc/1/comm)" stave-init
is 'its binary can only be read' "$(stave run --rm --init --rootfs "$B" sh -c 'echo x >/dev/stave-init' 2>&1 | grep -c 'Read-only file system')" 1
try stave run --rm --init --rootfs "$B" sh -c 'exit 42'
is 'the status is the command'"'"'s' "$status" 42
try stave run --rm --init --rootfs "$B" sh -c 'kill -9 $$'
is 'also by a signal' "$status" 137
refuses 'not found: 127' 127 'exec nosuch: not found' stave run --rm --init --rootfs "$B" nosuch
is 'stdin goes through' "$(echo hello | stave run --rm -i --init --rootfs "$B" cat)" hello

# TERM: sleep as pid 1 is deaf to it, under init it is not.
for init in '' --init; do
  # shellcheck disable=SC2086 # a word or none
  stave run -d --name web $init --rootfs "$B" sleep 1000 >/dev/null
  stave kill -s TERM web >/dev/null
  if [ -n "$init" ]; then
    is 'with init TERM ends sleep' "$(timeout 5 stave wait web)" 143
  else
    no 'without it TERM does not end sleep' timeout 0.3 stave wait web
  fi
  stave rm -f web >/dev/null
done
# In the foreground: TERM to stave, to init, to the command.
stave run --rm --init --rootfs "$B" sh -c 'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.05; done' >heard &
process=$!
ok 'it is ready' soon grep -q ready heard
kill -TERM "$process"
wait "$process" && status=0 || status=$?
is 'TERM is handed through' "$status $(tail -n 1 heard)" '5 got it'
# When the command ends the others do.
is 'what the command left behind goes' "$(timeout 5 stave run --rm --init --rootfs "$B" sh -c 'sleep 1000 >/dev/null & echo done')" 'done'
nothing_left 'nothing is left' "$before"
