//! Images go out: one tar that is an OCI layout (image-spec image-layout.md) and, by a
//! manifest.json, a docker archive of the same files. The same images give the same bytes.

use crate::manifest::{CONTAINERD_NAME, INDEX};
use crate::{Descriptor, Digest, Image, REF_NAME, Reference, Store};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use tar::{EntryType, Header};

/// Which programs are to read the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Form {
    /// All of them.
    #[default]
    Both,
    /// Those that look for docker's manifest.json alone.
    Docker,
    /// Those that read OCI layouts.
    Oci,
}

/// An image and the names that it goes out under.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Read from the store.
    pub image: Image,
    /// In the one form, in order; none is fine.
    pub names: Vec<String>,
}

impl Store {
    /// Writes an archive. Layers go from file to file without passing through this process where
    /// the kernel can do that. The caller holds [`Store::work`] and the images' manifests.
    pub fn save(&self, images: &[Saved], form: Form, output: &mut File) -> Result<()> {
        let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
        for Saved { image, .. } in images {
            let at = &image.descriptor;
            if form != Form::Docker {
                blobs.insert(at.digest.clone(), at.size);
            }
            for d in image.manifest.layers.iter().chain([&image.manifest.config]) {
                blobs.insert(d.digest.clone(), d.size);
            }
        }
        // All is looked at before the first byte goes out.
        for (digest, size) in &blobs {
            let is = self.open_blob(digest)?.metadata().with_context(|| format!("read blob {digest}"))?.len();
            if is != *size {
                bail!("blob {digest} has {is} bytes, its descriptor says {size}");
            }
        }
        if form != Form::Docker {
            small(output, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
            small(output, "index.json", index(images).to_string().as_bytes())?;
        }
        if form != Form::Oci {
            small(output, "manifest.json", docker(images).to_string().as_bytes())?;
        }
        directory(output, "blobs/")?;
        directory(output, "blobs/sha256/")?;
        // What is small first: who reads a stream knows early what it is about.
        let mut order: Vec<(&Digest, &u64)> = blobs.iter().collect();
        order.sort_by_key(|(digest, size)| (**size > SMALL, *digest));
        for (digest, size) in order {
            let file = self.open_blob(digest)?;
            header(output, &path(digest), *size, EntryType::Regular)?;
            let copied = io::copy(&mut file.take(*size), output).context(Writing)?;
            if copied < *size {
                bail!("blob {digest} became shorter while it was read");
            }
            pad(output, *size)?;
        }
        output.write_all(&[0; 1024]).context(Writing)
    }
}

/// No manifest or configuration is larger.
const SMALL: u64 = 4 << 20;

/// What could not be done with the output; the cause is an [`io::Error`].
#[derive(Clone, Copy, Debug)]
pub struct Writing;

impl std::fmt::Display for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("write the archive")
    }
}

/// One entry a name. docker and containerd read their own annotation and podman the other, each as
/// the whole name.
fn index(images: &[Saved]) -> Value {
    let mut entries: Vec<Value> = Vec::new();
    for Saved { image, names } in images {
        let mut entry = Descriptor::new(
            &image.descriptor.media_type,
            image.descriptor.digest.clone(),
            image.descriptor.size,
        );
        if names.is_empty() {
            entries.push(json!(entry));
        }
        for name in names {
            let whole = whole(name);
            entry.annotations.insert(CONTAINERD_NAME.into(), json!(whole));
            entry.annotations.insert(REF_NAME.into(), json!(whole));
            entries.push(json!(entry));
        }
    }
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries })
}

/// One item for each image.
fn docker(images: &[Saved]) -> Value {
    let item = |Saved { image, names }: &Saved| {
        let layers: Vec<String> = image.manifest.layers.iter().map(|l| path(&l.digest)).collect();
        // docker has no tag for what is named by its digest.
        let tags: Vec<String> = names.iter().filter(|n| !n.contains('@')).map(|n| whole(n)).collect();
        json!({ "Config": path(&image.manifest.config.digest), "RepoTags": tags, "Layers": layers })
    };
    images.iter().map(item).collect()
}

/// podman takes a short one to be localhost's.
fn whole(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |r| r.to_string())
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn small(output: &mut File, name: &str, bytes: &[u8]) -> Result<()> {
    header(output, name, bytes.len() as u64, EntryType::Regular)?;
    output.write_all(bytes).context(Writing)?;
    pad(output, bytes.len() as u64)
}

fn directory(output: &mut File, name: &str) -> Result<()> {
    header(output, name, 0, EntryType::Directory)
}

/// Owner, group and time are nobody's and none, as the same images are to give the same bytes.
fn header(output: &mut File, name: &str, size: u64, kind: EntryType) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_path(name).context(Writing)?;
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    output.write_all(header.as_bytes()).context(Writing)
}

fn pad(output: &mut File, size: u64) -> Result<()> {
    let zeros = [0; 512];
    let most = ((512 - size % 512) % 512) as usize;
    output.write_all(&zeros[..most]).context(Writing)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{Dir, Tar};
    use crate::{Choice, Input, ingest};
    use std::fs;

    fn load(store: &Store, bytes: &[u8], base: Option<&str>) -> Vec<crate::Loaded> {
        let _work = store.work().unwrap();
        let input = Input::Stream(Box::new(bytes));
        ingest(store, input, &Choice { base, platform: None }).unwrap().commit().unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let (dir, other) = (Dir::new(), Dir::new());
        let store = Store::new(&dir.path);
        for name in ["a", "b"] {
            load(&store, &Tar::new().file("etc/name", name).bytes(), Some(name));
        }
        let [a, b] = ["a", "b"].map(|n| store.image(n).unwrap());
        let images = [
            Saved { image: a.clone(), names: vec!["a:latest".into(), "h.x/a:1".into()] },
            Saved { image: b, names: vec![] },
        ];
        let saved = |form| {
            let at = dir.path.join("saved");
            store.save(&images, form, &mut File::create(&at).unwrap()).unwrap();
            fs::read(at).unwrap()
        };
        for form in [Form::Both, Form::Oci, Form::Docker] {
            let bytes = saved(form);
            assert_eq!(bytes, saved(form), "the same bytes each time");
            let to = Store::new(&other.path.join(format!("{form:?}")));
            let loaded = load(&to, &bytes, None);
            assert_eq!(loaded.len(), 2);
            assert_eq!(loaded[0].descriptor.digest, a.descriptor.digest);
            assert_eq!(loaded[0].names, ["a:latest", "h.x/a:1"]);
            assert!(loaded[1].names.is_empty());
        }
        fs::write(store.blob(&a.manifest.config.digest), "short").unwrap();
        let e = store.save(&images, Form::Both, &mut File::create(dir.path.join("x")).unwrap()).unwrap_err();
        assert!(e.to_string().contains("has 5 bytes, its descriptor says"), "{e}");
    }
}
