#!/bin/sh
# As an ordinary user: what can be done without rights is done; for the rest one line says which
# right is lacking.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need setpriv
[ "$(id -u)" = 0 ] || skip_all 'root is needed to become somebody else'
rootfs
chmod 711 "$T"
mkdir own && chown 65534:65534 own
as() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$T/own" STAVE_ROOT="$T/own/root" STAVE_RUN="$T/own/run" "$@"; }
as stave --version >/dev/null 2>&1 || skip_all 'an ordinary user cannot reach the tools'
before=$(snapshot)

cd own || exit 1
ok 'new works in roots of its own' as sh -c 'stave new web >doc'
is 'the directory is its own' "$(stat -c %u root/c/*)" 65534
is 'new | spawn -- id, without a right' "$(as sh -c 'stave new | stave spawn -- id -u')" 65534
is 'its status' "$(as sh -c 'stave new | stave spawn -- sh -c "exit 7"'; echo $?)" 7
is 'ps' "$(as stave ps -aq | wc -l)" 3
ok 'rm' as sh -c 'stave rm $(stave ps -aq)'
is 'nothing is left of it' "$(ls root/c root/names)" 'root/c:

root/names:'

# What needs a right says which.
as stave new web --rootfs "$B" >doc
as stave new plain >/dev/null
lacks() {
  what=$1 regex=$2
  shift 2
  refuses "$what" 1 "$regex" "$@"
}
lacks 'limit' '^stave-limit: make directory /sys/fs/cgroup/.*: Permission denied; it needs write access to the cgroup tree' as stave limit -m 64M plain
ok 'mount leaves nothing behind: the process will mount' as stave mount web
is 'nor is anything mounted' "$(grep -c "$T/own" /proc/self/mountinfo)" 0
ok 'ns leaves nothing behind: the process will make them' as stave ns web
is 'but a user namespace in the document' "$(as stave inspect web | jq -r '.linux.namespaces[] | select(.type == "user") | .type')" user
refuses 'run --userns host' 125 '^stave-run: .*; it needs CAP_SYS_ADMIN' as stave run --userns host --rootfs "$B" true
refuses 'run --host' 125 '^stave-run: --host: an ordinary user cannot' as stave run --host true
refuses 'new where it may not write' 1 '^stave-new: make directory .*: Permission denied; it needs write access there' \
  as env STAVE_ROOT=/nowhere stave new
ok '-n needs no right' as stave limit -n -m 64M web
like 'and shows what would be done' "$out" '^echo 67108864 >'
ok 'rm' as sh -c 'stave rm $(stave ps -aq)'

cd "$T" && rm -r own
nothing_left 'nothing is left' "$before"
