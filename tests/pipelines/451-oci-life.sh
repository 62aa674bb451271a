#!/bin/sh
# The life of a container of an OCI bundle, by runc's command line: what each verb does and prints.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq stave-oci
rootfs
before=$(snapshot)
status() { oci state "$1" | jq -r .status; }
# cgroups_of ID: where the container has one.
cgroups_of() { find /sys/fs/cgroup -maxdepth 4 -type d -name "$1" 2>/dev/null; }

bundle b '.process.args = ["sh", "-c", "sleep 1000 & echo hello; exec sleep 1000"]' '.annotations = {"org.example": "x"}' '.hostname = "box"'
(cd b && oci create --pid-file "$T/pid" a >"$T/hello")
is 'create leaves it created' "$(status a)" created
pid=$(cat pid)
is 'the pid file is there before it returns, with nothing but the pid' "$(wc -c <pid)$(oci state a | jq .pid)" "${#pid}$pid"
is 'nothing of the workload has run' "$(cat hello)" ''
is 'the state is what the specification asks, in the order of runc' "$(oci state a | jq -c 'keys_unsorted')" \
  '["ociVersion","id","pid","status","bundle","rootfs","created","annotations","owner"]'
is 'its values' "$(oci state a | jq -c '[.ociVersion, .id, .bundle, .rootfs, .annotations, .owner]')" \
  "[\"1.0.2\",\"a\",\"$T/b\",\"$T/b/rootfs\",{\"org.example\":\"x\"},\"\"]"
ok 'the moment of its creation is RFC 3339' sh -c "stave-oci --root $T/oci state a | jq -e '.created | test(\"^20[0-9-]+T[0-9:.]+Z\$\")'"
refuses 'an id is given once' 1 'create a: container with given ID already exists' oci create -b b a
is 'and the first is as it was' "$(status a)" created
rm b/config.json
ok 'start needs the bundle no more' oci start a
is 'then it runs' "$(status a)" running
soon test -s hello
is 'and writes to what create was given' "$(cat hello)" hello
is 'in a cgroup of every hierarchy' "$(sed -n 's/^[0-9]*:[^:]*://p' "/proc/$pid/cgroup" | sort -u)" /a
refuses 'start once' 1 'start a: cannot start an already running container' oci start a
refuses 'delete leaves alone what runs' 1 'delete a: cannot delete container a that is not stopped: running' oci delete a
is 'list' "$(oci list | tr -s ' ' | sed 's/20[0-9][0-9]-.*Z/WHEN/')" "ID PID STATUS BUNDLE CREATED OWNER
a $pid running $T/b WHEN root"
is 'list -q' "$(oci list -q)" a
is 'list as JSON is states' "$(oci list -f json | jq -c 'map([.id, .pid, .status, .owner])')" "[[\"a\",$pid,\"running\",\"root\"]]"
refuses 'another format' 1 'list: invalid format option' oci list --format yaml
ok 'kill by name' oci kill a KILL
soon sh -c "stave-oci --root $T/oci state a | grep -q stopped"
is 'it has stopped, and has no pid' "$(oci state a | jq -c '[.status, .pid]')" '["stopped",0]'
refuses 'kill of what has stopped' 1 'kill a: container not running' oci kill a TERM
refuses 'exec in what has stopped' 255 'exec a: cannot exec in a stopped container' oci exec a true
refuses 'start of what has stopped' 1 'start a: cannot start a container that has stopped' oci start a
ok 'delete' oci delete a
is 'nothing of it is left' "$(ls oci)$(cgroups_of a)" ''
refuses 'delete of none' 1 'delete a: container does not exist' oci delete a
ok 'delete --force of none is fine' oci delete --force a
refuses 'state of none' 1 'state a: container does not exist' oci state a
is 'no container as JSON' "$(oci list --format=json)" null
for id in '' . .. a/b '../x' 'a b'; do
  refuses "'$id' is no id" 1 'container (id cannot be empty|ID format)' oci create -b b "$id"
done

bundle b '.process.args = ["sh", "-c", "read a; echo got $a; exit 7"]'
is 'run hands stdin and stdout on' "$(echo x | oci run -b b a)" 'got x'
oci run -b b a </dev/null >/dev/null
is 'and the status' $? 7
is 'and takes the container away' "$(oci list -q)$(cgroups_of a)" ''
bundle b '.process.args = ["sh", "-c", "kill -9 $$"]' '.linux.namespaces |= map(select(.type != "pid"))'
oci run -b b a
is 'a signal is 128 and its number' $? 137
bundle b '.process.args = ["true"]'
ok 'run --keep' oci run --keep -b b a
is 'keeps it' "$(status a)" stopped
ok 'until it is deleted' oci delete a
bundle b '.process.args = ["sleep", "1000"]'
ok 'run --detach' oci run --detach --bundle b --pid-file="$T/pid" a
is 'comes back while it runs' "$(status a) $(oci state a | jq .pid)" "running $(cat pid)"
# Nobody of the runtime stays.
is 'and nobody stays beside it' "$(pgrep -x stave-oci)" ''
ok 'delete -f ends it' oci delete -f a

# What the process inherits.
jq '.process.args = ["sh", "-c", "ls /proc/self/fd | tr \"\\n\" \" \"; cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID"]' b/config.json >b/other.json
echo three >three && echo four >four
is '--config and --preserve-fds' "$(oci run -b b --config other.json --preserve-fds 2 a 3<three 4<four 5<four)" '0 1 2 3 4 5 three
four'
refuses 'one that is not there' 1 'run a: unable to stat preserved-fd 1 \(of 2\)' oci run -b b --preserve-fds 2 a 3<three
is 'sockets of systemd go first' "$(sh -c 'export LISTEN_FDS=1 LISTEN_PID=$$; exec stave-oci --root "$0" run -b b -f other.json --preserve-fds=1 a 3<three 4<four' "$T/oci")" \
  '0 1 2 3 4 5 three
four
1 1'
is 'those of another process are not passed on' "$(LISTEN_FDS=1 LISTEN_PID=1 oci run -b b -f other.json a 3<three 2>/dev/null)" '0 1 2 3 '
jq '.process.args = ["cat", "/proc/keys"] | .linux.maskedPaths = []' b/config.json >b/other.json
like 'a session keyring of its own' "$(oci run -b b -f other.json a)" ' _ses.a: '
unlike 'or not' "$(oci run -b b -f other.json --no-new-keyring other)" ' _ses.other: '
jq '.process.args = ["sh", "-c", "umask; pwd; env | sort"] | .process.env = ["A=1", "A=2", "HOME="]' b/config.json >b/other.json
is 'the umask is not the caller'"'"'s, a variable stands once, HOME is found' "$(umask 077; oci run -b b -f other.json a | grep -Ev '^(SHLVL|PATH)')" '0022
/
A=2
HOME=/root
PWD=/'
refuses 'a program that is not there' 1 'run a: exec: "nope": executable file not found in \$PATH' sh -c \
  'jq ".process.args = [\"nope\"]" b/config.json >b/other.json; stave-oci --root oci run -b b -f other.json a'
refuses 'nor by its path' 1 'create a: exec: "/nope": no such file or directory' sh -c \
  'jq ".process.args = [\"/nope\"]" b/config.json >b/other.json; stave-oci --root oci create -b b -f other.json a'
refuses 'one that may not be run' 1 'create a: exec: "/etc/passwd": not executable \(mode 0644\): permission denied' sh -c \
  'jq ".process.args = [\"/etc/passwd\"]" b/config.json >b/other.json; stave-oci --root oci create -b b -f other.json a'
refuses 'a bundle without a document' 1 'run a: read .*/three.d/config.json: no such file or directory' sh -c 'mkdir three.d; stave-oci --root oci run -b three.d a'
refuses 'no bundle' 1 'run a: find bundle /no/such: no such file or directory' oci run -b /no/such a
is 'nothing is left of those' "$(ls oci)$(cgroups_of a)" ''

# A cgroup of somebody else's.
for at in /sys/fs/cgroup/pids /sys/fs/cgroup; do [ ! -e "$at/cgroup.procs" ] || break; done
mkdir -p "$at/stave-oci-test/other" && sleep 1000 &
other=$!
soon test -d "$at/stave-oci-test/other"
echo $other >"$at/stave-oci-test/other/cgroup.procs"
jq '.linux.cgroupsPath = "/stave-oci-test/other"' b/config.json >b/other.json
refuses 'a cgroup with processes in it is not taken over' 1 "create a: container's cgroup is not empty" oci create -b b -f other.json a
ok 'they live' kill -0 $other
jq '.linux.cgroupsPath = "/stave-oci-test/own"' b/config.json >b/other.json
ok 'one beside it' oci run -d -b b -f other.json a
ok 'goes' oci delete -f a
is 'and the others stay' "$(cd "$at/stave-oci-test" && ls -d other own 2>/dev/null)" other
kill $other && wait $other 2>/dev/null
for hierarchy in /sys/fs/cgroup/*/ /sys/fs/cgroup/; do
  rmdir "$hierarchy"stave-oci-test/other "$hierarchy"stave-oci-test 2>/dev/null
done

mkdir s
ok 'spec' oci spec --bundle s
like 'writes a document' "$(jq -c '[.process.args, .root.path, .process.terminal]' s/config.json)" '^\[\["sh"\],"rootfs",true\]$'
refuses 'never over another' 1 'spec: file config.json exists' oci spec -b s
ok 'spec for an ordinary user' oci spec -b s -f rootless.json --rootless
is 'has the user'"'"'s one id' "$(jq -c '[.linux.uidMappings, ([.linux.namespaces[].type] | index("network")), .linux.resources]' s/rootless.json)" \
  '[[{"containerID":0,"hostID":0,"size":1}],null,null]'
mkdir s/rootfs && cp -a "$B/." s/rootfs/
jq '.process.terminal = false | .process.args = ["id", "-u"]' s/config.json >s/run.json
is 'what spec writes runs' "$(oci run -b s -f run.json a)" 0
nothing_left 'nothing is left' "$before"
