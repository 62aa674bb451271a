#!/bin/sh
# SIGKILL at every line: whatever a tool was about, `stave rm` takes away all that it made.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
rootfs
before=$(snapshot)

# clear: removes every container, as a person would.
clear() {
  # shellcheck disable=SC2046 # one word an id
  [ -z "$(ls "$STAVE_ROOT/c" 2>/dev/null)" ] || stave rm -f $(ls "$STAVE_ROOT/c") >/dev/null
}

# killed WHAT COMMAND...: the command, started anew after `ready`, is killed at each of its steps.
# It stops at step K by --step, where it is killed from outside.
killed() {
  what=$1
  shift
  k=1 wrong=''
  while :; do
    ready
    at "$@" <<END
enter $((k - 1))
? \[q\]uit >
kill KILL
END
    # At the end there is no step to stop before.
    [ "$status" = 0 ] || break
    is "$what, killed before step $k" "$out" 'exit 137, cooked'
    clear
    rest=$(left "$before")
    [ -z "$rest" ] || wrong="$wrong
step $k: $rest"
    k=$((k + every))
  done
  clear
  is "$what: rm leaves nothing, wherever it was killed" "$wrong" ''
  ok "$what was killed at each step up to $k" [ "$k" -gt 1 ]
  nothing_left "$what: nor does the last" "$before"
}
ready() { :; }
every=1
killed new stave new web --rootfs "$B" --step
ready() { stave new web --rootfs "$B" >/dev/null; }
killed mount stave mount web --step
killed ns stave ns web --hostname cask --step
every=5
killed limit stave limit web -m 64M --pids-limit 9 --step
ready() { stave new web --rootfs "$B" | stave mount | stave ns | stave limit >/dev/null; }
every=7
killed spawn stave spawn web --step -- true
killed keep stave keep web --step -- sleep 1000
ready() { :; }
every=11
killed run stave run --rm --name web -m 64M --rootfs "$B" --step true
killed 'run -d' stave run -d --name web -m 64M --rootfs "$B" --step sleep 1000

# Finer: at every system call, of which here each seventh is taken.
if command -v strace >/dev/null && strace -qq -o trace true 2>/dev/null; then
  # at_calls WHAT COMMAND...
  at_calls() {
    what=$1 wrong='' killed=0
    shift
    ready
    strace -qq -o trace "$@" >/dev/null 2>&1
    clear
    # Name of the call, and the how many-th of that name.
    sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' trace | awk '{ n[$1]++ } NR % 7 == 3 { print $1, n[$1] }' >calls
    while read -r call n; do
      ready
      strace -qq -o trace -e "inject=$call:signal=KILL:when=$n" "$@" >/dev/null 2>&1 </dev/null
      [ "$?" != 137 ] || killed=$((killed + 1))
      clear
      rest=$(left "$before")
      [ -z "$rest" ] || wrong="$wrong
$call number $n: $rest"
    done <calls
    is "$what: rm leaves nothing, at whichever call it was killed" "$wrong" ''
    ok "$what was killed at $killed of its calls" [ "$killed" -gt 10 ]
  }
  at_calls new stave-new web --rootfs "$B"
  ready() { stave new web --rootfs "$B" >/dev/null; }
  at_calls mount stave-mount web
  at_calls ns stave-ns web
  at_calls limit stave-limit web -m 64M
  ready() { :; }
  at_calls run stave-run --name web --rootfs "$B" true
  at_calls 'run -d' stave-run -d --name web --rootfs "$B" sleep 1000
else
  skip 'killed at every system call' 'no strace, or it may not trace'
fi
