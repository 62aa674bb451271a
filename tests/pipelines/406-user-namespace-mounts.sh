#!/bin/sh
# Mounts with mapped ids (config.md, idmap), and mounts, devices and hierarchies in a user namespace.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq runc
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)
chmod 755 "$T"
mkdir bundle state && cp -a "$B" bundle/rootfs && chown -R 100000:100000 bundle/rootfs
(cd bundle && runc spec && jq '.process.terminal = false | del(.process.capabilities.ambient) | .root.readonly = false' \
  config.json >base && mv base ..)
user='.linux.namespaces += [{type: "user"}] | .linux |= (.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .gidMappings = .uidMappings) | '
# run JQ SHELL; its output is $out
run() {
  jq -c --arg run "$2" ".process.args = [\"sh\", \"-c\", \$run] | $1" base >bundle/config.json
  try stave-oci --root "$T/state" run --bundle "$T/bundle" c1
}
# gives WHAT WANTED JQ SHELL
gives() {
  run "$3" "$4"
  is "$1" "$status $out$err" "0 $2"
}
# fails WHAT REGEX JQ
fails() {
  run "$3" true
  like "$1" "$status $err" "^1 .*$2"
  is "$1: no container is left" "$(ls state)" ''
}

# Ids of a mount. Files of 0, 33 and 1000; a mount below.
mkdir -p src/below && echo a >src/a && echo b >src/b && chown 33:34 src/b && chown 1000:1000 src
mount -t tmpfs -o mode=755 tmpfs src/below && echo c >src/below/c && chown 33:33 src/below/c
map='uidMappings: [{containerID: 0, hostID: 5000, size: 40}], gidMappings: [{containerID: 0, hostID: 6000, size: 40}]'
stat='stat -c "%n %u:%g"'
gives 'idmap: by its own map' '/data/a 5000:6000
/data/b 5033:6034
/data 65534:65534
/data/below/c 33:33' ".mounts += [{destination: \"/data\", source: \"$T/src\", options: [\"rbind\", \"idmap\"], $map}]" \
  "$stat /data/a /data/b /data /data/below/c"
gives 'ridmap: what is mounted below too' '/data/a 5000:6000
/data/below/c 5033:6033' ".mounts += [{destination: \"/data\", source: \"$T/src\", options: [\"rbind\", \"ridmap\"], $map}]" \
  "$stat /data/a /data/below/c"
gives 'a map without the word' '/data/b 5033:6034' ".mounts += [{destination: \"/data\", source: \"$T/src\", options: [\"bind\"], $map}]" "$stat /data/b"
gives 'with other options' '/data/a 5000:6000
ro' ".mounts += [{destination: \"/data\", source: \"$T/src\", options: [\"bind\", \"ro\", \"rprivate\", \"idmap\"], $map}]" \
  "$stat /data/a; touch /data/x 2>/dev/null || echo ro"
gives "the container's map, in a user namespace" '/data/a 0:0
/data/b 33:34' "$user .mounts += [{destination: \"/data\", source: \"$T/src\", options: [\"rbind\", \"idmap\"]}]" "$stat /data/a /data/b"
gives 'what is written there belongs to who wrote it' 0:0 "$user .mounts += [{destination: \"/data\", source: \"$T/src/below\", options: [\"bind\", \"idmap\"]}]" 'echo new >/data/new && stat -c %u:%g /data/new'
is 'and to the mapped one outside' "$(stat -c %u:%g src/below/new)" 0:0
gives 'the same map for mounts of one source' '/one/a 5000:6000
/two/a 0:0' ".mounts += [{destination: \"/one\", source: \"$T/src\", options: [\"bind\", \"idmap\"], $map},
  {destination: \"/two\", source: \"$T/src\", options: [\"bind\"]}]" "$stat /one/a /two/a"
fails 'no map at all' 'mounts.7: idmap: neither the mount nor the container has an id map' \
  ".mounts += [{destination: \"/data\", source: \"$T/src\", options: [\"bind\", \"idmap\"]}]"
fails 'half a map' 'gidMappings' ".mounts += [{destination: \"/data\", source: \"$T/src\", options: [\"bind\"], uidMappings: [{containerID: 0, hostID: 1, size: 1}]}]"
fails 'not a bind' 'only a bind mount can have' '.mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["idmap"]}]'
fails 'a file system that cannot' "the file system of /sys takes no id map" ".mounts += [{destination: \"/data\", source: \"/sys\", options: [\"bind\", \"idmap\"], $map}]"

# What is mounted below is locked to it in a user namespace: it is taken from where the caller is.
one() { echo "$user .mounts += [{destination: \"/data\", source: \"$1\", options: $2}]"; }
gives 'bind in a user namespace: without what is mounted below' 'a b below' "$(one "$T/src" '["bind"]')" 'echo $(ls /data /data/below | grep -v "[:/]" | sort -u)'
gives 'with other options' 'ro' "$(one "$T/src" '["bind", "ro", "rprivate"]')" 'ls /data/below; touch /data/below/x 2>/dev/null || echo ro'
gives 'with its ids mapped' '/data/a 0:0
/data/b 33:34' "$(one "$T/src" '["bind", "idmap"]')" "$stat /data/a /data/b; ls /data/below"
gives 'rbind takes it along' /data/below/c "$(one "$T/src" '["rbind"]')" 'ls /data/below/c'
ln -s src link
gives 'by a link' 'a b below' "$(one "$T/link" '["bind"]')" 'echo $(ls /data)'
# Where an earlier entry put it, it is another: what the caller has there is not taken for it.
mkdir -p bundle/rootfs/mnt && echo beneath >bundle/rootfs/mnt/beneath
twice="$user .mounts += [{destination: \"/mnt\", source: \"$T/src\", options: [\"rbind\"]}, {destination: \"/data\", source: \"$T/bundle/rootfs/mnt\", options: [\"bind\"]}]"
fails 'of an earlier entry: no other in its place' 'what is mounted below is locked there: only rbind takes it' "$twice"
rm -r bundle/rootfs/mnt link
umount src/below

# In a user namespace: sources that the child could not reach, and those that it has made itself.
mkdir -p closed/in && echo reached >closed/in/file && chmod 700 closed && chmod 644 closed/in/file
gives 'a source behind a closed directory' reached "$user .mounts += [{destination: \"/data\", source: \"$T/closed/in\", options: [\"rbind\"]}]" 'cat /data/file'
gives 'a source that an earlier mount made' reached "$user .mounts += [{destination: \"/data\", source: \"$T/closed/in\", options: [\"rbind\"]},
  {destination: \"/again\", source: \"$T/bundle/rootfs/data\", options: [\"rbind\"]}]" 'cat /again/file'
fails 'a source that is not there' ': /no/such: no such file or directory$' "$user .mounts += [{destination: \"/data\", source: \"/no/such\", options: [\"bind\"]}]"

# Flags that a mount came with are locked there.
mkdir locked && mount -t tmpfs tmpfs locked && mount -o remount,bind,ro,nosuid,nodev locked
flags='awk "\$5 == \"/data\" { print \$6 }" /proc/self/mountinfo'
bind() { echo "$user .mounts += [{destination: \"/data\", source: \"$T/locked\", options: $1}]"; }
gives 'locked flags stay' 'ro,nosuid,nodev,relatime' "$(bind '["bind"]')" "$flags"
gives 'others come to them' 'ro,nosuid,nodev,noexec,relatime' "$(bind '["bind", "noexec"]')" "$flags"
fails 'one that is to go is an error' 'mounting .*/locked on /data: a flag that it comes with is locked: operation not permitted' "$(bind '["bind", "rw"]')"
gives 'without a user namespace it goes' 'rw,relatime' ".mounts += [{destination: \"/data\", source: \"$T/locked\", options: [\"bind\", \"rw\"]}]" "$flags"
umount locked

# Devices: bound from the host, since none may be made.
gives 'devices' '1:3 65534
1:5 65534
5:0 65534
pts/ptmx' "$user ." 'stat -c "%t:%T %u" /dev/null /dev/zero /dev/tty; readlink /dev/ptmx; echo >/dev/null'
gives 'one that is asked for' 1:7 "$user .linux.devices = [{path: \"/dev/full\", type: \"c\", major: 1, minor: 7}, {path: \"/dev/pipe\", type: \"p\"}]" \
  'stat -c %t:%T /dev/full; test -p /dev/pipe'

# Those of the document have its owner and mode, whatever the host has: they are made outside.
asked() { echo "$user .linux.devices = [$1]"; }
node='stat -c "%n %F %a %u:%g %t:%T"'
both='{path: "/dev/foo", type: "b", major: 1, minor: 5, uid: 10, gid: 11, fileMode: 111}, {path: "/srv/deep/zero", type: "c", major: 1, minor: 5, uid: 33, fileMode: 384}'
wanted='/dev/foo block special file 157 10:11 1:5
/srv/deep/zero character special file 600 33:0 1:5'
gives 'devices that the host has not, with owner and mode' "$wanted" "$(asked "$both")" "$node /dev/foo /srv/deep/zero"
gives 'whatever the umask' "$wanted" "$(umask 077; asked "$both")" "$node /dev/foo /srv/deep/zero"
gives 'once more, in the same root' "$wanted" "$(asked "$both")" "$node /dev/foo /srv/deep/zero"
mine='{path: "/dev/mine", type: "c", major: 1, minor: 5, fileMode: 384}'
gives 'they work, for whom they are' 3 "$(asked "$mine")" 'head -c 3 /dev/mine | wc -c'
gives 'and for no other' 'denied' "$(asked "$mine") | .process.user = {uid: 1, gid: 1}" 'cat /dev/mine 2>/dev/null || echo denied'
gives 'they are mounts on which nothing runs' 'nosuid noexec' "$(asked "$both")" 'awk "\$5 == \"/dev/foo\" { print \$6 }" /proc/self/mountinfo | grep -oE "nosuid|noexec|nodev" | tr "\n" " " | sed "s/ $//"'
gives 'what the host has as another' '1:3 0' "$(asked '{path: "/dev/zero", type: "c", major: 1, minor: 3}')" 'stat -c "%t:%T %u" /dev/zero'
gives 'an id that stands for nothing is nobody' '600 65534:0' "$(asked '{path: "/dev/foo", type: "c", major: 1, minor: 5, uid: 70000, fileMode: 384}')" 'stat -c "%a %u:%g" /dev/foo; cat /dev/foo 2>/dev/null; :'
echo text >bundle/rootfs/srv/file
fails 'something else is there' 'make device /srv/file: what is there is not device 1:5' "$(asked '{path: "/srv/file", type: "c", major: 1, minor: 5}')"
rm -r bundle/rootfs/srv/file bundle/rootfs/srv/deep
like 'nothing of them is made in the root' "$(find bundle/rootfs -type b -o -type c | wc -l)" '^0$'
# Whoever may make none himself binds the host's.
if command -v capsh >/dev/null; then
  poor() {
    jq -c --arg run "$2" ".process.args = [\"sh\", \"-c\", \$run] | $1" base >bundle/config.json
    try capsh --drop=cap_mknod -- -c "stave-oci --root '$T/state' run --bundle '$T/bundle' c1"
  }
  poor "$(asked '{path: "/dev/full", type: "c", major: 1, minor: 7}')" 'stat -c "%t:%T %u" /dev/full'
  is 'without CAP_MKNOD: the one of the host' "$status $out$err" '0 1:7 65534'
  poor "$(asked '{path: "/dev/none", type: "c", major: 1, minor: 3}')" true
  like 'one that the host has not' "$status $err" '^1 .*/dev/none: no such file or directory'
  poor "$(asked '{path: "/dev/zero", type: "c", major: 1, minor: 3}')" true
  like 'one that is another there' "$status $err" '^1 .*/dev/zero of the host is not device 1:3'
else
  skip 'without CAP_MKNOD: the one of the host' 'there is no capsh'
fi

# What is the host's is bound, where the kernel makes no new one.
gives 'sysfs with the network of the host' 'sysfs ro
all' "$user .linux.namespaces |= map(select(.type != \"network\"))" \
  'awk "\$2 == \"/sys\" { print \$3, substr(\$4, 1, 2) }" /proc/mounts; [ "$(ls /sys/class/net | wc -l)" -gt 0 ] && echo all; touch /sys/kernel/mm/x 2>/dev/null; :'
[ -d /dev/mqueue ] && gives 'mqueue with the queues of the host' mqueue "$user .linux.namespaces |= map(select(.type != \"ipc\"))" 'awk "\$2 == \"/dev/mqueue\" { print \$3 }" /proc/mounts'
[ -d /dev/mqueue ] || skip 'mqueue with the queues of the host' 'the host has no /dev/mqueue'
gives 'cgroups' ro "$user .linux.namespaces += [{type: \"cgroup\"}] | .linux.namespaces |= unique | .mounts += [{destination: \"/sys/fs/cgroup\", type: \"cgroup\", source: \"cgroup\", options: [\"ro\"]}]" \
  'grep -q "^cgroup2* /sys/fs/cgroup" /proc/mounts && { mkdir /sys/fs/cgroup/x /sys/fs/cgroup/pids/x 2>/dev/null || echo ro; }'
gives 'masks and read-only paths' '0 ro' "$user ." 'head -c 10 /proc/kcore 2>/dev/null | wc -c | tr "\n" " "; (echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo ro'
gives 'tmpcopyup' 'root:x:0:0' "$user .mounts += [{destination: \"/etc\", type: \"tmpfs\", source: \"tmpfs\", options: [\"tmpcopyup\"]}]" 'head -n 1 /etc/passwd | cut -c-10'
gives 'propagation' 'made' "$user .linux.rootfsPropagation = \"shared\"" 'echo made'

# An overlay of one's own there keeps its notes in user attributes.
mkdir low && echo low >low/file && mkdir up work && chown 0:0 low
step=$(jq -cn --arg t "$T" '{overlay: {lower: [$t + "/low"], upper: ($t + "/up"), work: ($t + "/work"), at: ($t + "/merged"), volatile: false, userxattr: true}}')
mkdir merged
is 'an overlay in a user namespace' "$(unshare -Ur -m sh -c 'stave step "$1" && rm "$2/merged/file" && mkdir "$2/merged/d" && ls "$2/merged" && grep -o userxattr /proc/mounts' sh "$step" "$T" 2>&1)" 'd
userxattr'
rm -rf up work
nothing_left 'nothing is left' "$before"
