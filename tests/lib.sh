# shellcheck shell=sh
# Sourced by every script of pipelines/: words that say in TAP what is so, and a place of its own
# for what the script makes. A script is plain shell and runs alone too:
#
#   PATH=$PWD/target/x86_64-unknown-linux-gnu/debug:$PATH sh tests/pipelines/010-host.sh

set -u
export LC_ALL=C
umask 022

tap=0
bad=0
here=$(cd "$(dirname "$0")" && pwd)
status='' out='' err=''

# pass WHAT
pass() {
  tap=$((tap + 1))
  echo "ok $tap - $1"
}

# fail WHAT [WHY...]: each WHY may have many lines; they come as diagnostics.
fail() {
  tap=$((tap + 1)) bad=$((bad + 1))
  echo "not ok $tap - $1"
  shift
  for why; do
    printf '%s\n' "$why" | head -n 40 | sed 's/^/# /'
  done
}

# skip WHAT REASON
skip() {
  tap=$((tap + 1))
  echo "ok $tap - $1 # SKIP $2"
}

# skip_all REASON: nothing of this script can run here.
skip_all() {
  skip "$(basename "$0" .sh)" "$1"
  exit 0
}

# need COMMAND...: without them the script is skipped.
need() {
  for word; do
    command -v "$word" >/dev/null || skip_all "there is no $word"
  done
}

# try COMMAND...: runs it; then $status, $out and $err are what came of it.
try() {
  "$@" >"$T/out" 2>"$T/err" && status=0 || status=$?
  out=$(cat "$T/out")
  err=$(cat "$T/err")
}

# ok WHAT COMMAND...: the command succeeds.
ok() {
  what=$1
  shift
  try "$@"
  if [ "$status" = 0 ]; then pass "$what"; else fail "$what" "$*: status $status" "$out" "$err"; fi
}

# no WHAT COMMAND...: the command does not succeed.
no() {
  what=$1
  shift
  try "$@"
  if [ "$status" != 0 ]; then pass "$what"; else fail "$what" "$*: status 0" "$out" "$err"; fi
}

# is WHAT GOT WANTED
is() {
  if [ "$2" = "$3" ]; then
    pass "$1"
  else
    printf '%s\n' "$3" >"$T/wanted"
    printf '%s\n' "$2" >"$T/got"
    fail "$1" "$(diff -U1 "$T/wanted" "$T/got" | sed "1s/.*/--- wanted/; 2s/.*/+++ got/")"
  fi
}

# like WHAT GOT REGEX (extended; some line of GOT matches it)
like() {
  if printf '%s\n' "$2" | grep -Eq -e "$3"; then
    pass "$1"
  else
    fail "$1" "wanted: $3" "got: $2"
  fi
}

# unlike WHAT GOT REGEX
unlike() {
  if printf '%s\n' "$2" | grep -Eq -e "$3"; then
    fail "$1" "unwanted: $3" "got: $2"
  else
    pass "$1"
  fi
}

# refuses WHAT STATUS REGEX COMMAND...: this exit status, and one line on stderr that matches.
refuses() {
  what=$1 wanted=$2 regex=$3
  shift 3
  try "$@"
  if [ "$status" = "$wanted" ] && [ "$(wc -l <"$T/err")" = 1 ] && printf '%s\n' "$err" | grep -Eq -e "$regex"; then
    pass "$what"
  else
    fail "$what" "$*" "status $status, wanted $wanted; one line on stderr was due, matching: $regex" "$err"
  fi
}

# soon COMMAND...: polls for at most five seconds until it succeeds.
soon() {
  polls=0
  until "$@" >/dev/null 2>&1; do
    polls=$((polls + 1))
    [ "$polls" -lt 250 ] || return 1
    sleep 0.02
  done
}

# at COMMAND...: runs it at a terminal, led by the lines of stdin (terminal.py says which); what it
# prints goes to the file `typed`, $out tells how it ended: `exit 0, cooked`.
at() {
  try env TERM=xterm python3 "$here/terminal.py" typed "$@"
}

# id_of NAME
id_of() {
  basename "$(readlink "$STAVE_ROOT/names/$1")"
}

# cgroups ID: the directories of a container, in every hierarchy; of all with *.
cgroups() {
  find /sys/fs/cgroup -mindepth 1 -maxdepth 4 -type d -path '*/stave/*' -name "$1" 2>/dev/null | sort
}

# cgroup ID FILE: what a file of its cgroup holds, in whichever hierarchy has it.
cgroup() {
  cat /sys/fs/cgroup/*/stave/"$1"/"$2" /sys/fs/cgroup/stave/"$1"/"$2" 2>/dev/null
}

# Whether the controllers are v1's here: then the files have v1's names.
v1() {
  [ -d /sys/fs/cgroup/memory ]
}

# mounts PATH: mount points at or below it, with their types, sorted.
mounts() {
  awk -v at="$1" '
    at == "/" || $5 == at || index($5, at "/") == 1 {
      for (i = 7; $i != "-"; i++);
      print $5, $(i + 1)
    }' /proc/self/mountinfo | sort
}

# snapshot: what containers leave on a machine, and was not there when the script began. Two of
# them can be compared.
snapshot() {
  echo 'mounts:' && mounts / | comm -13 "$T/mounts" - | uniq -c
  echo 'cgroups:' && cgroups '*' | comm -13 "$T/cgroups" -
  echo 'links:' && ls /sys/class/net
  echo 'directories:' && for dir in "$STAVE_ROOT"/c "$STAVE_ROOT"/names "$STAVE_RUN"; do
    [ ! -d "$dir" ] || find "$dir" -mindepth 1 -maxdepth 2 ! -name 'ns'
  done | sort
  echo 'processes:' && processes
}

# processes: those of Stave, by name; a monitor may be on its way out, so it looks twice.
processes() {
  for try in 1 2 3 4 5 6 7 8 9 10; do
    found=$(cat /proc/[0-9]*/comm 2>/dev/null | grep '^stave' | sort)
    [ -n "$found" ] || break
    [ "$try" = 10 ] || sleep 0.03
  done
  echo "$found"
}

# left BEFORE: what differs from that snapshot: lines that came (+) and went (-). Others may start and
# end containers on the machine meanwhile, so only what differs at each of several looks counts,
# and a cgroup that went is theirs.
left() {
  printf '%s\n' "$1" | grep . >"$T/was"
  for look in 1 2 3 4 5; do
    [ "$look" = 1 ] || sleep 0.2
    snapshot | grep . >"$T/is"
    {
      grep -Fxv -f "$T/was" "$T/is" | sed 's/^/+ /'
      grep -Fxv -f "$T/is" "$T/was" | grep -v '^/sys/fs/cgroup/' | sed 's/^/- /'
    } >"$T/differs"
    if [ "$look" -gt 1 ]; then
      grep -Fx -f "$T/differs" "$T/left" >"$T/still"
      mv "$T/still" "$T/differs"
    fi
    mv "$T/differs" "$T/left"
    [ -s "$T/left" ] || return 0
  done
  cat "$T/left"
}

# nothing_left WHAT BEFORE: the machine is as in that snapshot.
nothing_left() {
  is "$1" "$(left "$2")" ''
}

# fresh: roots of its own, empty.
fresh() {
  # As the kernel names it in mountinfo.
  T=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/stave-test.XXXXXX")")
  export STAVE_ROOT="$T/root" STAVE_RUN="$T/run"
  mkdir "$STAVE_ROOT" "$STAVE_RUN"
  cd "$T" || exit 1
  mounts / >"$T/mounts"
  cgroups '*' >"$T/cgroups"
}

# At the end of each script: whatever it made goes, and the plan is printed.
finish() {
  end=$?
  trap - EXIT
  # shellcheck disable=SC2046 # one word an id
  [ -z "$(ls "$STAVE_ROOT/c" 2>/dev/null)" ] || stave rm -f $(ls "$STAVE_ROOT/c") >/dev/null
  cd / || exit 1
  rm -rf --one-file-system "$T" || fail 'its directory can be removed'
  [ "$end" = 0 ] || fail "the script ended with status $end"
  echo "1..$tap"
  [ "$bad" = 0 ]
  exit
}

# busybox_tar FILE: a root file system of busybox-static alone.
busybox_tar() {
  busybox=$(command -v busybox) || skip_all 'there is no busybox'
  tree=$(mktemp -d "${TMPDIR:-/tmp}/stave-tree.XXXXXX")
  (
    cd "$tree" || exit 1
    mkdir bin etc home proc sys dev srv var tmp root
    chmod 755 . && chmod 1777 tmp && chmod 700 root && chown 33:34 srv
    cp "$busybox" bin/busybox
    for applet in $(busybox --list); do
      [ "$applet" = busybox ] || ln -s busybox "bin/$applet"
    done
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' \
      'web:x:33:34::/srv:' >etc/passwd
    printf '%s\n' 'root:x:0:' 'www:x:34:' 'ssl:x:101:web' 'nogroup:x:65534:' >etc/group
    tar --sort=name --numeric-owner -cf - .
  ) >"$1" || exit 1
  rm -rf "$tree"
}

# prepare DIR: busybox.tar, the same as a directory (busybox/), and roots in which it is loaded
# and unpacked as busybox:latest (root/). run.sh does this once for all scripts.
prepare() {
  busybox_tar "$1/busybox.tar"
  mkdir "$1/busybox" && tar -C "$1/busybox" -xf "$1/busybox.tar"
  mkdir "$1/root"
  STAVE_ROOT=$1/root stave load -t busybox:latest "$1/busybox.tar" >"$1/descriptor" &&
    STAVE_ROOT=$1/root stave unpack busybox >"$1/document" ||
    echo '# the image busybox could not be made'
}

# rootfs: from here on $B is a directory with busybox's root file system, for --rootfs. It is a
# lower layer, so nobody writes to it.
rootfs() {
  prepared=${STAVE_PREPARED-}
  if [ -z "$prepared" ]; then
    prepared=$T/prepared
    mkdir "$prepared" && prepare "$prepared"
  fi
  export B="$prepared/busybox"
}

# attack NAME FILE: a program of tests/attacks, which needs nothing of the root that it runs in.
attack() {
  gcc -O1 -Wall -static -o "$2" "$here/../attacks/$1.c" || fail "attacks/$1.c can be compiled"
}

# bundle DIR FILTER...: an OCI bundle over busybox's root: a plain document of the specification's, and
# what the jq filters make of it.
bundle() {
  at=$1
  shift
  mkdir -p "$at/rootfs" && cp -a "$B/." "$at/rootfs/"
  filter=.
  for f; do filter="$filter | $f"; done
  jq -n '{ociVersion: "1.0.2", root: {path: "rootfs"},
    process: {args: ["true"], cwd: "/", user: {uid: 0, gid: 0}, env: ["PATH=/bin"],
      capabilities: ({bounding: ["CAP_KILL", "CAP_CHOWN"]} | .effective = .bounding | .permitted = .bounding)},
    mounts: [{destination: "/proc", type: "proc", source: "proc"},
      {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]},
      {destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666"]},
      {destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]}],
    linux: {namespaces: [{type: "pid"}, {type: "mount"}, {type: "ipc"}, {type: "uts"}, {type: "network"}],
      maskedPaths: ["/proc/kcore", "/proc/keys"], readonlyPaths: ["/proc/sys", "/proc/sysrq-trigger"]}}' |
    jq "$filter" >"$at/config.json"
}

# oci VERB...: stave-oci with a root of the script's own.
oci() {
  stave-oci --root "$T/oci" "$@"
}

# image: busybox:latest is in the script's own store, unpacked.
image() {
  rootfs
  cp -a "$prepared/root/." "$STAVE_ROOT/"
}

fresh
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
