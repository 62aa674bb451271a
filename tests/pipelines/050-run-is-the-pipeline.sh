#!/bin/sh
# `stave run` is a pipeline, and `stave run -n` prints it. Whoever runs the printed words gets the
# same: the same document, and a process that sees the same kernel.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
image

mkdir src
echo hello >src/file

# What a process can see of what it lives in. It prints no pid and no time.
cat >probe <<'PROBE'
echo "arguments: $#"; printf '<%s>\n' "$@"
echo "where: $(pwd), host $(hostname), umask $(umask), pid $$"
id
env | sort
# ids, device numbers and peer groups differ from mount to mount
awk '{ $1 = $2 = $3 = ""; gsub(/:[0-9]+/, ":N", $7); gsub(/:[0-9]+/, ":N", $8); print }' /proc/self/mountinfo
grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig(Pnd|Blk|Ign|Cgt)|Umask)' /proc/self/status
for ns in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$ns; done
cat /proc/self/cgroup
for file in memory.limit_in_bytes memory.max cpu.cfs_quota_us cpu.max pids.max devices.list; do
  find /sys/fs/cgroup/ -maxdepth 2 -name "$file" -exec head -n 99 {} +
done
ulimit -a
awk '{ print "group " $5, "session " $6, "nice " $19 }' /proc/$$/stat
cat /proc/self/oom_score_adj
ls /proc/self/fd | wc -l
stat -c '%A %u:%g %n' / /* /dev/*
exit 7
PROBE

# alike WHAT OPTION...: `run` against what `run -n` prints. $run and $sh are what came of the two.
alike() {
  what=$1
  shift
  stave run "$@" >run.out 2>run.err && run=0 || run=$?
  tell run
  stave run -n "$@" >sh.script && sh sh.script >sh.out 2>sh.err && sh=0 || sh=$?
  tell sh
  is "$what: the process sees the same" "$(cat sh.seen)" "$(cat run.seen)"
  is "$what: the status is the same" "$sh" "$run"
  is "$what: the document is the same" "$(cat sh.doc)" "$(cat run.doc)"
}

# tell NAME: NAME.seen and NAME.doc are what the container left, without what must differ. It goes.
tell() {
  id=$(stave ps -aq)
  stave wait "$id" >/dev/null
  # A detached one has a log, each line behind a time and a stream.
  : >log
  [ ! -f "$STAVE_ROOT/c/$id/log" ] || cut -d' ' -f4- "$STAVE_ROOT/c/$id/log" >log
  cat "$1.out" "$1.err" log | sed "s/$id/ID/g" | own_or_hosts >"$1.seen"
  jq . "$STAVE_ROOT/c/$id/config.json" | sed "s/$id/ID/g; s/\"created\": .*/\"created\": \"THEN\",/" >"$1.doc"
  stave rm "$id" >/dev/null
}

# Namespaces have a number of their own each time, or the machine's.
own_or_hosts() {
  hosts=$(for ns in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$ns; done)
  while IFS= read -r line; do
    case $line in
    *:\[[0-9]*\])
      if printf '%s\n' "$hosts" | grep -qxF "$line"; then echo "${line%%:*} host's"; else echo "${line%%:*} own"; fi
      ;;
    *) printf '%s\n' "$line" ;;
    esac
  done
}

probe=$(cat probe)
# The probe says something at all, and of the right things.
alike 'plain' busybox sh -c "$probe" sh one
is "plain: the status is the workload's" "$run" 7
like 'plain: the probe sees the root' "$(cat run.seen)" 'overlay'
like 'plain: the probe sees capabilities' "$(cat run.seen)" '^CapEff:.00000000a80425fb$'
is 'plain: six namespaces are its own' "$(grep -c " own$" run.seen)" 6
like 'plain: the document is of this container' "$(cat run.doc)" '"cgroupsPath": "/stave/ID"'

alike '--name, words to quote' -e "A=it's \$HOME \"x\"" -e 'B=' --name web busybox sh -c "$probe" sh '' "it's" '-n' 'a  b' '*' '\ "' '
'
like '--name, words to quote: they arrive' "$(cat run.seen)" "^<it's>$"

alike '-m' -m 64M busybox sh -c "$probe"
like '-m: it is in force' "$(cat run.seen)" '^67108864$'
alike '--cpus' --cpus 0.5 busybox sh -c "$probe"
like '--cpus: it is in force' "$(cat run.seen)" '^50000( 100000)?$'
alike '--pids-limit' --pids-limit 40 busybox sh -c "$probe"
like '--pids-limit: it is in force' "$(cat run.seen)" '^40$'
alike '--pids-limit -1' --pids-limit -1 busybox sh -c "$probe"
like '--pids-limit -1: none is in force' "$(cat run.seen)" '^max$'

alike '-e -u -w' -e A=1 -u web:ssl -w /new/place busybox sh -c "$probe"
like '-e -u -w: they are in force' "$(cat run.seen)" '^where: /new/place,'
like '-e -u -w: the user is' "$(cat run.seen)" '^uid=33\(web\) gid=101\(ssl\)'

alike '-v' -v "$T/src:/data:ro" -v ./src/file:/etc/one busybox sh -c "$probe"
like '-v: it is mounted' "$(cat run.seen)" ' /data ro,'
alike '--tmpfs' --tmpfs /scratch:size=1m,mode=700 busybox sh -c "$probe"
like '--tmpfs: it is mounted' "$(cat run.seen)" ' /scratch .*size=1024k,mode=700'
alike '--read-only' --read-only --tmpfs /tmp busybox sh -c "$probe"
like '--read-only: it is in force' "$(cat run.seen)" '^ *[^ ]+ / ro,'

alike '--hostname' --hostname cask busybox sh -c "$probe"
like '--hostname: it is in force' "$(cat run.seen)" 'host cask,'
alike '--network host' --network host busybox sh -c "$probe"
like '--network host: it is in force' "$(cat run.seen)" "^net host's$"
alike '--uts --ipc --pid host' --uts host --ipc host --pid host busybox sh -c "$(echo "$probe" | grep -v 'pid \$\|/stat$')"
is '--uts --ipc --pid host: they are in force' "$(grep -c "^[ipu][a-z]* host's$" run.seen)" 4

alike '--cap-add' --cap-add net_admin --cap-add SYS_TIME busybox sh -c "$probe"
like '--cap-add: it is in force' "$(cat run.seen)" '^CapEff:.00000000aa0435fb$'
alike '--cap-drop' --cap-drop ALL --cap-add chown busybox sh -c "$probe"
like '--cap-drop: it is in force' "$(cat run.seen)" '^CapBnd:.0000000000000001$'

alike '--init' --init busybox sh -c "$(echo "$probe" | grep -v 'pid \$')"
like '--init: it is there' "$(cat run.seen)" '/dev/stave-init ro'
alike '-d' -d busybox sh -c "$probe"
like '-d: its log has what it said' "$(cat run.seen)" '^CapEff:'
alike '--rootfs' --rootfs "$B" -m 64M --hostname cask sh -c "$probe"
like '--rootfs: it is the root' "$(cat run.seen)" "lowerdir=$B"
alike '--host' --host -w /etc sh -c "$(echo "$probe" | grep -v '^stat')"
like '--host: the machine is the root' "$(cat run.seen)" 'lowerdir=/,'

alike 'all together' -m 64M --cpus 0.5 --pids-limit 50 -e A=1 -u web -w /srv -v "$T/src:/data" \
  --tmpfs /tmp --read-only --hostname cask --cap-drop mknod --network none --init \
  busybox sh -c "$(echo "$probe" | grep -v 'pid \$')"

# -i: the words read from stdin what the workload is to have, and run as they are from a file.
echo hello >stdin
stave run -n -i --rm busybox cat >script
is '-i: the pipeline hands stdin on' "$(sh script <stdin)" hello
is '-i: so does run' "$(stave run -i --rm busybox cat <stdin)" hello

# --rm: nothing is left to compare, so the process looks at its own document.
look() {
  jq . | sed 's/"[0-9a-f]\{12\}"/"ID"/; s/[^"]*\(run\|stave\)\/[0-9a-f]\{12\}/\1\/ID/; s/"created": .*/THEN/'
}
set -- --rm -v "$STAVE_ROOT/c:/c:ro" busybox sh -c 'cat /c/*/config.json'
is '--rm: the document is the same' "$(stave run -n "$@" | sh | look)" "$(stave run "$@" | look)"
like '--rm: it is a document' "$(stave run "$@")" '^\{"ociVersion".*"rm":true'

# What -n prints changes nothing.
before=$(snapshot)
stave run -n -m 64M --init -d busybox true >/dev/null
stave run -nn -m 64M --init -d busybox true >/dev/null
nothing_left '-n and -nn leave nothing' "$before"
