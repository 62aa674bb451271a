"""Writes all kinds of things into a root file system: what a layer must be able to hold.
`write.py ROOT`, as root."""
import os, socket, struct, sys

os.chdir(sys.argv[1])
os.umask(0)


def file(name, data=b'x', mode=0o644):
    with open(name, 'wb') as f:
        f.write(data)
    os.chmod(name, mode)
    return name


os.makedirs('opt/d/e')
file('opt/plain', b'hello\n')
file('opt/empty', b'')
file('opt/setuid', b'x', 0o6755)
os.mkdir('opt/sticky', 0o3777)
os.chmod('opt/sticky', 0o3777)
# Names: non-ASCII, no UTF-8, newline, blanks, longer than any field of a header.
for name in ['\u00e4\u00f6.txt'.encode(), b'no\xffutf8', b'new\nline', b' blank ', b'back\\slash', b'-n', b'n' * 200]:
    file(b'opt/' + name, name)
deep = b'opt'
for n in range(12):
    deep += b'/' + bytes([97 + n]) * 40
    os.mkdir(deep)
file(deep + b'/leaf')
os.symlink('plain', 'opt/link')
os.symlink('/' + 't' * 300, 'opt/longlink')
os.symlink('nowhere', 'opt/dangling')
os.lchown('opt/link', 5, 6)
# Hard links: to a file, to a symbolic link, to a device, beside and in other directories.
for name in ['opt/d/e/hard', 'opt/hard1', 'zz-hard']:
    os.link('opt/plain', name)
os.link('opt/link', 'opt/link2', follow_symlinks=False)
os.mkfifo('opt/fifo', 0o640)
os.mknod('opt/char', 0o20666, os.makedev(1, 3))
os.mknod('opt/block', 0o60640, os.makedev(259, 300000))
os.link('opt/char', 'opt/char2')
socket.socket(socket.AF_UNIX).bind('opt/socket')
# Owners that fit no field, times before the epoch and far away, nanoseconds.
os.chown(file('opt/owner'), 3000000000, 4000000000)
os.utime(file('opt/old'), ns=(0, -1500000000))
os.utime(file('opt/nano'), ns=(0, 1234567890123456789))
os.utime(file('opt/far'), ns=(0, 8589934592 * 10**9 + 5))
os.utime('opt/link', ns=(0, 987654321987654321), follow_symlinks=False)
os.utime('opt/d', ns=(0, 1111111111111111111))
# Attributes: binary, empty, with newlines; a file capability; an ACL's.
os.setxattr(file('opt/attr'), 'user.binary', bytes(range(256)))
os.setxattr('opt/attr', 'user.empty', b'')
os.setxattr('opt/attr', 'user.lines', b'a\n22 x=y\n')
os.setxattr('opt/d', 'user.dir', b'd')
os.setxattr('opt/link', 'trusted.link', b'l', follow_symlinks=False)
os.setxattr(file('opt/capable', b'x', 0o755), 'security.capability', struct.pack('<5I', 0x2000001, 1 << 10, 0, 0, 0))
# A hole, and more than one block of a compressor.
with open('opt/sparse', 'wb') as f:
    f.truncate(3 << 20)
    f.seek(1 << 20)
    f.write(b'in the middle')
file('opt/noise', os.urandom(700000))
