#!/bin/sh
# exec and join into a container that waits for them: it looks into whoever enters (CVE-2016-9962), stops and
# kills it, and has put other things where the kernel's and the image's files were.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gcc
rootfs
before=$(snapshot)
cp -a "$B" box
attack lurk box/bin/lurk

# lurk WHAT REGEX COMMAND [FLAG...]: of thirty who enter by the command nothing was seen that matches.
lurk() {
  what=$1 regex=$2 how=$3
  shift 3
  mkdir -p seen
  if [ "$how" = oci ]; then
    bundle lurked ".process.capabilities[] += [\"CAP_SYS_PTRACE\"] | .process.args = [\"sh\", \"-c\", \"lurk 100000 >/seen/lurk\"]" \
      ".mounts += [{destination: \"/seen\", type: \"bind\", source: \"$T/seen\", options: [\"bind\"]}]"
    cp box/bin/lurk lurked/rootfs/bin/
    oci run -d -b lurked web </dev/null >/dev/null 2>&1
  else
    stave run -d --name web "$@" --rootfs "$T/box" -v "$T/seen:/seen" sh -c 'lurk 100000 >/seen/lurk' >/dev/null
  fi
  soon grep -q ready seen/lurk
  for _ in $(seq 30); do
    case $how in
    exec) timeout 10 stave exec web true ;;
    join) timeout 10 stave join web -- true ;;
    oci) timeout 10 stave-oci --root "$T/oci" exec web true ;;
    esac || fail "$what: $how"
  done
  if [ "$how" = oci ]; then oci delete -f web; else stave rm -f web >/dev/null; fi
  is "$what: what is seen of who enters by $how" "$(sort seen/lurk | uniq -c | grep -E "$regex")" ''
  rm -rf seen
}
lurk 'with the default rights' another exec
lurk 'with the default rights' another join
lurk 'with all but one' another exec --cap-add ALL --cap-drop SYS_PTRACE
# Who may trace finds a process only when it has no more rights than the container.
lurk 'with the right to trace' 'root|rights' exec --cap-add SYS_PTRACE
lurk 'with the right to trace' 'root|rights' oci

# Which is as good as any other.
stave run -d --name web --cap-add SYS_PTRACE -e A=1 -u web -w /srv --rootfs "$B" sleep 1000 >/dev/null
is 'exec there' "$(stave exec web sh -c 'id -un; pwd; echo $A; ps -o sid= | tail -n 1 >/dev/null; exit 0')" 'web
/srv
1'
try stave exec web sh -c 'exit 7'
is 'its status' "$status" 7
is 'its stdin' "$(echo hello | stave exec -i web cat)" hello
at stave exec -t web sh -c 'tty && test -t 0 && : </dev/tty && echo controlled; ps -o pid,sid,args' <<'END'
END
like 'a terminal, which it controls' "$(tr -d '\r' <typed)" '^controlled$'
refuses 'what cannot be run' 127 'stave-exec: exec no: not found in PATH' stave exec web no
is 'exec -n | sh' "$(stave exec -n web id -un | sh)" web
stave rm -f web >/dev/null

# Stopped, killed: whoever enters is not kept, and leaves nothing.
attack reap box/bin/reap
for signal in 19 9; do
  stave run -d --name web --rootfs "$T/box" reap $signal >/dev/null
  for _ in $(seq 4); do
    try timeout -k 2 1 stave exec web sleep 5
    [ "$status" != 137 ] || [ $signal = 9 ] || fail 'exec had to be killed'
  done
  pass "who sends signal $signal to all that enter does not keep exec"
  stave rm -f web >/dev/null
done
is 'nothing of it is left' "$(processes)" ''

# Files that are something else by now.
stave run -d --name web --cap-add SYS_ADMIN --rootfs "$B" sh -c '
  mkdir /fake && mkfifo /fake/fifo && cd /etc && rm passwd group && mkfifo passwd group
  mount -t tmpfs none /proc && mkdir -p /proc/self/fd /proc/self/attr /proc/thread-self/fd /proc/1/ns
  mkfifo /proc/self/attr/exec /proc/self/oom_score_adj /proc/thread-self/attr /proc/self/fd/3
  ln -s /proc/sysrq-trigger /proc/self/setgroups
  rm /bin/ls && mkfifo /bin/ls && chmod 755 /bin/ls
  mount -t tmpfs none /dev/pts && mkfifo /dev/pts/ptmx; rm -f /dev/ptmx; mkfifo /dev/ptmx
  (: </dev/pts/ptmx; : >/opened) & (: </dev/ptmx; : >/opened) &
  : >/ready; while :; do sleep 1000; done' >/dev/null
soon stave exec web test -e /ready
# hostile STATUS REGEX WORDS...: exec says so, and soon.
hostile() { refuses "exec $3 $4" "$1" "$2" timeout 20 stave exec "$3" "$4" web ls; }
hostile 125 'no user web in the container' -u web
at timeout 20 stave exec -t web true </dev/null
like 'a terminal that is a FIFO' "$out $(cat typed)" '^exit 125|open a terminal: '
no 'and was not opened' stave exec web test -e /opened
hostile 126 'exec ls: Permission denied' -u 0
hostile 125 'change directory to /fake/fifo: Not a directory' -w /fake/fifo
is 'a fake /proc, and exec works' "$(timeout 20 stave exec -w /tmp web pwd)" /tmp
is 'the same by join' "$(timeout 20 stave join web -- pwd)" /
stave rm -f web >/dev/null
nothing_left 'nothing is left' "$before"
