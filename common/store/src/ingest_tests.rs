//! Each form of input, whole, cut off, and lying.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{Dir, Tar, root};
use crate::{CONFIG, Index, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST, manifest};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Two frames, and behind them a skippable one, as zstd:chunked has.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let (a, b) = bytes.split_at(bytes.len() / 2);
    let frame = |part| zstd::stream::encode_all(part, 1).unwrap();
    [&frame(a)[..], &frame(b), &[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]].concat()
}

fn load(store: &Store, bytes: &[u8], base: Option<&str>) -> Result<Vec<Loaded>> {
    let _work = store.work().unwrap();
    ingest(store, Input::Stream(Box::new(bytes)), &Choice { base, platform: None })?.commit()
}

fn blobs(store: &Store) -> usize {
    fs::read_dir(store.blobs()).map_or(0, Iterator::count)
}

/// A small image as its blobs, manifest first.
struct Made {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
}

fn made(plain: &[u8]) -> Made {
    let layer = gzip(plain);
    let config = json!({"architecture": crate::platform::architecture(), "os": "linux", "created": "2020-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": [Digest::of(plain)]}, "x": [1]});
    let config = config.to_string().into_bytes();
    let at = |kind: &str, bytes: &[u8]| Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64);
    let manifest =
        json!({"schemaVersion": 2, "config": at(CONFIG, &config), "layers": [at(LAYER_GZIP, &layer)]});
    Made { manifest: manifest.to_string().into_bytes(), config, layer }
}

impl Made {
    fn blobs(&self) -> [&[u8]; 3] {
        [&self.manifest, &self.config, &self.layer]
    }

    fn entry(&self, name: &str) -> Descriptor {
        let mut d = Descriptor::new(MANIFEST, Digest::of(&self.manifest), self.manifest.len() as u64);
        d.annotations.insert(REF_NAME.into(), json!(name));
        d
    }
}

fn index(manifests: Vec<Descriptor>) -> Vec<u8> {
    let index = Index { schema_version: 2, manifests, extra: Default::default() };
    serde_json::to_vec(&index).unwrap()
}

fn layout(blobs: &[&[u8]], index: &[u8]) -> Vec<u8> {
    let mut tar = Tar::new().dir("blobs", 0o755).dir("blobs/sha256", 0o755);
    for blob in blobs {
        tar = tar.raw(&format!("blobs/sha256/{}", Digest::of(blob).hex()), blob);
    }
    tar.raw("index.json", index).file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#).bytes()
}

fn root_tar() -> Vec<u8> {
    Tar::new().dir("./", 0o755).dir("./etc", 0o755).file("./etc/hostname", "h\n").bytes()
}

#[test]
fn an_archive_of_a_layout() {
    let (dir, image) = (Dir::new(), made(&root_tar()));
    let store = Store::new(&dir.path);
    let bytes = layout(&image.blobs(), &index(vec![image.entry("latest"), image.entry("a/b:1")]));
    for bytes in [gzip(&bytes), zstd(&bytes), bytes] {
        let loaded = load(&store, &bytes, Some("box.oci.tar")).unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].names, ["box:latest", "a/b:1"]);
        assert_eq!(loaded[0].descriptor.digest, Digest::of(&image.manifest));
    }
    assert_eq!(blobs(&store), 3, "index.json and oci-layout are no blobs of the store");
    assert_eq!(store.names().unwrap(), ["box:latest", "a/b:1"]);
    assert_eq!(store.image("box").unwrap().config.config.cmd, ["sh"]);
    let hex = image.entry("x").digest.hex()[..8].to_owned();
    assert_eq!(store.find(&hex).unwrap().name.as_deref(), Some("box:latest"));
}

#[test]
fn a_layout_directory_with_links() {
    let (dir, from, image) = (Dir::new(), Dir::new(), made(&root_tar()));
    fs::create_dir_all(from.path.join("blobs/sha256")).unwrap();
    fs::create_dir(from.path.join("real")).unwrap();
    for blob in image.blobs() {
        let hex = Digest::of(blob).hex().to_owned();
        fs::write(from.path.join("real").join(&hex), blob).unwrap();
        std::os::unix::fs::symlink(format!("../../real/{hex}"), from.path.join("blobs/sha256").join(&hex))
            .unwrap();
    }
    fs::write(from.path.join("index.json"), index(vec![image.entry("v1")])).unwrap();
    let store = Store::new(&dir.path);
    let _work = store.work().unwrap();
    let loaded = ingest(&store, Input::Dir(&from.path), &Choice { base: Some("tool"), platform: None })
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(loaded[0].names, ["tool:v1"]);
}

#[test]
fn what_lies_or_breaks_off_leaves_nothing() {
    let (dir, image) = (Dir::new(), made(&root_tar()));
    let store = Store::new(&dir.path);
    let whole = layout(&image.blobs(), &index(vec![image.entry("a:1")]));
    let wrong_name = {
        let hex = Digest::of(b"other").hex().to_owned();
        Tar::new().raw(&format!("blobs/sha256/{hex}"), b"not it").bytes()
    };
    let mut short = image.entry("a:1");
    short.size -= 1;
    let mut no_layer = image.blobs().to_vec();
    no_layer.pop();
    for (what, bytes) in [
        ("cut", whole[..whole.len() - 3000].to_vec()),
        ("cut gzip", gzip(&whole)[..600].to_vec()),
        ("digest", wrong_name),
        ("size", layout(&image.blobs(), &index(vec![short]))),
        ("no layer", layout(&no_layer, &index(vec![image.entry("a:1")]))),
        ("no images", layout(&[], &index(vec![]))),
        ("no index", Tar::new().file("oci-layout", "{}").bytes()),
        ("text", vec![b'x'; 5000]),
        ("zeros", vec![0; 5000]),
        ("short", b"hello".to_vec()),
        ("root cut at an entry", root_tar()[..1536].to_vec()),
        ("zstd", [0x28, 0xb5, 0x2f, 0xfd, 0, 0].to_vec()),
    ] {
        assert!(load(&store, &bytes, Some("a")).is_err(), "{what}");
        assert_eq!(blobs(&store), 0, "{what}");
        assert!(store.names().unwrap().is_empty(), "{what}");
    }
    assert!(load(&store, b"", None).unwrap_err().is::<Empty>());
}

#[test]
fn of_several_platforms_the_hosts() {
    let (dir, image, other) = (Dir::new(), made(&root_tar()), made(&Tar::new().file("x", "").bytes()));
    let store = Store::new(&dir.path);
    let on = |image: &Made, os: &str, architecture: &str| {
        let mut d = image.entry("x");
        d.annotations.clear();
        d.platform = serde_json::from_value(json!({"os": os, "architecture": architecture})).unwrap();
        d
    };
    let list = index(vec![on(&other, "linux", "vax"), on(&image, "linux", crate::platform::architecture())]);
    let mut at = Descriptor::new(manifest::INDEX, Digest::of(&list), list.len() as u64);
    at.annotations.insert(REF_NAME.into(), json!("many:1"));
    let all: Vec<&[u8]> = image.blobs().into_iter().chain(other.blobs()).chain([list.as_slice()]).collect();
    let loaded = load(&store, &layout(&all, &index(vec![at])), None).unwrap();
    assert_eq!(loaded[0].descriptor.digest, Digest::of(&image.manifest));
    assert_eq!(blobs(&store), 3, "the other platform's are not kept");
    let side = index(vec![on(&other, "linux", "vax"), on(&image, "linux", crate::platform::architecture())]);
    let loaded = load(&store, &layout(&all, &side), Some("side.tar")).unwrap();
    assert_eq!((loaded.len(), loaded[0].names.as_slice()), (1, &["side:latest".to_owned()][..]));
    let none = index(vec![on(&other, "linux", "vax"), on(&other, "plan9", "vax")]);
    let e = load(&store, &layout(&all, &none), None).unwrap_err();
    assert!(e.to_string().contains("there are: linux/vax, plan9/vax"), "{e}");
}

#[test]
fn what_docker_saves() {
    let plain = root_tar();
    let (dir, image) = (Dir::new(), made(&plain));
    let store = Store::new(&dir.path);
    let hex = Digest::of(&image.config).hex().to_owned();
    let list = |layer: &str| {
        json!([{"Config": format!("{hex}.json"), "RepoTags": ["docker.io/library/a:2", "b/c"], "Layers": [layer]}])
            .to_string()
    };
    let one = "1".repeat(64);
    let layer = format!("{one}/layer.tar");
    // Old: links between directories; the manifest last. crane: gzipped layers, the manifest first.
    let old = Tar::new()
        .dir(&one, 0o755)
        .symlink(&layer, &format!("../{}/layer.tar", "2".repeat(64)))
        .raw(&format!("{}/layer.tar", "2".repeat(64)), &plain)
        .raw(&format!("{hex}.json"), &image.config)
        .file("manifest.json", &list(&layer))
        .bytes();
    let crane = Tar::new()
        .file("manifest.json", &list("l.tar.gz"))
        .raw(&format!("{hex}.json"), &image.config)
        .raw("l.tar.gz", &image.layer)
        .bytes();
    let newest = Tar::new()
        .file("manifest.json", &list("l.tar.zst"))
        .raw(&format!("{hex}.json"), &image.config)
        .raw("l.tar.zst", &zstd(&plain))
        .bytes();
    for (bytes, kind) in [(old, LAYER), (crane, LAYER_GZIP), (newest, LAYER_ZSTD)] {
        let loaded = load(&store, &bytes, Some("file.tar")).unwrap();
        assert_eq!(loaded[0].names, ["a:2", "b/c:latest"]);
        let image_now = store.image("a:2").unwrap();
        assert_eq!(image_now.manifest.layers[0].media_type, kind);
        assert_eq!(store.read_blob(&image_now.manifest.config.digest).unwrap(), image.config);
    }
    let lying = Tar::new()
        .file("manifest.json", &list(&layer))
        .raw(&format!("{hex}.json"), &image.config)
        .raw(&layer, &Tar::new().file("else", "").bytes())
        .bytes();
    assert!(load(&store, &lying, None).unwrap_err().root_cause().to_string().contains("is something else"));
    let absent = Tar::new()
        .file("manifest.json", &list("../../etc/passwd"))
        .raw(&format!("{hex}.json"), &image.config);
    assert!(load(&store, &absent.bytes(), None).unwrap_err().to_string().contains("no ../../etc/passwd"));
}

#[test]
fn a_root_is_the_same_image_each_time() {
    let (dir, plain) = (Dir::new(), root_tar());
    let store = Store::new(&dir.path);
    let first = load(&store, &plain, Some("my-root.tar.gz")).unwrap();
    assert_eq!(first[0].names, ["my-root:latest"]);
    let again = load(&store, &plain, None).unwrap();
    assert_eq!((&again[0].descriptor, again[0].names.len()), (&first[0].descriptor, 0));
    let zipped = load(&store, &gzip(&plain), None).unwrap();
    let diff_id = |l: &Loaded| store.open(&l.descriptor, None).unwrap().config.rootfs.diff_ids.clone();
    assert_eq!(diff_id(&zipped[0]), [Digest::of(&plain)]);
    assert_eq!(diff_id(&first[0]), diff_id(&zipped[0]));
    let zstd = load(&store, &zstd(&plain), None).unwrap();
    assert_eq!(diff_id(&first[0]), diff_id(&zstd[0]));
    let image = store.open(&zstd[0].descriptor, None).unwrap();
    assert_eq!(image.manifest.layers[0].media_type, LAYER_ZSTD);
    let dir = store.unpack(&image).unwrap()[0].dir.clone();
    assert_eq!(fs::read_to_string(PathBuf::from(dir).join("etc/hostname")).unwrap(), "h\n");
}

#[test]
fn unpacked_once_and_collected() {
    let (dir, plain) = (Dir::new(), root_tar());
    let store = Store::new(&dir.path);
    load(&store, &layout(&made(&plain).blobs(), &index(vec![made(&plain).entry("a:1")])), None).unwrap();
    let image = store.image("a:1").unwrap();
    let work = store.work().unwrap();
    let layers = store.unpack(&image).unwrap();
    assert_eq!(layers.len(), 1);
    assert_eq!(fs::read_to_string(PathBuf::from(&layers[0].dir).join("etc/hostname")).unwrap(), "h\n");
    assert_eq!(store.unpack(&image).unwrap(), layers);
    drop(work);
    let alone = store.alone().unwrap().unwrap();
    let garbage = |users: &[crate::User]| {
        store.account(users).unwrap().into_iter().filter(crate::Item::is_garbage).count()
    };
    assert_eq!(garbage(&[]), 0);
    fs::write(store.blobs().join(".blob.none.0123"), "left").unwrap();
    store.change(|i| Ok(i.remove_name("a:1"))).unwrap();
    let manifest = Some(image.descriptor.digest.clone());
    let user = crate::User { name: "c".into(), manifest, dirs: vec![] };
    assert_eq!(garbage(std::slice::from_ref(&user)), 1, "a container holds the rest");
    assert_eq!(garbage(&[]), 5);
    // A container that comes in the last moment keeps its layer.
    let late = crate::User { name: "d".into(), manifest: None, dirs: vec![PathBuf::from(&layers[0].dir)] };
    let gone = store.collect(alone, store.account(&[]).unwrap(), || Ok(vec![late.clone()])).unwrap();
    assert_eq!(gone.len(), 4);
    assert!(PathBuf::from(&layers[0].dir).join("etc/hostname").exists());
    let alone = store.alone().unwrap().unwrap();
    store.collect(alone, store.account(&[]).unwrap(), || Ok(vec![])).unwrap();
    assert_eq!((blobs(&store), fs::read_dir(store.layers_path()).unwrap().count()), (0, 0));
}

#[test]
fn a_diff_id_that_lies() {
    let (dir, plain) = (Dir::new(), root_tar());
    let store = Store::new(&dir.path);
    let mut image = made(&plain);
    let text = String::from_utf8(image.config.clone()).unwrap();
    image.config = text.replace(Digest::of(&plain).hex(), Digest::of(b"?").hex()).into_bytes();
    let text = String::from_utf8(image.manifest.clone()).unwrap();
    let right = made(&plain).config;
    image.manifest = text.replace(Digest::of(&right).hex(), Digest::of(&image.config).hex()).into_bytes();
    let e = load(&store, &layout(&image.blobs(), &index(vec![image.entry("a:1")])), None).unwrap_err();
    assert!(e.root_cause().to_string().contains("its diff_id is"), "{e:#}");
    assert_eq!(blobs(&store), 0);
    assert!(!store.path().exists(), "a store that nothing ever came into goes again");
    // Put into the store by somebody else, it is found when it is unpacked.
    let _work = store.work().unwrap();
    for blob in image.blobs() {
        store.keep(&store.take(blob, None).unwrap()).unwrap();
    }
    let named = store.change(|i| {
        i.put(&image.entry("a:1"), Some("a:1"));
        Ok(())
    });
    named.unwrap();
    let e = store.unpack(&store.image("a:1").unwrap()).unwrap_err();
    assert!(e.root_cause().to_string().contains("its diff_id is"), "{e:#}");
    assert_eq!(fs::read_dir(store.layers_path()).unwrap().count(), 0);
}

#[test]
fn a_layer_without_parents_depends_on_what_is_below() {
    if !root() {
        return eprintln!("skipped: owners need root");
    }
    let dir = Dir::new();
    let store = Store::new(&dir.path);
    let lone = Tar::new().file("etc/x", "x").bytes();
    let base = Tar::new().dir("etc", 0o700).bytes();
    let image = |layers: &[&[u8]]| {
        let ids: Vec<Digest> = layers.iter().map(|l| Digest::of(l)).collect();
        let config = json!({"rootfs": {"type": "layers", "diff_ids": ids}}).to_string().into_bytes();
        let at = |kind: &str, b: &[u8]| Descriptor::new(kind, Digest::of(b), b.len() as u64);
        let list: Vec<Descriptor> = layers.iter().map(|l| at(LAYER, l)).collect();
        let manifest = json!({"schemaVersion": 2, "config": at(CONFIG, &config), "layers": list}).to_string();
        let manifest = manifest.into_bytes();
        let entry = at(MANIFEST, &manifest);
        let mut all: Vec<&[u8]> = layers.to_vec();
        all.extend([config.as_slice(), &manifest]);
        load(&store, &layout(&all, &index(vec![entry.clone()])), None).unwrap();
        store.unpack(&store.open(&entry, None).unwrap()).unwrap()
    };
    let alone = image(&[&lone]);
    assert!(alone[0].dir.ends_with(".base"));
    let on = image(&[&base, &lone, &base]);
    assert_eq!(on.len(), 2, "a directory twice: the upper place counts");
    assert_ne!(on[0].dir, alone[0].dir);
    let mode = fs::metadata(PathBuf::from(&on[0].dir).join("etc")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o777, 0o700);
}

#[test]
fn a_lease_keeps_what_is_at_work() {
    let (dir, plain) = (Dir::new(), root_tar());
    let store = Store::new(&dir.path);
    load(&store, &layout(&made(&plain).blobs(), &index(vec![made(&plain).entry("a:1")])), None).unwrap();
    let image = store.image("a:1").unwrap();
    let collect = || {
        let store = Store::new(&dir.path);
        let alone = store.alone().unwrap().unwrap();
        store.collect(alone, store.account(&[]).unwrap(), || Ok(vec![])).unwrap().len()
    };
    let work = store.work().unwrap();
    let temp = store.take(&b"a blob"[..], None).unwrap();
    store.change(|i| Ok(i.remove_name("a:1"))).unwrap();
    work.hold(&image.descriptor.digest).unwrap();
    assert_eq!(collect(), 0);
    assert!(temp.path().exists());
    drop(work);
    assert_eq!(collect(), 4);
    assert!(!temp.path().exists());
}
