#!/bin/sh
# The pipeline and `run` are the same: the document that they leave, and what the workload sees.
# timeout 120
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
image
before=$(snapshot)
echo content >file

# What the workload says of its place; \$1...: the host's namespaces.
cat >look <<'END'
echo "# namespaces"
for ns in "$@"; do
  kind=${ns%%:*}
  [ "$(readlink "/proc/self/ns/$kind")" = "$ns" ] && echo "$kind host" || echo "$kind private"
done
echo "# mounts"; cut -d' ' -f4- /proc/self/mountinfo
echo "# status"; grep -E '^(Cap|NoNewPrivs|Uid|Gid|Groups|Seccomp|Umask)' /proc/self/status
echo "# pid"; echo $$; cat /proc/1/comm
echo "# cgroup"; cat /proc/self/cgroup
for f in memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max devices/devices.list memory.max cpu.max pids.max; do
  [ ! -f /sys/fs/cgroup/$f ] || { echo "$f"; cat /sys/fs/cgroup/$f; }
done
echo "# ulimits"; ulimit -a
echo "# place"; env | grep -v '^_='; pwd; hostname; id
END
cp -a "$B" tree && cp look tree/look
hosts=$(for ns in cgroup ipc mnt net pid user uts; do readlink "/proc/self/ns/$ns"; done)
plain() {
  sed -E "s/$1/ID/g; s/(master|shared|propagate_from):[0-9]+/\1/g; s/[0-9-]{10}T[0-9:.]+Z/TIME/g"
}

# same NAME MOUNT-FLAGS NS-FLAGS LIMIT-FLAGS SPAWN-FLAGS
# shellcheck disable=SC2086 # the flags are words
same() {
  stave new --rootfs "$T/tree" | stave mount $2 | stave ns $3 | stave limit $4 |
    stave spawn $5 -- sh /look $hosts >by_pipe 2>&1
  piped=$(stave ps -aq)
  stave inspect "$piped" | plain "$piped" >doc_pipe
  plain "$piped" <by_pipe >see_pipe
  stave rm "$piped" >/dev/null
  stave run $2 $3 $4 $5 --rootfs "$T/tree" sh /look $hosts >by_run 2>&1
  ran=$(stave ps -aq)
  stave inspect "$ran" | plain "$ran" >doc_run
  plain "$ran" <by_run >see_run
  stave rm "$ran" >/dev/null
  is "$1: the same document" "$(jq . doc_run)" "$(jq . doc_pipe)"
  is "$1: byte for byte" "$(cat doc_run)" "$(cat doc_pipe)"
  is "$1: the same to see" "$(cat see_run)" "$(cat see_pipe)"
}
# sees WHAT REGEX: the last one's workload saw it, so that two empty views are not the same.
sees() { like "$1" "$(cat see_run)" "$2"; }

same plain '' '' '' ''
sees 'it is in a pid namespace' '^pid private$'
same memory '' '' '-m 64M' ''
sees 'its limit' '^67108864$'
same cpus '' '' '--cpus 1.5' ''
sees 'its limit' '^150000( 100000)?$'
same pids '' '' '--pids-limit 30' ''
sees 'its limit' '^30$'
same 'user, environment, directory' '' '' '' '-e A=1 -e PATH=/bin -u web -w /srv/made'
sees 'its user' '^uid=33\(web\) gid=34\(www\) groups=.*101\(ssl\)'
sees 'its directory' '^/srv/made$'
same volume "-v $T/file:/in/file:ro" '' '' ''
sees 'its volume' '/in/file ro,'
same tmpfs '--tmpfs /scratch:size=2m' '' '' ''
sees 'its tmpfs' ' /scratch .*size=2048k'
same read-only '' '' '' '--read-only'
sees 'its root' '^/ / ro,'
same hostname '' '--hostname cask' '' ''
sees 'its name' '^cask$'
same capabilities '' '' '' '--cap-drop ALL --cap-add NET_ADMIN --cap-add CHOWN'
sees 'its capabilities' '^CapEff:.0000000000001001$'
same 'network host' '' '--network host' '' ''
sees "the host's" '^net host$'
same init '' '' '' '--init'
sees 'pid 1' '^stave-init$'
same 'all of it' "-v $T/file:/in/file --tmpfs /scratch" '--network none --hostname x' \
  '-m 32M --cpus 0.5 --pids-limit 20' '-u 1000:2000 -e B=2 --read-only --cap-drop MKNOD'
sees 'its user' '^uid=1000 gid=2000'
nothing_left 'nothing is left' "$before"
