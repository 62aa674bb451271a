#!/bin/sh
# Runs every `$ ` line under EXAMPLES of every page and in README's code, in order, one shell a page, and compares what
# the page shows of its output. Each page has roots of its own, an image `busybox` and an empty
# working directory; afterwards nothing of it may be left. TAP: one test a page, or the pages named:
#   tests/pages.sh [man/stave-new.1 ...]
set -u
man=$(cd "$(dirname "$0")/../man" && pwd) || exit 1
[ $# -gt 0 ] || set -- "$man"/*.[17] "$man/../README.md"
echo "1..$#"

skip_all() {
  n=0
  for page in "$@"; do
    n=$((n + 1))
    echo "ok $n - ${page##*/} # SKIP $why"
  done
  exit 0
}
why=
command -v stave >/dev/null || { echo "Bail out! no stave in PATH"; exit 1; }
[ "$(id -u)" = 0 ] || why='not root'
busybox=$(command -v busybox) || why='no busybox (Debian: busybox-static)'
[ -z "$why" ] || skip_all "$@"

top=$(mktemp -d "${TMPDIR:-/tmp}/stave-pages.XXXXXX") || exit 1
# shellcheck disable=SC2317 # the trap
end() {
  umount -l "$top" 2>/dev/null
  rm -rf --one-file-system "$top"
}
trap end EXIT
trap 'exit 1' HUP INT TERM
# What the examples write need not reach a disk.
mount -t tmpfs -o mode=755 stave-pages "$top" || exit 1

# A root file system of one static program.
mkdir -p "$top/bb/bin" "$top/bb/etc" "$top/bb/root" "$top/bb/tmp"
cp "$busybox" "$top/bb/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$top/bb/bin/$applet"
done
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' >"$top/bb/etc/passwd"
printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$top/bb/etc/group"
tar -C "$top/bb" -cf "$top/busybox.tar" . || exit 1

# The page as a script on stdout; beside it, in $2, what line N is and is expected to print. A line
# runs in the shell itself, so that the next sees its variables and its directory.
script() {
  awk -v dir="$2" '
    function close_example() {
      if (n && shown != "") { printf "%s", shown > (dir "/" n ".want"); close(dir "/" n ".want") }
      shown = ""
    }
    /^\.SH / { examples = ($0 == ".SH EXAMPLES") }
    /^\.EE/ { close_example(); example = 0 }
    /^```/ { close_example(); example = examples = !example; next }
    examples && example {
      gsub(/\\-/, "-"); gsub(/\\\(aq/, "\047"); gsub(/\\\(ga/, "`"); gsub(/\\\(ha/, "^")
      gsub(/\\\(ti/, "~"); gsub(/\\&/, ""); gsub(/\\e/, "\\")
      if (/^\$ /) {
        close_example()
        n++
        line = substr($0, 3)
        print line > (dir "/" n ".line"); close(dir "/" n ".line")
        printf "{ %s\n} >%s/%d.out 2>&1 </dev/null; echo $? >%s/%d.status\n", line, dir, n, dir, n
      } else shown = shown $0 "\n"
    }
    /^\.EX/ { example = 1 }
  ' "$1"
}

# A program of the host's that a page shows and that is not here.
missing() {
  for program in jq findmnt lsns nsenter; do
    if ! command -v $program >/dev/null && grep -qw "^\$ .*$program" "$1"; then
      echo "no $program"
    fi
  done
  if asks "$1"; then
    for program in docker-registry ip; do
      command -v $program >/dev/null || echo "no $program"
    done
  fi
}

# The processes that were started with this page's root.
ours() {
  for environ in /proc/[0-9]*/environ; do
    if { tr '\0' '\n' <"$environ"; } 2>/dev/null | grep -qxF "STAVE_ROOT=$STAVE_ROOT"; then
      pid=${environ#/proc/}
      echo "${pid%/environ}"
    fi
  done
}

# What may not be left of the containers named, or of this page at all.
left() {
  for id in "$@"; do
    for dir in /sys/fs/cgroup/stave/"$id" /sys/fs/cgroup/*/stave/"$id"; do
      [ ! -d "$dir" ] || echo "a cgroup is left: $dir"
    done
  done
  grep -F " $now/" /proc/self/mountinfo | sed 's/^/a mount is left: /'
  # One that was just told to end has a second for it.
  for pause in 0.1 0.2 0.3 0.4 0; do
    pids=$(ours)
    [ -n "$pids" ] || break
    sleep $pause
  done
  for pid in $pids; do
    echo "a process is left: $pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")"
    kill -9 "$pid"
  done
  find "$STAVE_ROOT/c" "$STAVE_ROOT/names" "$STAVE_RUN" -mindepth 1 2>/dev/null | sed 's/^/it is left: /'
}

# Whether a page asks a registry.
asks() {
  grep -q '^\$ .*localhost:5000' "$1"
}

# The registry that pages ask is at localhost:5000 of a net namespace of its own. It has the image
# busybox. Then the words that follow are run, beside it.
# shellcheck disable=SC2317 # called by its name in a variable
registry() {
  cat >"$now/registry.yml" <<EOF
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $now/registry}}
http: {addr: "localhost:5000", secret: s}
EOF
  export registry_yml="$now/registry.yml"
  # shellcheck disable=SC2016 # the inner shell's
  unshare -n sh -c '
    ip link set lo up
    docker-registry serve "$registry_yml" >"$registry_yml.log" 2>&1 &
    registry=$!
    tries=0
    until stave push busybox localhost:5000/busybox >/dev/null 2>&1; do
      tries=$((tries + 1))
      [ $tries -lt 100 ] || { cat "$registry_yml.log"; break; }
      sleep 0.05
    done
    "$@"
    kill $registry' sh "$@"
}

# Runs one page; what went wrong is on stdout, nothing if all is well.
check() {
  lines=$now/lines
  mkdir -p "$lines" "$now/work"
  script "$1" "$lines" >"$now/script"
  [ -s "$now/script" ] || { echo "no example"; return; }
  stave load -t busybox "$top/busybox.tar" >/dev/null || { echo "stave load failed"; return; }
  # setsid: no terminal to ask at.
  with=''
  ! asks "$1" || with=registry
  (cd "$now/work" && $with setsid timeout -k 5 60 sh "$now/script")
  n=0
  while [ -e "$lines/$((n + 1)).line" ]; do
    n=$((n + 1))
    line=$(cat "$lines/$n.line")
    if [ ! -e "$lines/$n.status" ]; then
      echo "did not end: $line"
      break
    elif [ "$(cat "$lines/$n.status")" != 0 ]; then
      echo "status $(cat "$lines/$n.status"): $line"
      cat "$lines/$n.out"
    elif [ -e "$lines/$n.want" ] && ! cmp -s "$lines/$n.want" "$lines/$n.out"; then
      echo "prints something else: $line"
      diff "$lines/$n.want" "$lines/$n.out"
    fi
  done
  ids=$(ls "$STAVE_ROOT/c" 2>/dev/null)
  for id in $(stave ps -aq); do
    stave rm -f "$id" >/dev/null
  done
  # shellcheck disable=SC2086 # words
  left $ids
}

n=0
status=0
for page in "$@"; do
  n=$((n + 1))
  why=$(missing "$page" | head -n 1)
  if [ -n "$why" ]; then
    echo "ok $n - ${page##*/} # SKIP $why"
    continue
  fi
  now=$top/$n
  mkdir "$now"
  export STAVE_ROOT="$now/root" STAVE_RUN="$now/run"
  wrong=$(check "$page" 2>&1)
  lines=$(find "$now/lines" -name '*.line' | wc -l)
  if [ -z "$wrong" ]; then
    echo "ok $n - ${page##*/}: $lines lines"
  else
    echo "not ok $n - ${page##*/}"
    echo "$wrong" | sed 's/^/# /'
    status=1
  fi
  rm -rf --one-file-system "$now" 2>/dev/null
done
exit $status
