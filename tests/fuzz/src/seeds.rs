//! Good inputs to begin with: each thing that a format has, at least once.

use crate::tar::{Entry, archive, pax};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write;
use store::Digest;

fn entry(kind: u8, name: &str, link: &str, data: &[u8]) -> Entry {
    Entry::new(kind, name, link, data)
}

/// A layer that lies below, or above, the one that is tried: links that lead out of it, and names
/// that the dictionary has.
pub(crate) fn other_layer() -> Vec<u8> {
    archive(vec![
        entry(b'5', "low/", "", b"").with(0o755, 0, (0, 0)),
        entry(b'0', "low/f", "", b"low"),
        entry(b'2', "low/up", "../../../../../outside", b""),
        entry(b'2', "low/abs", "/", b""),
        entry(b'2', "up", "../../../../outside", b""),
        entry(b'2', "dots", "../..", b""),
        entry(b'2', "loop", "loop", b""),
        entry(b'0', "h", "", b"linked"),
        entry(b'5', "d/", "", b"").with(0o750, 7, (0, 0)),
        entry(b'0', "d/f", "", b"below"),
        entry(b'2', "d/s", "../low/f", b""),
    ])
}

pub(crate) fn layers() -> Vec<Vec<u8>> {
    let long = "n".repeat(150);
    let deep = format!("{}/", "deep".repeat(15)).repeat(3) + "f";
    let capability: &[u8] = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let kinds = vec![
        entry(b'5', "d/", "", b"").with(0o1777, 0, (0, 0)),
        entry(b'0', "d/f", "", b"text").with(0o4755, 1, (0, 0)),
        entry(b'1', "h", "d/f", b""),
        entry(b'2', "l", "d/f", b""),
        entry(b'3', "null", "", b"").with(0o666, 0, (1, 3)),
        entry(b'4', "disk", "", b"").with(0o660, 6, (8, 1)),
        entry(b'6', "fifo", "", b""),
        entry(b'7', "contiguous", "", b"x"),
        entry(b'5', "closed", "", b"").with(0, 5, (0, 0)),
        entry(b'0', "closed/f", "", b"y").with(0, 5, (0, 0)),
    ];
    let names = vec![
        entry(b'g', "pax_global_header", "", b"13 comment=x\n"),
        pax(&[
            ("path", long.as_bytes()),
            ("mtime", b"-1.5"),
            ("uid", b"70000"),
            ("SCHILY.xattr.user.a", b"x\ny"),
        ]),
        entry(b'0', "short", "", b"1"),
        entry(b'L', "././@LongLink", "", format!("{deep}\0").as_bytes()),
        entry(b'0', "d", "", b"2"),
        entry(b'K', "././@LongLink", "", format!("{long}\0").as_bytes()),
        entry(b'1', "hard", "n", b""),
        pax(&[("linkpath", b"../../x"), ("SCHILY.xattr.security.capability", capability)]),
        entry(b'2', "soft", "", b""),
        pax(&[("SCHILY.xattr.security.capability", capability)]),
        entry(b'0', "ping", "", b"3"),
    ];
    let marks = vec![
        entry(b'5', "low/", "", b""),
        entry(b'0', "low/.wh..wh..opq", "", b""),
        entry(b'0', "low/new", "", b"n"),
        entry(b'0', ".wh.d", "", b""),
        entry(b'0', "d", "", b"a file now"),
        entry(b'0', ".wh.h", "", b""),
        entry(b'0', ".wh..wh.plnk", "", b""),
    ];
    let out = vec![
        entry(b'2', "a", "../../../../outside", b""),
        entry(b'0', "a/secret", "", b"overwritten"),
        entry(b'1', "stolen", "up/secret", b""),
        entry(b'0', "../../../../outside/new", "", b"!"),
        entry(b'0', "/stave-fuzz-escaped", "", b"!"),
        entry(b'1', "k", "../../../../outside/secret", b""),
        entry(b'0', "up/new", "", b"!"),
        entry(b'5', "abs/", "", b"").with(0o4777, 0, (0, 0)),
        entry(b'0', "low/abs/stave-fuzz-escaped", "", b"!"),
    ];
    let below = vec![
        entry(b'1', "linked", "low/f", b""),
        entry(b'1', "d/again", "h", b""),
        entry(b'1', "through", "d/s", b""),
        entry(b'0', "f", "", b"1"),
        entry(b'5', "f", "", b""),
        entry(b'0', "f/f", "", b"2"),
        entry(b'0', "f", "", b"3"),
        entry(b'0', "f", "", b"4"),
        entry(b'5', "./", "", b"").with(0o700, 3, (0, 0)),
    ];
    let mut all: Vec<Vec<u8>> = [kinds, names, marks, out, below, sparse()].map(archive).into();
    all.push(gnu_sparse());
    all.push(other_layer());
    all.push(archive(vec![]));
    all
}

/// PAX sparse files, versions 0.0, 0.1 and 1.0.
fn sparse() -> Vec<Entry> {
    let mut map = b"2\n0\n2\n1024\n3\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"abcde");
    vec![
        pax(&[
            ("GNU.sparse.size", b"2000"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"2"),
            ("GNU.sparse.offset", b"1024"),
            ("GNU.sparse.numbytes", b"3"),
        ]),
        entry(b'0', "s00", "", b"abcde"),
        pax(&[
            ("GNU.sparse.size", b"2000"),
            ("GNU.sparse.numblocks", b"2"),
            ("GNU.sparse.map", b"0,2,1024,3"),
            ("GNU.sparse.name", b"s01"),
        ]),
        entry(b'0', "GNUSparseFile.0/s01", "", b"abcde"),
        pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"s10"),
            ("GNU.sparse.realsize", b"2000"),
        ]),
        entry(b'0', "GNUSparseFile.0/s10", "", &map),
    ]
}

/// The old form: the map in the header, and in one block more.
fn gnu_sparse() -> Vec<u8> {
    let mut e = entry(b'S', "s", "", b"");
    e.header[257..265].copy_from_slice(b"ustar  \0");
    let octal =
        |e: &mut [u8], at: usize, n: u64| e[at..at + 12].copy_from_slice(format!("{n:011o}\0").as_bytes());
    for n in 0..4 {
        octal(&mut e.header, 386 + 24 * n, 1024 * n as u64);
        octal(&mut e.header, 398 + 24 * n, 2);
    }
    e.header[482] = 1;
    octal(&mut e.header, 483, 9000);
    let mut more = vec![0; 512];
    octal(&mut more, 0, 8192);
    octal(&mut more, 12, 3);
    // The block of the map comes before the data, and the size does not count it.
    let mut bytes = archive(vec![e]);
    bytes.truncate(512);
    bytes[124..136].copy_from_slice(b"00000000013\0");
    bytes.extend_from_slice(&more);
    bytes.extend_from_slice(b"aabbccddeee");
    bytes.resize(512 * 5, 0);
    crate::mutate::repair_header(&mut bytes);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut w = GzEncoder::new(Vec::new(), Compression::fast());
    w.write_all(bytes).unwrap();
    w.finish().unwrap()
}

pub(crate) fn compressed() -> Vec<Vec<u8>> {
    let [a, b] = [other_layer(), archive(vec![entry(b'0', "zeros", "", &[0; 100_000])])];
    let zstd = |b: &[u8]| zstd::stream::encode_all(b, 3).unwrap();
    let mut named = flate2::GzBuilder::new()
        .filename("layer.tar")
        .comment("c")
        .extra(b"AB\x02\x00xy".to_vec())
        .mtime(1)
        .write(Vec::new(), Compression::best());
    named.write_all(&a).unwrap();
    let (one, two) = a.split_at(700);
    let skip = [&[0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"toc"].concat();
    vec![
        gzip(&a),
        gzip(&b),
        named.finish().unwrap(),
        [gzip(one), gzip(two)].concat(),
        [gzip(&a), vec![0; 600]].concat(),
        zstd(&a),
        zstd(&b),
        [skip.clone(), zstd(one), zstd(two), skip].concat(),
        a,
    ]
}

fn config(layers: &[&[u8]]) -> Value {
    let ids: Vec<String> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
    json!({
        "created": "2024-01-01T00:00:00.123456789Z", "architecture": "amd64", "os": "linux", "author": "a",
        "config": {
            "User": "1:2", "Env": ["PATH=/bin"], "Entrypoint": null, "Cmd": ["sh"], "WorkingDir": "/d",
            "Volumes": { "/v": {} }, "ExposedPorts": { "80/tcp": {} }, "Labels": { "x": "1" }, "StopSignal": "SIGTERM",
        },
        "rootfs": { "type": "layers", "diff_ids": ids },
        "history": [{ "created": "2024-01-01T00:00:00Z", "created_by": "ADD", "comment": "c" }, { "empty_layer": true }],
    })
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len() })
}

/// A layout's files: one image, its manifest in the index by itself or within an index of its own.
fn layout(layers: &[&[u8]], nested: bool) -> Vec<Entry> {
    let blob = |bytes: &[u8]| entry(b'0', &format!("blobs/sha256/{}", Digest::of(bytes).hex()), "", bytes);
    let packed: Vec<Vec<u8>> = layers.iter().map(|l| if nested { gzip(l) } else { l.to_vec() }).collect();
    let kind = if nested { store::LAYER_GZIP } else { store::LAYER };
    let config = config(layers).to_string();
    let list: Vec<Value> = packed.iter().map(|l| descriptor(kind, l)).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": store::MANIFEST, "config": descriptor(store::CONFIG, config.as_bytes()), "layers": list,
    });
    let manifest = manifest.to_string();
    let mut all =
        vec![entry(b'0', "oci-layout", "", br#"{"imageLayoutVersion":"1.0.0"}"#), blob(config.as_bytes())];
    all.extend(packed.iter().map(|l| blob(l)));
    all.push(blob(manifest.as_bytes()));
    let mut top = descriptor(store::MANIFEST, manifest.as_bytes());
    if nested {
        top["platform"] = json!({ "architecture": "amd64", "os": "linux" });
        let inner = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [top] }).to_string();
        all.push(blob(inner.as_bytes()));
        top = descriptor(INDEX, inner.as_bytes());
    }
    top["annotations"] =
        json!({ "org.opencontainers.image.ref.name": "v1", "io.containerd.image.name": "h:5/a/b:v1" });
    let index = json!({ "schemaVersion": 2, "manifests": [top] }).to_string();
    all.push(entry(b'0', "index.json", "", index.as_bytes()));
    all
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) fn archives() -> Vec<Vec<u8>> {
    let [one, two] = [other_layer(), archive(vec![entry(b'0', "etc/f", "", b"top")])];
    let both: [&[u8]; 2] = [&one, &two];
    let config = config(&both).to_string();
    let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let manifest = |layers: [String; 2]| {
        json!([{ "Config": name, "RepoTags": ["x/y:1", "z:latest"], "Layers": layers }]).to_string()
    };
    let old = vec![
        entry(b'5', &format!("{a}/"), "", b""),
        entry(b'0', &format!("{a}/VERSION"), "", b"1.0"),
        entry(b'0', &format!("{a}/layer.tar"), "", &one),
        entry(b'0', &format!("{b}/layer.tar"), "", &two),
        entry(b'2', "same/layer.tar", &format!("../{a}/layer.tar"), b""),
        entry(b'0', &name, "", config.as_bytes()),
        entry(
            b'0',
            "manifest.json",
            "",
            manifest([format!("{a}/layer.tar"), format!("{b}/layer.tar")]).as_bytes(),
        ),
        entry(b'0', "repositories", "", b"{}"),
    ];
    let [x, y] = both.map(|l| format!("{}.tar", Digest::of(l).hex()));
    let podman = vec![
        entry(b'0', &x, "", &one),
        entry(b'0', &y, "", &two),
        entry(b'0', &name, "", config.as_bytes()),
        entry(b'0', "manifest.json", "", manifest([x, y]).as_bytes()),
    ];
    let late = layout(&both, true).into_iter().rev().collect();
    let mut all: Vec<Vec<u8>> =
        [old, podman, layout(&both, false), layout(&[&one], true), late].map(archive).into();
    all.push(gzip(&all[3]));
    all.push(two);
    all
}

pub(crate) fn manifests() -> Vec<Vec<u8>> {
    let d = descriptor(store::LAYER, b"x");
    let full = json!({
        "schemaVersion": 2, "mediaType": store::MANIFEST, "artifactType": "a/b", "config": d,
        "layers": [d, { "mediaType": "x", "digest": d["digest"], "size": 1, "urls": ["https://h/x"], "annotations": null }],
        "subject": d, "annotations": { "a": "b" },
    });
    [full, json!({ "schemaVersion": 2, "config": d, "layers": [] })]
        .map(|v| v.to_string().into_bytes())
        .into()
}

pub(crate) fn indexes() -> Vec<Vec<u8>> {
    let mut list = Vec::new();
    for (os, arch, variant) in [
        ("linux", "amd64", ""),
        ("linux", "arm", "v7"),
        ("linux", "arm", "v6"),
        ("linux", "arm64", "v8"),
        ("linux", "386", ""),
        ("windows", "amd64", ""),
        ("unknown", "unknown", ""),
        ("linux", "amd64", "v3"),
        ("linux", "riscv64", ""),
    ] {
        let mut d = descriptor(store::MANIFEST, arch.as_bytes());
        d["platform"] = json!({ "architecture": arch, "os": os, "variant": variant, "os.version": "1" });
        d["annotations"] = json!({ "org.opencontainers.image.ref.name": arch });
        list.push(d);
    }
    let alone = descriptor(store::MANIFEST, b"y");
    [
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": list }),
        json!({ "schemaVersion": 2, "manifests": [alone] }),
        json!({ "schemaVersion": 2, "manifests": null }),
    ]
    .map(|v| v.to_string().into_bytes())
    .into()
}

pub(crate) fn configs() -> Vec<Vec<u8>> {
    let small = json!({ "rootfs": { "type": "layers", "diff_ids": null } });
    [config(&[b"x", b"y"]), small].map(|v| v.to_string().into_bytes()).into()
}

fn texts(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter().map(|t| t.as_bytes().to_vec()).collect()
}

pub(crate) fn references() -> Vec<Vec<u8>> {
    texts(&[
        "alpine",
        "alpine:3.20",
        "docker.io/library/alpine:latest",
        "index.docker.io/a",
        "library/alpine",
        "docker.io/library/library/a",
        "user/app:v1.2_x-Y",
        "localhost/x",
        "localhost:5000/a/b:T",
        "[::1]:5000/a",
        "[2001:db8::1]/a",
        "10.0.0.1:80/a__b/c---d.e",
        "h.example/a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "a:t@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ])
}

pub(crate) fn platforms() -> Vec<Vec<u8>> {
    texts(&[
        "linux/amd64",
        "linux/arm/v7",
        "arm64",
        "linux/aarch64",
        "x86_64",
        "linux/armhf",
        "linux/arm64/v8.2",
        "windows/amd64/v3",
    ])
}

pub(crate) fn documents() -> Vec<Vec<u8>> {
    let d = Digest::of(b"x").to_string();
    let full = json!({
        "ociVersion": "1.0.2", "hostname": "h", "x-own": [null, 1.5],
        "process": {
            "args": ["sh"], "env": ["A=b"], "cwd": "/", "terminal": false, "noNewPrivileges": true,
            "user": { "uid": 0, "gid": 1, "additionalGids": [2], "umask": 18 },
            "capabilities": { "bounding": ["CAP_CHOWN"], "effective": [], "permitted": [] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 1, "hard": 2 }],
        },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"] }],
        "linux": {
            "namespaces": [{ "type": "pid" }, { "type": "network", "path": "/run/x" }], "cgroupsPath": "/c/d",
            "resources": { "memory": { "limit": 1 }, "cpu": { "quota": 1, "period": 2 }, "pids": { "limit": 3 },
                           "devices": [{ "allow": false, "access": "rwm" }] },
            "sysctl": { "net.ipv4.ip_forward": "1" }, "maskedPaths": ["/proc/kcore"], "readonlyPaths": [],
        },
        "stave": {
            "v": 1, "id": "abcdef", "name": "n", "rm": true,
            "image": { "mediaType": store::MANIFEST, "digest": d, "size": 1, "annotations": { "org.opencontainers.image.ref.name": "x:1" } },
            "layers": [{ "digest": d, "diffId": d, "dir": "/l" }], "entrypoint": ["e"], "volumes": ["/v"],
        },
    });
    [full, json!({ "ociVersion": "1.0.2" })].map(|v| v.to_string().into_bytes()).into()
}
