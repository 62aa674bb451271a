# shellcheck shell=sh disable=SC2016 # sourced by v2.sh; quoted for the shell in the container
# Limits while a container runs, and what each of them does, where v2 is all there is.
group=/sys/fs/cgroup/stave
# soon COMMAND...: within a minute.
soon() {
  polls=0
  until "$@" >/dev/null 2>&1; do
    polls=$((polls + 1))
    [ $polls -lt 300 ] || return 1
    sleep 0.2
  done
}
state() { sed 's/.*"exit":{\([^}]*\)}.*/\1/; s/,"at":"[^"]*"//' "$STAVE_RUN/$id/state.json"; }
row() { stave limit "$1" | awk -v r="$2" '$1 == r { print $2, $3, $4 }'; }
doc() { sed 's/.*"was"://' "$STAVE_ROOT/c/$id/config.json"; }
found() { readlink "$STAVE_ROOT/names/$1" | sed 's,.*/,,'; }

# Memory.
stave run --name eater -m 16M --memory-swap 16M busybox dd if=/dev/zero of=/dev/null bs=32M count=1 >out 2>err
is 'limits: an eater is killed' $? 137
is 'limits: and that is said' "$(cat err)" 'stave-run: eater: killed for want of memory (limit 16MiB)'
id=$(found eater)
is 'limits: recorded' "$(state)" '"code":137,"signal":9,"cause":"oom","oomKills":1'
is 'limits: shown' "$(stave ps -a | grep -c 'killed by KILL .* ago, out of memory ')" 1
stave run --name parent -m 16M --memory-swap 16M busybox sh -c 'dd if=/dev/zero of=/dev/null bs=32M count=1; exit 3' >out 2>err
is 'limits: one that goes on' "$? $(grep -c '^stave-run: parent: 1 process killed for want of memory (limit 16MiB)$' err)" '3 1'
id=$(found parent)
is 'limits: is told apart' "$(state)" '"code":3,"cause":"exit","oomKills":1'
id=$(stave run -d --name shot -m 16M busybox sleep 1000)
stave kill shot >/dev/null
is 'limits: a kill is no want of memory' "$(stave wait shot) $(state)" '137 "code":137,"signal":9,"cause":"signal"'
stave rm eater parent shot >/dev/null

# Time.
stave new spin | stave limit --cpus 0.2 | stave keep -- sh -c 'while :; do :; done' >/dev/null
id=$(found spin)
used() { awk '$1 == "usage_usec" { print $2 }' "$group/$id/cpu.stat"; }
# Microseconds, of a clock that busybox has too.
clock() { awk '{ printf "%d", $1 * 1000000 }' /proc/uptime; }
sleep 2
a=$(used) t=$(clock)
sleep 6
share=$((($(used) - a) * 100 / ($(clock) - t)))
is 'limits: a spinner has a fifth of a processor' "$([ $share -ge 15 ] && [ $share -le 25 ] && echo yes || echo "$share percent")" yes
stave rm -f spin >/dev/null

# Tasks.
echo 'while :; do sh "$0" & done' >bomb
stave new bomb | stave limit --pids-limit 20 | stave keep -- sh -c 'sh bomb 2>/dev/null & exec sleep 1000' >/dev/null
id=$(found bomb)
soon grep -q 'max [1-9]' "$group/$id/pids.events"
is 'limits: a bomb stops at its limit' "$? $(($(value pids.current) <= 20))" '0 1'
stave kill -a bomb >/dev/null
is 'limits: kill --all ends it' "$(stave wait bomb) $(value cgroup.procs)" '137 '
is 'limits: its cgroup takes in the next' "$(stave spawn bomb -- echo in)" in
stave rm bomb >/dev/null
echo 'sh "$0" & sh "$0" &' >storm
stave new storm | stave limit --pids-limit 100 | stave keep -- sh -c 'sh storm & exec sleep 1000' >/dev/null
id=$(found storm)
soon sh -c "[ \$(cat $group/$id/pids.current) -gt 30 ]"
is 'limits: kill --all of a storm' "$(stave kill -a storm; value cgroup.procs)" storm
stave keep storm -- sh -c 'sh storm & exec sleep 1000' >/dev/null
is 'limits: rm -f of a storm' "$(stave rm -f storm; ls -d "$group/$id" 2>/dev/null)" storm

# The freezer.
id=$(stave run -d --name p busybox sh -c 'while :; do echo; sleep 0.1; done')
soon test -s "$STAVE_ROOT/c/$id/log"
stave pause p >/dev/null
a=$(wc -l <"$STAVE_ROOT/c/$id/log")
sleep 1
is 'limits: paused' "$(($(wc -l <"$STAVE_ROOT/c/$id/log") - a)) $(grep frozen "$group/$id/cgroup.events") $(stave ps | grep -c ' paused ')" '0 frozen 1 1'
is 'limits: exec says so' "$(stave exec p true 2>&1)" 'stave-exec: exec in p: it is paused (stave resume p)'
stave resume p >/dev/null
soon sh -c "[ \$(wc -l <$STAVE_ROOT/c/$id/log) -gt $a ]"
is 'limits: and on again' "$? $(stave exec p echo in)" '0 in'
stave pause p >/dev/null
is 'limits: KILL ends a paused one' "$(stave kill p; stave wait p)" 'p
137'
is 'limits: which may be started' "$(stave spawn p -- echo in)" in
stave rm p >/dev/null

# While it runs.
id=$(stave run -d --name web -m 64M --pids-limit 30 busybox sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=24 2>/dev/null; echo 1; exec sleep 1000')
soon grep -q 1 "$STAVE_ROOT/c/$id/log"
is 'limits: a live update' "$(stave limit web -m 128M --cpus 0.5; value memory.max) $(value cpu.max) $(value pids.max)" '134217728 50000 100000 30'
is 'limits: another' "$(stave limit -c 512 web; value cpu.weight)" 59
is 'limits: undone' "$(stave limit --undo web; value cpu.weight) $(value memory.max)" '100 134217728'
is 'limits: undone too' "$(stave limit --undo web; value memory.max) $(value cpu.max)" '67108864 max 100000'
is 'limits: none is left' "$(stave limit --undo web 2>&1)" 'stave-limit: undo the limits of web: it runs, and no update is left to undo'
stave limit -m 8M --pids-limit 77 web 2>err
is 'limits: below what is in use' "$? $(grep -Ec "^stave-limit: write '8388608' to $group/$id/memory.max: unable to set memory limit to 8388608 \(current usage: [0-9]+, of which [0-9]+ cannot be reclaimed\)$" err)" '1 1'
is 'limits: is as before' "$(value memory.max) $(value pids.max)" '67108864 30'
is 'limits: and it lives' "$(stave exec web echo yes)" yes
stave limit -m 40M web && stave limit -m 96M web
stave exec web dd if=/dev/zero of=/dev/shm/y bs=1M count=36 2>/dev/null
stave limit --undo web 2>err
is 'limits: undone to less than what is in use' "$? $(grep -c "^stave-limit: write '41943040' to $group/$id/memory.max: unable to set memory limit to 41943040 (current usage: " err)" '1 1'
is 'limits: is as before' "$(value memory.max) $(stave exec web echo lives)" '100663296 lives'
stave exec web rm /dev/shm/y
is 'limits: undone' "$(stave limit --undo web; value memory.max; stave limit --undo web; value memory.max)" '41943040
67108864'
is 'limits: files of v2' "$(stave limit --cgroup-conf memory.high=50331648 web; value memory.high)" 50331648
is 'limits: undone' "$(stave limit --undo web; value memory.high)" max
is 'limits: a controller that was not handed down' "$(stave limit --cpuset-cpus 0 --cpuset-mems 0 web; value cpuset.cpus)" 0
is 'limits: undone' "$(stave limit --undo web; value cpuset.cpus.effective)" 0-1
is 'limits: burst and idle' "$(stave limit --cpu-quota 50000 --cpu-burst 9000 --cpu-idle 1 web; value cpu.max.burst) $(value cpu.idle)" '9000 1'
is 'limits: undone' "$(stave limit --undo web; value cpu.max.burst) $(value cpu.idle) $(value cpu.max)" '0 0 max 100000'
stave limit -c 512 web && stave limit --cpu-idle 1 web
is 'limits: idle undone: the weight is what it was' "$(stave limit --undo web; value cpu.idle) $(value cpu.weight)" '0 59'
stave limit --cpu-idle 1 web && stave limit -c 1024 web
is 'limits: a weight while it is idle is the next one' "$(value cpu.idle; stave limit --cpu-idle 0 web; value cpu.weight)" '1
100'
for _ in 1 2 3 4; do stave limit --undo web; done
is 'limits: undone' "$(value cpu.idle) $(value cpu.weight)" '0 100'
if [ -e "$group/$id/io.weight" ] || { stave limit --blkio-weight 500 web 2>/dev/null && stave limit --undo web; }; then
  disk=$(awk '$4 ~ /^vda$/ { print $4 }' /proc/partitions)
  if [ -b "/dev/$disk" ]; then
    number=$(awk '$4 == "vda" { print $1 ":" $2 }' /proc/partitions)
    is 'limits: io.latency' "$(stave limit --cgroup-conf "io.latency=$number target=75000" web; value io.latency)" "$number target=75000"
  else
    is 'limits: io.latency of no disk' "$(stave limit --cgroup-conf 'io.latency=999:9 target=75000' web 2>&1 | grep -c "write '999:9 target=75000' to $group/$id/io.latency: ")" 1
  fi
fi
is 'limits: devices' "$(stave exec web mknod /tmp/f c 10 229; stave limit --device-cgroup-rule 'c 10:229 r' web; stave exec web sh -c ': </tmp/f' 2>&1)" ''
is 'limits: undone' "$(stave limit --undo web; stave exec web sh -c ': </tmp/f' 2>&1 | grep -c 'not permitted')" 1
stave limit -m 48M web && stave kill web >/dev/null && stave wait web >/dev/null
stave limit --pids-limit 25 web
stave inspect web | stave mount | stave ns | stave limit | stave keep >/dev/null
is 'limits: the next start has the updates' "$(value memory.max) $(value pids.max)" '50331648 25'
is 'limits: in a fresh cgroup' "$(awk '$1 == "max" { print $2 }' "$group/$id/memory.events")" 0
is 'limits: to be undone' "$(stave limit --undo web; value pids.max)" 30

# Swap is what both together leave, now as after the next start.
stave new both | stave limit -m 64M --memory-swap 80M >both.json
id=$(found both)
both() { echo "$(value memory.max) $(value memory.swap.max)"; }
is 'limits: more memory, less swap' "$(stave limit -m 72M both; both)" '75497472 8388608'
is 'limits: also at the next start' "$(stave limit both >/dev/null; stave inspect both | stave limit >/dev/null; both)" '75497472 8388608'
is 'limits: neither' "$(stave limit -m -1 both; both)" 'max max'
is 'limits: also at the next start' "$(stave inspect both | stave limit >/dev/null; both)" 'max max'
is 'limits: undone' "$(stave limit --undo both; both)" '75497472 8388608'
stave rm both >/dev/null
id=$(found web)

# What holds.
mkdir -p /sys/fs/cgroup/top
echo '+memory +pids +cpu' >/sys/fs/cgroup/top/cgroup.subtree_control
echo 33554432 >/sys/fs/cgroup/top/memory.max
stave new low | stave limit --cgroup-parent top -m 64M >low.json
is 'limits: what holds is set above' "$(row low memory)" '64MiB 32MiB /sys/fs/cgroup/top/memory.max'
is 'limits: or by the machine' "$(row low tasks | sed 's/ [0-9]* / N /')" "none N $(row low tasks | sed 's/.* //')"
is 'limits: processors' "$(row low processors)" 'none 2 /sys/devices/system/cpu/online'
is 'limits: undo leaves the parent' "$(stave limit --undo <low.json >/dev/null; ls -d /sys/fs/cgroup/top/ /sys/fs/cgroup/top/*/ 2>/dev/null)" /sys/fs/cgroup/top/
stave rm low >/dev/null

# What cannot be.
for bad in '-m 0' '-m 4k' '-m 64Q' '--cpus -1' '--cpus 1000' '--cpuset-cpus 7' '--cpu-idle 2'; do
  # shellcheck disable=SC2086 # two words
  stave limit --pids-limit 77 $bad web >out 2>&1
  is "limits: $bad" "$? $(wc -l <out) $(value memory.max) $(value pids.max)" '2 1 50331648 30'
done
if echo 0 >/sys/devices/system/cpu/cpu1/online 2>/dev/null; then
  is 'limits: a processor that does not run' "$(stave limit --cpuset-cpus 1 web 2>&1)" 'stave-limit: --cpuset-cpus 1: the processors that run here are 0'
  echo 1 >/sys/devices/system/cpu/cpu1/online
else
  is 'limits: a processor that the machine has not' "$(stave limit --cpuset-cpus 2 web 2>&1)" 'stave-limit: --cpuset-cpus 2: the processors that run here are 0-1'
fi
mkdir -p /sys/fs/cgroup/thr/in && echo threaded >/sys/fs/cgroup/thr/in/cgroup.type
is 'limits: a threaded parent' "$(stave new | stave limit --cgroup-parent thr/in 2>&1 >/dev/null | head -n 1)" \
  "stave-limit: make directory $(ls -d /sys/fs/cgroup/thr/in)/$(stave ps -qn1): /sys/fs/cgroup/thr/in is threaded: no container can be in a cgroup below it"
stave rm "$(stave ps -qn1)" >/dev/null
rmdir /sys/fs/cgroup/thr/in /sys/fs/cgroup/thr
# A controller that vanishes is handed down again; where it cannot be, that is said.
file=$group/cgroup.subtree_control
echo -pids >"$file"
is 'limits: a controller that vanished' "$([ -e "$group/$id/pids.max" ] || echo gone)" gone
is 'limits: is handed down again' "$(stave limit --pids-limit 35 web; value pids.max)" 35
echo -pids >"$file"
mount --bind "$file" "$file" && mount -o remount,ro,bind "$file"
stave limit --pids-limit 36 -m 40M web 2>err
is 'limits: or named' "$? $(cat err) $(value memory.max)" "1 stave-limit: hand down memory, pids in $group: pids: Read-only file system 50331648"
umount "$file"
stave rm -f web >/dev/null
rmdir /sys/fs/cgroup/top

# A user to whom a cgroup was given, and one to whom none was.
own=/sys/fs/cgroup/user/own
mkdir -p /sys/fs/cgroup/user && echo '+memory +pids' >/sys/fs/cgroup/user/cgroup.subtree_control
mkdir -p $own/run /tmp/u && chown -R 1000:1000 /tmp/u $own/run
chown 1000 $own $own/cgroup.procs $own/cgroup.subtree_control
chmod 755 /tmp/t
echo 'u:x:1000:1000::/tmp/u:/bin/sh' >>/etc/passwd
as_user() {
  sh -c "echo \$\$ >$1/cgroup.procs; cd /tmp/u; exec su u -c 'export PATH=$PATH STAVE_ROOT=/tmp/u/root STAVE_RUN=/tmp/u/run; $2'"
}
is 'limits: there is a user' "$(as_user $own/run 'id -u' 2>&1)" 1000
if [ "$(as_user $own/run 'id -u' 2>&1)" = 1000 ]; then
  is 'limits: a user in its own cgroup' "$(as_user $own/run 'stave new x | stave limit -m 32M --pids-limit 9 | stave spawn -- sed s/.*:// /proc/self/cgroup' 2>&1 | sed 's,[0-9a-f]*$,ID,')" /user/own/stave/ID
  is 'limits: a controller that was not given' "$(as_user $own/run 'stave limit --cpus 0.5 x' 2>&1)" \
    "stave-limit: hand down cpu in /sys/fs/cgroup/user: Permission denied: whose it is hands it down by 'echo +cpu >/sys/fs/cgroup/user/cgroup.subtree_control'"
  echo +cpu >/sys/fs/cgroup/user/cgroup.subtree_control
  is 'limits: given so' "$(as_user $own/run 'stave limit --cpus 0.5 x; stave limit x' 2>&1 | awk '$1 == "processors" { print $2 }')" 0.5
  is 'limits: an update of its own' "$(as_user $own/run 'stave limit -m 40M x; stave limit x' 2>&1 | awk '$1 == "memory" { print $2 }')" 40MiB
  as_user $own/run 'stave rm x' >/dev/null
fi
rmdir $own/run $own/stave $own /sys/fs/cgroup/user 2>/dev/null
is 'limits: nothing is left' "$(stave ps -aq; ls -d "$group"/*/ 2>/dev/null)" ''
