#!/bin/sh
# What is a FIFO that nobody writes to, a device, a link or very large where a file is due, on the host or in
# the image: it is an error or is passed over, and keeps nobody waiting. An image's files are looked up within
# its root.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
before=$(snapshot)
mkfifo fifo && chmod 755 fifo
bundle box
cp box/config.json plain.json
# late VERB...: stave-oci, and 124 where it is late.
late() { timeout -k 1 10 stave-oci --root "$T/oci" "$@" </dev/null; }
says() {
  jq "$2" plain.json >box/config.json
  refuses "$1" "$4" "$3" late run -b box says
}

# A bundle's document.
mkdir -p odd/rootfs
for kind in fifo /dev/zero /dev/tty . /dev/null; do
  rm -rf odd/config.json
  case $kind in
  fifo) mkfifo odd/config.json ;;
  *) ln -s "$kind" odd/config.json ;;
  esac
  refuses "config.json is $kind" 1 'read .*/config.json: ' late run -b odd odd
done
refuses 'a bundle that is a FIFO' 1 'config.json: [Nn]ot a directory' late run -b fifo odd
# The record of a container, on either road.
mkdir -p oci/x "$STAVE_ROOT/c/y"
mkfifo oci/x/state.json oci/x/config.json "$STAVE_ROOT/c/y/config.json"
for verb in state start kill; do
  refuses "$verb, where the record is a FIFO" 1 'state.json: not a regular file' late "$verb" x
done
refuses 'exec, where the document is one' 125 'config.json: not a regular file' timeout 10 stave exec y true
ok 'ps lists the others all the same' timeout 10 stave ps -a
rm -rf oci/x "$STAVE_ROOT/c/y"

# What a document names.
says 'a FIFO as root' ".root.path = \"$T/fifo\"" '[Nn]ot a directory' 1
says 'a FIFO as hook' ".hooks.createRuntime = [{path: \"$T/fifo\"}]" '[Pp]ermission denied' 1
for kind in network mount pid ipc uts; do
  says "a FIFO as $kind namespace" "(.linux.namespaces[] | select(.type == \"$kind\")).path = \"$T/fifo\"" "join the $kind namespace .*: [Ii]nvalid argument" 1
done
mkfifo box/rootfs/fifo && chmod 755 box/rootfs/fifo
says 'a FIFO as working directory' '.process.cwd = "/fifo"' '[Nn]ot a directory' 1
says 'a FIFO as program' '.process.args = ["/fifo"]' '/fifo.*: permission denied' 1
jq '.linux.maskedPaths = ["/fifo"] | .linux.readonlyPaths = ["/fifo"] | .process.args = ["stat", "-c", "%F", "/fifo"]' plain.json >box/config.json
is 'a FIFO that is to be hidden' "$(late run -b box hide)" 'character special file'
is 'one as volume is what it is' "$(timeout 10 stave run --rm --rootfs "$B" -v "$T/fifo:/x" stat -c %F /x)" fifo

# An image's passwd and group: read within its root, files only, no more than is sane.
mkdir -p host/etc && printf 'outside:x:4711:4711::/:\n' >host/etc/passwd
for as in fifo "link to $T/host/etc/passwd" "link to ../../../../../../../../$T/host/etc/passwd" 'device' 'link to /proc/self/environ' 'link to passwd' directory large; do
  rm -rf image && cp -a "$B" image && rm image/etc/passwd image/etc/group
  case $as in
  fifo) mkfifo image/etc/passwd image/etc/group ;;
  link*) ln -s "${as#link to }" image/etc/passwd ;;
  device) mknod image/etc/passwd c 1 5 2>/dev/null || continue ;;
  directory) mkdir image/etc/passwd ;;
  large) truncate -s 100G image/etc/passwd ;;
  esac
  refuses "passwd is a $as: a name" 125 'no user outside' timeout 20 stave run --rm -u outside --rootfs "$T/image" id
  is "passwd is a $as: a number" "$(timeout 20 stave run --rm -u 4711 --rootfs "$T/image" sh -c 'stat -L -c %u /proc/self; echo $HOME')" '4711
/'
done
# The same while it runs, changed by the container itself.
stave run -d --name web --rootfs "$B" sh -c 'cd /etc && rm passwd && mkfifo passwd && : >/ready; sleep 1000' >/dev/null
soon stave exec web test -e /ready
refuses 'exec as a user of a FIFO' 125 'no user web' timeout 20 stave exec -u web web id
is 'exec as a number' "$(timeout 20 stave exec -u 33 web stat -L -c %u /proc/self)" 33
stave rm -f web >/dev/null
nothing_left 'nothing is left' "$before"
