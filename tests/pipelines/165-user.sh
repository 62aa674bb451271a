#!/bin/sh
# As an ordinary user: what needs no right works, and what lacks one says in one line which.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq setpriv
[ "$(id -u)" = 0 ] || skip_all 'only root can become another user'
rootfs

# The user may enter the directory, and has roots of its own in it.
chmod 755 "$T"
case $T in
*/stave-tests.*/*/*) chmod a+x "$(dirname "$T")" "$(dirname "$(dirname "$T")")" ;; # those of run.sh
esac
mkdir own
chown 65534:65534 own "$STAVE_ROOT" "$STAVE_RUN"
as_user() {
  setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
as_user sh -c "stave --version && cat '$B/etc/passwd' && ls '$T'" >/dev/null 2>&1 ||
  skip_all 'the user 65534 can reach neither the tools nor the root file system'
before=$(snapshot)

# What needs no right.
try as_user stave new web
is 'new makes a container' "$status/$(printf '%s\n' "$out" | jq -r .stave.name)" 0/web
is 'in a root of its own' "$(stat -c %u "$STAVE_ROOT/c/$(id_of web)")" 65534
ok 'ps lists it' as_user stave ps -a
ok 'rm takes it away' as_user stave rm web
nothing_left 'and nothing is left' "$before"
try as_user sh -c 'stave new | stave spawn --rm -- id -u'
is 'new | spawn runs a command' "$status/$out$err" 0/65534
try as_user sh -c 'stave new | stave spawn --rm -- sh -c "exit 7"'
is 'and gives its status' "$status" 7
try as_user sh -c 'stave new | stave spawn --rm -- grep CapEff /proc/self/status'
is 'without any capability' "$out" "CapEff:	0000000000000000"
nothing_left 'and leaves nothing' "$before"

# XDG_DATA_HOME and XDG_RUNTIME_DIR stand in for the two roots.
try as_user env -u STAVE_ROOT -u STAVE_RUN XDG_DATA_HOME="$T/own/data" XDG_RUNTIME_DIR="$T/own/run" stave new
is 'without STAVE_ROOT: below XDG_DATA_HOME' "$status $(ls own/data/stave)" '0 c'
refuses 'without any of them' 1 '^stave-new: .*STAVE_ROOT, XDG_DATA_HOME and HOME are unset' \
  as_user env -u STAVE_ROOT -u STAVE_RUN -u XDG_DATA_HOME -u HOME stave new
refuses "in somebody else's root" 1 '^stave-new: .*Permission denied; it needs write access there' \
  as_user env STAVE_ROOT=/var/lib/stave-not-mine stave new

# What lacks a right: one line, and which.
try as_user sh -c "stave new --rootfs '$B' | stave limit -m 64M"
like 'limit says which right it lacks' "$(printf '%s\n' "$err" | head -n 1)" '^stave-limit: .*; it needs write access to the cgroup tree'
is 'limit: 1' "$status" 1
like 'limit: and names what earlier stages made' "$(printf '%s\n' "$err" | sed 1d)" '^stave-[a-z]*: left: stave rm [0-9a-f]{12}$'
id=$(printf '%s\n' "$err" | awk '/left:/ { print $NF }')
ok 'limit: rm takes it away' as_user stave rm "$id"
nothing_left 'limit: and nothing is left' "$before"

# What an ordinary user may do is done in a user namespace (416).
try as_user stave run --rm --rootfs "$B" id -u
is 'run' "$status $out" '0 0'
nothing_left 'run leaves nothing' "$before"

# Containers of root's are not the user's to see or to end.
stave new mine >/dev/null
refuses "root's container cannot be read" 1 '^stave-inspect: .*(Permission denied|no container)' as_user stave inspect mine
try as_user stave rm mine
like 'nor removed' "$status" '^1$'
ok 'it is still there' stave inspect mine
stave rm mine >/dev/null
nothing_left 'nothing is left' "$before"
