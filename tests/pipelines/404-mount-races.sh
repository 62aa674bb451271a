#!/bin/sh
# Two containers share a volume; one of them exchanges, without a pause, directories in it for links
# that lead out, or elsewhere in the root, while the other mounts below it (CVE-2021-30465). What is
# mounted comes where the root says and nowhere else, and as it was asked for.
# timeout 90
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3
[ "$(id -u)" = 0 ] || skip_all 'root is needed'
rootfs
before=$(snapshot)
mkdir vol data outside own && cp -a "$B/." own && echo host >outside/secret && echo data >data/file
mkdir -p own/inner "own$T"
echo inner >own/inner/file

cat >racer.py <<'END'
import ctypes, os, sys
libc = ctypes.CDLL(None)
EXCHANGE, AT_FDCWD = 2, -100
a, b = (os.fsencode(p) for p in sys.argv[1:])
while True:
    libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, EXCHANGE)
END
# race TARGET: from here on vol/dir and vol/other, a link to TARGET, change places.
race() {
  mkdir vol/dir && ln -s "$1" vol/other
  python3 racer.py vol/dir vol/other &
  racer=$!
}
calm() {
  kill "$racer"
  wait "$racer" 2>/dev/null
  rm -rf --one-file-system vol/dir vol/other
}
# starts N JQ SHELL: that many containers, each of which prints what it finds.
starts() {
  stave new --rootfs "$T/own" race | jq -c --arg run "$3" '.process.args = ["sh", "-c", $run] |
    .mounts += [{destination: "/vol", source: "'"$T/vol"'", options: ["bind"]}] | '"$2" >doc
  for _ in $(seq "$1"); do stave spawn <doc 2>&1; done
  stave rm race >/dev/null
}
# It is not there, or is being renamed, just then: this may be said, and nothing else.
fine='^stave-spawn: (left: .*|mount .* on /vol/dir.*: (No such file or directory|Resource temporarily unavailable))$'
# Whichever path was meant in the end, the mount is there, inside, with its flags: `ro` is its own.
where='awk -v of='"$T/data"' '"'"'substr(of, length(of) - length($4) + 1) == $4 && $4 ~ "/data$" { n++; flags = $6; at = $5 }
  END { print n + 0, substr(flags, 1, 2), (at ~ "^/(vol|inner)" || at ~ "/outside$") ? "inside" : at }'"'"' /proc/self/mountinfo'
bind='.mounts += [{destination: "/vol/dir", source: "'"$T/data"'", options: ["bind", "ro", "nosuid"]}]'
for target in "../../../../../../../..$T/outside" /inner "$T/outside"; do
  race "$target"
  is "a bind while the path leads to $(echo "$target" | sed "s|.*$T/||"), and to a directory, and back" \
    "$(starts 25 "$bind" "$where" | sort -u | grep -Ev "$fine")" '1 ro inside'
  calm
done
is 'the host has what it had' "$(ls outside; cat outside/secret)" 'secret
host'
race /inner
is 'a file system' "$(starts 20 '.mounts += [{destination: "/vol/dir/sub", type: "tmpfs", source: "tmpfs", options: ["ro", "size=37k"]}]' \
  'grep -c "^tmpfs .*/sub tmpfs ro,.*size=3[67]k\|^tmpfs .*/sub tmpfs ro,.*size=40k" /proc/mounts' | sort -u | grep -Ev "$fine")" 1
calm
rm -rf own/inner/sub
race /inner
# Both ways lead to a file that is hidden: none is seen, and the null device is what hides.
echo secret >data/hidden && echo secret >own/inner/hidden && echo secret >vol/dir/hidden 2>/dev/null
like 'a masked path' "$(starts 20 '.linux.maskedPaths += ["/vol/dir", "/inner"]' 'cat /inner/hidden 2>&1; :' | sort -u)" \
  "^cat: can't open '/inner/hidden': No such file or directory\$"
calm

# /dev/null is exchanged on the host for another file: what is masked is masked by the device, or it fails.
mkdir dev && cp -a /dev/null /dev/zero dev/ && echo 'not null' >dev/fake
mask=$(jq -cn --arg root "$T/own" '{mask: {root: $root, path: "/inner/file"}}')
for as in fake zero; do
  # shellcheck disable=SC2086 # one word
  refuses "masked by what is not the null device: $as" 1 \
    '^stave-step: mask /inner/file: /dev/null of the host is not device 1:3$' unshare -m sh -c '
      mount --bind "$0/dev/$2" /dev/null && exec stave step "$1"' "$T" "$mask" "$as"
done
is 'nor is anything mounted' "$(cat own/inner/file)" inner

# A device beside a name that is exchanged: a file of the host's keeps its mode.
mkdir vol/dev && touch vol/dev/x && rm vol/dev/x && ln -s "$T/outside/secret" vol/dev/link && chmod 600 outside/secret
python3 - vol/dev <<'END' &
import os, sys, time
os.chdir(sys.argv[1])
while True:
    try:
        os.rename("link", "null") if os.path.exists("null") and not os.path.islink("null") else None
        if os.path.islink("null"): os.rename("null", "link")
    except OSError: pass
END
racer=$!
starts 15 '.mounts |= map(select(.destination | startswith("/dev") | not)) |
  .mounts = [{destination: "/dev", type: "none", source: "'"$T/vol/dev"'", options: ["bind"]}] + .mounts |
  .linux.devices = []' true >/dev/null
step=$(jq -cn --arg root "$T" '{device: {root: $root, path: "/vol/dev/null", major: 1, minor: 3, mode: 438}}')
for _ in $(seq 40); do stave step "$step" 2>/dev/null; done
kill $racer
wait $racer 2>/dev/null
is 'the mode of a file of the host' "$(stat -c %a outside/secret)" 600

# A /proc that is not the kernel's takes no text (CVE-2025-52881).
mkdir fake && mkdir -p fake/self fake/sys/net/ipv4 && : >fake/self/oom_score_adj && : >fake/sys/net/ipv4/ip_forward
write='{"write":{"path":"/proc/self/oom_score_adj","text":"321"}}'
is 'a fake /proc: what is written reaches the kernel' "$(unshare -m sh -c 'mount --bind "$0/fake" /proc && stave step "$1"; cat "$0/fake/self/oom_score_adj"' "$T" "$write")" ''
score=$(cat /proc/self/oom_score_adj)
ok 'a file of it that is mounted over' unshare -m sh -c 'mount --bind "$0/fake/self/oom_score_adj" /proc/sys/vm/swappiness &&
  stave step "$1"' "$T" '{"write":{"path":"/proc/sys/vm/swappiness","text":"'"$(cat /proc/sys/vm/swappiness)"'"}}'
is 'is not what is written' "$(cat fake/self/oom_score_adj) $(cat /proc/self/oom_score_adj)" " $score"
no 'no way out of it' stave step '{"write":{"path":"/proc/self/cwd/fake/self/oom_score_adj","text":"1"}}'
is 'by no link of it' "$(cat fake/self/oom_score_adj)" ''
nothing_left 'nothing is left' "$before"
