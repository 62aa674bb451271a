# shellcheck shell=sh
# Sourced by v2.sh: the OCI runtime on cgroup v2. What runc's own suite asks there, in our words.
# shellcheck disable=SC2016 # for the shell in the container

# bundle RESOURCES [ARGS [MOUNT]]: a bundle in ./b
bundle() {
  mkdir -p b/rootfs
  [ -e b/rootfs/bin ] || tar -C b/rootfs -xf busybox.tar
  caps='["CAP_MKNOD","CAP_CHOWN","CAP_KILL","CAP_DAC_OVERRIDE","CAP_SYS_ADMIN"]'
  cat >b/config.json <<END
{"ociVersion":"1.0.2","root":{"path":"rootfs"},
 "process":{"args":${2:-[\"sleep\",\"1000\"]},"cwd":"/","user":{"uid":0,"gid":0},"env":["PATH=/bin"],
  "capabilities":{"bounding":$caps,"effective":$caps,"permitted":$caps}},
 "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
  {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]},
  {"destination":"/sys","type":"sysfs","source":"sysfs"},
  {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["nosuid","${3:-ro}"]}],
 "linux":{"cgroupsPath":"/oci/x","resources":$1,
  "namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"},{"type":"network"},{"type":"cgroup"}]}}
END
}
oci() { stave-oci --root /tmp/t/oci "$@"; }
# up RESOURCES [ARGS [MOUNT]]: the container x runs
up() {
  bundle "$@"
  oci run -d -b b x >out 2>&1 </dev/null || cat out
}
down() { oci delete -f x; }
cg=/sys/fs/cgroup/oci/x
v() { cat "$cg/$1"; }
update() { printf '%s' "$1" | oci update -r - x 2>&1; }

up '{"memory":{"limit":33554432,"reservation":25165824},"cpu":{"shares":100,"quota":500000,"period":1000000},"pids":{"limit":20}}'
is 'oci: limits' "$(v memory.max) $(v memory.low) $(v cpu.max) $(v cpu.weight) $(v pids.max)" '33554432 25165824 500000 1000000 17 20'
is 'oci: every controller is there' "$(v cgroup.controllers)" "$(cat /sys/fs/cgroup/cgroup.controllers)"
is 'oci: it sees its own' "$(oci exec x cat /proc/self/cgroup) $(oci exec x find /sys/fs/cgroup -type d)" '0::/ /sys/fs/cgroup'
is 'oci: devices' "$(oci exec x sh -c 'mknod /dev/fuse c 10 229; : </dev/fuse' 2>&1 | grep -c 'not permitted')" 1
update '{"cpu":{"period":900000}}'
is 'oci: a period alone keeps the quota' "$(v cpu.max)" '500000 900000'
oci update x --cpu-quota 600000
is 'oci: a quota alone keeps the period' "$(v cpu.max)" '600000 900000'
oci update x --cpu-quota -1 --cpu-share 200
is 'oci: no quota' "$(v cpu.max) $(v cpu.weight)" 'max 900000 29'
oci update x --memory 50M --memory-swap 80M --memory-reservation 30M
is 'oci: memory and swap' "$(v memory.max) $(v memory.swap.max) $(v memory.low)" '52428800 31457280 31457280'
oci update x --memory-swap -1
is 'oci: all the swap' "$(v memory.swap.max)" max
oci update x --memory -1
is 'oci: all the memory' "$(v memory.max)" max
oci update x --pids-limit -1 --cpuset-cpus 1
is 'oci: tasks, processors' "$(v pids.max) $(v cpuset.cpus)" 'max 1'
oci update x --pids-limit 0
is 'oci: 0 tasks are nothing said, in a document before 1.3' "$(v pids.max)" max
oci update x --pids-limit 99 --cpu-idle 1
is 'oci: idle' "$(v cpu.idle)" 1
oci update x --cpu-period 10000
is 'oci: stays idle' "$(v cpu.idle)" 1
is 'oci: idle 2' "$(oci update x --cpu-idle 2 2>&1 | grep -c cpu.idle) $(v cpu.idle)" '1 1'
update '{"unified":{"cpu.max":"max 100000","pids.max":"10","memory.high":"40000000"}}'
is 'oci: files by name' "$(v cpu.max) $(v pids.max) $(v memory.high)" 'max 100000 10 39997440'
is 'oci: too low for what is in use' "$(update '{"memory":{"limit":1024,"checkBeforeUpdate":true}}' | grep -c 'rejecting memory limit')" 1
is 'oci: and with swap' "$(update '{"memory":{"limit":1024,"swap":2048,"checkBeforeUpdate":true}}' | grep -c 'rejecting memory+swap limit')" 1
is 'oci: which changed nothing' "$(v memory.max)" max
oci update x --memory 20M
is 'oci: a refusal in the middle' "$(oci update x --memory 10M --cpuset-cpus 77 2>&1 | grep -c cpuset.cpus) $(v memory.max)" '1 20971520'
stats=$(oci events --stats x)
is 'oci: stats' "$(echo "$stats" | grep -c '^{"type":"stats","id":"x","data":{.*"limit":20971520')" 1
is 'oci: with pressure and huge pages' "$(echo "$stats" | grep -c '"psi":{"some":{"avg10".*"hugetlb":{"')" 1
oci pause x
is 'oci: paused' "$(v cgroup.events | grep frozen) $(oci state x | grep -c '"paused"') $(oci exec x true 2>&1 | grep -c 'cannot exec in a paused container')" 'frozen 1 1 1'
oci resume x
is 'oci: goes on' "$(v cgroup.events | grep frozen)" 'frozen 0'
down
is 'oci: nothing is left' "$(ls -d $cg 2>/dev/null)" ''

up '{"memory":{"limit":33554432},"cpu":{"shares":3333,"quota":40000},"blockIO":{"weight":750},"hugepageLimits":[{"pageSize":"2MB","limit":2097152}],
 "unified":{"memory.min":"131072","memory.max":"41943040","cpu.max":"5000 50000","cpu.weight":"42","hugetlb.2MB.rsvd.max":"4194304"}}'
is 'oci: what has a name of its own comes last' "$(v memory.min) $(v memory.max) $(v cpu.max) $(v cpu.weight) $(v hugetlb.2MB.max) $(v hugetlb.2MB.rsvd.max)" \
  '131072 41943040 5000 50000 42 2097152 4194304'
is 'oci: weight' "$(cat $cg/io.bfq.weight $cg/io.weight 2>/dev/null | head -n 1)" "default $([ -e $cg/io.bfq.weight ] && echo 750 || echo 7475)"
down

# Cgroups of its own below, some of them of threads.
up '{}' '["sh","-c","sleep 1000 \u0026 exec sleep 1000"]' rw
oci exec x sh -c 'cd /sys/fs/cgroup; mkdir foo; mkdir foo/bar; echo 1 >foo/cgroup.procs'
is 'oci: exec joins the root as long as it may' "$(oci exec x cat /proc/self/cgroup)" '0::/'
oci exec x sh -c 'for p in $(cat /sys/fs/cgroup/cgroup.procs); do echo $p >/sys/fs/cgroup/foo/cgroup.procs; done 2>/dev/null; echo +memory >/sys/fs/cgroup/cgroup.subtree_control'
is 'oci: then where pid 1 is' "$(oci exec x cat /proc/self/cgroup)" '0::/foo'
is 'oci: all processes are found below' "$(oci ps -f json x 2>/dev/null | tr , '\n' | grep -c '[0-9]')" 2
down
is 'oci: they go with it' "$(ls -d $cg 2>/dev/null)" ''
up '{}' '["sh","-c","sleep 1000 \u0026 exec sleep 1000"]' rw
oci exec x sh -c 'cd /sys/fs/cgroup; echo +pids >cgroup.subtree_control; mkdir foo; echo threaded >foo/cgroup.type; echo 2 >foo/cgroup.threads'
down
is 'oci: threads too' "$(ls -d $cg 2>/dev/null)" ''

up '{}' '["sleep","1000"]' rw
is "oci: root's cgroup is root's" "$(stat -c %u $cg $cg/cgroup.procs $cg/memory.max | tr '\n' ' ')" '0 0 0 '
down
bundle '{}' '["sleep","1000"]' rw
sed -i 's/"uid":0,/"uid":1000,/' b/config.json
oci run -d -b b x </dev/null >out 2>&1 || cat out
is "oci: a user's, where it may write there, is the user's" "$(stat -c %u $cg $cg/cgroup.procs $cg/memory.max | tr '\n' ' ')" '1000 1000 0 '
down
bundle '{}'
sed -i 's/"uid":0,/"uid":1000,/' b/config.json
oci run -d -b b x </dev/null >out 2>&1 || cat out
is 'oci: else not' "$(stat -c %u $cg $cg/cgroup.procs | tr '\n' ' ')" '0 0 '
down

mkdir -p $cg
echo 1 >$cg/cgroup.freeze
bundle '{}'
is 'oci: a frozen cgroup' "$(oci create -b b x 2>&1 </dev/null | grep -c "container's cgroup unexpectedly frozen")" 1
echo 0 >$cg/cgroup.freeze
echo 1 >/sys/fs/cgroup/oci/cgroup.freeze
is 'oci: one above it' "$(oci create -b b x 2>&1 </dev/null | grep -c "container's cgroup unexpectedly frozen")" 1
echo 0 >/sys/fs/cgroup/oci/cgroup.freeze
sleep 1000 & busy=$!
echo $busy >$cg/cgroup.procs
is "oci: somebody else's" "$(oci create -b b x 2>&1 </dev/null | grep -c "container's cgroup is not empty")" 1
kill $busy && wait $busy 2>/dev/null
echo 77777 >$cg/memory.high
bundle '{"memory":{"limit":9999360},"unified":{"memory.high":"88888","memory.nosuch":"1"}}'
is 'oci: a limit that cannot be' "$(oci create -b b x 2>&1 </dev/null | grep -c 'this kernel has no memory.nosuch')" 1
is 'oci: leaves a cgroup that was there as it was' "$(v memory.max) $(v memory.high)" 'max 73728'
rmdir $cg && mkdir -p /sys/fs/cgroup/oci
for bad in '{"memory":{"swap":9}}' '{"memory":{"disableOOMKiller":true}}' '{"cpu":{"realtimeRuntime":5}}' '{"network":{"classID":5}}' \
  '{"unified":{"a/b.c":"1"}}' '{"cpu":{"cpus":"0-"}}' '{"devices":[{"allow":true,"type":"x"}]}' '{"rdma":{"x y":{"hcaHandles":1}}}'; do
  bundle "$bad"
  is "oci: $bad: one line, and nothing is made" "$(oci create -b b x 2>&1 </dev/null | wc -l) $(ls -d $cg /tmp/t/oci/x 2>/dev/null)" '1 '
done

# Out of memory: told by the kernel, as an event.
up '{"memory":{"limit":16777216,"swap":16777216}}' '["sh","-c","while [ ! -e /go ]; do sleep 0.1; done; x=$(dd if=/dev/zero bs=1M count=64 | tr \"\\\\0\" a)"]'
oci events x >told 2>/dev/null & listener=$!
sleep 5 && touch b/rootfs/go
i=0; until grep -q '^{"type":"oom","id":"x"}' told || [ $i -gt 100 ]; do i=$((i + 1)); sleep 0.2; done
is 'oci: out of memory is an event' "$(grep -c -m 1 '^{"type":"oom","id":"x"}' told)" 1
down
wait $listener
is 'oci: the listener ends with the container' "$?" 0
rm b/rootfs/go

# This kernel copies no tree of mounts that is nowhere mounted (Linux 6.15 does).
bundle '{}' '["stat","-c","%t:%T %a %u:%g","/dev/foo"]'
map='[{"containerID":0,"hostID":0,"size":65536}]'
device='{"path":"/dev/foo","type":"b","major":1,"minor":5,"uid":10,"gid":11,"fileMode":111}'
sed -i 's|"cgroupsPath"|"uidMappings":'"$map"',"gidMappings":'"$map"',"devices":['"$device"'],&|; s|{"type":"pid"}|{"type":"user"},&|' b/config.json
is 'oci: a device in a user namespace' "$(oci run -b b u 2>&1)" '1:5 157 10:11'
is 'oci: whose mount is the container'\''s alone' "$(grep -c /node /proc/self/mountinfo)" 0
rmdir /sys/fs/cgroup/oci
