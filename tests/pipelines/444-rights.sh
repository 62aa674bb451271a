#!/bin/sh
# Rights that the runtime or its caller has and a workload must not: groups, ambient and inheritable
# capabilities (CVE-2022-29162, CVE-2022-24769), keys, and what set-user-id and file capabilities give under
# no_new_privs.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 setpriv setcap
[ "$(id -u)" = 0 ] || skip_all 'the caller must have rights that can be left over'
rootfs
before=$(snapshot)
bundle box
cp box/config.json plain.json
config() { jq "$1" plain.json >box/config.json; }
STATUS='.process.args = ["grep", "-E", "^(Groups|Cap...|NoNewPrivs):", "/proc/self/status"]'
# flat: the lines of status in one, blanks made one.
flat() { tr -s ' \t\n' ' ' | sed 's/ $//'; }
# rich COMMAND...: a caller with groups, inheritable and ambient capabilities, and a session keyring.
rich() {
  setpriv --groups 1234,5678 --inh-caps +sys_admin,+net_admin,+kill --ambient-caps +sys_admin,+kill "$@"
}
KILL='CapInh: 0000000000000000 CapPrm: 0000000000000021 CapEff: 0000000000000021 CapBnd: 0000000000000021 CapAmb: 0000000000000000'

# What the document says, whatever the caller has.
config "$STATUS"
is 'rights are the document'"'"'s' "$(rich stave-oci --root "$T/oci" run -b box rights-a | flat)" "Groups: $KILL NoNewPrivs: 0"
config "$STATUS"' | .process.user = {uid: 1000, gid: 1000, additionalGids: [7]}'
like 'a user has the groups that are said' "$(rich stave-oci --root "$T/oci" run -b box rights-b | flat)" '^Groups: 7 CapInh: 0+ '
# What it does not say is nothing.
config "$STATUS"' | del(.process.user, .process.capabilities, .process.env)'
none='CapInh: 0000000000000000 CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 CapAmb: 0000000000000000'
is 'without a user, without capabilities: none' "$(rich stave-oci --root "$T/oci" run -b box rights-c | flat)" "Groups: $none NoNewPrivs: 0"
config 'del(.process.env) | .process.args = ["env"]'
is 'without variables: none of the caller'"'"'s' "$(SECRET=1 LD_PRELOAD='' oci run -b box rights-d | grep -c -e SECRET -e LD_ -e STAVE)" 0

# The same where one enters.
is 'stave run' "$(rich stave run --rm --rootfs "$B" grep -E '^(Groups|CapInh|CapAmb):' /proc/self/status | flat)" \
  'Groups: CapInh: 0000000000000000 CapAmb: 0000000000000000'
rich stave run -d --name web --rootfs "$B" sleep 1000 >/dev/null
for user in root web 1000; do
  is "exec as $user" "$(rich stave exec -u "$user" web grep -E '^(CapInh|CapAmb):' /proc/self/status | flat)" \
    'CapInh: 0000000000000000 CapAmb: 0000000000000000'
done
like 'groups of exec are the user'"'"'s' "$(rich stave exec -u web web id)" 'groups=34\(www\),101\(ssl\)$'
unlike 'and root'"'"'s' "$(rich stave exec web id)" '1234|5678'
is 'a set-group-id program leaves no group' "$(stave exec -u 1000:2000 web sh -c 'id -G')" 2000
stave rm -f web >/dev/null

# (busybox gives up the effective user at once, and keeps the saved one.)
# no_new_privs: neither a set-user-id program nor file capabilities give anything.
mkdir box/rootfs/suid box/rootfs/file
cp "$B/bin/busybox" box/rootfs/suid/grep && chmod 4755 box/rootfs/suid/grep
cp "$B/bin/busybox" box/rootfs/file/grep && setcap cap_chown,cap_kill+ep box/rootfs/file/grep
for nnp in false true; do
  config ".process.noNewPrivileges = $nnp | .process.user = {uid: 1000, gid: 1000} |
    .process.capabilities = {bounding: [\"CAP_CHOWN\", \"CAP_KILL\"]} | .process.args = [\"sh\", \"-c\",
    \"/suid/grep Uid /proc/self/status; /file/grep CapEff /proc/self/status\"]"
  [ $nnp = true ] && wanted='Uid: 1000 1000 1000 1000 CapEff: 0000000000000000' || wanted='Uid: 1000 1000 0 1000 CapEff: 0000000000000021'
  is "set-user-id and file capabilities, no_new_privs $nnp" "$(oci run -b box "nnp$nnp" | flat)" "$wanted"
done

# Keys: the session keyring is the container's own, and holds nothing of the caller's.
cat >key.py <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None)
add, keyctl = (248, 250) if os.uname().machine == 'x86_64' else (217, 219)
if libc.syscall(add, b'user', b'stave-secret', b'secret', 6, -3) < 0: sys.exit(1)
os.execvp(sys.argv[1], sys.argv[1:])
END
cat >box/rootfs/key.c <<'END'
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void) {
  printf("%ld %ld\n", syscall(SYS_keyctl, 10, -3, "user", "stave-secret", 0), syscall(SYS_keyctl, 0, -3, 0) != 0);
  return 0;
}
END
gcc -static -o box/rootfs/bin/key box/rootfs/key.c || fail 'key.c compiles'
if keyctl=$(python3 key.py box/rootfs/bin/key) && [ "${keyctl% *}" != -1 ]; then
  config '.process.args = ["key"]'
  is 'a key of the caller'"'"'s session is not found' "$(python3 key.py stave-oci --root "$T/oci" run -b box key)" '-1 1'
  cp -a box/rootfs keys
  python3 key.py stave run -d --name keys --rootfs "$T/keys" sleep 1000 >/dev/null
  is 'nor in the background, nor by exec' "$(python3 key.py stave exec keys key)" '-1 1'
  stave rm -f keys >/dev/null
else
  skip 'keys' 'this kernel, or a filter, does not know them'
fi
nothing_left 'nothing is left' "$before"
