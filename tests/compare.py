#!/usr/bin/env python3
"""Compares two trees entry by entry: type, mode, owner, modification time in nanoseconds, extended
attributes, target of a link, hard links (which names are one file), device number, content and the
holes in it. Prints what differs, one line each, and exits 1 then.

  compare.py [--ignore WHAT[,WHAT]] [--skip PATH]... A B

WHAT: one of the words above as printed (mtime, xattrs, owner, ...). PATH is left out of both trees,
with all that is in it; `.` is the root itself alone."""

import argparse
import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFCHR: "character device",
         stat.S_IFBLK: "block device", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    return {n: os.getxattr(path, n, follow_symlinks=False) for n in sorted(names)}


def tree(root, skip):
    """Path -> facts of it."""
    root = os.fsencode(root)
    found, inodes = {}, {}

    def one(path):
        full = os.path.join(root, path) if path else root
        s = os.lstat(full)
        kind = KINDS[stat.S_IFMT(s.st_mode)]
        facts = {"type": kind, "owner": f"{s.st_uid}:{s.st_gid}", "mtime": s.st_mtime_ns, "xattrs": xattrs(full)}
        if kind != "link":
            facts["mode"] = oct(stat.S_IMODE(s.st_mode))
        if kind == "link":
            facts["target"] = os.readlink(full)
        if kind.endswith("device"):
            facts["rdev"] = f"{os.major(s.st_rdev)}:{os.minor(s.st_rdev)}"
        if kind == "file":
            facts["size"], facts["content"] = s.st_size, digest(full)
            # A file with holes takes less than its size.
            facts["holes"] = s.st_blocks * 512 < s.st_size and s.st_size - s.st_blocks * 512 > 65536
        if kind != "directory":
            inodes.setdefault((s.st_dev, s.st_ino), []).append(path)
        found[path] = facts
        if kind == "directory":
            for name in os.listdir(full):
                below = os.path.join(path, name) if path else name
                if os.fsdecode(below) not in skip:
                    one(below)

    sys.setrecursionlimit(20000)
    one(b"")
    if "." in skip:
        del found[b""]
    for names in inodes.values():
        for path in names:
            found[path]["links"] = sorted(names)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ignore", default="")
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("a")
    parser.add_argument("b")
    words = parser.parse_args()
    ignore = set(words.ignore.split(","))
    a, b = tree(words.a, words.skip), tree(words.b, words.skip)
    bad = 0

    def differs(path, text):
        nonlocal bad
        bad += 1
        print(f"{os.fsdecode(path) or '.'}: {text}".encode("utf-8", "backslashreplace").decode())

    for path in sorted(a.keys() | b.keys()):
        if path not in a or path not in b:
            differs(path, f"only in {words.b if path in b else words.a}")
            continue
        for what in sorted(a[path].keys() | b[path].keys()):
            x, y = a[path].get(what), b[path].get(what)
            if x != y and what not in ignore:
                differs(path, f"{what} {x!r}, {y!r}")
    print(f"# {len(a)} and {len(b)} entries, {bad} differences")
    sys.exit(1 if bad else 0)


main()
