#!/bin/sh
# Terminals of OCI containers: the caller's, or one that goes to an engine over its socket; and the
# pidfd that does.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 stave-oci
rootfs
before=$(snapshot)

# engine SOCKET COMMAND...: listens at the socket, runs the command, and prints what came beside the
# descriptor, what the descriptor is, and what the terminal says until its end (or the pidfd).
cat >engine.py <<'END'
import array, os, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
command = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
s.settimeout(20)
c, _ = s.accept()
message, control, _, _ = c.recvmsg(100, 100)
(fd,) = array.array('i', control[0][2][:4])
print(message.decode(), 'tty' if os.isatty(fd) else os.readlink('/proc/self/fd/%d' % fd))
print('status', command.wait())
if os.isatty(fd) and os.environ.get('READ'):
    said = b''
    try:
        while b'over' not in said:
            said += os.read(fd, 1000)
    except OSError:
        pass
    print(said.decode().replace('\r', ''), end='')
elif not os.isatty(fd):
    import signal
    if os.environ.get('KILL'):
        signal.pidfd_send_signal(fd, signal.SIGKILL)
END
engine() { python3 "$T/engine.py" "$@"; rm -f "$1"; }

bundle b '.process.terminal = true' '.process.consoleSize = {height: 10, width: 110}' \
  '.process.args = ["sh", "-c", "tty; stty size; readlink /proc/self/fd/0; readlink /proc/self/fd/2; test -c /dev/console && echo console; echo over; sleep 1000"]'
is 'create hands the terminal over' "$(engine s stave-oci --root oci create -b b --console-socket "$T/s" a)" '/dev/ptmx tty
status 0'
oci delete -f a
# engine.py listens where the socket is said to be for the runtime: in the bundle.
is 'a relative socket is the bundle'"'"'s, a relative pid file the caller'"'"'s' "$(cd b && engine s sh -c 'cd .. && exec stave-oci --root oci create -b b --console-socket s --pid-file relative a')" '/dev/ptmx tty
status 0'
ok 'it is there' test -s relative
oci delete -f a
export READ=1
is 'run -d too; it is the process'"'"'s, and has its size' "$(engine s stave-oci --root oci run -d -b b --console-socket "$T/s" a)" '/dev/ptmx tty
status 0
/dev/pts/0
10 110
/dev/pts/0
/dev/pts/0
console
over'
is 'exec -dt too' "$(engine s stave-oci --root oci exec -d -t --console-socket="$T/s" --pid-file pid a sh -c 'tty; echo over; sleep 1000')" '/dev/ptmx tty
status 0
/dev/pts/1
over'
jq -n '{terminal: true, consoleSize: {height: 7, width: 70}, args: ["sh", "-c", "stty size; echo over; sleep 9"], cwd: "/", env: ["PATH=/bin"]}' >process.json
is 'of a size that is given' "$(engine s stave-oci --root oci exec -d -p process.json --console-socket="$T/s" a)" '/dev/ptmx tty
status 0
7 70
over'
unset READ
is 'the pidfd of exec' "$(KILL=1 engine s stave-oci --root oci exec -d --pidfd-socket "$T/s" --pid-file pid a sleep 1000)" 'setns anon_inode:[pidfd]
status 0'
ok 'is that process' soon sh -c "! grep -q sleep /proc/$(cat pid)/cmdline"
oci delete -f a
jq '.process.terminal = false' b/config.json >b/plain.json
is 'the pidfd of create' "$(KILL=1 engine s stave-oci --root oci create -b b -f plain.json --pidfd-socket "$T/s" a)" 'standard anon_inode:[pidfd]
status 0'
ok 'is that of its process' soon sh -c 'stave-oci --root oci state a | grep -q stopped'
oci delete -f a

refuses 'a terminal for nobody' 1 'cannot allocate tty if stave-oci will detach without setting console socket' oci create -b b a
refuses 'nor with run -d' 1 'cannot allocate tty' oci run -d -b b a
refuses 'a socket for no terminal' 1 'cannot use console socket if stave-oci will not detach or allocate tty' oci create -b b -f plain.json --console-socket "$T/s" a
refuses 'nor in the foreground' 1 'cannot use console socket' oci run -b b --console-socket "$T/s" a
refuses 'a socket that is not there' 1 '--console-socket: connect to /no/such/s: no such file' oci create -b b --console-socket /no/such/s a
is 'nothing is left of those' "$(ls oci)" ''

# At a terminal: it is raw while the container has it, and what is typed arrives.
jq 'del(.process.consoleSize) | .process.args = ["sh", "-c", "stty size; read -r line; echo \"got $line\"; exit 3"]' b/config.json >b/typed.json
script=$(command -v script || true)
if [ -n "$script" ]; then
  printf 'hello\n' | script -qec "stty rows 33 cols 99; stave-oci --root oci run -b b -f typed.json a; echo status \$?; stty -a | grep -o -e '-*icanon' -e '-*echo '" /dev/null >typed
  like 'run at a terminal has its size' "$(tr -d '\r' <typed)" '^33 99$'
  like 'what is typed arrives' "$(tr -d '\r' <typed)" '^got hello$'
  like 'the status is the process'"'"'s' "$(tr -d '\r' <typed)" '^status 3$'
  like 'and the terminal is as it was' "$(tr -d '\r' <typed | tail -n 2 | tr '\n' ' ')" '^icanon echo '
else
  skip 'run at a terminal' 'there is no script(1)'
fi
is 'without a terminal the bytes go through' "$(echo hello | oci run -b b -f typed.json a | tr -d '\r' | grep hello)" 'hello
got hello'

# Orphans of a container without a pid namespace of its own.
bundle c '.process.args = ["sh", "-c", "(sh -c \"echo \\$\\$; exec sleep 0.2\" &); exec sleep 0.8"]' \
  '.linux.namespaces |= map(select(.type != "pid"))'
stave-oci --root oci run -b c a >orphan &
runtime=$!
soon test -s orphan
like 'orphans are adopted' "$(cat "/proc/$(cat orphan)/status")" "^PPid:.$runtime\$"
sleep 0.4
is 'and reaped' "$(ls -d "/proc/$(cat orphan)" 2>/dev/null)" ''
wait $runtime
is 'and it ends with its process' $? 0
bundle c '.process.args = ["sh", "-c", "trap \"exit 9\" TERM; touch /ready; while :; do sleep 0.02; done"]'
stave-oci --root oci run -b c a &
runtime=$!
soon test -e c/rootfs/ready
kill -TERM $runtime
wait $runtime
is 'a signal to run is the process'"'"'s' $? 9
bundle c '.process.args = ["sh", "-c", "(sh -c \"echo \\$\\$; exec sleep 0.8\" &); exec sleep 0.8"]' \
  '.linux.namespaces |= map(select(.type != "pid"))'
stave-oci --root oci run --no-subreaper -b c a >adopted &
runtime=$!
soon test -s adopted
unlike 'nor adopted with --no-subreaper' "$(cat "/proc/$(cat adopted)/status")" "^PPid:.$runtime\$"
wait $runtime
nothing_left 'nothing is left' "$before"
