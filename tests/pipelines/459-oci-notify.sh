#!/bin/sh
# NOTIFY_SOCKET: a container tells the service manager outside that it is ready.
# shellcheck disable=SC2016 # quoted for the shell inside
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need jq python3 gcc stave-oci
rootfs
before=$(snapshot)

# manager ADDRESS COMMAND...: is the service manager while the command runs, and prints what it is told;
# a descriptor that comes along is closed.
cat >manager.py <<'END'
import array, os, socket, subprocess, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', '\0'))
s.settimeout(0.1)
command = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, env={**os.environ, 'NOTIFY_SOCKET': sys.argv[1]})
while True:
    ended = command.poll() is not None
    try:
        message, control, _, _ = s.recvmsg(1000, 100)
    except TimeoutError:
        if ended:
            break
        continue
    fds = [fd for c in control for fd in array.array('i', c[2])]
    print(repr(message.decode()), len(fds), flush=True)
    for fd in fds:
        os.close(fd)
print('status', command.wait())
END
manager() {
  python3 manager.py "$@"
  rm -f "$1"
}
cat >says.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int n, char **words) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  if (!getenv("NOTIFY_SOCKET"))
    return 0;
  int s = socket(AF_UNIX, SOCK_DGRAM, 0);
  strncpy(to.sun_path, getenv("NOTIFY_SOCKET"), sizeof to.sun_path - 1);
  for (int i = 1; i < n; i++)
    if (sendto(s, words[i], strlen(words[i]), 0, (struct sockaddr *)&to, sizeof to) < 0)
      return perror("sendto"), 1;
  return 0;
}
END
gcc -O1 -static -o says says.c || fail 'the client can be compiled'

bundle b '.process.args = ["sh", "-c", "/says STATUS=soon; /says \"$WORD\"; exec sleep 1000"]' '.process.env += ["WORD=STATUS=x\nREADY=1"]'
cp says b/rootfs/
manager "$T/manager" stave-oci --root oci run -d -b b --pid-file pid a >told
is 'run -d waits for the word, and passes it on' "$(sed "s/$(cat pid)/PID/" told)" "'READY=1\\n' 0
'MAINPID=PID\\n' 0
'BARRIER=1' 1
status 0"
like 'the directory of the socket is read-only there' "$(oci exec a grep ' /run/notify ' /proc/self/mountinfo)" ' ro,nosuid,nodev,noexec'
is 'an exec is told of nothing of ours' "$(NOTIFY_SOCKET=$T/manager oci exec a sh -c 'echo $NOTIFY_SOCKET')" /run/notify/notify.sock
oci delete -f a

# The caller of create is not the one of start; an abstract address; a user namespace.
own='.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}] | .linux.gidMappings = .linux.uidMappings'
jq "$own" b/config.json >b/user.json
chmod 711 "$T" && chown -R 100000:100000 b/rootfs
NOTIFY_SOCKET=$T/manager oci create -b b -f user.json --pid-file pid a
is 'create does not wait' $? 0
manager "@stave-$$" stave-oci --root oci start a >told
is 'start does' "$(sed "s/$(cat pid)/PID/" told)" "'READY=1\\n' 0
'MAINPID=PID\\n' 0
'BARRIER=1' 1
status 0"
oci delete -f a
is 'nothing of it is left' "$(ls oci)" ''
oci create -b b a
is 'made when nobody wanted to know' "$(manager "$T/manager" stave-oci --root oci start a)" 'status 0'
oci delete -f a

# In the foreground the runtime stays, and is what is to be looked after.
jq '.process.args[2] = "/says READY=1; sleep 0.3; exit 3"' b/config.json >b/short.json
manager "$T/manager" sh -c 'echo $$ >runtime; exec stave-oci --root oci run -b b -f short.json a' >told
is 'run tells of itself' "$(sed "s/$(cat runtime)/PID/" told)" "'READY=1\\n' 0
'MAINPID=PID\\n' 0
'BARRIER=1' 1
status 3"
jq '.process.args[2] = "/says STATUS=no; exit 4"' b/config.json >b/never.json
is 'one that never says so is not waited for' "$(manager "$T/manager" stave-oci --root oci run -b b -f never.json a)" 'status 4'
is 'nor with -d' "$(manager "$T/manager" stave-oci --root oci run -d -b b -f never.json a)" 'status 0'
oci delete -f a
NOTIFY_SOCKET=/no/such/manager oci --log log run -b b -f short.json a
is 'a manager that is not there is none' $? 3
like 'which the log says' "$(cat log)" 'level=warning msg="NOTIFY_SOCKET: connect to /no/such/manager: no such file'
nothing_left 'nothing is left' "$before"
