#!/usr/bin/env python3
"""tar-unpack.py LAYOUT DEST: the image `latest` of an OCI layout by GNU tar, layer upon layer. What tar
does not know is done here: whiteouts, and what takes the place of another kind."""
import json, os, shutil, subprocess, sys, tarfile

layout, dest = sys.argv[1:]
blob = lambda digest: os.path.join(layout, "blobs", *digest.split(":"))
load = lambda path: json.load(open(path))
entry = next(m for m in load(os.path.join(layout, "index.json"))["manifests"])
manifest = load(blob(entry["digest"]))


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


os.mkdir(dest)
for layer in manifest["layers"]:
    path = blob(layer["digest"])
    times = {}
    with tarfile.open(path) as tar:
        for member in tar:
            name = os.path.normpath(member.name).lstrip("/")
            parent, base = os.path.split(os.path.join(dest, name))
            if base.startswith(".wh.") and os.path.isdir(parent):
                times.setdefault(parent, os.stat(parent).st_mtime_ns)
                hidden = os.listdir(parent) if base == ".wh..wh..opq" else [base[4:]]
                for one in hidden:
                    remove(os.path.join(parent, one))
            elif member.isdir() != os.path.isdir(os.path.join(dest, name)) and name != ".":
                remove(os.path.join(dest, name))
    # A directory without an entry of its own keeps its time.
    for at, time in times.items():
        if os.path.isdir(at):
            os.utime(at, ns=(time, time))
    subprocess.run(["tar", "-xpf", path, "-C", dest, "--numeric-owner", "--xattrs", "--xattrs-include=*",
                    "--exclude=.wh.*", "--delay-directory-restore"], check=True)
