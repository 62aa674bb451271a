#!/bin/sh
# What containers use and may use, under a real load: one look, a stream, and a table that stays in place.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3
[ "$(id -u)" = 0 ] || skip_all 'limits take root'
rootfs
before=$(snapshot)
# of FILTER CONTAINER: what jq makes of its line
of() { stave stat --json "$2" | jq -c "$1"; }
# so FILTER CONTAINER: it says true
so() { [ "$(of "$1" "$2")" = true ]; }
# becomes WHAT FILTER CONTAINER: true, soon
becomes() {
  if soon so "$2" "$3"; then pass "$1"; else fail "$1" "$2" "$(of . "$3")"; fi
}
pid_of() { jq .pid "$STAVE_RUN/$(id_of "$1")/state.json"; }
# column HEAD: where it begins in the table of stdin, and what the last line has from there
column() { awk -v head="$1" 'NR == 1 { at = index($0, head) } END { print substr($0, at) }'; }

is 'nobody is there: the head' "$(stave stat | tr -s ' ')" \
  'ID NAME CPU % THR % MEM USAGE / LIMIT MEM % PIDS NET I/O BLOCK I/O CACHE SWAP PSI % EVENTS'
is 'and nothing for programs' "$(stave stat --json; echo $?)" 0

stave run -d --name spin --cpus 0.2 --pids-limit 40 --rootfs "$B" sh -c 'while :; do :; done' >/dev/null
stave run -d --name eat -m 64M --tmpfs /t --rootfs "$B" sh -c \
  'dd if=/dev/zero of=/t/x bs=1M count=24; sleep 1000 & sleep 1000 & exec sleep 1000' >/dev/null
stave run -d --rootfs "$B" --network host sleep 1000 >/dev/null
plain=$(stave ps -qn1)
stave run --name ended --rootfs "$B" true

# Time.
becomes 'a spinner gets what its quota gives' '.cpu.percent > 2 and .cpu.percent < 60' spin
becomes 'and is stopped for the rest' '.cpu.throttling | .throttled > 0 and .time > 0 and .periods >= .throttled' spin
is 'its limit holds' "$(of '[.cpu.limit, .cpu.effective.limit]' spin)" '[0.2,0.2]'
like 'set by its own cgroup' "$(of .cpu.effective.cgroup spin)" "/stave/$(id_of spin)\"\$"
like 'and so says the table' "$(stave stat spin | tail -n 1)" ' [1-9][0-9]?\.[0-9]{2}% +[1-9][0-9]*% '
is 'who has no quota is not stopped' "$(of '[.cpu.limit, .cpu.throttling.percent]' "$plain")" '[null,null]'

# Memory.
becomes 'what it has eaten' '.memory.workingSet >= 25165824 and .memory.workingSet < 50331648' eat
becomes 'is a part of its limit' '.memory.percent > 37 and .memory.percent < 75' eat
is 'which holds' "$(of '[.memory.limit, .memory.effective.limit]' eat)" '[67108864,67108864]'
like 'in the table' "$(stave stat eat | tail -n 1)" ' [23][0-9](\.[0-9]+)?MiB / 64MiB +[0-9.]+% '
like 'no limit: the memory of the machine' "$(stave stat "$plain" | tail -n 1)" \
  " / $(awk '/^MemTotal:/ { printf "%.3f", $2 / 1048576 }' /proc/meminfo | cut -c 1-4)[0-9.]*GiB "
is 'tasks' "$(of .pids.current eat)" 3
is 'and their limit' "$(of '[.pids.current, .pids.limit]' spin) $(stave stat spin | grep -c ' 1 / 40 ')" '[1,40] 1'
# Pages of files that were read once are not what it needs.
stave run -d --name reader -m 64M --rootfs "$B" sh -c 'dd if=/dev/zero of=/x bs=1M count=16; sync; exec sleep 1000' >/dev/null
becomes 'inactive pages are not in the working set' '.memory.usage - .memory.workingSet > 8388608 and .memory.cache > 8388608' reader
stave run -d --name oom -m 16M --rootfs "$B" sh -c 'head -c 64m /dev/zero | tail -n 1 >/dev/null; exec sleep 1000' >/dev/null
becomes 'one of its processes was killed for memory' '.memory.events | .oomKill >= 1 and .max >= 1' oom
like 'in the table' "$(stave stat oom | column EVENTS)" '^max [1-9].* kill [1-9]'

# A limit from above.
parent=/stave-480-$$
stave run -d --name below -m 64M --pids-limit 30 --cgroup-parent "$parent" --rootfs "$B" sleep 1000 >/dev/null
at=$(of .memory.effective.cgroup below | tr -d '"')
like 'at first it is its own' "$at" "$parent/$(id_of below)\$"
above=${at%/*}
if v1; then file=memory.limit_in_bytes; else file=memory.max; fi
echo 33554432 >"$above/$file"
is 'a lower one of the parent' "$(of '.memory | [.limit, .effective.limit]' below)" '[67108864,33554432]'
is 'by name' "$(of .memory.effective.cgroup below)" "\"$above\""
like 'has a mark' "$(stave stat below | tail -n 1)" ' / 32MiB\^ '
pids=$(of .pids.effective.cgroup below | tr -d '"')
echo 20 >"${pids%/*}/pids.max"
like 'tasks too' "$(stave stat below | tail -n 1)" ' 1 / 20\^ '
echo 128M >"$above/$file"
is 'a higher one is none' "$(of '.memory | [.limit, .effective.limit]' below)" '[67108864,67108864]'
stave rm -f below >/dev/null
find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -depth -path "*$parent" -type d -exec rmdir {} \;

# Network.
is 'the network of the host is not its own' "$(of 'has("network")' "$plain") $(stave stat "$plain" | column 'NET I/O' | cut -c 1)" 'false -'
is 'one of its own has nothing to do' "$(of '.network | add' eat) $(stave stat eat | grep -c ' 0B / 0B ')" '0 1'
if command -v ip >/dev/null && command -v nsenter >/dev/null; then
  pid=$(pid_of eat)
  inside() { nsenter -n -t "$pid" "$@"; }
  inside busybox ping -q -c 1 -s 1000 127.0.0.1 >/dev/null
  is 'the loopback does not count' "$(of '.network | add' eat)" 0
  inside ip link add va type veth peer name vb
  inside ip link set vb up && inside ip link set va up && inside ip addr add 192.0.2.1/24 dev va
  inside busybox ping -q -c 1 -W 1 192.0.2.2 >/dev/null
  is 'a device does' "$(of '.network | .sent > 0 and .packetsSent > 0 and .received > 0 and .packetsReceived > 0' eat)" true
  like 'in the table' "$(stave stat eat | tail -n 1)" ' [1-9][0-9.]*k?B / [1-9][0-9.]*k?B '
  inside ip link del va
else
  skip 'what goes over a device' 'no ip or nsenter'
fi

# Block devices: v1 counts where there is a limit.
source=$(df --output=source "$STAVE_ROOT" | tail -n 1)
disk=/dev/$(lsblk -no PKNAME "$source" 2>/dev/null | head -n 1)
[ -b "$disk" ] || disk=$source
if [ -b "$disk" ]; then
  stave run -d --name disk --device-write-bps "$disk:1gb" --rootfs "$B" sh -c \
    'dd if=/dev/zero of=/x bs=1M count=4 conv=fsync; exec sleep 1000' >/dev/null
  becomes 'bytes written' '.io | .written >= 4194304 and .writes > 0' disk
  is 'the column' "$(stave stat disk | column 'BLOCK I/O' | grep -c '^[0-9.]*k\?M\?B / [4-9][0-9.]*MB')" 1
  stave rm -f disk >/dev/null
else
  skip 'bytes written' 'the store is on no disk'
fi

# Pressure.
psi=$(find /sys/fs/cgroup -maxdepth 2 -name cpu.pressure 2>/dev/null | head -n 1)
if [ -n "$psi" ] && cat "$psi" >/dev/null 2>&1; then
  is 'pressure' "$(of '.pressure | [.cpu, .memory, .io] | map(.some >= 0 and .full >= 0) | all' spin)" true
else
  skip 'pressure' 'this kernel does not tell it'
fi

# Which ones, and in which order.
is 'those that run' "$(stave stat --json | jq -r .id | sort)" "$(stave ps -q | sort)"
is 'all' "$(stave stat -a --json | jq -r .id)" "$(stave ps -aq)"
is 'as named, each once' "$(stave stat --json spin "$plain" "$(id_of spin)" | jq -r .id)" "$(id_of spin)
$plain"
is 'by memory' "$(stave stat --sort mem --json spin eat | jq -r .name)" "eat
spin"
is 'by processors' "$(stave stat --sort cpu --json eat spin | jq -r .name)" "spin
eat"
is 'by name' "$(stave stat --sort name --json spin eat | jq -r .name)" "eat
spin"
is 'one that has ended has nothing' "$(of '[.status, has("cpu"), has("memory"), has("pids")]' ended) $(stave stat ended | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2-)" \
  '["stopped",false,false,false] ended - - - - - - - - - - -'
stave pause eat >/dev/null
is 'one that is paused has not gone' "$(of '[.status, .cpu.percent, .pids.current]' eat) $(stave stat | grep -c ' eat ')" '["paused",0,3] 1'
stave resume eat >/dev/null
refuses 'one that is not there' 1 '^stave-stat: no container nope$' stave stat nope
refuses 'the others are shown' 1 '^stave-stat: no container nope$' stave stat --json nope spin
is 'indeed' "$(printf '%s\n' "$out" | jq -r .name)" spin
echo 'no document' >"$STAVE_ROOT/c/$(id_of ended)/config.json"
refuses 'one that cannot be read' 1 '^stave-stat: read .*/config.json: ' stave stat ended
ok 'it hides nobody' stave stat -a --json
is 'and is there' "$(printf '%s\n' "$out" | jq -r .id | grep -cx "$(id_of ended)")" 1
for words in --watch=0 --watch=x '-w --no-stream' --sort=x; do
  # shellcheck disable=SC2086 # words
  refuses "$words" 2 '^stave-stat: ' stave stat $words
done
if command -v strace >/dev/null; then
  strace -f -o trace -e trace=execve,fork,vfork,clone,clone3 stave-stat --json >/dev/null 2>&1
  is 'no process is started' "$(grep -Ec 'execve|fork|clone' trace)" 1
else
  skip 'no process is started' 'no strace'
fi

# A stream.
is 'one object a line, look by look' "$(stave stat --watch=0.2 --json spin | head -n 3 | jq -sc '[(map([.name, .cpu.percent > 0]) | unique), length]')" \
  '[[["spin",true]],3]'
is 'tables where there is no terminal' "$(stave stat --watch=0.2 spin | head -n 6 | cut -c 1-4 | sed 's/^[0-9a-f]\{4\}$/id/' | tr '\n' ,)" 'ID  ,id,,ID  ,id,,'
at stave stat --watch=0.2 <<END
? spin
$ stave run -d --name guest --rootfs $B sleep 1000 >/dev/null
? guest
? THR
$ stave rm -f guest >/dev/null
? spin
? spin
> typed
? spin
^ C
END
is 'control-C ends the one at a terminal' "$out" 'exit 130, cooked'
esc=$(printf '\033')
is 'the cursor is back' "$(grep -o "$esc\[?25[hl]" typed | tr -d "$esc" | tr '\n' ' ')" '[?25l [?25h '
is 'nothing comes after it' "$(tail -c 6 typed)" "${esc}[?25h"
like 'it is drawn over itself' "$(cat typed)" "$esc\[[0-9]+A"
unlike 'what is typed is not shown' "$(cat typed)" typed
like 'with a bar' "$(cat typed)" '% #'
unlike 'and nothing that this locale does not know' "$(LC_ALL=C tr -d '\001-\177' <typed | od -c | head -n 1)" '[0-9] .*[0-9]{3}'
unlike 'no line is wider than the terminal' "$(tr -d '\r' <typed | sed "s/$esc\[[0-9?]*[a-zA-Z]//g")" '.{80}'
at env LC_ALL=C.UTF-8 stave stat -w=0.2 spin eat <<'END'
? spin
size 24 40
? NAME
? spin
$ kill -TSTP $PID; until grep -q '^State:.T' /proc/$PID/status; do sleep 0.02; done
kill CONT
? NAME
? spin
kill TERM
END
is 'a signal ends it' "$out" 'exit 143, cooked'
like 'bars of blocks' "$(cat typed)" '% █'
like 'another width: drawn anew' "$(cat typed)" "$esc\[H$esc\[2J"
unlike 'within it' "$(sed "1,/$esc\[H$esc\[2J/d; s/$esc\[[0-9?]*[a-zA-Z]//g" typed | tr -d '\r')" '.{40}'
is 'the cursor is there while it stands still' "$(grep -o "$esc\[?25[hl]" typed | tr -d "$esc" | tr '\n' ' ')" '[?25l [?25h [?25l [?25h '
at env TERM=dumb stave stat -w=0.2 spin <<'END'
? NAME
? NAME
^ C
END
is 'a dumb terminal' "$out" 'exit 130, cooked'
unlike 'gets no orders' "$(cat typed)" "$esc"
at env TERM=xterm stave stat -w=0.2 <<'END'
? NAME
size 4 80
? and [0-9]+ more
^ C
END
is 'a low one gets as many as there is room for' "$out" 'exit 130, cooked'
at env TERM=xterm stave stat -w=0.2 <<'END'
? NAME
size 0 0
? 2J
? reader
? eat
? spin
^ C
END
is 'one that does not know how low it is gets all' "$out" 'exit 130, cooked'

# Somebody else: what may not be read is not shown, and no error.
user() {
  setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$T/own" STAVE_ROOT="$T/own/root" STAVE_RUN="$T/own/run" PATH="$PATH" "$@"
}
if user unshare --user stave --version >/dev/null 2>&1; then
  chmod 711 "$T" && mkdir own && chown 65534:65534 own
  (cd own && user stave run -d --name own --rootfs "$B" sleep 1000 >/dev/null)
  try user stave stat --json
  is 'an ordinary user sees its own' "$status $err $(printf '%s\n' "$out" | jq -r '[.name, .status] | join(" ")')" '0  own running'
  try user stave stat
  like 'in the table' "$out" '^[0-9a-f]{12}  own  '
  user stave rm -f own >/dev/null
else
  skip 'an ordinary user' 'it cannot reach the tools, or gets no user namespace'
fi
# shellcheck disable=SC2046 # a word each
stave rm -f $(stave ps -aq) >/dev/null
nothing_left 'nothing of it is left' "$before"
