#!/bin/sh
# create, start and delete killed at each system call that changes something: what create's process
# suffers leaves nothing; what the caller suffers, delete --force takes away. Numbers: ../conformance/musts.tsv
# timeout 120
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/conformance/lib.sh
. "$here/../conformance/lib.sh"
need strace
strace -qq -o trace true 2>/dev/null || skip_all 'strace may not trace here'
before=$(snapshot)
config '.process.args = ["sleep", "1000"] | .mounts += [{destination: "/bound", type: "bind", source: $s, options: ["rbind", "ro"]}] | .linux.resources = {memory: {limit: 67108864}, pids: {limit: 20}}
  | .linux.maskedPaths = ["/proc/kcore"] | .linux.readonlyPaths = ["/proc/sys"] | .linux.sysctl = {"kernel.msgmni": "200"} | .hooks = {createRuntime: [{path: "/bin/true"}]}' --arg s "$T/state-of-nobody"
mkdir "$T/state-of-nobody"

# traces: of the container, wherever one could be: directories, cgroups, mounts, processes.
traces() {
  find "$T/state" -mindepth 1 2>/dev/null
  find /sys/fs/cgroup -mindepth 2 -maxdepth 4 -type d -name "conform-$$-*" 2>/dev/null
  grep -ls "$bundle/rootfs" /proc/[0-9]*/mountinfo
}
# Those that stay: a process that was killed is a moment in going.
settled() {
  for look in 1 2 3 4 5 6 7 8 9 10; do
    left=$(traces)
    [ -n "$left" ] || return 0
    sleep 0.02
  done
  return 1
}

# calls LIST PID COMMAND...: which of these the command makes, in order, each with its number: `mkdir 2`. PID is
# `first` for the caller, or `later` for those that it starts, without what the caller makes too: strace
# counts for each process, and would kill the first.
calls() {
  list=$1 who=$2
  shift 2
  strace -f -qq -o trace -e "trace=$list" "$@" >/dev/null 2>&1 </dev/null &
  tracer=$!
  case $* in *create*) soon test -s "$T/pid" ;; esac
  case $* in *create*) becomes created && rt delete --force "$id" ;; esac
  wait "$tracer"
  awk -v who="$who" '
    NR == 1 { first = $1 }
    !match($2, /^[a-z0-9_]+\(/) { next }
    { call = substr($2, 1, RLENGTH - 1) }
    $1 == first { both[call] = 1 }
    (who == "first") == ($1 == first) { line[++lines] = call " " ++n[call]; of[lines] = call }
    END { for (i = 1; i <= lines; i++) if (who == "first" || !both[of[i]]) print line[i] }' trace
}

changing='mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,symlink,symlinkat,write,clone,clone3,vfork,fork,poll,ppoll,recvmsg,recvfrom,sendmsg,sendto,bind,listen,connect,kill,pidfd_send_signal,pidfd_open,wait4,waitid,fsync,close_range'

# The caller of create. Its process may live on without it.
rm -f "$T/pid"
calls "$changing" first "$runtime" --root "$T/state" create --bundle "$bundle" --pid-file "$T/pid" "$id" >list
gone
killed=0 wrong=''
while read -r call n; do
  strace -qq -o trace -e "inject=$call:signal=KILL:when=$n" "$runtime" --root "$T/state" create --bundle "$bundle" "$id" >/dev/null 2>&1 </dev/null
  [ "$?" != 137 ] || killed=$((killed + 1))
  rt delete --force "$id" >/dev/null 2>"$T/err" || wrong="$wrong $call/$n:$(cat "$T/err")"
  settled || wrong="$wrong $call/$n:$(echo "$left" | head -n 2)"
  # What this one left is not the next one's.
  [ -z "$left" ] || { gone && find "$T/state" -mindepth 1 -delete; }
done <list
is "R54: create, killed at each of its calls: delete --force takes away what there is" "$wrong" ''
ok "R54: it was killed at most of $(wc -l <list)" [ "$killed" -gt $(($(wc -l <list) * 3 / 4)) ]

# The process that create makes: its death is an error of create, which clears up itself. It has no pid
# namespace, whose first process a tracer's SIGKILL does not touch.
jq '.linux.namespaces |= map(select(.type != "pid"))' "$bundle/config.json" >"$T/config.json" && cp "$T/config.json" "$bundle/config.json"
steps='mount,move_mount,fsconfig,fsmount,open_tree,mount_setattr,umount2,pivot_root,mkdirat,mknodat,symlinkat,chroot,fchdir,sethostname,setsid,keyctl,capset,setresuid,setresgid,setgroups,unshare,setns'
rm -f "$T/pid"
calls "$steps" later "$runtime" --root "$T/state" create --bundle "$bundle" --pid-file "$T/pid" "$id" | awk '$2 <= 3 || $2 % 4 == 0' >list
gone
killed=0 wrong=''
while read -r call n; do
  timeout 20 strace -f -qq -o trace -e "inject=$call:signal=KILL:when=$n" "$runtime" --root "$T/state" create --bundle "$bundle" "$id" >/dev/null 2>"$T/err" </dev/null && {
    wrong="$wrong $call/$n:created"
    gone
    continue
  }
  ! grep -q 'killed by SIGKILL' trace || killed=$((killed + 1))
  [ -s "$T/err" ] || grep -q "^$(sed -n '1s/ .*//p' trace) .*killed" trace || wrong="$wrong $call/$n:silent"
  settled || wrong="$wrong $call/$n:$(echo "$left" | head -n 2)"
  gone
done <list
is "R31: create, whose process is killed at each of its calls, leaves nothing" "$wrong" ''
ok "R31: it was killed at most of $(wc -l <list)" [ "$killed" -gt $(($(wc -l <list) * 3 / 4)) ]

# start and delete, which may be said again.
for verb in start delete; do
  rt create --bundle "$bundle" "$id" >"$T/out" 2>&1 </dev/null
  [ $verb = start ] || { rt start "$id" && rt kill "$id" KILL && becomes stopped; }
  strace -qq -o trace -e "trace=$changing" "$runtime" --root "$T/state" $verb "$id" >/dev/null 2>&1 </dev/null
  gone
  sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' trace | awk '{ print $1, ++n[$1] }' >list
  wrong='' killed=0
  while read -r call n; do
    rt create --bundle "$bundle" "$id" >"$T/out" 2>&1 </dev/null || wrong="$wrong create:$(cat "$T/out")"
    [ $verb = start ] || { rt start "$id" && rt kill "$id" KILL && becomes stopped; }
    strace -qq -o trace -e "inject=$call:signal=KILL:when=$n" "$runtime" --root "$T/state" $verb "$id" >/dev/null 2>&1 </dev/null
    [ "$?" != 137 ] || killed=$((killed + 1))
    if [ $verb = start ]; then
      case $(status_of "$id") in created | running | stopped) ;; *) wrong="$wrong $call/$n:$(status_of "$id")" ;; esac
    fi
    rt delete --force "$id" >/dev/null 2>"$T/err" || wrong="$wrong $call/$n:$(cat "$T/err")"
    settled || wrong="$wrong $call/$n:$(echo "$left" | head -n 2)"
    [ -z "$left" ] || { gone && find "$T/state" -mindepth 1 -delete; }
  done <list
  is "R54: $verb, killed at each of its calls, costs nothing" "$wrong" ''
  ok "R54: it was killed at most of $(wc -l <list)" [ "$killed" -gt $(($(wc -l <list) / 2)) ]
done
nothing_left 'R28: nothing is left' "$before"
