//! JSON changed as a tree.

use crate::Rng;
use serde_json::{Map, Value, json};

/// One change somewhere; `other` gives parts.
pub(crate) fn change(rng: &mut Rng, value: &mut Value, other: &Value) {
    for _ in 0..=rng.below(3) {
        let count = count(value);
        let at = rng.below(count);
        if let Some(node) = nth(value, at) {
            one(rng, node, other);
        }
    }
}

fn one(rng: &mut Rng, node: &mut Value, other: &Value) {
    match node {
        Value::Object(map) if !map.is_empty() && !rng.one_in(4) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let (key, second) = (rng.of(&keys).clone(), rng.of(&keys).clone());
            match rng.below(4) {
                0 => drop(map.shift_remove(&key)),
                1 => {
                    let value = map.shift_remove(&key).unwrap_or_default();
                    map.insert((rng.pick(WORDS)).to_owned(), value);
                }
                2 => {
                    let value = map[&second].clone();
                    map.insert(key, value);
                }
                _ => drop(map.insert((rng.pick(WORDS)).to_owned(), fresh(rng, other))),
            }
        }
        Value::Array(list) if !list.is_empty() && !rng.one_in(4) => {
            let (at, from) = (rng.below(list.len()), rng.below(list.len()));
            match rng.below(3) {
                0 => drop(list.remove(at)),
                1 => list.insert(at, list[from].clone()),
                _ => list.swap(at, from),
            }
        }
        Value::String(text) if !rng.one_in(3) => {
            let mut bytes = std::mem::take(text).into_bytes();
            crate::mutate::bytes(rng, &mut bytes);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        node => *node = fresh(rng, other),
    }
}

fn fresh(rng: &mut Rng, other: &Value) -> Value {
    match rng.below(9) {
        0 => Value::Null,
        1 => json!([]),
        2 => Value::Object(Map::new()),
        3 => json!(rng.one_in(2)),
        4 => json!(rng.pick(&[0, 1, 2, -1, i64::MAX, i64::MIN, 1 << 32])),
        5 => json!(rng.pick(&[u64::MAX as f64, 0.1, -0.0, 1e300, 1.5e-300, 2.0])),
        6 => {
            let n = rng.below(count(other));
            nth(&mut other.clone(), n).map(|v| v.take()).unwrap_or_default()
        }
        _ => json!(rng.pick(WORDS)),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Counted as the tree is written.
fn nth(value: &mut Value, n: usize) -> Option<&mut Value> {
    if n == 0 {
        return Some(value);
    }
    let children: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => return None,
    };
    let mut n = n - 1;
    for child in children {
        let inside = count(child);
        if n < inside {
            return nth(child, n);
        }
        n -= inside;
    }
    None
}

const WORDS: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "manifests",
    "config",
    "layers",
    "digest",
    "size",
    "platform",
    "architecture",
    "os",
    "variant",
    "annotations",
    "rootfs",
    "diff_ids",
    "type",
    "history",
    "empty_layer",
    "created",
    "created_by",
    "Env",
    "Cmd",
    "Entrypoint",
    "User",
    "Volumes",
    "WorkingDir",
    "StopSignal",
    "Config",
    "RepoTags",
    "Layers",
    "urls",
    "data",
    "os.version",
    "linux",
    "amd64",
    "arm",
    "arm64",
    "v7",
    "v99999999999",
    "unknown",
    "subject",
    "artifactType",
    "org.opencontainers.image.ref.name",
    "io.containerd.image.name",
    "schema_version",
    "stave",
    "v",
    "id",
    "name",
    "process",
    "args",
    "mounts",
    "root",
    "path",
    "image",
    "hostname",
    "namespaces",
    "..",
    "a/../b",
    "UPPER:Tag",
    "",
    "\u{0}",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha256:",
    "sha512:00",
    "../../../../outside/secret",
];
