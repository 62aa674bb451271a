#!/bin/sh
# Devices of a container: those that every one has, those that its document asks for, and /dev/console
# (config-linux.md, Devices).
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)
cp -a "$B" own
# in_it FILTER SHELL: what a shell prints in a container whose document was changed so.
in_it() {
  stave new --rootfs "$T/own" | jq -c --arg run "$2" '.process.args = ["sh", "-c", $run] |'"$1" >doc
  sh -c 'stave spawn --rm <doc' 2>&1
}
look='stat -c "%n %F %a %u:%g %t:%T"'

is 'the default devices' "$(in_it . "$look /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; readlink /dev/ptmx")" \
  '/dev/null character special file 666 0:0 1:3
/dev/zero character special file 666 0:0 1:5
/dev/full character special file 666 0:0 1:7
/dev/random character special file 666 0:0 1:8
/dev/urandom character special file 666 0:0 1:9
/dev/tty character special file 666 0:0 5:0
pts/ptmx'
is 'and the links' "$(in_it . 'for l in fd stdin stdout stderr core; do readlink /dev/$l; done' | tr '\n' ' ')" \
  "/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 $(find /proc/kcore 2>/dev/null | tr '\n' ' ')"
is 'of its own: c, u, b and p, with mode and owner' "$(in_it '.linux.devices = [
  {path: "/dev/one", type: "c", major: 1, minor: 5, fileMode: 432, uid: 33, gid: 34},
  {path: "/dev/two", type: "u", major: 1, minor: 7},
  {path: "/dev/disk", type: "b", major: 7, minor: 200, fileMode: 384},
  {path: "/dev/pipe", type: "p", fileMode: 438},
  {path: "/srv/deep/zero", type: "c", major: 1, minor: 5}]' "$look /dev/one /dev/two /dev/disk /dev/pipe /srv/deep/zero")" \
  '/dev/one character special file 660 33:34 1:5
/dev/two character special file 666 0:0 1:7
/dev/disk block special file 600 0:0 7:c8
/dev/pipe fifo 666 0:0 0:0
/srv/deep/zero character special file 666 0:0 1:5'
is 'they work' "$(in_it '.linux.devices = [{path: "/dev/one", type: "c", major: 1, minor: 5}]' 'head -c 3 /dev/one | wc -c')" 3
is 'in place of a default' "$(in_it '.linux.devices = [{path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 384}]' "$look /dev/tty")" \
  '/dev/tty character special file 600 0:0 5:0'
is 'ptmx stays a link' "$(in_it '.linux.devices = [{path: "/dev/ptmx", type: "c", major: 5, minor: 2}]' 'readlink /dev/ptmx')" pts/ptmx
is 'a full mode of a host is cut' "$(in_it '.linux.devices = [{path: "/dev/one", type: "c", major: 1, minor: 5, fileMode: 8630}]' "$look /dev/one")" \
  '/dev/one character special file 666 0:0 1:5'

# What is there already.
mkdir -p own/srv && mknod own/srv/there c 1 5 && mknod own/srv/other c 1 7 && echo file >own/srv/file && ln -s there own/srv/link
is 'there already, the same' "$(in_it '.linux.devices = [{path: "/srv/there", type: "c", major: 1, minor: 5}]' 'echo so')" so
is 'by a link too' "$(in_it '.linux.devices = [{path: "/srv/link", type: "c", major: 1, minor: 5}]' 'echo so')" so
for name in other file; do
  like "there already, another: $name" "$(in_it '.linux.devices = [{path: "/srv/'$name'", type: "c", major: 1, minor: 5}]' 'echo so')" \
    "^stave-spawn: make device /srv/$name: what is there is not device 1:5\$"
done
like 'no such type' "$(in_it '.linux.devices = [{path: "/dev/x", type: "d", major: 1, minor: 5}]' true)" 'linux.devices.0.type'
like 'no number' "$(in_it '.linux.devices = [{path: "/dev/x", type: "c"}]' true)" 'linux.devices.0.major'

# /dev as a mount, as the image's directory, as the host's.
is 'without a mount at /dev they are in the root' "$(in_it '.mounts |= map(select(.destination | startswith("/dev") | not))' \
  "$look /dev/null; grep -c ' /dev ' /proc/self/mountinfo")" '/dev/null character special file 666 0:0 1:3
0'
mkdir hostdev && mknod hostdev/mine c 1 3
is 'a /dev of the host is left as it is' "$(in_it '.mounts |= map(select(.destination | startswith("/dev") | not)) +
  [{destination: "/dev", source: "'"$T/hostdev"'", options: ["bind"]}] | .linux.devices = [{path: "/dev/more", type: "c", major: 1, minor: 5}]' 'ls /dev')" mine
is 'and nothing was made there' "$(ls hostdev)" mine
ln -s /dev own/alias
is 'devices are made before volumes: a link does not lead them into one' "$(mkdir vol; in_it '.mounts += [{destination: "/dev/sub", source: "'"$T/vol"'", options: ["bind"]}]' 'ls /dev/sub'; ls vol)" ''

# The modes are those of the document whatever the umask; nothing else has changed.
is 'whatever the umask' "$(umask 077; in_it . "$look /dev/null")" '/dev/null character special file 666 0:0 1:3'

# Where mknod is not allowed, the host's is bound.
doc='.process.capabilities = null | .linux.devices = [{path: "/dev/net/x", type: "c", major: 1, minor: 3}]'
at=$(in_it "$doc" "$look /dev/net/x" | head -n 1)
is 'in a directory that is missing' "$at" '/dev/net/x character special file 666 0:0 1:3'

# /dev/console is the terminal.
stave new --rootfs "$B" tty | jq -c '.process.terminal = true | .process.args = ["sh", "-c",
  "stat -c %t /dev/console; tty; grep -c \" /dev/console \" /proc/self/mountinfo; echo written >/dev/console"]' >doc
at stave spawn tty -t -- sh -c 'stat -c %t /dev/console; tty; grep -c " /dev/console " /proc/self/mountinfo; echo written >/dev/console' </dev/null
is 'a terminal, bound at /dev/console' "$(tr -d '\r' <typed)" '88
/dev/pts/0
1
written'
stave rm tty >/dev/null
nothing_left 'nothing is left' "$before"
