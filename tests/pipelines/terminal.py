#!/usr/bin/env python3
"""Runs a command at a terminal of its own (24 by 80), led by the lines of stdin:

  ? REGEX        wait until what the command prints matches; go on behind the match
  > TEXT         type a line
  ^ C            type control-C (or another letter)
  enter N        N times: wait for a prompt of --step, and type Enter; until it ends without N
  $ COMMAND      run shell meanwhile; PID is the command's; the output is printed
  size ROWS COLS
  kill SIGNAL    to the command

At the end it waits for the command and prints `exit STATUS, cooked` (or raw: the terminal was not
left in each setting as it was found). All that the command printed goes to the file LOG.

  terminal.py LOG COMMAND... <<'END'
"""
import fcntl, os, pty, re, select, signal, struct, subprocess, sys, termios, time

log, command = sys.argv[1], sys.argv[2:]
master, slave = pty.openpty()


def size(rows, cols):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


size(24, 80)
found = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.closerange(3, 256)
    # A shell's background job, which a test may be, ignores them; who sits at a terminal does not.
    for name in signal.SIGINT, signal.SIGQUIT:
        signal.signal(name, signal.SIG_DFL)
    os.execvp(command[0], command)

seen = b""
at = 0
status = None


def pump(seconds):
    """Takes what is there; whether the command still runs."""
    global seen, status
    if select.select([master], [], [], seconds)[0]:
        seen += os.read(master, 65536)
        return True
    if status is None:
        gone, how = os.waitpid(pid, os.WNOHANG)
        if gone:
            status = os.waitstatus_to_exitcode(how)
    return status is None


def finish(message=None):
    if message and status is None:
        os.kill(pid, signal.SIGKILL)
    with open(log, "wb") as f:
        f.write(seen)
    if message:
        print(message)
        print("the last of what it printed:", seen[-400:].decode(errors="replace"))
        sys.exit(1)


def wait_for(regex, needed=True):
    """Whether it came."""
    global at
    end = time.time() + 10
    pattern = re.compile(regex.encode())
    while True:
        found = pattern.search(seen, at)
        if found:
            at = found.end()
            return True
        if time.time() > end or not pump(0.02):
            while select.select([master], [], [], 0)[0]:
                pump(0)
            found = pattern.search(seen, at)
            if not found and needed:
                finish(f"never came: {regex}")
            at = found.end() if found else at
            return bool(found)


for line in sys.stdin:
    word, _, rest = line.rstrip("\n").partition(" ")
    if word == "?":
        wait_for(rest)
    elif word == ">":
        os.write(master, rest.encode() + b"\r")
    elif word == "^":
        os.write(master, bytes([ord(rest) & 31]))
    elif word == "enter":
        for _ in range(int(rest or 1000)):
            if not wait_for(r"\[q\]uit > ", needed=False):
                break
            os.write(master, b"\r")
    elif word == "$":
        done = subprocess.run(["sh", "-c", rest], env=dict(os.environ, PID=str(pid)), stdin=subprocess.DEVNULL)
        if done.returncode:
            print(f"status {done.returncode}: {rest}")
    elif word == "size":
        size(*map(int, rest.split()))
    elif word == "kill":
        os.kill(pid, getattr(signal, "SIG" + rest))

end = time.time() + 10
while pump(0.02):
    if time.time() > end:
        finish("it does not end")
finish()
cooked = termios.tcgetattr(slave) == found
print(f"exit {status if status >= 0 else 128 - status}, {'cooked' if cooked else 'raw'}")
