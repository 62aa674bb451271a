#!/bin/sh
# exec in OCI containers: as whom, with what, where, and what is said when it fails.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci
rootfs
before=$(snapshot)
bundle b '.process.args = ["sleep", "1000"]' '.process.env += ["A=1"]' '.process.user.umask = 23' \
  '.linux.namespaces += [{type: "cgroup"}]' '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 77, hard: 78}]' '.process.oomScoreAdj = 9'
jq '.mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup"}]' b/config.json >b/c.json && mv b/c.json b/config.json
ok 'a container' oci run -d -b b a
pid=$(oci state a | jq .pid)
field() { oci exec "$@" sed -n "s/^$field:[[:space:]]*//p" /proc/self/status; }

is 'the command and its words' "$(oci exec a echo -n -e 'a b' c)" 'a b c'
is 'also after --' "$(oci exec a -- echo --help)" '--help'
is 'flags may stand after the id' "$(oci exec a --cwd /bin -e B=2 sh -c 'pwd; echo $B')" '/bin
2'
is 'stdin is the command'"'"'s' "$(echo hello | oci exec a cat)" hello
oci exec a sh -c 'exit 42'
is 'its status' $? 42
oci exec a sh -c 'kill -15 $$'
is 'of a signal' $? 143
for kind in cgroup ipc mnt net pid uts; do
  is "it is in the $kind namespace" "$(oci exec a readlink /proc/self/ns/$kind)" "$(readlink "/proc/$pid/ns/$kind")"
done
is 'and in every cgroup' "$(oci exec a cat /proc/self/cgroup | cut -d: -f3 | sort -u)" /
is 'a child of nobody there' "$(oci exec a sh -c 'echo $PPID')" 0
is 'the variables of the container, and those given' "$(oci exec -e A=2 --env B=3,4 a sh -c 'echo $A $B $HOME')" '2 3,4 /root'
is 'the limits' "$(oci exec a sh -c 'ulimit -n; ulimit -Hn; umask; cat /proc/self/oom_score_adj')" '77
78
0027
9'
is '--cwd' "$(oci exec --cwd=/etc a pwd)" /etc
refuses 'that is not there' 255 'exec a: chdir to cwd \("/nope"\) set in config.json failed: no such file' oci exec --cwd /nope a pwd
refuses 'that is not absolute' 255 'exec a: .*process.cwd' oci exec --cwd nope a pwd
is '--user' "$(oci exec --user 33 a id -u)$(oci exec -u 33:34 a id -g)" 3334
is '--user leaves the group' "$(oci exec -u 33 a id -g)" 0
refuses 'in numbers' 255 'exec a: bad uid: "web"' oci exec -u web a id
is '--additional-gids' "$(oci exec -u 33:34 -g 7 --additional-gids 8 a id -G)" '34 7 8'
refuses 'no group' 255 'additional-gids must be positive: -1' oci exec -g -1 a id
field=CapEff
is 'the rights of the container' "$(field a)" 0000000000000021
is '--cap' "$(field --cap CAP_AUDIT_WRITE a)" 0000000020000021
field=CapBnd
is 'in the bounding set' "$(field -c CAP_AUDIT_WRITE a)" 0000000020000021
field=CapInh
is 'not in the inheritable' "$(field -c CAP_AUDIT_WRITE a)" 0000000000000000
field=NoNewPrivs
is 'no_new_privs' "$(field a)$(field --no-new-privs a)$(field --no-new-privs=false a)" 010
refuses '--apparmor without it' 255 'exec a: .*apparmor' oci exec --apparmor nope a true
refuses '--process-label without SELinux' 255 'exec a: .*selinux' oci exec --process-label x:y:z:s0 a true
echo three >three
is '--preserve-fds' "$(oci exec --preserve-fds 1 a sh -c 'ls /proc/self/fd | tr "\n" " "; cat <&3' 3<three 4<three)" '0 1 2 3 4 three'
is 'none without it' "$(oci exec a ls /proc/self/fd 3<three | tr '\n' ' ')" '0 1 2 3 '

ok '--detach and --pid-file' oci exec --detach --pid-file "$T/pid" a sleep 1001
is 'the pid is that of the process, as the host has it' "$(tr '\0' ' ' <"/proc/$(cat pid)/cmdline")" 'sleep 1001 '
is 'nobody stays beside it' "$(pgrep -x stave-oci)" ''
refuses 'a pid file that cannot be' 255 'exec a: save /no/such/pid' oci exec --pid-file /no/such/pid a sleep 1002
is 'then the process is gone' "$(pgrep -x -f 'sleep 1002')" ''
refuses 'a program that is not there' 255 'exec a: exec: "nope": executable file not found in \$PATH' oci exec a nope
refuses 'nor by its path' 255 'exec a: exec: "/nope": no such file or directory' oci exec a /nope
refuses 'one that may not be run' 255 'exec a: exec: "/etc/passwd": not executable \(mode 0644\): permission denied' oci exec a /etc/passwd
refuses 'no command' 255 'exec a: exec args cannot be empty' oci exec a
refuses 'no container' 255 'exec z: container does not exist' oci exec z true

# The process as an engine writes it.
jq -n '{args: ["sh", "-c", "id -u; id -G; pwd; env | sort | grep -v -e SHLVL -e PWD; ulimit -n; umask; sed -n s/CapEff:.//p /proc/self/status"],
  cwd: "/tmp", env: ["PATH=/bin", "X=y"], user: {uid: 33, gid: 34, additionalGids: [5]}}' >process.json
is '--process; what it leaves open is the container'"'"'s' "$(oci exec --process process.json a)" '33
34 5
/tmp
HOME=/srv
PATH=/bin
X=y
77
0027
0000000000000000'
jq '.capabilities = {bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"]} | .user = {uid: 0, gid: 0} | .env = null' process.json >p2.json
is 'with rights of its own' "$(oci exec -p p2.json --detach=false a | tail -n 1)" 0000000000000020
refuses 'no such file' 255 'exec a: read /no/such: no such file' oci exec --process /no/such a
echo '[]' >list.json
refuses 'no process' 255 'exec a: read list.json: a process is a JSON object' oci exec --process list.json a
echo '{"args": [], "cwd": "/"}' >empty.json
refuses 'without a command' 255 'exec a: .*process.args' oci exec --process empty.json a

# A cgroup below the container's.
v1=$(sed -n 's/^[0-9]*:\(pids\):.*/\1/p' "/proc/$pid/cgroup")
word=sub hierarchy=/sys/fs/cgroup/a
[ -z "$v1" ] || word=pids:sub hierarchy=/sys/fs/cgroup/pids/a
at=$(find /sys/fs/cgroup -maxdepth 4 -type d -path "${hierarchy%/a}*/a" | head -n 1)
mkdir "$at/sub"
like '--cgroup' "$(oci exec --cgroup "$word" a cat /proc/self/cgroup)" ':/sub$'
refuses 'not one above' 255 'exec a: bad sub cgroup path: \.\.' oci exec --cgroup .. a true
refuses 'that is not there' 255 'exec a: adding pid to cgroup .*/nope: no such file or directory' oci exec --cgroup nope a true
refuses 'of no controller' 255 'exec a: .*unknown controller whaat' oci exec --cgroup whaat:/ a true
is 'the top' "$(oci exec --cgroup / a cat /proc/self/cgroup | cut -d: -f3 | sort -u)" /
ok 'delete --force takes all of it' oci delete --force a
is 'all' "$(pgrep -x -f 'sleep 1001')$(ls -d "$at" 2>/dev/null)" ''

# Before its start, and paused.
oci create -b b a
is 'exec before the start' "$(oci exec a hostname | wc -l)" 1
is 'does not start it' "$(oci state a | jq -r .status)" created
oci start a
ok 'pause' oci pause a
refuses 'not in a paused one' 255 'cannot exec in a paused container' oci exec a true
stave-oci --root oci exec --ignore-paused a touch /late &
late=$!
sleep 0.1
is '--ignore-paused: it waits with the others' "$(ls b/rootfs/late 2>/dev/null)" ''
ok 'resume' oci resume a
ok 'and goes on with them' wait $late
ok 'to its end' test -e b/rootfs/late
oci delete -f a
nothing_left 'nothing is left' "$before"
