#!/bin/sh
# Inside the guest, whose process 1 is systemd: the driver that has systemd make the cgroups, as root and
# as an ordinary user in a session of its own. Started by test.sh with the tools in ./bin and a root file
# system in ./busybox.tar.
# shellcheck disable=SC2016 # for the shell in the container
set -u
here=$(readlink -f "$0")
if [ "$(id -u)" = 0 ]; then
  mkdir -p /opt/bin /tmp/t
  # Copying is slow here: only what is called.
  for tool in exec join keep kill limit load mount new ns oci pause ps resume rm run spawn stat step unpack wait; do
    cp "bin/stave-$tool" /opt/bin/
  done
  cp bin/stave /opt/bin/ && cp busybox.tar guest.sh /tmp/t/
  cp "$here" /tmp/t/systemd.sh && chmod -R a+rX /tmp/t
  export PATH="/opt/bin:$PATH" STAVE_ROOT=/tmp/t/root STAVE_RUN=/tmp/t/run
  cd /tmp/t || exit 1
  whose=root ctl=systemctl
  slice=system.slice above=''
else
  mkdir -p ~/t && cd ~/t || exit 1
  cp /tmp/t/busybox.tar .
  whose=user ctl='systemctl --user'
  slice=user.slice above=/user.slice/user-1000.slice/user@1000.service
fi
# shellcheck source=tests/vm/guest.sh
. /tmp/t/guest.sh
who="$whose: "
[ "$whose" = root ] || read -r n failed </tmp/t/count
# at ID: where the cgroup of its scope is; value FILE, show PROPERTY...: of $unit
at() { unit=stave-$1.scope cg=/sys/fs/cgroup$above/$slice/$unit; }
value() { cat "$cg/$1"; }
show() { for p in "$@"; do $ctl show -P "$p" "$unit"; done | tr '\n' ' '; }
units() { $ctl list-units --all --plain --no-legend 'stave-*' 'pre-*' 'libpod-*' | cut -d ' ' -f 1; }
id_of() { sed 's/.*"id":"\([0-9a-f]*\)".*/\1/' "$1"; }

# From a session that is none of the user's manager: what is moved is moved by managers.
if [ "${1-}" = session ]; then
  who='user, of no session: '
  id=$(stave run -d -m 64M --name web busybox sleep 1000)
  at "$id"
  is 'a scope' "$(value memory.max) $(value cgroup.procs | wc -l) $(cut -d : -f 3 /proc/self/cgroup | cut -d / -f 2)" '67108864 1 system.slice'
  is 'exec' "$(stave exec web cat /proc/self/cgroup)" '0::/'
  is 'join' "$(stave join -c web -- cat /proc/self/cgroup)" "0::$above/$slice/$unit"
  stave limit -m 32M web
  is 'a live update' "$(value memory.max)" 33554432
  stave rm -f web >/dev/null
  is 'nothing is left' "$(units | grep -v '\.slice$')" ''
  echo "$n $failed" >/tmp/t/count
  exit
fi

stave load -t busybox busybox.tar >doc
id=$(stave run -d -m 64M --cpus 0.5 --pids-limit 40 --name web busybox sleep 1000)
at "$id"
is 'auto is systemd: a scope' "$(show LoadState ActiveState SubState Slice)" "loaded active running $slice "
is 'delegated, accounted' "$(show Delegate MemoryAccounting CPUAccounting TasksAccounting DefaultDependencies Description)" \
  "yes yes yes yes no container web "
is 'its properties' "$(show MemoryMax CPUQuotaPerSecUSec TasksMax)" '67108864 500ms 40 '
is 'its files' "$(value memory.max) $(value cpu.max) $(value pids.max)" '67108864 50000 100000 40'
pid=$(stave ps --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
is 'pid 1 is in it' "$(cat "/proc/$pid/cgroup")" "0::$above/$slice/$unit"
is 'the container sees its own root' "$(stave exec web cat /proc/self/cgroup)" '0::/'
is 'and its own limits' "$(stave exec web cat /sys/fs/cgroup/memory.max)" 67108864
is 'join ends there too' "$(stave join -c web -- cat /proc/self/cgroup)" "0::$above/$slice/$unit"
is 'the document says it' "$(sed 's/.*"cgroupsPath":"\([^"]*\)".*"cgroupDriver":"\([a-z]*\)".*/\1 \2/;t;s/.*"cgroupDriver":"\([a-z]*\)".*"cgroupsPath":"\([^"]*\)".*/\2 \1/' "${STAVE_ROOT:-$HOME/.local/share/stave}/c/$id/config.json")" "$slice:stave:$id systemd"
is 'stat finds it' "$(stave stat --json web | grep -c 67108864)" 1
STAVE_CGROUP_DRIVER=cgroupfs stave limit -m 32M web
is 'a live update, whatever the environment says now' "$(value memory.max) $(show MemoryMax)" '33554432 33554432 '
$ctl daemon-reload
is 'systemd reads its files: it stays' "$(value memory.max) $(value cpu.max) $(show MemoryMax)" '33554432 50000 100000 33554432 '
stave limit -n -m 16M web | sh -e
$ctl daemon-reload
is 'the printed shell does the same' "$(value memory.max) $(show MemoryMax)" '16777216 16777216 '
stave limit -m 24M --cpus 0.125 web
is 'a quota is whole percents' "$(value cpu.max) $(show CPUQuotaPerSecUSec)" '13000 100000 130ms '
stave limit -m 20M --pids-limit 44 --cgroup-driver cgroupfs web 2>err
is 'a container that runs stays where it is' "$? $(grep -c "the container has its cgroup already, at $above/$slice/$unit" err) $(value pids.max)" '1 1 40'
stave limit --undo web
$ctl daemon-reload
is 'limit --undo is told too' "$(value memory.max) $(show MemoryMax CPUQuotaPerSecUSec)" '16777216 16777216 500ms '
if [ $whose = root ]; then
  stave limit -m 20M --pids-limit 44 --cpuset-mems 9 web 2>err
  is 'one refusal' "$? $(grep -c "write '9' to $cg/cpuset.mems" err)" '1 1'
  is 'and the former limits are in force' "$(value memory.max) $(value pids.max) $(show MemoryMax TasksMax AllowedMemoryNodes)" '16777216 40 16777216 40  '
  stave limit --device-cgroup-rule 'c 10:229 r' web
  stave exec web mknod /tmp/fuse c 10 229
  is 'device rules' "$(stave exec web sh -c ': </tmp/fuse; : >/tmp/fuse' 2>&1 | grep -c 'not permitted')" 1
fi
stave pause web >/dev/null
is 'paused' "$(value cgroup.events | grep frozen) $(stave ps --json | grep -c '"status":"paused"')" 'frozen 1 1'
stave resume web >/dev/null
stave kill web >/dev/null && stave wait web >/dev/null
is 'it ends with its process' "$(units)" ''
stave keep web >/dev/null
is 'and is there again with the next' "$(show ActiveState) $(value memory.max)" 'active  16777216'
stave kill -a web >/dev/null && stave wait web >/dev/null
is 'kill --all ends it' "$(units)" ''
stave rm -f web >/dev/null
is 'rm takes it away' "$(units)$(ls -d "$cg" 2>/dev/null)" ''

# Steps and shell.
stave new job | stave limit -m 48M >job.json
at "$(id_of job.json)"
is 'limit alone leaves no unit' "$(units)" ''
is 'but says what spawn will do' "$(stave limit -n <job.json | grep -c '^# spawn: .*busctl .*StartTransientUnit')" 1
is 'spawn makes it' "$(stave spawn -- sh -c 'cat /sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)/memory.max' <job.json)" 50331648
is 'so does the printed shell' "$(stave spawn -n -- sh -c 'cat /proc/self/cgroup; cat /sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)/memory.max' <job.json | sh -e)" \
  "0::$above/$slice/$unit
50331648"
stave rm job >/dev/null
is 'the pipeline' "$(stave unpack busybox | stave new p - | stave mount | stave ns | stave limit -m 48M |
  stave spawn --rm -- cat /sys/fs/cgroup/memory.max)" 50331648
is 'with its name' "$(stave run --rm --cgroup-parent pre-a.slice -m 16M busybox cat /sys/fs/cgroup/memory.max)" 16777216
is 'out of memory ends the workload' "$(stave run --name oom -m 8M --memory-swap 8M --tmpfs /t busybox dd if=/dev/zero of=/t/x bs=1M count=64 >/dev/null 2>&1; echo $?)" 137
is 'and is told apart' "$(stave ps -a --json | grep -c '"cause":"oom"')" 1
stave rm oom >/dev/null
is 'in the background too' "$(id=$(stave run -d --name oom -m 8M --memory-swap 8M --tmpfs /t busybox sh -c 'exec dd if=/dev/zero of=/t/x bs=1M count=64')
  stave wait oom; sleep 1; stave ps -a --json | grep -c '"cause":"oom"'; stave rm oom >/dev/null)" '137
1'
is 'and leaves no failed unit' "$($ctl --failed --plain --no-legend | grep stave)" ''
# doc PATH [ANNOTATIONS]: a document with that path
doc() {
  printf '{"ociVersion":"1.0.2","annotations":{%s},"linux":{"cgroupsPath":"%s","resources":{"pids":{"limit":0},"unified":{"memory.high":"20971520"}}}}' "${2-}" "$1"
}
doc pre-a-b.slice:pre:one '"org.systemd.property.TimeoutStopSec":"123","org.systemd.property.CollectMode":"'"'inactive-or-failed'"'"' |
  stave limit | stave keep -- sleep 1000 >id
unit=pre-one.scope
is 'slice:prefix:name' "$(show ControlGroup Slice)" "$above/pre.slice/pre-a.slice/pre-a-b.slice/$unit pre-a-b.slice "
is 'annotations, and unified' "$(show TimeoutStopUSec CollectMode MemoryHigh TasksMax)" '2min 3s inactive-or-failed 20971520 1 '
is 'a unit of that name is there' "$(doc :pre:one | sed 's/,"unified":{[^}]*}//' | stave limit | stave spawn -- true 2>&1 | grep -c 'start unit pre-one.scope: the .* bus: .*already')" 1
stave kill "$(cat id)" >/dev/null
doc pre-a.slice:pre:pre-c-d.slice | stave limit | stave spawn -- cat /proc/self/cgroup >out 2>&1
is 'a slice, by its name' "$(cat out)" "0::$above/pre.slice/pre-c.slice/pre-c-d.slice"
is 'no slice' "$(doc 'a/b.slice::x' | stave limit 2>&1 | grep -c 'invalid slice name: a/b.slice')" 1
is 'no value' "$(doc :pre:x '"org.systemd.property.CollectMode":"x"' | stave limit 2>&1 | grep -c "annotation org.systemd.property.CollectMode=x: 'x' is no int32")" 1
is 'no property' "$(doc :pre:x '"org.systemd.property.Nonsense":"1"' | stave limit | stave spawn -- true 2>&1 | grep -c 'start unit pre-x.scope: the .* bus: org.freedesktop.systemd1: Cannot set property Nonsense')" 1
stave ps -aq | xargs stave rm -f >/dev/null
is 'nothing is left' "$(stave ps -aq; units | grep -v '\.slice$'; $ctl --failed --plain --no-legend | grep -E 'stave|pre-')" ''

# The other driver beside it.
id=$(stave run -d --cgroup-driver cgroupfs -m 24M --name fs busybox sleep 1000 2>err)
if [ $whose = root ]; then
  is 'cgroupfs where that is asked for' "$(cat /sys/fs/cgroup/stave/"$id"/memory.max) $(units | grep -v '\.slice$')" '25165824 '
  stave limit -m 28M fs
  is 'and it stays so' "$(cat /sys/fs/cgroup/stave/"$id"/memory.max)" 29360128
  stave rm -f fs >/dev/null
  is 'by the environment' "$(STAVE_CGROUP_DRIVER=cgroupfs stave run --rm -m 24M busybox cat /proc/self/cgroup; stave new e | STAVE_CGROUP_DRIVER=cgroupfs stave limit | grep -c '"cgroupDriver":"cgroupfs"')" '0::/
1'
  stave rm e >/dev/null
  is 'which is one of three' "$(STAVE_CGROUP_DRIVER=x stave run --rm busybox true 2>&1)" 'stave-run: STAVE_CGROUP_DRIVER=x: neither auto, cgroupfs nor systemd'
fi
bus=DBUS_SYSTEM_BUS_ADDRESS; [ $whose = root ] || bus=DBUS_SESSION_BUS_ADDRESS
is 'no bus' "$(env $bus=unix:path=/nobus stave run --rm --cgroup-driver systemd busybox true 2>&1 | sed 's/stave-[0-9a-f]*\.scope/U/; s/system bus/B/; s/user bus/B/')" \
  'stave-run: start unit U: the B at /nobus: No such file or directory'
is 'then auto is cgroupfs' "$(stave new e | env $bus=unix:path=/nobus stave limit -n 2>/dev/null | grep -c StartTransientUnit)" 0
stave ps -aq | xargs stave rm -f >/dev/null
[ $whose = root ] || is 'not allowed' "$(env DBUS_SESSION_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket stave run --rm --cgroup-driver systemd busybox true 2>&1 | grep -c 'the user bus: org.freedesktop.systemd1: .*\(denied\|authentication required\)')" 1

# The OCI runtime.
# bundle PATH RESOURCES
bundle() {
  mkdir -p b/rootfs
  [ -e b/rootfs/bin ] || tar -C b/rootfs -xf busybox.tar
  maps='' kind=''
  if [ $whose = user ]; then
    maps='"uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"gidMappings":[{"containerID":0,"hostID":1000,"size":1}],'
    kind=',{"type":"user"}'
  fi
  cat >b/config.json <<END
{"ociVersion":"1.0.2","root":{"path":"rootfs"},
 "process":{"args":["sleep","1000"],"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"]},
 "mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
 "linux":{$maps"cgroupsPath":"$1","resources":$2,
  "namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"},{"type":"cgroup"}$kind]}}
END
}
oci() { stave-oci --root "$PWD/oci" --systemd-cgroup "$@"; }
bundle '' '{"memory":{"limit":33554432},"cpu":{"shares":512},"pids":{"limit":20}}'
oci create -b b x </dev/null >out 2>&1 || cat out
at x
is 'oci: create' "$(show ActiveState MemoryMax CPUWeight TasksMax)$(value memory.max) $(value cpu.weight) $(value pids.max)" 'active 33554432 59 20 33554432 59 20'
oci start x
is 'oci: state, exec' "$(oci state x | grep -c '"running"') $(oci exec x cat /proc/self/cgroup)" '1 0::/'
oci update --memory 16777216 --pids-limit 30 x
$ctl daemon-reload
is 'oci: update' "$(value memory.max) $(value pids.max) $(show MemoryMax TasksMax)" '16777216 30 16777216 30 '
oci pause x
is 'oci: pause' "$(value cgroup.events | grep frozen) $(oci state x | grep -c paused)" 'frozen 1 1'
oci resume x
is 'oci: ps' "$(oci ps -f json x | tr , '\n' | grep -c '[0-9]')" 1
oci kill x KILL
is 'oci: delete' "$(i=0; while ! oci delete x 2>/dev/null && [ $i -lt 50 ]; do i=$((i + 1)); sleep 0.2; done; units | grep -v '\.slice$'; ls oci)" ''
bundle pre-o.slice:pre:y '{}'
oci run -d -b b y </dev/null >out 2>&1 || cat out
unit=pre-y.scope
is 'oci: slice:prefix:name' "$(show ControlGroup)" "$above/pre.slice/pre-o.slice/$unit "
oci delete -f y
bundle /a/b '{}'
is 'oci: no such form' "$(oci create -b b z 2>&1 </dev/null | grep -c 'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/a/b" instead') $(ls oci)" '1 '
is 'oci: nothing is left' "$(units | grep -v '\.slice$'; $ctl --failed --plain --no-legend | grep -E 'stave|pre-')" ''

# podman over it.
pod() { podman --cgroup-manager systemd --runtime /opt/bin/stave-oci "$@" 2>>podman.err; }
pod import busybox.tar localhost/busybox >/dev/null
pod run -d --network none -m 64m --name p localhost/busybox sleep 1000 >id || cat podman.err
unit=libpod-$(cat id).scope
is 'podman: a scope' "$(show ActiveState MemoryMax)" 'active 67108864 '
is 'podman: exec' "$(pod exec p cat /proc/self/cgroup || cat podman.err)" '0::/'
pod rm -f -t 0 p >/dev/null
is 'podman: nothing is left' "$(units | grep 'libpod.*scope')" ''

if [ $whose = root ]; then
  echo "$n $failed" >count
  chmod a+rwX . count
  as-user /tmp/t/systemd.sh
  systemd-run --quiet --uid=tester --pipe --wait --collect --setenv=PATH="$PATH" --setenv=HOME=/home/tester \
    --setenv=XDG_RUNTIME_DIR=/run/user/1000 -- /tmp/t/systemd.sh session
  read -r n failed <count
  echo "1..$n"
  exit $((failed > 0))
fi
echo "$n $failed" >/tmp/t/count
