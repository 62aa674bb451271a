#!/bin/sh
# Runs the scripts of pipelines/ (all, or those whose name holds one of the words given) and prints
# TAP 13. Each runs in a mount and a pid namespace of its own, so what it leaves can be seen, and
# ends with it; its mounts are shared among themselves as on a machine with systemd, so that a
# mount which leaks out of a container is found. At the end the machine must be as it was.
#
#   sh tests/run.sh            all
#   sh tests/run.sh 010 exec   some

set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/stave-tests.XXXXXX")")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
command -v stave >/dev/null || { echo 'Bail out! there is no stave in PATH' && exit 1; }

# machine DIR: what a test must leave as it was, in files there: mounts and processes that have to
# do with this run, and the cgroups of containers.
machine() {
  mkdir -p "$1"
  cut -d' ' -f5 /proc/self/mountinfo | grep stave | sort >"$1/mounts"
  find /sys/fs/cgroup -mindepth 1 -maxdepth 4 -type d -path '*/stave/*' 2>/dev/null | sort >"$1/cgroups"
  for process in /proc/[0-9]*; do
    ! grep -qs "=$work" "$process/environ" || echo "$process $(cat "$process/comm")"
  done 2>/dev/null | grep ' stave' >"$1/processes"
}

# Runs script $1 in its namespaces with directory $2 for its files; stdout and stderr are TAP.
# Pid 1 there is a shell that waits, so processes that lost their parent are reaped.
alone() {
  limit=$(sed -n 's/^# timeout \([0-9]*\)$/\1/p' "$1")
  # shellcheck disable=SC2016 # the inner shell expands
  inner='mount --make-rshared / && { sh "$1" & wait "$!"; }'
  if [ "$(id -u)" = 0 ]; then
    set -- unshare --mount --pid --fork --kill-child --mount-proc sh -c "$inner" sh "$1" "$2"
  else
    set -- sh "$1" "$2"
  fi
  for dir; do :; done
  TMPDIR=$dir timeout --kill-after=5 "${limit:-60}" "$@"
}

machine "$work/before"

# Prepared once: the busybox image that most scripts use.
chmod 711 "$work" && mkdir "$work/prepared"
TMPDIR=$work sh -c '. "$0" && prepare "$1"' "$here/lib.sh" "$work/prepared" | grep '^#'
export STAVE_PREPARED="$work/prepared"

echo 'TAP version 13'
count=0 passed=0 failed=0 skipped=0
# one line of result: ok|not ok, description
result() {
  count=$((count + 1))
  echo "$1 $count - $2"
  case $1:$2 in
  ok:*'# SKIP'*) skipped=$((skipped + 1)) ;;
  ok:*) passed=$((passed + 1)) ;;
  *) failed=$((failed + 1)) ;;
  esac
}

for script in "$here"/pipelines/[0-9]*.sh; do
  name=$(basename "$script" .sh)
  wanted=$#
  for word; do
    case $name in *"$word"*) wanted=0 ;; esac
  done
  [ "$wanted" = 0 ] || continue
  mkdir -m 711 "$work/$name"
  began=$(date +%s)
  alone "$script" "$work/$name" >"$work/tap" 2>&1 </dev/null
  status=$?
  planned='' n=0
  while IFS= read -r line; do
    case $line in
    'ok '[0-9]*) n=$((n + 1)) && result 'ok' "$name: ${line#ok [0-9]* - }" ;;
    'not ok '[0-9]*) n=$((n + 1)) && result 'not ok' "$name: ${line#not ok [0-9]* - }" ;;
    1..*) planned=${line#1..} ;;
    '#'*) echo "$line" ;;
    *) echo "# $line" ;;
    esac
  done <"$work/tap"
  case $status in
  124 | 137) result 'not ok' "$name: ends in time" ;;
  *)
    if [ "$planned" != "$n" ]; then
      result 'not ok' "$name: runs to its end"
      echo "# status $status, $n results of ${planned:-an unknown number}"
    fi
    ;;
  esac
  echo "# $name took $(($(date +%s) - began)) s"
  rm -rf --one-file-system "${work:?}/$name"
done

# Others may be at work on the machine: ours is only what is there at each of several looks.
for look in 1 2 3 4 5 6 7 8; do
  rm -rf "$work/after" && machine "$work/after"
  diff -r "$work/before" "$work/after" | grep '^>' >"$work/came"
  [ "$look" = 1 ] || grep -Fx "$left" "$work/came" >"$work/stayed"
  [ "$look" = 1 ] || mv "$work/stayed" "$work/came"
  left=$(cat "$work/came")
  [ -n "$left" ] || break
  sleep 0.3
done
if [ -z "$left" ]; then
  result 'ok' 'the machine is as before'
else
  result 'not ok' 'the machine is as before'
  printf '%s\n' "$left" | sed 's/^>/# left:/'
fi
echo "1..$count"
echo "# passed $passed, failed $failed, skipped $skipped"
[ "$failed" = 0 ]
