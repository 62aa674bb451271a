#!/bin/sh
# exec and join: one more process in a container that runs.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq
rootfs
before=$(snapshot)
stave run -d --name web -u web -w /srv -e A=1 --hostname cask -m 64M --rootfs "$B" sleep 1000 >/dev/null
id=$(id_of web)
pid=$(stave inspect --as state web | jq .pid)

is 'the user' "$(stave exec web id)" "$(stave exec web sh -c 'id')"
like 'is the container'"'"'s' "$(stave exec web id)" '^uid=33\(web\) gid=34\(www\)'
is 'environment and directory' "$(stave exec web sh -c 'echo $A; pwd; echo $HOME')" '1
/srv
/srv'
is 'capabilities' "$(stave exec web grep Cap /proc/self/status)" "$(grep Cap "/proc/$pid/status")"
is 'of root, asked for' "$(stave exec -u root web grep CapBnd /proc/self/status)" 'CapBnd:	00000000a80425fb'
is 'flags of its own' "$(stave exec -u 1000:2000 -w /tmp -e A=2 -e B=3 web sh -c 'id -u; id -g; pwd; echo $A$B')" '1000
2000
/tmp
23'
for ns in cgroup ipc mnt net pid uts; do
  is "its $ns namespace" "$(stave exec web readlink "/proc/self/ns/$ns")" "$(readlink "/proc/$pid/ns/$ns")"
done
# cgroup membership, as the host sees it
stave exec web sleep 1001 &
ok 'a second process runs' soon pgrep -f '^sleep 1001'
second=$(pgrep -n -f '^sleep 1001')
is 'in the same cgroups' "$(cat "/proc/$second/cgroup")" "$(cat "/proc/$pid/cgroup")"
like 'which are the container'"'"'s' "$(cat "/proc/$second/cgroup")" "/stave/$id$"
kill -9 "$second"
wait

is 'stdin is empty without -i' "$(echo hello | stave exec web cat)" ''
is 'and handed on with it' "$(echo hello | stave exec -i web cat)" hello
head -c 3000000 /dev/urandom >bytes
is 'byte for byte' "$(stave exec -i web cat <bytes | sha256sum)" "$(sha256sum <bytes)"
try stave exec web sh -c 'echo out; echo err >&2; exit 42'
is 'streams and status' "$status $out $err" '42 out err'
try stave exec web sh -c 'kill -9 $$'
is 'by a signal' "$status" 137
refuses 'not found' 127 'exec nosuch: not found in PATH' stave exec web nosuch
refuses 'not executable' 126 'not executable' stave exec web /etc/passwd
refuses 'a user that is not there' 125 'no user daemon' stave exec -u daemon web true
refuses 'no command' 2 'COMMAND' stave exec web

# Signals to exec are the command's.
stave exec web sh -c 'trap "echo got it; exit 8" TERM; echo ready; while :; do sleep 0.05; done' >heard &
process=$!
soon grep -q ready heard
kill -TERM "$process"
wait "$process" && status=0 || status=$?
is 'TERM is handed on' "$status $(tail -n 1 heard)" '8 got it'
stave exec web sleep 1002 &
process=$!
soon pgrep -f '^sleep 1002'
kill -TERM "$process"
wait "$process" 2>/dev/null && status=0 || status=$?
is 'and ends what has no handler' "$status" 143
is 'nothing of it is left' "$(stave exec web sh -c 'ps | grep -c "sleep 100[12]"')" 0

# join: the caller's own program and rights, in some of the namespaces.
is 'join: its name' "$(stave join -u web -- hostname)" cask
is 'its network, the host'"'"'s files' "$(stave join --net web -- sh -c 'ip -o link | wc -l; ls -d /usr/share/dpkg')" '1
/usr/share/dpkg'
is 'all of it' "$(stave join web -- sh -c 'hostname; cat /etc/passwd | wc -l')" 'cask
3'
like 'its limits alone' "$(stave join -c web -- cat /proc/self/cgroup)" "/stave/$id$"
is 'and all else stays' "$(stave join -c web -- readlink /proc/self/ns/net /proc/self/ns/mnt)" "$(readlink /proc/self/ns/net /proc/self/ns/mnt)"
is 'with the caller'"'"'s rights' "$(stave join -u web -- grep CapEff /proc/self/status)" "$(grep CapEff /proc/self/status)"
is 'its status' "$(stave join -u web -- sh -c 'exit 9'; echo $?)" 9
is 'stdin is the command'"'"'s' "$(echo hello | stave join -u web -- cat)" hello

# The printed shell is true here too.
is 'exec -n | sh' "$(stave exec -n web sh -c 'id; hostname; pwd' | sh)" "$(stave exec web sh -c 'id; hostname; pwd')"
is 'join -n | sh' "$(stave join -n -u web -- hostname | sh)" cask

stave kill web >/dev/null
stave wait web >/dev/null
refuses 'exec in a stopped one' 125 'exec in web: it does not run' stave exec web true
refuses 'join of a stopped one' 125 'join web: it does not run' stave join web -- true
ok 'rm' stave rm web
nothing_left 'nothing is left' "$before"
