//! Archives of images name their files by digests, and files name other files by theirs. After a
//! change all of them are made right again, or no mutation would ever get behind the first check.

use crate::tar::{self, Entry};
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::io::Read;
use store::Digest;

/// An archive with right names, references and sizes, as far as it can be read.
pub(crate) fn all(bytes: &[u8]) -> Vec<u8> {
    let (mut entries, tail) = tar::split(bytes);
    // A layer changes its config, that the manifest, that the index.
    for _ in 0..5 {
        let mut changed = diff_ids(&mut entries);
        for n in 0..entries.len() {
            changed |= rename(&mut entries, n);
        }
        changed |= sizes(&mut entries);
        if !changed {
            break;
        }
    }
    [tar::join(&entries), tail].concat()
}

/// A file gets the name that its content says, wherever it is named.
fn rename(entries: &mut [Entry], n: usize) -> bool {
    let name = entries[n].name();
    let Some(old) = hex(&name) else { return false };
    let new = Digest::of(&entries[n].data);
    if !entries[n].is_file() || old == new.hex() {
        return false;
    }
    entries[n].named(&name.replace(old, new.hex()));
    for entry in entries.iter_mut().filter(|e| is_json(&e.data)) {
        if let Ok(text) = std::str::from_utf8(&entry.data) {
            entry.data = text.replace(old, new.hex()).into_bytes();
        }
    }
    true
}

fn hex(name: &str) -> Option<&str> {
    // The old docker archive has directories called after something else.
    let file = name.rsplit('/').next()?;
    file.split(['.', ':']).find(|p| p.len() == 64 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_json(data: &[u8]) -> bool {
    data.first().is_some_and(|b| b"{[".contains(b))
}

fn json(entry: &Entry) -> Option<Value> {
    is_json(&entry.data).then(|| serde_json::from_slice(&entry.data).ok())?
}

fn put(entry: &mut Entry, value: &Value) {
    entry.data = value.to_string().into_bytes();
    entry.sized();
}

/// The digest of a layer's plain bytes.
fn plain(data: &[u8]) -> Value {
    let mut plain = Vec::new();
    match data {
        [0x1f, 0x8b, ..] if MultiGzDecoder::new(data).take(1 << 24).read_to_end(&mut plain).is_ok() => {}
        _ => plain = data.to_vec(),
    }
    Digest::of(&plain).to_string().into()
}

/// What a config says of the layers that a manifest gives it.
fn diff_ids(entries: &mut [Entry]) -> bool {
    let mut changed = false;
    for n in 0..entries.len() {
        let Some(manifest) = json(&entries[n]) else { continue };
        let docker = manifest.as_array().cloned().unwrap_or_default();
        for image in docker.iter().chain([&manifest]) {
            changed |= of_image(entries, image).unwrap_or(false);
        }
    }
    changed
}

fn of_image(entries: &mut [Entry], image: &Value) -> Option<bool> {
    let at = |word: &Value| -> Option<usize> {
        let word = word.as_str().or_else(|| word["digest"].as_str()?.strip_prefix("sha256:"))?;
        entries.iter().position(|e| e.name().ends_with(word))
    };
    let layers = image.get("Layers").or(image.get("layers"))?.as_array()?;
    let config = at(image.get("Config").or(image.get("config"))?)?;
    let ids = layers.iter().map(|l| Some(plain(&entries[at(l)?].data))).collect::<Option<Vec<_>>>()?;
    let mut value = json(&entries[config])?;
    let there = value.pointer_mut("/rootfs/diff_ids")?;
    let changed = there.as_array()?.len() == ids.len() && *there != Value::Array(ids.clone());
    if changed {
        *there = Value::Array(ids);
        put(&mut entries[config], &value);
    }
    Some(changed)
}

/// Beside each digest.
fn sizes(entries: &mut [Entry]) -> bool {
    let known: Vec<(String, usize)> = entries
        .iter()
        .filter(|e| e.is_file())
        .map(|e| (Digest::of(&e.data).to_string(), e.data.len()))
        .collect();
    let mut changed = false;
    for entry in entries {
        let Some(mut value) = json(entry) else { continue };
        if size(&mut value, &known) {
            put(entry, &value);
            changed = true;
        }
    }
    changed
}

fn size(value: &mut Value, known: &[(String, usize)]) -> bool {
    match value {
        Value::Array(list) => list.iter_mut().fold(false, |c, v| size(v, known) | c),
        Value::Object(map) => {
            let mut changed = map.values_mut().fold(false, |c, v| size(v, known) | c);
            let digest = map.get("digest").and_then(Value::as_str);
            let right = known.iter().find(|(d, _)| Some(d.as_str()) == digest).map(|(_, n)| *n);
            if let (Some(right), Some(size)) = (right, map.get_mut("size")) {
                changed |= *size != right;
                *size = right.into();
            }
            changed
        }
        _ => false,
    }
}
