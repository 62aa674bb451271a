#!/bin/sh
# Every mount option of the runtime specification (config.md, Linux mount options), by what the kernel
# says of the mount afterwards.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
before=$(snapshot)
stave new --rootfs "$B" one >base

# mounted JQ SHELL: what a shell prints in a container with that added to its mounts.
mounted() {
  jq -c --arg run "$2" ".process.args = [\"sh\", \"-c\", \$run] | .mounts += $1" base >doc
  sh -c 'stave spawn <doc' 2>&1
}
# options PATH: a line of mountinfo, of the mount and (behind the dash) of its file system.
options='of() { awk -v at="$1" '"'"'$5 == at { for (i = 7; $i != "-"; i++); line = $6 " - " $(i + 1) " " $(i + 3) } END { print line }'"'"' /proc/self/mountinfo; }; '

# A file system of its own: word, what must match, what must not.
fs() {
  got=$(mounted "[{destination: \"/data\", type: \"tmpfs\", source: \"tmpfs\", options: $(jq -cn --arg w "$1" '$w | split(",")')}]" "${options}of /data")
  what=$1
  like "tmpfs: $what" "$got" "$2"
  [ -z "${3-}" ] || unlike "tmpfs: $what, and not" "$got" "$3"
}
fs defaults '^rw,relatime - tmpfs rw'
fs ro '^ro,' ; fs ro,rw '^rw,' ; fs rw '^rw,'
fs nosuid,nodev,noexec ',nosuid,nodev,noexec,' ; fs nosuid,suid,nodev,dev,noexec,exec '^rw,relatime -'
fs nosymfollow 'nosymfollow' ; fs nosymfollow,symfollow '^rw,relatime -'
fs noatime '^rw,noatime -' ; fs noatime,atime '^rw,relatime -' ; fs strictatime '^rw -' ; fs strictatime,nostrictatime '^rw,relatime -'
fs nodiratime 'nodiratime' ; fs nodiratime,diratime '^rw,relatime -' ; fs relatime,norelatime '^rw,relatime -'
fs sync '- tmpfs rw,sync' ; fs sync,async '- tmpfs rw' 'sync'
fs dirsync 'dirsync' ; fs lazytime '- tmpfs .*lazytime' ; fs lazytime,nolazytime '- tmpfs rw' 'lazytime'
fs iversion '- tmpfs' ; fs iversion,noiversion '- tmpfs' ; fs mand '- tmpfs' ; fs nomand '- tmpfs' ; fs silent '- tmpfs' ; fs loud '- tmpfs'
fs size=64k,mode=1700 '- tmpfs .*size=64k,mode=1700'
fs rro '^ro,' ; fs rnosuid,rnodev,rnoexec 'nosuid,nodev,noexec' ; fs rprivate,ro '^ro,'
like 'a word that nobody knows is an error of the file system' \
  "$(mounted '[{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["nonsense"]}]' true)" \
  '^stave-spawn: mount tmpfs on /data: Invalid argument$'

# A bind mount: the same, from a source whose flags are known; and what is mounted below it.
mkdir src src/below
mount -t tmpfs -o nosuid,nodev,noatime tmpfs src
mkdir src/below && mount -t tmpfs -o noexec tmpfs src/below
bind() {
  got=$(mounted "[{destination: \"/data\", source: \"$T/src\", options: $(jq -cn --arg w "$1" '$w | split(",")')}]" \
    "${options}of /data; of /data/below")
  is "bind: $1" "$(echo "$got" | sed 's/ - .*//; /^$/d' | tr '\n' ' ')" "$2"
}
bind bind 'rw,nosuid,nodev,noatime '
bind rbind 'rw,nosuid,nodev,noatime rw,noexec,relatime '
# With a word, those that are not named go, as with mount(8); access times stay until one is named.
bind bind,ro 'ro,noatime '
bind rbind,ro 'ro,noatime rw,noexec,relatime '
bind bind,noexec,nosymfollow 'rw,noexec,noatime,nosymfollow '
bind bind,suid,dev,exec,rw,symfollow 'rw,noatime '
bind bind,relatime 'rw,relatime ' ; bind bind,strictatime 'rw ' ; bind bind,atime 'rw,noatime '
bind bind,nodiratime 'rw,nodiratime,relatime '
bind rbind,rro 'ro,nosuid,nodev,noatime ro,noexec,relatime '
bind rbind,rnoexec 'rw,nosuid,nodev,noexec,noatime rw,noexec,relatime '
bind rbind,rexec,rsuid,rdev 'rw,noatime rw,relatime '
bind rbind,rro,rrw 'rw,nosuid,nodev,noatime rw,noexec,relatime '
bind rbind,rnosuid,rnodev 'rw,nosuid,nodev,noatime rw,nosuid,nodev,noexec,relatime '
bind rbind,rnosymfollow 'rw,nosuid,nodev,noatime,nosymfollow rw,noexec,relatime,nosymfollow '
bind rbind,rnosymfollow,rsymfollow 'rw,nosuid,nodev,noatime rw,noexec,relatime '
bind rbind,rnoatime 'rw,nosuid,nodev,noatime rw,noexec,noatime '
bind rbind,ratime 'rw,nosuid,nodev,relatime rw,noexec,relatime '
bind rbind,rrelatime 'rw,nosuid,nodev,relatime rw,noexec,relatime '
bind rbind,rnorelatime 'rw,nosuid,nodev,noatime rw,noexec,relatime '
bind rbind,rstrictatime 'rw,nosuid,nodev rw,noexec '
bind rbind,rnostrictatime 'rw,nosuid,nodev,relatime rw,noexec,relatime '
bind rbind,rnodiratime 'rw,nosuid,nodev,noatime,nodiratime rw,noexec,nodiratime,relatime '
bind rbind,rnodiratime,rdiratime 'rw,nosuid,nodev,noatime rw,noexec,relatime '
like 'a bind has no options of a file system' \
  "$(mounted "[{destination: \"/data\", source: \"$T/src\", options: [\"bind\", \"size=1k\"]}]" true)" \
  '^stave-spawn: mounts\.7: bind mounts cannot have any filesystem-specific options applied: size=1k$'

# Propagation: shared shows a number of its own, a slave its master's.
mount --make-rshared src
propagation='awk '"'"'$5 ~ "^/data" { for (i = 7; $i != "-"; i++) printf "%s ", substr($i, 1, 6); print $5 }'"'"' /proc/self/mountinfo'
shows() {
  got=$(mounted "[{destination: \"/data\", source: \"$T/src\", options: $(jq -cn --arg w "$1" '$w | split(",")')}]" "$propagation")
  is "bind: $1" "$(echo "$got" | tr '\n' ' ')" "$2"
}
shows rbind,rslave 'master /data master /data/below '
shows rbind,rprivate '/data /data/below '
shows rbind,private '/data master /data/below '
shows rbind,slave 'master /data master /data/below '
shows rbind,rshared 'shared master /data shared master /data/below '
shows rbind,shared 'shared master /data master /data/below '
shows rbind,unbindable 'unbind /data master /data/below '
shows rbind,runbindable 'unbind /data unbind /data/below '
shows rbind,rprivate,shared 'shared /data /data/below '
umount src/below

# remount: of what a bind mount was before, and of a file system.
got=$(mounted "[{destination: \"/data\", source: \"$T/src\", options: [\"bind\"]},
  {destination: \"/data\", options: [\"remount\", \"bind\", \"ro\"]}]" "${options}of /data; touch /data/x")
like 'remount,bind adds to what is there' "$got" '^ro,nosuid,nodev,noatime -'
like 'and is in force' "$got" 'touch: .*Read-only file system'
got=$(mounted '[{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["size=64k"]},
  {destination: "/data", type: "tmpfs", source: "tmpfs", options: ["remount", "size=32k"]}]' "${options}of /data")
like 'remount changes a file system' "$got" 'size=32k'
umount src

# What others call for.
mkdir -p copied/dir && echo text >copied/dir/file && chmod 750 copied && chmod 1777 copied/dir
cp -a "$B" own && cp -a copied own/data
stave new --rootfs "$T/own" two >base
is 'tmpcopyup: a tmpfs begins with what it hides' \
  "$(mounted '[{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "ro"]}]' \
    "${options}"'cat /data/dir/file; stat -c "%a %n" /data /data/dir; of /data | cut -c-2')" 'text
750 /data
1777 /data/dir
ro'
is 'a tmpfs has the mode of what it hides' \
  "$(mounted '[{destination: "/data", type: "tmpfs", source: "tmpfs"}]' 'stat -c %a /data; ls /data')" 750
is 'but a mode that is given' \
  "$(mounted '[{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["mode=1500"]}]' 'stat -c %a /data')" 1500
is 'and where it hides nothing, its own' \
  "$(mounted '[{destination: "/new/deep", type: "tmpfs", source: "tmpfs"}]' 'stat -c %a /new/deep /new')" '1777
755'
ln -s target link && echo here >target
is 'copy-symlink: the link is made anew' \
  "$(mounted "[{destination: \"/made\", source: \"$T/link\", options: [\"bind\", \"copy-symlink\"]}]" 'readlink /made')" target
is 'src-nofollow: the link is mounted' \
  "$(mounted "[{destination: \"/made2\", source: \"$T/link\", options: [\"bind\", \"src-nofollow\"]}]" 'readlink /made2; grep -c " /made2 " /proc/self/mountinfo')" 'target
1'
is 'without, what it leads to' \
  "$(mounted "[{destination: \"/made3\", source: \"$T/link\", options: [\"bind\"]}]" 'cat /made3')" here

# By -v.
mkdir shared && mount -t tmpfs tmpfs shared && mount --make-shared shared
ok '-v with shared' stave run --rm --rootfs "$B" --cap-add SYS_ADMIN -v "$T/shared:/data:shared" \
  sh -c 'mkdir /data/in && mount -t tmpfs tmpfs /data/in && touch /data/in/seen'
is 'what is mounted there is seen outside' "$(ls shared/in)" seen
umount shared/in
ok '-v without' stave run --rm --rootfs "$B" --cap-add SYS_ADMIN -v "$T/shared:/data" sh -c 'mount -t tmpfs tmpfs /data/in'
is 'what is mounted there is not' "$(mounts "$T/shared" | wc -l)" 1
mkdir shared/below && mount -t tmpfs tmpfs shared/below
is '-v with rro' "$(stave run --rm --rootfs "$B" -v "$T/shared:/data:rro" sh -c 'touch /data/x /data/below/x 2>&1 | grep -c Read-only')" 2
umount -R shared
refuses '-v with what is no option' 2 'no option size=1k' stave run --rm --rootfs "$B" -v "$T/src:/data:size=1k" true
stave rm one two >/dev/null
nothing_left 'nothing is left' "$before"
