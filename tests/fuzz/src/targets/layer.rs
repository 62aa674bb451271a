//! A layer becomes a directory. Whatever the archive says, nothing else is touched, nothing stays
//! after an error, and the same archive makes the same directory.

use super::line;
use crate::place::{Place, Tree, difference, put, relative, remove, tree};
use crate::seeds::other_layer;
use flate2::bufread::MultiGzDecoder;
use serde_json::json;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Descriptor, Digest, Format, Image, LAYER};

/// More makes no test better, only longer.
const MOST: usize = 1 << 20;
const MOST_PLAIN: u64 = 16 << 20;

thread_local! {
    static PLACE: Place = Place::new(|store| {
        put(store, &other_layer());
        store.unpack(&image(&[(&OTHER, &OTHER)], 0)).unwrap();
    });
}

/// It lies below or above the one that is tried.
static OTHER: LazyLock<Digest> = LazyLock::new(|| Digest::of(&other_layer()));
static OTHER_SIZE: LazyLock<usize> = LazyLock::new(|| other_layer().len());

/// Layers by blob and diff_id; `size` is that of the blob which is tried.
fn image(layers: &[(&Digest, &Digest)], size: usize) -> Image {
    let size = |d: &Digest| if *d == *OTHER { *OTHER_SIZE } else { size };
    let list: Vec<Descriptor> =
        layers.iter().map(|(blob, _)| Descriptor::new(LAYER, (*blob).clone(), size(blob) as u64)).collect();
    let ids: Vec<String> = layers.iter().map(|(_, id)| id.to_string()).collect();
    let config = json!({ "rootfs": { "type": "layers", "diff_ids": ids } });
    let manifest =
        json!({ "schemaVersion": 2, "config": Descriptor::new("", Digest::of(b""), 0), "layers": list });
    Image {
        descriptor: Descriptor::new("", Digest::of(b""), 0),
        name: None,
        manifest: serde_json::from_value(manifest).unwrap(),
        config: serde_json::from_value(config).unwrap(),
    }
}

/// One archive, plain.
pub(crate) fn layer(bytes: &[u8]) {
    if bytes.len() > MOST || Format::of(bytes) != Format::Plain {
        return;
    }
    let id = Digest::of(bytes);
    let other = &*OTHER;
    if id == *other {
        return;
    }
    PLACE.with(|place| {
        let shape: &[(&Digest, &Digest)] = match id.hex().as_bytes()[0] % 4 {
            0 => &[(&id, &id)],
            1 => &[(&id, &id), (other, other)],
            _ => &[(other, other), (&id, &id)],
        };
        let since = now();
        let once = unpack(place, bytes, shape, &id);
        if let Ok(once) = once {
            let again = unpack(place, bytes, shape, &id).expect("it was fine the first time");
            let strip = |t: &(std::path::PathBuf, Tree)| relative(&t.0, &t.1, since);
            let (once, again) = (strip(&once), strip(&again));
            assert!(once == again, "made twice, not the same: {}", difference(&once, &again));
        }
        flat(place, bytes, shape);
    });
}

/// As one plain tree.
fn flat(place: &Place, bytes: &[u8], shape: &[(&Digest, &Digest)]) {
    let (blob, dir) = (place.blob(bytes), place.path.join("flat"));
    match place.store.unpack_to(&image(shape, bytes.len()), &dir, &|| false) {
        Ok(()) => remove(&dir),
        Err(e) => {
            line(&e);
            assert!(!dir.exists(), "something stays after an error");
        }
    }
    place.forget(&blob);
    place.check("after unpacking flat");
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What was made of it, which is gone again.
fn unpack(
    place: &Place,
    bytes: &[u8],
    shape: &[(&Digest, &Digest)],
    id: &Digest,
) -> Result<(std::path::PathBuf, Tree), String> {
    let blob = place.blob(bytes);
    let image = image(shape, bytes.len());
    let result = place.store.unpack(&image).map_err(|e| line(&e));
    let here: Vec<_> = place.store.plan(&image).unwrap().into_iter().filter(|p| p.diff_id == *id).collect();
    let made = here.iter().find_map(|p| p.there.clone());
    let was = made.as_deref().map(tree).unwrap_or_default();
    if let Ok(layers) = &result {
        for layer in layers {
            let dir = Path::new(&layer.dir);
            assert!(dir.is_dir() && dir.parent() == Some(&place.store.layers_path()), "{}", layer.dir);
        }
        assert!(made.is_some(), "unpacked, and nothing is there");
    }
    // A layer of ours on top of the one that was tried has a name that only this chain has.
    let ours = OTHER.hex();
    for dir in fs::read_dir(place.store.layers_path()).unwrap() {
        let dir = dir.unwrap();
        let name = dir.file_name().into_string().unwrap();
        assert!(!name.starts_with('.') && name.len() <= 69, "a temporary directory is left: {name}");
        if name != ours && name != format!("{ours}.base") {
            remove(&dir.path());
        }
    }
    place.forget(&blob);
    place.check("after unpacking");
    result.map(|_| (made.unwrap_or_default(), was))
}

/// A layer's blob: it is what another decoder says it is, or an error.
pub(crate) fn compressed(bytes: &[u8]) {
    if bytes.len() > MOST {
        return;
    }
    let (end, mut plain) = (bytes.iter().rposition(|b| *b != 0).map_or(0, |n| n + 1), Vec::new());
    let decoded = match Format::of(bytes) {
        Format::Plain => return,
        // Zeros behind it are padding. The last member may end with some that are its own.
        Format::Gzip => {
            let whole = MultiGzDecoder::new(bytes).take(MOST_PLAIN).read_to_end(&mut plain);
            let cut = || {
                (end..bytes.len().min(end + 9)).find_map(|end| {
                    let mut plain = Vec::new();
                    MultiGzDecoder::new(&bytes[..end]).take(MOST_PLAIN).read_to_end(&mut plain).ok()?;
                    Some(plain)
                })
            };
            if whole.is_ok() { Some(plain) } else { cut() }
        }
        Format::Zstd => {
            let reader = zstd::stream::read::Decoder::new(bytes).unwrap();
            reader.take(MOST_PLAIN).read_to_end(&mut plain).is_ok().then_some(plain)
        }
    };
    if decoded.as_ref().is_some_and(|p| p.len() as u64 == MOST_PLAIN) {
        return;
    }
    let id = Digest::of(decoded.as_deref().unwrap_or(b"nothing"));
    let blob = Digest::of(bytes);
    if id == *OTHER {
        // It is there, so nobody would look at the blob.
        return;
    }
    PLACE.with(|place| {
        let packed = unpack(place, bytes, &[(&blob, &id)], &id);
        let plain = decoded.as_ref().map(|plain| unpack(place, plain, &[(&id, &id)], &id));
        if decoded.is_none() {
            // Then it is the decoder that refuses, not only the digest that is not the one asked for.
            let error = packed.as_ref().expect_err("another decoder refuses it");
            assert!(!error.contains("its diff_id is"), "another decoder refuses it: {error}");
        }
        match (&packed, &plain) {
            (Err(_), None | Some(Err(_))) | (Ok(_), Some(Ok(_))) => {}
            (packed, plain) => panic!("compressed {packed:?}, plain {plain:?}"),
        }
    });
}
