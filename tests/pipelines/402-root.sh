#!/bin/sh
# The root of a container: where it may lie, how it is entered, what its propagation is, where things
# are mounted in it, and what may not be.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq runc
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)
mkdir bundle state && cp -a "$B" bundle/rootfs
(cd bundle && runc spec && jq '.process.terminal = false | del(.process.capabilities.ambient) | .root.readonly = false' config.json >base && mv base ..)
# run JQ SHELL [FLAG...]: a container of the bundle, with the document changed so.
run() {
  filter=$1 shell=$2
  shift 2
  jq -c --arg run "$shell" ".process.args = [\"sh\", \"-c\", \$run] | $filter" base >bundle/config.json
  try stave-oci --root "$T/state" run "$@" --bundle "$T/bundle" c1
}
# gives WHAT WANTED JQ SHELL [FLAG...]
gives() {
  what=$1 wanted=$2
  shift 2
  run "$@"
  is "$what" "$status $out$err" "0 $wanted"
}
# fails WHAT REGEX JQ: one line that says why, and nothing is left.
fails() {
  what=$1 regex=$2
  run "$3" true
  if [ "$status" != 0 ] && [ "$(wc -l <"$T/err")" = 1 ]; then like "$what" "$err" "$regex"; else fail "$what" "$status" "$err"; fi
  is "$what: no container is left" "$(ls state)" ''
}
propagation='for p in / /data; do awk -v at="$p" '"'"'$5 == at { line = $5; for (i = 7; $i != "-"; i++) line = line " " substr($i, 1, 6) } END { if (line) print line }'"'"' /proc/self/mountinfo; done'

# Where the root lies.
gives 'a relative path' c1 '.' 'cat /proc/sys/kernel/hostname >/dev/null; echo c1'
gives 'with slashes at its end' yes '.root.path = "rootfs///"' 'echo yes'
gives 'absolute' yes ".root.path = \"$T/bundle/rootfs\"" 'echo yes'
ln -s rootfs bundle/link
gives 'a symbolic link' yes '.root.path = "link"' 'echo yes'
fails 'none there' 'nowhere.*: no such file or directory$' '.root.path = "nowhere"'
echo >bundle/file
fails 'a file' 'file: not a directory$' '.root.path = "file"'
mkdir bundle/mnt && mount --bind bundle/rootfs bundle/mnt
gives 'a mount of its own' yes '.root.path = "mnt"' 'echo yes'
mount --make-shared bundle/mnt
gives 'a shared one' yes '.root.path = "mnt"' 'echo yes; mkdir /new; mount -t tmpfs none /new 2>/dev/null; :'
is 'nothing came out of it' "$(mounts "$T/bundle/mnt" | wc -l)" 1
mount -o remount,bind,ro bundle/mnt
gives 'on a file system that is read-only' 'read-only' '.root.path = "mnt"' 'touch /x 2>/dev/null || echo read-only'
umount bundle/mnt
gives 'root.readonly' 'ro tmp' '.root.readonly = true | .mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]' \
  'touch /x 2>/dev/null || echo -n "ro "; touch /tmp/x && echo tmp'

# Nothing of the old root can be reached.
outside='ls /proc/1/root/'"$T"' 2>&1 | grep -c .; awk "{ print \$5 }" /proc/self/mountinfo | grep -c "^'"$T"'"; :'
gives 'by pivot_root' '1
0' '.' "$outside"
if stave-oci run --help | grep -q -e --no-pivot; then
  gives 'by MS_MOVE' '1
0' '.' "$outside" --no-pivot
  run '.process.capabilities[] += ["CAP_SYS_CHROOT", "CAP_SYS_ADMIN"]' \
    'mkdir -p /d && chroot /d true 2>/dev/null; cd /; for i in 1 2 3 4 5 6 7 8; do cd ..; done; ls -d bundle state 2>/dev/null | wc -l' --no-pivot
  is 'not even by many steps upwards' "$status $out" '0 0'
else
  skip 'by MS_MOVE' 'stave-oci has no --no-pivot yet'
fi
gives 'without a mount namespace: chroot' 'bin
gone' '.linux.namespaces |= map(select(.type != "mount")) | .linux.maskedPaths = [] | .linux.readonlyPaths = [] | .mounts = []' \
  "ls / | grep -x bin; ls $T 2>/dev/null || echo gone"
umount -l bundle/rootfs

# Propagation of the root.
data='.mounts += [{destination: "/data", source: "'$T/data'", options: ["rbind", "rshared"]}]'
mkdir data
gives 'default: nothing comes out' '/
/data' ".linux.rootfsPropagation = null" "mkdir -p /data; mount --bind /data /data 2>/dev/null; echo /; echo /data"
for how in slave rslave private rprivate shared rshared unbindable runbindable; do
  run ".linux.rootfsPropagation = \"$how\"" "$propagation"
  case $how in
  *shared) wanted='/ shared' ;;
  *unbindable) wanted='/ unbind' ;;
  *) wanted='/( master)?' ;;
  esac
  like "rootfsPropagation $how" "$status $out" "^0 $wanted\$"
done
fails 'another word' 'linux.rootfsPropagation' '.linux.rootfsPropagation = "open"'
# A volume that is shared, in a root that is: what the container mounts there, the host sees; and nowhere else.
mount -t tmpfs tmpfs data && mount --make-rshared data
sys='.process.capabilities[] += ["CAP_SYS_ADMIN"] | .linux.rootfsPropagation = "rshared" | '
run "$sys $data" 'mkdir /data/in && mount -t tmpfs tmpfs /data/in && touch /data/in/seen && mkdir /more && mount -t tmpfs tmpfs /more'
is 'rshared: a mount in a shared volume is seen outside' "$status $(ls data/in)" '0 seen'
is 'and none elsewhere' "$(mounts "$T/bundle" | wc -l)" 0
umount data/in
run "$data" 'mkdir -p /data/in && mount -t tmpfs tmpfs /data/in; true'
is 'but not from a slave' "$(mounts "$T/data" | wc -l)" 1
umount data && rm -rf bundle/rootfs/more

# Where things are mounted.
is 'a relative destination is below the root' "$(run '.mounts += [{destination: "data/x", type: "tmpfs", source: "tmpfs"}]' \
  "awk '\$5 == \"/data/x\" { print \$9 }' /proc/self/mountinfo" && echo "$out")" tmpfs
like 'and that is said' "$(cat "$T/err")" 'warning: mounts: destination data/x is relative'
gives 'a relative source is below the bundle' config.json '.mounts += [{destination: "/data", source: ".", options: ["bind"]}]' 'ls /data | grep config'
gives 'a file on a file that is made' '0' '.mounts += [{destination: "/made/here", source: "config.json", options: ["bind"]}]' \
  'grep -q ociVersion /made/here; echo $?'
ln -sfn /real/conf bundle/rootfs/conf && mkdir -p bundle/rootfs/real
gives 'through a link, to what is made' /real/conf/stack '.mounts += [{destination: "/conf/stack", type: "tmpfs", source: "tmpfs"}]' \
  "awk '\$5 ~ \"stack\" { print \$5 }' /proc/self/mountinfo"
ln -sfn "../../../../../../../..$T/outside" bundle/rootfs/up && mkdir outside
gives 'a link that leads upwards ends at the root' "$T/outside" '.mounts += [{destination: "/up", type: "tmpfs", source: "tmpfs"}]' \
  "awk '\$5 ~ \"outside\" { print \$5 }' /proc/self/mountinfo"
ln -sfn loop bundle/rootfs/loop
fails 'a loop of links' 'mounting tmpfs on /loop/x: Too many levels' '.mounts += [{destination: "/loop/x", type: "tmpfs", source: "tmpfs"}]'
mkdir -p top && echo top >top/mark && cp -a bundle/rootfs/. top/
gives 'on the root itself' top ".mounts = [{destination: \"/\", source: \"$T/top\", options: [\"rbind\"]}] + .mounts" 'cat /mark'
fails 'a source that is not there' 'error mounting /no/such on /data: /no/such: no such file or directory$' \
  '.mounts += [{destination: "/data", source: "/no/such", options: ["bind"]}]'
touch bundle/rootfs/plain
fails 'a directory on a file' "mounting $T/top on /plain: not a directory: $T/top is one, and the destination is not\$" \
  ".mounts += [{destination: \"/plain\", source: \"$T/top\", options: [\"bind\"]}]"
fails 'a file on a directory' 'mounting .*config.json on /etc: not a directory: the destination is one, and .*config.json is not$' \
  '.mounts += [{destination: "/etc", source: "config.json", options: ["bind"]}]'
fails 'a file system on a file' 'mounting tmpfs on /plain: .*' '.mounts += [{destination: "/plain", type: "tmpfs", source: "tmpfs"}]'
fails 'no such file system' 'mounting x on /data: this kernel has no file system nosuchfs$' \
  '.mounts += [{destination: "/data", type: "nosuchfs", source: "x"}]'

# /proc is what it seems.
fails 'nothing is mounted inside /proc' 'on /proc/self/attr: cannot be mounted because it is inside /proc$' \
  '.mounts += [{destination: "/proc/self/attr", type: "tmpfs", source: "tmpfs"}]'
ln -sfn /proc/self bundle/rootfs/mirror
fails 'nor by a link' 'cannot be mounted because it is inside /proc$' '.mounts += [{destination: "/mirror/attr", type: "tmpfs", source: "tmpfs"}]'
echo 'cpu of lxcfs' >cpuinfo
gives 'but for what lxcfs shows' 'cpu of lxcfs' ".mounts += [{destination: \"/proc/cpuinfo\", source: \"$T/cpuinfo\", options: [\"bind\"]}]" 'cat /proc/cpuinfo'
fails 'nor in its place' 'on /proc: cannot be mounted because it is not of type proc$' \
  ".mounts += [{destination: \"/proc\", source: \"$T/top\", options: [\"bind\"]}]"
gives 'unless it is one' 'ok' '.mounts |= map(if .destination == "/proc" then {destination: "/proc", source: "/proc", options: ["rbind"]} else . end)' \
  'test -d /proc/1 && echo ok'
rm -rf bundle/rootfs/proc && ln -s /real bundle/rootfs/proc
fails '/proc as a link' 'proc must be mounted on ordinary directory' '.'
rm bundle/rootfs/proc && mkdir bundle/rootfs/proc

# What is hidden, and what can only be read.
mkdir -p bundle/rootfs/hide/dir bundle/rootfs/hide/dir2 && echo secret | tee bundle/rootfs/hide/file >bundle/rootfs/hide/dir/file
ln -s file bundle/rootfs/hide/link
gives 'masked: files, directories, links, twice, missing' '0
0
0
1
c 1 3' '.linux.maskedPaths += ["/hide/dir", "/hide/dir2", "/hide/file", "/hide/link", "/hide/dir/", "/hide/none", "/hide/file/none"]' \
  'ls /hide/dir | wc -l; cat /hide/file /hide/link | wc -c; touch /hide/dir/x 2>/dev/null; ls /hide/dir | wc -l;
   grep -c " /hide/dir " /proc/self/mountinfo; stat -c "%F %t %T" /hide/file | sed "s/character special file/c/"'
gives 'directories are hidden by one file system' same '.linux.maskedPaths += ["/hide/dir", "/hide/dir2"]' \
  '[ "$(stat -c %d /hide/dir)" = "$(stat -c %d /hide/dir2)" ] && echo same'
gives 'read-only paths' 'ro rw' '.linux.readonlyPaths += ["/hide/dir", "/hide/none"]' \
  'touch /hide/dir/x 2>/dev/null || echo -n "ro "; touch /hide/y && echo rw'
rm bundle/rootfs/hide/y
is 'a tmpfs that can only be read is filled first' "$(run '.mounts += [{destination: "/m", type: "tmpfs", source: "tmpfs", options: ["ro"]},
  {destination: "/m/in", source: "/usr", options: ["bind"]}]' 'ls -d /m/in/bin; touch /m/x 2>/dev/null || echo ro' && echo "$out")" '/m/in/bin
ro'
is 'and so is /dev' "$(run '.mounts |= map(if .destination == "/dev" then .options += ["ro"] else . end)' \
  'touch /dev/x 2>/dev/null || echo ro; echo >/dev/null && echo null' && echo "$out")" 'ro
null'
nothing_left 'nothing is left' "$before"
