#!/usr/bin/env python3
"""Times two commands as whole processes, in turn (A B A B ...), start to exit.

  pair.py [-n RUNS] [--ns FILE] 'COMMAND A' 'COMMAND B'

Prints wall and CPU time of each (ms: minimum, median) and the median of the ratios A/B of the
pairs. With --ns, B runs in the mount namespace that FILE pins. A command that fails ends it all.
"""
import argparse, ctypes, os, shlex, statistics, sys, time

CLONE_NEWNS = 0x20000
libc = ctypes.CDLL(None, use_errno=True)


def run(command, ns):
    """(wall, cpu) in milliseconds."""
    null = os.open("/dev/null", os.O_RDWR)
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        try:
            for fd in range(3):
                os.dup2(null, fd)
            if ns is not None and libc.setns(ns, CLONE_NEWNS) != 0:
                os._exit(99)
            os.execvp(command[0], command)
        finally:
            os._exit(98)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    os.close(null)
    if status != 0:
        sys.exit(f"pair.py: {shlex.join(command)}: status {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=50)
    parser.add_argument("--ns")
    parser.add_argument("a")
    parser.add_argument("b")
    args = parser.parse_args()
    ns = os.open(args.ns, os.O_RDONLY) if args.ns else None
    a, b = shlex.split(args.a), shlex.split(args.b)
    run(a, None), run(b, ns)
    pairs = [(run(a, None), run(b, ns)) for _ in range(args.n)]
    for i, what in enumerate(("wall", "cpu")):
        first, second = [p[0][i] for p in pairs], [p[1][i] for p in pairs]
        ratio = statistics.median(x / y for x, y in zip(first, second) if y)
        print(
            f"  {what:4}  {min(first):7.1f} {statistics.median(first):7.1f}"
            f"   {min(second):7.1f} {statistics.median(second):7.1f}   {ratio:5.2f}"
        )


main()
