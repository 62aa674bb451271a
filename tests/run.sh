#!/bin/sh
# Runs the scripts of pipelines/ (all, or those whose name holds one of the words given) and prints
# TAP 13. Each runs in a mount and a pid namespace of its own, so what it leaves can be seen, and
# ends with it; its mounts are shared among themselves as on a machine with systemd, so that a
# mount which leaks out of a container is found. At the end the machine must be as it was.
# With CI set a script that fails runs once more, and is named at the end.
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

# The mounted cgroup hierarchies: mount point, type, options of the file system. A new cpuset of v1
# takes nobody in before it is filled; containers do not use it.
hierarchies() {
  awk '{
    for (i = 7; $i != "-"; i++);
    if ($(i + 1) ~ /^cgroup2?$/ && $(i + 3) !~ /cpuset|name=/) print $5, $(i + 1), $(i + 3)
  }' /proc/self/mountinfo
}
cell=stave-tests-$$

# Runs the words in a cgroup of their own in every hierarchy. A cgroup namespace shows it as the
# root, so containers of others are not seen. On v2 a cgroup that hands controllers down holds no
# process: what runs is one level below.
in_cell() {
  hierarchies | while read -r dir _ _; do
    mkdir -p "$dir/$cell"
    [ ! -e "$dir/cgroup.subtree_control" ] || for c in memory cpu pids; do
      echo "+$c" >"$dir/cgroup.subtree_control"
    done 2>/dev/null
  done
  list=$(hierarchies)
  export list cell
  # shellcheck disable=SC2016 # the inner shells expand
  sh -c '
    echo "$list" | while read -r dir _ _; do echo $$ >"$dir/$cell/cgroup.procs"; done
    exec unshare --cgroup sh -c '"'"'
      echo "$list" | while read -r dir type _; do
        [ "$type" = cgroup ] || { mkdir "$dir/$cell/leaf" && echo $$ >"$dir/$cell/leaf/cgroup.procs"; }
      done
      exec "$@"'"'"' sh "$@"' sh "$@"
}

# Takes the cell away; what a script left in it is named.
end_cell() {
  for again in 1 2 3 4 5 6 7 8 9 10; do
    hierarchies | while read -r dir _ _; do
      rmdir "$dir/$cell/leaf" "$dir/$cell/stave" "$dir/$cell" 2>/dev/null
      [ ! -d "$dir/$cell" ] || find "$dir/$cell" -type d
    done >"$work/cell"
    [ -s "$work/cell" ] || return 0
    [ "$again" = 10 ] || sleep 0.1
  done
  sed 's/^/# left: /' "$work/cell"
  # For the next script; processes in it have gone with their pid namespace.
  hierarchies | while read -r dir _ _; do
    find "$dir/$cell" -depth -type d -exec rmdir {} + 2>/dev/null
  done
  return 1
}

# Runs script $1 in its namespaces with directory $2 for its files; stdout and stderr are TAP.
# Pid 1 there is a shell that waits, so processes that lost their parent are reaped.
alone() {
  limit=$(sed -n 's/^# timeout \([0-9]*\)$/\1/p' "$1")
  # shellcheck disable=SC2016 # the inner shell expands
  inner='mount --make-rshared / && echo "$list" | while read -r dir type options; do
    [ "$type" != cgroup ] || options=$(echo "$options" | sed "s/^r[wo],//; s/xattr,//; s/,clone_children//; s/,release_agent=[^,]*//")
    [ "$type" = cgroup ] || options=rw
    umount -l "$dir" && mount -t "$type" -o "$options" none "$dir"
  done; { sh "$1" & wait "$!"; }'
  if [ "$(id -u)" = 0 ]; then
    set -- unshare --mount --pid --fork --kill-child --mount-proc sh -c "$inner" sh "$1" "$2"
    in=in_cell
  else
    set -- sh "$1" "$2"
    in=
  fi
  for dir; do :; done
  TMPDIR=$dir $in timeout --kill-after=5 "${limit:-60}" "$@"
}

machine "$work/before"

# Prepared once: the busybox image that most scripts use.
chmod 711 "$work" && mkdir "$work/prepared"
TMPDIR=$work sh -c '. "$0" && prepare "$1"' "$here/lib.sh" "$work/prepared" | grep '^#'
export STAVE_PREPARED="$work/prepared"

echo 'TAP version 13'
count=0 passed=0 failed=0 skipped=0 unsteady=''
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

# Runs $script: its TAP is in $work/tap, its status in $status.
once() {
  mkdir -m 711 "$work/$name"
  alone "$script" "$work/$name" >"$work/tap" 2>&1 </dev/null
  status=$?
  [ "$(id -u)" != 0 ] || end_cell >"$work/left" || echo "not ok 0 - no cgroup is left" | cat - "$work/left" >>"$work/tap"
  rm -rf --one-file-system "${work:?}/$name"
  ! grep -q '^not ok' "$work/tap" && grep -qFx "1..$(grep -c '^ok [0-9]' "$work/tap")" "$work/tap"
}

for script in "$here"/pipelines/[0-9]*.sh; do
  name=$(basename "$script" .sh)
  wanted=$#
  for word; do
    case $name in *"$word"*) wanted=0 ;; esac
  done
  [ "$wanted" = 0 ] || continue
  began=$(date +%s)
  if ! once && [ -n "${CI:-}" ]; then
    echo "# $name fails, and runs once more; what failed:"
    { grep -A 8 '^not ok' "$work/tap" || echo "status $status of the script"; } | sed 's/^/#   /'
    unsteady="$unsteady $name"
    once
  fi
  planned='' n=0
  while IFS= read -r line; do
    case $line in
    'ok '[0-9]*) n=$((n + 1)) && result 'ok' "$name: ${line#ok [0-9]* - }" ;;
    'not ok 0 '*) result 'not ok' "$name: ${line#not ok [0-9]* - }" ;;
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
[ -z "$unsteady" ] || echo "# failed at first:$unsteady"
echo "# passed $passed, failed $failed, skipped $skipped"
[ "$failed" = 0 ]
