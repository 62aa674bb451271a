#!/usr/bin/env python3
"""Makes an OCI image layout of layers that are tars already.

  layout.py DIR NAME LAYER...

LAYER is a plain tar, which is compressed; or one whose name ends in .gz or .zst, which is taken as it
is, with FILE.diff beside it as the digest of what it holds."""

import gzip
import hashlib
import json
import os
import platform
import sys


def main():
    out, name, layers = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(f"{out}/blobs/sha256", exist_ok=True)

    def blob(kind, data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{out}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    descriptors, diffs = [], []
    for path in layers:
        with open(path, "rb") as file:
            data = file.read()
        kind = "gzip"
        if path.endswith((".gz", ".zst")):
            kind = "zstd" if path.endswith(".zst") else kind
            with open(f"{path}.diff") as file:
                diffs.append("sha256:" + file.read().split()[0])
        else:
            diffs.append("sha256:" + hashlib.sha256(data).hexdigest())
            data = gzip.compress(data, 1, mtime=0)
        descriptors.append(blob(f"layer.v1.tar+{kind}", data))
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = {"architecture": machine, "os": "linux", "config": {"Cmd": ["sh"]},
              "rootfs": {"type": "layers", "diff_ids": diffs}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob("config.v1+json", json.dumps(config).encode()), "layers": descriptors}
    entry = blob("manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    with open(f"{out}/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, file)
    with open(f"{out}/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')


main()
