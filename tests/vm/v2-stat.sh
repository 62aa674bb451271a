# shellcheck shell=sh
# Sourced by v2.sh: what containers use, on cgroup v2.
# shellcheck disable=SC2016 # for the shell in the container

# key NAME CONTAINER: the number at the last key of that name in its line
key() { stave stat --json "$2" | sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }
# part OBJECT CONTAINER: a whole object of its line
part() { stave stat --json "$2" | grep -o "\"$1\":{[^{}]*}"; }
# yes WHAT NAME CONTAINER FROM TO: the number is in between, soon
yes() {
  tries=0 so=0
  until so=$(key "$2" "$3" | awk -v a="$4" -v b="$5" '{ print ($1 >= a && $1 <= b) }') && [ "$so" = 1 ] || [ $tries = 40 ]; do
    tries=$((tries + 1))
    sleep 0.25
  done
  is "$1" "$so $(key "$2" "$3" | awk -v a="$4" -v b="$5" '!($1 >= a && $1 <= b)')" '1 '
}

stave run -d --name spin --cpus 0.2 --pids-limit 40 busybox sh -c 'while :; do :; done' >/dev/null
stave run -d --name eat -m 64M --memory-swap 96M --tmpfs /t busybox sh -c 'dd if=/dev/zero of=/t/x bs=1M count=24; exec sleep 1000' >/dev/null 2>&1
yes 'stat: a spinner gets what its quota gives' 'cpu":{"percent' spin 5 60
yes 'stat: and is stopped for the rest' throttled spin 1 1000000
yes 'stat: what it has eaten' workingSet eat 25165824 50331648
yes 'stat: pages of its tmpfs' cache eat 25165824 50331648
yes 'stat: swap is counted' swap eat 0 33554432
is 'stat: limits' "$(part effective spin | head -n 1) $(part effective eat | head -n 1)" \
  "\"effective\":{\"limit\":0.2,\"cgroup\":\"/sys/fs/cgroup/stave/$(basename "$(readlink root/names/spin)")\"} \"effective\":{\"limit\":67108864,\"cgroup\":\"/sys/fs/cgroup/stave/$(basename "$(readlink root/names/eat)")\"}"
is 'stat: tasks' "$(stave stat spin | grep -c ' 1 / 40 ')" 1
is 'stat: events' "$(part events eat)" '"events":{"high":0,"max":0,"oom":0,"oomKill":0}'
stave run -d --name disk --blkio-weight 100 busybox sleep 1000 >/dev/null
is 'stat: block devices' "$(part io disk | sed 's/[0-9][0-9]*/N/g' | head -n 1)" '"io":{"read":N,"written":N,"reads":N,"writes":N}'
is 'stat: a network of its own' "$(part network eat)" '"network":{"received":0,"packetsReceived":0,"sent":0,"packetsSent":0}'
is 'stat: pressure' "$([ ! -r /proc/pressure/cpu ] || stave stat --json spin | grep -c '"pressure":{"cpu":{"some":')" \
  "$([ ! -r /proc/pressure/cpu ] || echo 1)"
stave limit -m 8M --memory-swap 8M spin
stave exec spin sh -c 'head -c 64m /dev/zero | tail -n 1' >/dev/null 2>&1
yes 'stat: one was killed for want of memory' oomKill spin 1 9
yes 'stat: at the limit' max spin 1 1000000

# From above: the least holds, whoever sets it.
stave run -d --name below -m 64M --cgroup-parent above busybox sleep 1000 >/dev/null
echo 32M >/sys/fs/cgroup/above/memory.max
echo 9 >/sys/fs/cgroup/above/pids.max
is 'stat: the limit of one above' "$(stave stat below | grep -c ' / 32MiB^ .* 1 / 9^ ')" 1
is 'stat: by name' "$(part effective below)" '"effective":{"limit":33554432,"cgroup":"/sys/fs/cgroup/above"}
"effective":{"limit":9,"cgroup":"/sys/fs/cgroup/above"}'
is 'stat: its own' "$(stave stat --json below | grep -c '"limit":67108864,"effective"')" 1
is 'stat: look by look' "$(stave stat --watch=0.2 --json spin | head -n 2 | grep -c '"percent":')" 2
stave ps -aq | xargs stave rm -f >/dev/null
rmdir /sys/fs/cgroup/above
