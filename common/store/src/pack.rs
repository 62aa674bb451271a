//! What a container wrote becomes a layer (image-spec layer.md), and an image of it. The same
//! files give the same bytes, on any machine.

use crate::archiver::{Archiver, Head};
use crate::compressor::{Compressor, Packing};
use crate::digest::Hashing;
use crate::manifest::{self, CONFIG, MANIFEST};
use crate::written::{Item, Overlay, Seen, merged, shown, walk};
use crate::{Descriptor, Digest, Image, Store, Temp, changes};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::walk::{Kind, Meta};

/// How a layer is written.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Compression.
    pub packing: Packing,
    /// Threads that compress.
    pub threads: usize,
    /// SOURCE_DATE_EPOCH: no time in it is later.
    pub epoch: Option<i64>,
}

/// A layer that no image has yet.
#[derive(Debug)]
pub struct Layer {
    blob: Temp,
    diff_id: Digest,
    packing: Packing,
}

/// What is said of a new image.
#[derive(Clone, Debug, Default)]
pub struct About<'a> {
    /// Lines of a Dockerfile.
    pub changes: &'a [String],
    /// Why.
    pub message: Option<&'a str>,
    /// Who.
    pub author: Option<&'a str>,
    /// When, RFC 3339.
    pub created: &'a str,
}

/// Writes what changed as an archive of a layer; gives the output back, and the number of entries.
pub fn archive<W: Write>(overlays: &[Overlay], epoch: Option<i64>, out: W) -> Result<(W, u64)> {
    let mut packer = Packer::new(out, epoch);
    for overlay in overlays {
        let at = overlay.at.strip_prefix("/").unwrap_or(&overlay.at);
        packer.links.clear();
        let walked = walk(overlay, false, &mut |seen| packer.put(at, seen));
        walked.map_err(|e| packer.told(e))?;
    }
    packer.finish()
}

/// Writes one tree out of layers, lowest first, as an archive, with nothing of overlayfs in it.
/// Nothing is mounted for that.
pub fn flat<W: Write>(layers: &[PathBuf], out: W) -> Result<W> {
    let mut packer = Packer::new(out, None);
    let walked = merged(layers, &mut |seen| packer.put(Path::new(""), seen));
    walked.map_err(|e| packer.told(e))?;
    packer.finish().map(|(out, _)| out)
}

/// Where the archive goes; it remembers that it could not.
struct Sink<W> {
    out: W,
    broken: bool,
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let done = self.out.write(buf);
        self.broken |= done.as_ref().is_err_and(|e| e.kind() != io::ErrorKind::Interrupted);
        done
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Packer<W> {
    tar: Archiver<Sink<W>>,
    /// The first name of each file that has several, by file system and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    epoch: Option<i64>,
    entries: u64,
}

impl<W: Write> Packer<W> {
    fn new(out: W, epoch: Option<i64>) -> Packer<W> {
        let tar = Archiver::new(Sink { out, broken: false });
        Packer { tar, links: HashMap::new(), epoch, entries: 0 }
    }

    fn finish(self) -> Result<(W, u64)> {
        let sink = self.tar.finish().context("write the archive")?;
        Ok((sink.out, self.entries))
    }

    /// A full disk is no fault of the file that was being read.
    fn told(&self, error: anyhow::Error) -> anyhow::Error {
        if !self.tar.out().broken {
            return error;
        }
        let cause = error.downcast::<io::Error>().map_or_else(|e| e, anyhow::Error::new);
        cause.context("write the archive")
    }

    fn put(&mut self, at: &Path, seen: Seen) -> Result<()> {
        match seen {
            Seen::There(item) => self.item(at, item),
            Seen::Opaque(dir) => self.mark(&at.join(dir).join(".wh..wh..opq")),
            Seen::Gone(path) => {
                let name = path.file_name().unwrap_or_default();
                let hidden = [b".wh.", name.as_bytes()].concat();
                self.mark(&at.join(path).with_file_name(std::ffi::OsStr::from_bytes(&hidden)))
            }
            Seen::Hidden(_) => Ok(()),
        }
    }

    fn item(&mut self, at: &Path, item: &Item) -> Result<()> {
        let path = at.join(item.path);
        self.any(&path, item).with_context(|| format!("read {}", shown(&path)))
    }

    fn any(&mut self, path: &Path, item: &Item) -> Result<()> {
        if item.name.as_bytes().starts_with(b".wh.") {
            bail!("a name that begins with .wh. means in a layer that something is gone");
        }
        let mut meta = item.meta;
        let mut name = path.as_os_str().as_bytes().to_vec();
        match meta.kind {
            // It is of no use without the process that listens.
            Kind::Socket => return Ok(()),
            Kind::Dir if name.is_empty() => name = b"./".to_vec(),
            Kind::Dir => name.push(b'/'),
            _ if meta.links > 1 => match self.links.get(&(meta.disk, meta.inode)) {
                None => drop(self.links.insert((meta.disk, meta.inode), name.clone())),
                Some(first) => {
                    let first = first.clone();
                    return self.head(&name, meta, &first, true, &[]);
                }
            },
            _ => {}
        }
        match meta.kind {
            Kind::File => {
                let mut file = sys::walk::open_file(item.dir, item.name)?;
                let now = sys::walk::meta_fd(&file)?;
                if (now.kind, now.disk, now.inode) != (Kind::File, meta.disk, meta.inode) {
                    bail!("it changed meanwhile: it is another file");
                }
                // What comes after this many bytes, in a log that grows, is later.
                meta.size = now.size;
                self.head(&name, meta, b"", false, item.xattrs)?;
                Ok(self.tar.data(&mut file, meta.size)?)
            }
            Kind::Symlink => {
                let target = sys::walk::read_link(item.dir, item.name)?;
                self.head(&name, meta, &target, false, item.xattrs)
            }
            _ => self.head(&name, meta, b"", false, item.xattrs),
        }
    }

    fn head(
        &mut self,
        path: &[u8],
        mut meta: Meta,
        link: &[u8],
        hard: bool,
        xattrs: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<()> {
        if let Some(epoch) = self.epoch {
            meta.mtime = meta.mtime.min((epoch, 0));
        }
        self.entries += 1;
        Ok(self.tar.head(&Head { path, meta, link, hard, xattrs })?)
    }

    /// A whiteout: an empty file of a name that says it all.
    fn mark(&mut self, path: &Path) -> Result<()> {
        let meta = Meta {
            kind: Kind::File,
            mode: 0,
            owner: (0, 0),
            size: 0,
            mtime: (0, 0),
            links: 1,
            inode: 0,
            disk: 0,
            device: (0, 0),
        };
        self.head(path.as_os_str().as_bytes(), meta, b"", false, &[])
    }
}

impl Store {
    /// A layer of what changed; `None`: nothing did. The caller holds [`Store::work`].
    pub fn pack(&self, overlay: &Overlay, how: How) -> Result<Option<Layer>> {
        let out = Compressor::new(how.packing, how.threads, self.writing()?).context("start to compress")?;
        let out = Hashing::new(out);
        let (out, entries) = archive(std::slice::from_ref(overlay), how.epoch, out)?;
        let writing = out.inner.finish().context("write the layer")?;
        if entries == 0 {
            return Ok(None);
        }
        let layer = Layer { blob: writing.finish(), diff_id: out.hasher.finish(), packing: how.packing };
        // Not while the store is held for a moment.
        File::open(layer.blob.path()).and_then(|f| f.sync_data()).context("fsync the layer")?;
        Ok(Some(layer))
    }

    /// An image of `base` (none: of nothing) with one layer more and with what is said of it. Where
    /// that changes nothing it is the base; a message alone is no change. Under its name it is in
    /// the list afterwards. The caller holds [`Store::work`], and the base.
    pub fn derive(
        &self,
        base: Option<&Image>,
        layer: Option<Layer>,
        about: &About,
        name: Option<&str>,
    ) -> Result<Descriptor> {
        let config = match base {
            Some(base) => self.json(&base.manifest.config.digest)?,
            None => json!({
                "architecture": crate::Platform::host().architecture,
                "os": "linux",
                "config": {},
                "rootfs": { "type": "layers", "diff_ids": [] },
            }),
        };
        let new = configure(config, layer.as_ref(), about)?;
        let (config, layer) = match (new, base) {
            (None, Some(base)) => {
                let descriptor = base.descriptor.clone();
                self.put(&descriptor, name)?;
                return Ok(descriptor);
            }
            (None, None) => bail!("nothing was written, and nothing is not an image"),
            (Some(config), _) => (config, layer),
        };
        let config = self.take(config.to_string().as_bytes(), None)?;
        let manifest = match base {
            Some(base) => self.json(&base.descriptor.digest)?,
            None => json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": { "mediaType": CONFIG },
                "layers": [],
            }),
        };
        let docker = base.is_some_and(|b| b.descriptor.media_type == manifest::DOCKER_MANIFEST);
        let (manifest, media_type) = compose(manifest, docker, &config, layer.as_ref())?;
        let manifest = self.take(manifest.to_string().as_bytes(), None)?;
        let descriptor = Descriptor::new(media_type, manifest.digest.clone(), manifest.size);
        // Between its blobs' names and its own nothing keeps an image.
        let moment = self.moment()?;
        for blob in layer.iter().map(|l| &l.blob).chain([&config, &manifest]) {
            self.keep(blob)?;
        }
        self.sync()?;
        self.put(&descriptor, name)?;
        drop(moment);
        Ok(descriptor)
    }

    fn put(&self, image: &Descriptor, name: Option<&str>) -> Result<()> {
        self.change(|index| {
            index.put(image, name);
            Ok(())
        })
    }

    fn json(&self, digest: &Digest) -> Result<Value> {
        serde_json::from_slice(&self.read_blob(digest)?).with_context(|| format!("read blob {digest}"))
    }
}

/// A configuration with one layer more and what is said of it; `None`: it is as it was.
fn configure(mut config: Value, layer: Option<&Layer>, about: &About) -> Result<Option<Value>> {
    let all = config.as_object_mut().context("the image's config is not an object")?;
    let former = all.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut execution = former.clone();
    changes::apply(&mut execution, about.changes)?;
    let changed = execution != former;
    if changed {
        all.insert("config".into(), execution.into());
    }
    let other_author = about.author.filter(|a| all.get("author").and_then(Value::as_str) != Some(a));
    if layer.is_none() && !changed && other_author.is_none() {
        return Ok(None);
    }
    if let Some(author) = about.author {
        all.insert("author".into(), json!(author));
    }
    all.insert("created".into(), json!(about.created));
    let diff_ids = all
        .get_mut("rootfs")
        .and_then(|r| r.get_mut("diff_ids"))
        .filter(|d| d.is_array() || d.is_null())
        .context("the image's config has no rootfs.diff_ids")?;
    let mut ids = diff_ids.as_array().cloned().unwrap_or_default();
    let layers = ids.len();
    ids.extend(layer.map(|l| json!(l.diff_id)));
    *diff_ids = ids.into();
    let mut history = all.get("history").and_then(Value::as_array).cloned().unwrap_or_default();
    let told = history.iter().filter(|h| h.get("empty_layer") != Some(&json!(true))).count();
    // Each layer has an entry or the list is of no use: those of which nothing is known have empty ones.
    history.extend(std::iter::repeat_n(json!({}), layers.saturating_sub(told)));
    history.push(entry(layer.is_some(), about));
    all.insert("history".into(), history.into());
    Ok(Some(config))
}

fn entry(layer: bool, about: &About) -> Value {
    let mut entry = Map::new();
    entry.insert("created".into(), json!(about.created));
    let by = if about.changes.is_empty() { "stave pack".into() } else { about.changes.join("; ") };
    entry.insert("created_by".into(), json!(by));
    if let Some(author) = about.author {
        entry.insert("author".into(), json!(author));
    }
    if let Some(message) = about.message {
        entry.insert("comment".into(), json!(message));
    }
    if !layer {
        entry.insert("empty_layer".into(), json!(true));
    }
    entry.into()
}

/// A manifest with this config and one layer more, and its media type. Docker's types have no word
/// for zstd: then all of it becomes OCI's.
fn compose(
    mut manifest: Value,
    docker: bool,
    config: &Temp,
    layer: Option<&Layer>,
) -> Result<(Value, &'static str)> {
    let to_oci = docker && layer.is_some_and(|l| matches!(l.packing, Packing::Zstd(_)));
    let all = manifest.as_object_mut().context("the image's manifest is not an object")?;
    let at = all.get_mut("config").and_then(Value::as_object_mut).context("the manifest has no config")?;
    at.insert("digest".into(), json!(config.digest));
    at.insert("size".into(), json!(config.size));
    // A copy of the former one, base64 (image-spec descriptor.md).
    at.remove("data");
    let layers = all.get_mut("layers").and_then(Value::as_array_mut).context("the manifest has no layers")?;
    if let Some(layer) = layer {
        let kind = match (layer.packing, docker) {
            (Packing::Gzip(_), true) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (Packing::None, true) => "application/vnd.docker.image.rootfs.diff.tar",
            (Packing::Gzip(_), false) => manifest::LAYER_GZIP,
            (Packing::None, false) => manifest::LAYER,
            (Packing::Zstd(_), _) => manifest::LAYER_ZSTD,
        };
        layers.push(json!({ "mediaType": kind, "digest": layer.blob.digest, "size": layer.blob.size }));
    }
    if to_oci {
        for layer in layers.iter_mut().filter_map(Value::as_object_mut) {
            oci(layer);
        }
        all.insert("mediaType".into(), json!(MANIFEST));
        all.get_mut("config").and_then(Value::as_object_mut).map(oci);
    }
    let media_type = if docker && !to_oci { manifest::DOCKER_MANIFEST } else { MANIFEST };
    Ok((manifest, media_type))
}

/// The media type of a descriptor as OCI has it.
fn oci(descriptor: &mut Map<String, Value>) {
    let kind = descriptor.get("mediaType").and_then(Value::as_str).unwrap_or_default();
    let kind = match kind {
        "application/vnd.docker.container.image.v1+json" => CONFIG,
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => manifest::LAYER_GZIP,
        "application/vnd.docker.image.rootfs.diff.tar" => manifest::LAYER,
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        }
        _ => return,
    };
    descriptor.insert("mediaType".into(), json!(kind));
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
