#!/bin/sh
# The program on the host, as a container with root's rights can reach it (CVE-2019-5736): as
# /proc/self/exe in place of a program of its own, as the interpreter of a script, and by the link
# of a process of ours. It runs from a file that cannot be written to.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gcc
rootfs
[ "$(id -u)" = 0 ] || skip_all 'an ordinary user has no right that its container could use on the program'

# A copy that nobody else runs: else it is busy, and safe for that reason alone.
mkdir own
bin=$(dirname "$(command -v stave)")
cp "$bin/stave" "$bin/stave-exec" "$bin/stave-run" "$bin/stave-spawn" "$bin/stave-init" own/
cp -a "$B" box
attack grab box/bin/grab
# It has something to say, and nobody listens: so it stays.
mkfifo full
exec 7<>full
dd if=/dev/zero of=full bs=65536 count=1 oflag=nonblock 2>/dev/null
printf '#!/proc/self/exe --help\n' >box/bin/script && chmod +x box/bin/script
before=$(sha256sum own/* && stat -c '%n %a %u' own/* && getfattr -d -m - own/* 2>/dev/null)
same() { is "$1" "$(sha256sum own/* && stat -c '%n %a %u' own/* && getfattr -d -m - own/* 2>/dev/null)" "$before"; }

# start [RIGHT...]: a container that has these rights too, in no user namespace.
start() {
  stave new --rootfs "$T/box" web | jq -c --args '.process.args = ["sleep", "1000"] |
    .process.capabilities[] += $ARGS.positional' "$@" | stave keep >/dev/null
}
# Who in the container runs none of its programs.
strangers() {
  stave exec web sh -c 'cd /proc && for p in [0-9]*; do
    case $(readlink $p/exe) in */busybox | */grab | "") ;; *) echo $p ;; esac
  done'
}
stranger() { [ -n "$(strangers)" ]; }

# turned WHAT COMMAND...: exec's process turns into our own program in the container, and another
# process there holds it until it has ended.
turned() {
  what=$1
  shift
  own/stave-exec web "$@" >&7 2>/dev/null &
  victim=$!
  if ! soon stranger; then
    fail "$what: our program runs in the container"
    return
  fi
  pid=$(strangers)
  stave exec web rm -f /tmp/held
  stave exec web grab "$pid" /tmp/held >grabbed 2>&1 &
  grab=$!
  soon stave exec web test -e /tmp/held
  stave exec web kill -9 "$pid"
  wait $victim 2>/dev/null
  wait $grab
  is "$what: no way to write to it" "$(grep -e DONE grabbed)" ''
  like "$what: nor once it has ended" "$(cat grabbed)" 'open afterwards: Read-only file system'
  same "$what: it is as it was"
}

start
turned 'as the program' /proc/self/exe --help
turned 'as an interpreter' /bin/script
stave rm -f web >/dev/null

# The rights to trace and to mount do not help.
start CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_CHECKPOINT_RESTORE CAP_LINUX_IMMUTABLE
turned 'with all rights' /proc/self/exe --help
like 'also what is mapped was held' "$(cat grabbed)" '^open what was mapped: Read-only file system'
stave rm -f web >/dev/null

# Where mounts are not allowed it runs from a copy in memory.
ordinary() { setpriv --bounding-set -sys_admin --inh-caps -all --clear-groups "$@"; }
stave run -d --name web --rootfs "$B" sleep 1000 >/dev/null
try ordinary strace -f -o trace own/stave-run --help
like 'no right to mount: a sealed copy' "$(cat trace)" 'F_ADD_SEALS, F_SEAL_SEAL\|F_SEAL_SHRINK\|F_SEAL_GROW\|F_SEAL_WRITE'
is 'which runs' "$status" 0
stave rm -f web >/dev/null

# Before the C library has set itself up; with more variables than there is room for then, later.
if [ "$(uname -m)" = x86_64 ]; then
  strace -o trace own/stave-run --help >/dev/null
  is 'it runs again first of all' "$(sed '/^execveat/q' trace | grep -c -e ^brk -e ^mmap)" 0
  is 'and once' "$(grep -c ^execveat trace)" 1
fi
# shellcheck disable=SC2046 # words
is 'with a large environment as well' "$(env $(seq -f 'MANY_%g=1' 1500) strace -f -o trace own/stave-run --rm --rootfs "$B" echo in 2>&1)" in
is 'nor more than once' "$(grep -c 'execveat' trace)" 1
# shellcheck disable=SC2046 # words
is 'all of which it hands on' "$(env $(seq -f 'MANY_%g=1' 900) sh -c "stave new | own/stave-spawn --rm -- env" | grep -c MANY_)" 900

# What the caller says in the environment decides nothing, and does not come along.
refuses 'no caller can say that it is sealed' 125 'seal this program against writing: ' env STAVE_PROGRAM=/ own/stave-run --rootfs "$B" true
is 'no trace of it inside' "$(env -i PATH="$PATH" STAVE_ROOT="$STAVE_ROOT" STAVE_RUN="$STAVE_RUN" \
  own/stave run --rm --rootfs "$B" env | grep -c STAVE)" 0
is 'its siblings are found' "$(own/stave-run --init --rm --rootfs "$B" cat /proc/1/comm)" stave-init
