"""Prints a tree, one line an entry, so that two can be compared: type, mode, owner, time, device,
attributes, content, and which names are one file. `tree.py DIR [--no-time]`."""
import hashlib, os, stat, sys

root = os.fsencode(sys.argv[1])
timed = '--no-time' not in sys.argv
ours = (b'trusted.overlay.', b'user.overlay.', b'security.selinux')
first = {}
lines = []


def one(path):
    s = os.lstat(path)
    name = os.path.relpath(path, root)
    what = [stat.filemode(s.st_mode), f'{s.st_uid}:{s.st_gid}']
    # The root's time is that of the mount.
    if timed and path != root:
        what.append(str(s.st_mtime_ns))
    if stat.S_ISBLK(s.st_mode) or stat.S_ISCHR(s.st_mode):
        what.append(f'{os.major(s.st_rdev)}:{os.minor(s.st_rdev)}')
    if stat.S_ISLNK(s.st_mode):
        what.append(repr(os.readlink(path)))
    if stat.S_ISREG(s.st_mode):
        what.append(hashlib.sha256(open(path, 'rb').read()).hexdigest()[:16])
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        if not os.fsencode(key).startswith(ours):
            what.append(f'{key}={os.getxattr(path, key, follow_symlinks=False).hex()}')
    if not stat.S_ISDIR(s.st_mode) and s.st_nlink > 1:
        what.append('= ' + repr(first.setdefault(s.st_ino, name)))
    lines.append((name, ' '.join([repr(name)] + what)))


one(root)
for at, dirs, files in os.walk(root):
    for name in dirs + files:
        one(os.path.join(at, name))
for _, line in sorted(lines):
    print(line)
