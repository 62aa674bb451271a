#!/bin/sh
# A process in one container that swaps a directory of a shared volume for a link, while others are
# started that have something mounted there (CVE-2021-30465): every mount lands within the root,
# with the flags that were asked for, or the start fails.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq gcc
[ "$(id -u)" = 0 ] || skip_all 'an ordinary user has no engine to trick'
rootfs
before=$(snapshot)
mkdir -p shared/x shared/file outside data
chmod 777 shared
ln -s "$T/outside" shared/link
ln -s "$T/outside/taken" shared/filelink
: >shared/plain && : >outside/taken && echo data >data/file
cp -a "$B" box
attack swap box/bin/swap
stave run -d --name evil --rootfs "$T/box" -v "$T/shared:/shared" sh -c '
  swap /shared/x /shared/link & swap /shared/plain /shared/filelink & wait' >/dev/null

# What is mounted over and over; each start says where it finds it, as mountinfo has it.
bundle victim '.process.args = ["sh", "-c", "grep /data /proc/self/mountinfo; ls /vol/x/secret /vol/link/secret 2>&-; true"]' \
  ".mounts += [{destination: \"/vol\", type: \"bind\", source: \"$T/shared\", options: [\"rbind\"]},
    {destination: \"/vol/x\", type: \"bind\", source: \"$T/data\", options: [\"rbind\", \"ro\", \"nosuid\", \"noexec\"]},
    {destination: \"/vol/plain\", type: \"bind\", source: \"$T/data/file\", options: [\"bind\", \"ro\"]}]"
echo secret >outside/secret
for n in $(seq 60); do
  if oci run -b victim "v$n" >one 2>err; then
    # Two mounts, both within the root, both with their flags.
    awk '/mountinfo|data/ && $6 ~ /^ro(,|$)/ { n++ } END { print n + 0 }' one >>found
    grep -h secret one >>leaks
  else
    tail -n 1 err >>errors
  fi
done
stave exec evil true || fail 'the attacker is at work to the end'
stave rm -f evil >/dev/null
is 'every start that succeeds has both mounts, read-only' "$(sort -u found)" 2
like 'there were some' "$(wc -l <found)" '^[0-9]*[0-9][0-9]$'
is 'and nobody saw what is outside' "$(cat leaks 2>/dev/null)" ''
unlike 'one that fails does so on the mount' "$(grep -v '^stave-oci: error: run [^:]*: .*error mounting ' errors 2>/dev/null)" .
is 'what lies outside is as it was' "$(ls outside; cat outside/taken)" 'secret
taken'
nothing_left 'nothing is left' "$before"
