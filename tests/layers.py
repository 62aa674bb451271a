#!/usr/bin/env python3
"""Layers for the tests of the extractor, each a plain tar.

  layers.py good DIR     1.tar to 4.tar, one over the other: every kind of entry, each rule of layers
  layers.py bad DIR      NAME.tar each: what must be refused
  layers.py many FILE N  one of N empty files"""

import io
import os
import sys
import tarfile

DAY = 86400


class Layer:
    def __init__(self, path, format=tarfile.PAX_FORMAT):
        self.tar = tarfile.open(path, "w", format=format)
        self.clock = 1_600_000_000

    def put(self, name, kind=tarfile.REGTYPE, data=b"", mode=None, **more):
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        info.mode = mode if mode is not None else (0o755 if kind == tarfile.DIRTYPE else 0o644)
        self.clock += 1
        info.mtime = more.pop("mtime", self.clock + 0.123456789)
        info.pax_headers = {k: v for k, v in more.pop("pax", {}).items()}
        for key, value in more.items():
            setattr(info, key, value)
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def dir(self, name, mode=0o755, **more):
        return self.put(name, tarfile.DIRTYPE, mode=mode, **more)

    def file(self, name, data=b"x", **more):
        return self.put(name, data=data, **more)

    def link(self, name, to):
        return self.put(name, tarfile.SYMTYPE, linkname=to)

    def hard(self, name, to):
        return self.put(name, tarfile.LNKTYPE, linkname=to)

    def raw(self, data):
        self.tar.fileobj.write(data)
        self.tar.offset += len(data)
        return self

    def end(self):
        self.tar.close()


def good(out):
    a = Layer(f"{out}/1.tar")
    a.dir("./", 0o755).dir("etc").dir("tmp", 0o1777).dir("usr").dir("usr/lib").link("lib", "usr/lib")
    a.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n").file("etc/old", b"old").file("etc/kept", b"kept")
    a.file("suid", mode=0o4755, uid=1000, gid=1000).file("sgid", mode=0o2711, gid=50).file("secret", mode=0o600, uid=33)
    a.dir("setgid", 0o2775, gid=50).file("setgid/inside", uid=7).dir("setgid/sub").dir("sticky", 0o1770, uid=1000)
    a.put("null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3)
    a.put("disk", tarfile.BLKTYPE, mode=0o660, gid=6, devmajor=8, devminor=300).put("fifo", tarfile.FIFOTYPE, mode=0o620)
    a.link("absolute", "/etc/passwd").link("dangling", "../../../nowhere").link("to-dir", "usr")
    a.hard("hard", "etc/kept").hard("hard-of-link", "absolute").hard("hard2", "hard")
    a.file("caps", b"#!", mode=0o755, pax={"SCHILY.xattr.security.capability":
           b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".decode("utf-8", "surrogateescape")})
    a.file("user", b"u", pax={"SCHILY.xattr.user.note": "two\nlines=", "SCHILY.xattr.user.empty": "x"})
    a.dir("attributes", pax={"SCHILY.xattr.user.of": "dir", "SCHILY.xattr.trusted.of": "dir"})
    a.file("early", mtime=-1.5).file("late", mtime=17_000_000_000.25).file("naïve-名前", b"utf-8")
    a.file("l" * 255, b"long").dir("deep").file("deep/" + "/".join(["d" * 200] * 12) + "/f", b"deep")
    a.dir("becomes-file").file("becomes-file/in").file("becomes-dir").link("becomes-real", "usr")
    a.dir("opaque").file("opaque/old").dir("opaque/sub").file("opaque/sub/old").dir("gone").file("gone/a").dir("half").file("half/a").file("half/b")
    a.file("big", bytes(range(256)) * 4096).file("twice", b"first").file("twice", b"second", mode=0o600).file("empty", b"")
    a.end()
    b = Layer(f"{out}/2.tar", tarfile.GNU_FORMAT)
    b.file("etc/new", b"new").file("etc/.wh.old").file("lib/through", b"through a lower link").hard("lower", "etc/kept")
    b.file("becomes-file", b"a file now").dir("becomes-dir").file("becomes-dir/in").dir("becomes-real").file("becomes-real/in")
    b.dir("opaque", 0o711, uid=5).file("opaque/.wh..wh..opq").file("opaque/new").file(".wh.gone").file("gone/again", b"made anew")
    b.file("half/.wh.a").file("half/c").file("setgid/more").file("n" * 180 + "/" + "m" * 180, b"GNU long name").link("long-link", "x" * 300)
    b.file("owner-large", uid=3_000_000_000, gid=2_999_999_999).hard("lib/hard", "lib/through")
    b.end()
    c = Layer(f"{out}/3.tar")
    c.dir("setgid", 0o755).file("attributes/in").file(".wh.half").dir("half", 0o700).file("half/mine").file("opaque/.wh.new")
    c.file(".wh.never-was").file(".wh..wh.aufs").dir(".wh..wh.plnk").file(".wh..wh.plnk/9").file("usr/lib/.wh.through")
    c.end()
    d = Layer(f"{out}/4.tar", tarfile.USTAR_FORMAT)
    d.file("half/.wh..wh..opq").file("half/last", mtime=5).dir("etc", 0o700, uid=9, mtime=7).file("p" * 90 + "/" + "q" * 90, mtime=8)
    d.end()


def header(name, kind=b"0", size=b"00000000000\0", **more):
    info = tarfile.TarInfo(name)
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136], block[156:157] = size, kind
    if "link" in more:
        block[157:157 + len(more["link"])] = more["link"]
    if "uid" in more:
        block[108:116] = more["uid"]
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records):
    data = b""
    for key, value in records:
        body = b" " + key + b"=" + value + b"\n"
        length = len(body)
        while length != len(body) + len(str(length)):
            length = len(body) + len(str(length))
        data += str(length).encode() + body
    return extended(data)


def extended(data):
    return header("pax", b"x", b"%011o\0" % len(data)) + data + bytes(-len(data) % 512)


def bad(out):
    end = bytes(1024)
    outside = os.path.join(os.path.abspath(out), "canary").encode()
    large = b"\x80\0\0\0\x7f" + b"\xff" * 7
    layers = {
        "negative-size": header("f", size=b"\xff" * 12),
        "huge-size": header("f", size=large),
        "size-is-no-number": header("f", size=b"12345678 9ab"),
        "size-lies": header("f", size=b"77777777777\0"),
        "negative-uid": header("f", uid=b"\xff" * 8),
        "checksum": header("f")[:-512] + b"g" + header("f")[1:],
        "text": b"this is no archive\n" * 100,
        "cut-in-a-header": header("f")[:300],
        "cut-in-data": header("f", size=b"00000001000\0") + b"x" * 100,
        "pax-for-nothing": pax([(b"path", b"x")]),
        "pax-huge": header("pax", b"x", b"%011o\0" % (8 << 20)) + bytes(8 << 20),
        "pax-no-length": extended(b"path=x\n") + header("f"),
        "pax-length-lies": extended(b"99 path=x\n") + header("f"),
        "pax-no-equals": extended(b"6 pax\n") + header("f"),
        "pax-size": pax([(b"size", b"-5")]) + header("f"),
        "pax-uid": pax([(b"uid", b"99999999999")]) + header("f"),
        "pax-mtime": pax([(b"mtime", b"yesterday")]) + header("f"),
        "pax-nul": pax([(b"path", b"a\0b")]) + header("f"),
        "long-name": pax([(b"path", b"n" * 256)]) + header("f"),
        "too-deep": pax([(b"path", b"d/" * 5000 + b"f")]) + header("f"),
        "file-as-parent": header("f") + header("f/g"),
        "loop": header("a", b"2", link=b"b") + header("b", b"2", link=b"a") + header("a/x"),
        "hard-link-outside": header("h", b"1", link=outside[:99]),
        "hard-link-up": header("h", b"1", link=b"../../../../../../../../etc/hostname"),
        "hard-link-to-nothing": header("h", b"1", link=b"nothing"),
        "hard-link-to-a-directory": header("d", b"5") + header("h", b"1", link=b"d"),
        "hard-link-to-the-root": header("h", b"1", link=b"/"),
        "hard-link-through-a-link": header("s", b"2", link=os.path.dirname(outside)[:99]) + header("h", b"1", link=b"s/canary"),
        "whiteout-of-nothing": header(".wh."),
        "whiteout-of-dot-dot": header("d", b"5") + header("d/.wh..."),
        "whiteout-as-parent": header(".wh.d/x"),
        "unknown-type": header("f", b"Q"),
        "sparse-form": pax([(b"GNU.sparse.major", b"9"), (b"GNU.sparse.minor", b"0")]) + header("f"),
        "sparse-overlap": pax([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,5,3,3")]) + header("f", size=b"00000000010\0") + bytes(512),
        "sparse-beyond": pax([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,10")]) + header("f", size=b"00000000012\0") + bytes(512),
    }
    for name, data in layers.items():
        with open(f"{out}/{name}.tar", "wb") as file:
            # Something good first, which must not stay.
            file.write(header("good"))
            file.write(data)
            if not name.startswith(("cut", "size-lies", "text")):
                file.write(end)
    # These are no error: they stay inside.
    with open(f"{out}/inside.ok", "wb") as file:
        file.write(header("../../../../up", mode=0) + header("/../absolute") + header("d/../../../../dots"))
        file.write(header("s", b"2", link=os.path.dirname(outside)[:99]) + header("s/canary"))
        file.write(header("t", b"2", link=outside[:99]) + header("t") + header("u", b"2", link=b"../../../..") + header("u/e"))
        file.write(pax([(b"path", b"")]) + header("empty-record") + header("twice") + header("twice") + end + b"rest" * 999)


def many(path, count):
    with open(path, "wb") as file:
        for n in range(count):
            if n % 1000 == 0:
                file.write(header(f"d{n}", b"5"))
            file.write(header(f"d{n - n % 1000}/{n}"))
        file.write(bytes(1024))


match sys.argv[1:]:
    case ["good", out]:
        good(out)
    case ["bad", out]:
        bad(out)
    case ["many", path, count]:
        many(path, int(count))
    case _:
        sys.exit(__doc__)
