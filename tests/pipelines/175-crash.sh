#!/bin/sh
# rm and exec killed at their system calls: what is left is still listed by ps, and a second rm takes
# it away.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need strace
strace -qq -o trace true 2>/dev/null || skip_all 'strace may not trace here'
rootfs
before=$(snapshot)

# at_calls CALLS COMMAND...: after `ready` the command is killed on entry to each of its CALLS in turn.
# rm -f by the ids that ps gives must then leave nothing.
at_calls() {
  calls=$1 wrong='' killed=0
  shift
  ready
  strace -f -qq -o trace -e "trace=$calls" "$@" >/dev/null 2>&1 </dev/null
  sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' trace | awk '{ print $1, ++n[$1] }' >list
  again
  while read -r call n; do
    ready
    strace -qq -o trace -e "inject=$call:signal=KILL:when=$n" "$@" >/dev/null 2>&1 </dev/null
    [ "$?" != 137 ] || killed=$((killed + 1))
    again
    [ "$(snapshot)" = "$before" ] || wrong="$wrong $call/$n"
  done <list
  is "$1 $2: nothing is left by a second rm, killed at any of $killed calls" "$wrong" ''
  ok "it was killed at most of them" [ "$killed" -ge $(($(wc -l <list) / 2)) ]
  nothing_left 'and at the end' "$before"
}

# again: as a person would, by what ps shows.
again() {
  ids=$(stave ps -aq)
  # shellcheck disable=SC2086 # one word an id
  [ -z "$ids" ] || stave rm -f $ids >/dev/null || wrong="$wrong rm/$call/$n"
}

undoing='umount2,rmdir,unlink,unlinkat,rename,renameat,renameat2,pidfd_send_signal,kill'
ready() { stave new web --rootfs "$B" | stave mount | stave ns | stave limit >/dev/null; }
at_calls "$undoing" stave-rm web
ready() { stave run -d --name web -m 64M --rootfs "$B" sleep 1000 >/dev/null; }
at_calls "$undoing" stave-rm -f web
ready() { stave run -d --name web -m 64M --rootfs "$B" true >/dev/null; stave wait web >/dev/null; }
at_calls "$undoing" stave-rm web

# A filter's own undo, killed midway: --undo again, then rm.
ready() { stave new web --rootfs "$B" | stave mount | stave ns | stave limit >/dev/null; }
for stage in mount ns limit; do
  at_calls "$undoing" stave-$stage web --undo
done

# exec killed at any point costs the container nothing.
stave run -d --name web --rootfs "$B" sleep 1000 >/dev/null
runs=$(snapshot)
for call in setns/1 clone3/1 clone/1 socketpair/1 poll/1 recvmsg/1 poll/2 waitid/1 wait4/1; do
  strace -qq -o trace -e "inject=${call%/*}:signal=KILL:when=${call#*/}" stave-exec web true >/dev/null 2>&1 </dev/null
done
is 'exec killed: the container runs on' "$(stave exec web echo yes)" yes
ok 'and nothing of exec stays in it' soon sh -c "[ \"\$(stave exec web sh -c 'ls -d /proc/[0-9]* | wc -l; :')\" -le 4 ]"
nothing_left 'nor on the machine' "$runs"
stave rm -f web >/dev/null
nothing_left 'nothing is left' "$before"
