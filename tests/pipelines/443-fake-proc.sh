#!/bin/sh
# An image, or a volume, that puts something else where the runtime expects the kernel's files: what is
# to be hidden stays hidden, and nothing of the machine's is written to (CVE-2019-16884, CVE-2019-19921,
# CVE-2025-31133, CVE-2025-52565, CVE-2025-52881).
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
bundle box
cp box/config.json plain.json
mkdir vol && : >vol/file
config() { jq "$1" plain.json >box/config.json; }
# refused WHAT FILTER REGEX: such a document does not start.
refused() {
  config "$2"
  refuses "$1" 1 "$3" oci run -b box refused
}
mount() { printf '.mounts += [{destination: "%s", type: "%s", source: "%s", options: %s}]' "$1" "$2" "$3" "${4:-[]}"; }

# /proc and /sys are mounted where they seem to be, whatever the image has there.
for dir in proc sys; do
  for to in / /tmp ../../../../tmp self /proc; do
    rm -rf "box/rootfs/$dir"
    ln -s "$to" "box/rootfs/$dir"
    refused "/$dir of the image is a link to $to" . "mounting .* on /$dir: "
  done
  rm "box/rootfs/$dir" && mkdir "box/rootfs/$dir"
done
refused 'a volume over /proc' "$(mount /proc bind "$T/vol" '["bind"]')" 'on /proc: cannot be mounted'
refused 'a tmpfs over /proc' "$(mount /proc tmpfs x)" 'on /proc: cannot be mounted'
refused 'a tmpfs over a part of it' "$(mount /proc/self tmpfs x)" 'on /proc/self: cannot be mounted because it is inside /proc'
refused 'a file over the label that exec will have' "$(mount /proc/self/attr/exec bind /dev/null '["bind"]')" 'inside /proc'
ln -s proc/self box/rootfs/by
refused 'the same by a link of the image' "$(mount /by/attr bind "$T/vol" '["bind"]')" 'mounting .* on /by/attr: '
rm box/rootfs/by
rm -rf box/rootfs/dev && ln -s proc box/rootfs/dev
refused '/dev of the image is a link to /proc' . 'on /dev: '
rm box/rootfs/dev && mkdir box/rootfs/dev

# What hides a file is the machine's /dev/null, whatever the image calls so.
mkdir own-dev && : >own-dev/null
config '.mounts |= map(select(.destination | startswith("/dev") | not)) | .process.args = ["stat", "-c", "%t:%T", "/proc/keys"]'"
  | $(mount /dev bind "$T/own-dev" '["bind"]')"
is 'a file is hidden behind the real null' "$(oci run -b box hide)" 1:3
# One that leads to a file of the kernel's: it is not followed when a device is made, and not bound.
rm -rf box/rootfs/dev && mkdir box/rootfs/dev
for name in null console ptmx zero; do ln -s /proc/sys/kernel/core_pattern "box/rootfs/dev/$name"; done
pattern=$(cat /proc/sys/kernel/core_pattern)
config '.mounts |= map(select(.destination | startswith("/dev") | not)) | .process.args = ["sh", "-c", "echo x >/dev/null; echo x >/dev/console; echo x >/proc/sys/kernel/core_pattern; stat -c %t:%T /proc/keys"]'
try oci run -b box links
unlike 'a /dev whose devices are links hides it too, or does not start' "$status $out" '^0 (0:0|[^1].*|1:[^3].*)$'
is 'and the machine is as it was' "$(cat /proc/sys/kernel/core_pattern)" "$pattern"

# /dev/console: the terminal is bound there before anything is hidden. A link in the image must not
# lead it, or what is written to it, to a file of the kernel's.
doc() {
  stave new --rootfs "$T/box/rootfs" con | jq -c '.mounts |= map(select(.destination != "/dev")) |
    .process.args = ["sh", "-c", "echo pwned >/dev/console; echo pwned >/proc/sys/kernel/core_pattern; stat -c %t:%T /proc/keys; echo end"]'
}
rm -rf box/rootfs/dev/* && mkdir box/rootfs/dev/pts box/rootfs/dev/shm box/rootfs/dev/mqueue
for to in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/keys /proc/self/attr/exec; do
  ln -sf "$to" box/rootfs/dev/console
  doc >document
  at sh -c 'stave spawn -t <document' <<'END'
END
  stave rm -f con >/dev/null
  unlike "a console that is a link to $to: it does not start" "$(tr -d '\r' <typed)" '^end$'
  is 'and the machine is as it was' "$(cat /proc/sys/kernel/core_pattern)" "$pattern"
done
rm box/rootfs/dev/console && : >box/rootfs/dev/console
doc >document
at sh -c 'stave spawn -t <document' <<'END'
END
stave rm -f con >/dev/null
is 'a console that is a file is the terminal' "$(tr -d '\r' <typed | sed -n '/^pwned/p; /^1:3/p; /^end/p')" 'pwned
1:3
end'

# Paths that are to be hidden may lead anywhere within the root, and hide what is there.
rm -rf box/rootfs/dev && mkdir box/rootfs/dev
mkdir box/rootfs/secret && echo s >box/rootfs/secret/s && ln -s /secret box/rootfs/hide && ln -s "$T/vol" box/rootfs/away
config '.linux.maskedPaths = ["/hide", "/away", "/away/../..'"$T"'/vol/file"] | .process.args = ["sh", "-c", "ls /secret; cat /proc/self/mountinfo"]'
try oci run -b box hidden
is 'a mask follows a link within the root' "$status $(printf '%s\n' "$out" | grep -c ' /secret ')" '0 1'
unlike 'and none out of it' "$(printf '%s\n' "$out" | cut -d' ' -f5)" "$T"
is 'the host has what it had' "$(ls vol)" file
