#!/bin/sh
# As an ordinary user: a container in a user namespace, with the one id that everybody has, and with
# those of /etc/subuid; and as root with ids that no other container has.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need setpriv
[ "$(id -u)" = 0 ] || skip_all 'root is needed to become somebody else'
image
chmod 711 "$T"
before=$(snapshot)

# Root: a part of the containers' ids; the layers stay as they are, and show in its light.
layers=$(find "$STAVE_ROOT/layers" -mindepth 2 -printf '%p %u %g %c\n' | sort)
try stave run --name auto --userns auto busybox sh -c 'cat /proc/self/uid_map; stat -c "%u %g" / /srv /root; touch /srv/new; id -u'
first=$(printf '%s\n' "$out" | awk 'NR == 1 { print $2 }')
is 'auto: the layers show their own ids' "$(printf '%s\n' "$out" | tail -n +2)" '0 0
33 34
0 0
0'
is 'auto: from the ids of containers' "$([ "$first" -ge 524288 ] && [ "$first" -lt 1879048192 ] && echo so)" so
is 'what is written is of ids outside' "$(stat -c %u "$STAVE_ROOT/c/$(id_of auto)/upper/srv/new")" "$first"
is 'nothing was changed below' "$(find "$STAVE_ROOT/layers" -mindepth 2 -printf '%p %u %g %c\n' | sort)" "$layers"
is 'another container, other ids' "$(stave run --rm --userns auto busybox awk '{ print $2 }' /proc/self/uid_map | grep -cvx "$first")" 1
stave rm auto >/dev/null
try stave run --rm --uidmap 0:200000:1000 --gidmap 0:300000:1000 busybox cat /proc/self/uid_map /proc/self/gid_map
is '--uidmap and --gidmap' "$(printf '%s\n' "$out" | tr -s ' ')" ' 0 200000 1000
 0 300000 1000'
stave run -d --name web --userns auto busybox sleep 60 >/dev/null
try stave exec web sh -c 'id -u; hostname; ls /proc | grep -c "^[0-9]"'
is 'exec' "$(printf '%s\n' "$out" | head -n 2)" "0
$(id_of web)"
is 'exec -u' "$(stave exec -u web web id -G)" '34 101'
is 'its init is nobody outside' "$(stat -c %u "/proc/$(jq .pid "$STAVE_RUN/$(id_of web)/state.json")" | grep -cx 0)" 0
stave rm -f web >/dev/null
refuses 'keep-id is for others' 2 'keep-id' stave run --rm --userns keep-id busybox true
refuses 'a map that is none' 2 'INSIDE:OUTSIDE:COUNT' stave run --rm --uidmap 0 busybox true
refuses 'a map without root' 125 'linux.uidMappings: nothing stands for 0' stave run --rm --uidmap 1:200000:5 busybox true
like 'the pipeline has ns before mount' "$(stave run -n --userns auto busybox true)" 'stave ns --userns auto .*\| stave mount'

# An ordinary user.
mkdir own && chown 65534:65534 own && cp "$prepared/busybox.tar" own/busybox.tar
as() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$T/own" STAVE_ROOT="$T/own/root" STAVE_RUN="$T/own/run" PATH="$PATH" "$@"; }
as stave --version >/dev/null 2>&1 || skip_all 'an ordinary user cannot reach the tools'
as unshare --user true 2>/dev/null || skip_all 'an ordinary user gets no user namespace'
cd own || exit 1
as stave load -t busybox busybox.tar >/dev/null
try as stave run --name one busybox sh -c 'id -u; tr -s " " </proc/self/uid_map; touch /srv/new; rm /etc/group; ls /etc; echo $$; exit 7'
is 'run with its one id' "$status $out" "7 0
 0 65534 1
passwd
1"
is 'what it wrote is its own' "$(stat -c %u root/c/*/upper/srv/new)" 65534
is 'a whiteout hides what the image had' "$(stat -c '%F %t:%T' root/c/*/upper/etc/group)" 'character special file 0:0'
is 'ps' "$(as stave ps -aq | wc -l)" 1
ok 'rm' as stave rm one
try as stave run --rm busybox sh -c 'ls /dev; echo x >/dev/null; head -c 3 /dev/zero | wc -c; ls /sys/class/net; tail -n +3 /proc/net/dev'
is 'devices and a network of its own' "$(printf '%s\n' "$out" | tail -n 3 | cut -c 1-9)" '3
lo
    lo:  '
is "the machine's network" "$(as stave run --rm --network host busybox ls /sys/class/net)" "$(ls /sys/class/net)"
as stave run -d --name web busybox sleep 60 >/dev/null
try as stave exec web sh -c 'id -u; [ "$(readlink /proc/self/ns/pid)" = "$(readlink /proc/1/ns/pid)" ] && ls -d /proc/1'
is 'exec' "$status $out" '0 0
/proc/1'
is 'exec -w' "$(as stave exec -w /srv web pwd)" /srv
ok 'kill' as stave kill web
is 'wait' "$(as stave wait web)" 137
ok 'rm of what has run' as stave rm web
pipeline=$(as stave run -n --name piped busybox echo through the pipe)
is 'run -n | sh' "$(as sh -c "$pipeline")" 'through the pipe'
as stave rm piped >/dev/null
refuses 'a limit that nobody delegated is named' 125 '^stave-run: make directory /sys/fs/cgroup/.*: Permission denied; it needs write access to the cgroup tree' \
  as stave run --rm -m 64M busybox true
refuses 'a user that has no id is named' 125 '^stave-run: user web: the user namespace has no 33:34; .*/etc/subuid' \
  as stave run --rm -u web busybox true
refuses '--host' 125 "^stave-run: --host: an ordinary user cannot have the machine's own root" as stave run --rm --host true
is 'nothing is left' "$(ls root/c root/names)" 'root/c:

root/names:'
# The OCI runtime, with the bundle that runc makes for an ordinary user.
if command -v runc >/dev/null && command -v stave-oci >/dev/null; then
  as mkdir -p bundle/rootfs && as tar -C bundle/rootfs -xf busybox.tar
  (cd bundle && as runc spec --rootless)
  as sh -c 'jq ".process.terminal = false | .process.args = [\"sh\", \"-c\", \"id -u; tr -s \\\" \\\" </proc/self/uid_map; hostname; exit 4\"] |
    del(.process.capabilities.ambient) | .linux.uidMappings[0].hostID = 65534 | .linux.gidMappings[0].hostID = 65534" bundle/config.json >new && mv new bundle/config.json'
  try as runc --root "$T/own/runc" run --bundle bundle "runc-$$"
  theirs="$status $out"
  try as stave-oci --root "$T/own/oci" run --bundle bundle "ours-$$"
  is 'stave-oci as runc' "$status $out$err" "$theirs"
  as stave-oci --root "$T/own/oci" create --bundle bundle "ours-$$" </dev/null >/dev/null 2>&1
  is 'create and state' "$(as stave-oci --root "$T/own/oci" state "ours-$$" | jq -r .status)" created
  ok 'delete --force' as stave-oci --root "$T/own/oci" delete --force "ours-$$"
  is 'it leaves nothing' "$(ls oci)" ''
else
  skip 'stave-oci as runc' 'there is no runc, or no stave-oci'
fi

# The switch that a system may have: it is of a user namespace, so here it can be tried.
if [ "$(unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && echo so')" = so ]; then
  try as unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; stave run --rm --uidmap 0:0:1 busybox true'
  like 'user.max_user_namespaces is named' "$err" 'user.max_user_namespaces is 0; root can allow it: sysctl -w'
else
  skip 'user.max_user_namespaces is named' 'it cannot be set in a user namespace'
fi

# More ids, if root gives some.
cd "$T" || exit 1
if command -v newuidmap >/dev/null && echo nobody:100000:65536 >subid &&
  mount --bind subid /etc/subuid 2>/dev/null && mount --bind subid /etc/subgid; then
  cd own || exit 1
  try as stave run --rm busybox sh -c 'tr -s " " </proc/self/uid_map; mkdir -p /srv/a/b; chown -R web:www /srv/a; chmod 700 /srv/a; stat -c "%u %g" /srv/a/b'
  is 'subuid: the ids, and files of others' "$status $out" '0  0 65534 1
 1 100000 65536
33 34'
  is 'what others wrote is taken away too' "$(ls root/c)" ''
  is 'subuid: -u' "$(as stave run --rm -u web busybox id -G)" '34 101'
  try as stave run --rm --userns keep-id -u 65534:65534 busybox sh -c 'id -u; touch /tmp/x && stat -c %u /tmp/x; tr -s " " </proc/self/uid_map'
  is 'keep-id' "$out" '65534
65534
 0 100000 65534
 65534 65534 1
 65535 165534 2'
  as stave run -d --name web busybox sleep 60 >/dev/null
  is 'subuid: exec -u' "$(as stave exec -u web web id -u)" 33
  ok 'rm -f' as stave rm -f web
  cd "$T" && umount /etc/subuid /etc/subgid
else
  skip 'more ids' 'there is no newuidmap, or /etc/subuid cannot be covered'
fi
refuses 'keep-id without them says what is lacking' 125 'keep-id: there is .*/etc/subuid.* for user 65534; root can give it some: usermod' \
  as stave run --rm --userns keep-id busybox true

rm -rf own
nothing_left 'nothing is left on the machine' "$before"
