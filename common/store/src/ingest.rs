//! Images come in: from an OCI layout, an archive of one, a docker archive, or a root file system
//! as a tar. A stream is read once and never sought. Blobs get their final names all together at
//! the end, so input that is bad, or breaks off, leaves nothing behind.

mod checks;
mod dir;
mod docker;
mod files;
mod kind;
mod layout;
mod rootfs;

use crate::compress::{Format, peek, plain};
use crate::{Config, Descriptor, Digest, Index, Platform, REF_NAME, Store, Temp, find, name};
use anyhow::{Context, Result, bail};
use checks::{Checks, Growth, Pending};
use files::Files;
use kind::Kind;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

/// Where images come from.
pub enum Input<'a> {
    /// A directory.
    Dir(&'a Path),
    /// A file, or a pipe.
    Stream(Box<dyn Read + Send + 'a>),
}

/// Which images of the input are meant, and what they are called.
#[derive(Clone, Debug, Default)]
pub struct Choice<'a> {
    /// What the input is called, for images whose archive has only a tag for them, or nothing.
    pub base: Option<&'a str>,
    /// Of an image that is there for several platforms; none: this machine's.
    pub platform: Option<Platform>,
}

/// What becomes of a root file system besides its bytes.
#[derive(Clone, Debug, Default)]
pub struct Root {
    /// This machine's, where none is given.
    pub platform: Option<Platform>,
    /// `config` of the configuration.
    pub config: Map<String, Value>,
    /// `history` of the configuration.
    pub history: Vec<Value>,
    /// RFC 3339.
    pub created: Option<String>,
}

/// One image of the input.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Of its manifest.
    pub descriptor: Descriptor,
    /// In the one form; none where the input has none.
    pub names: Vec<String>,
}

impl Loaded {
    /// As a document has it.
    pub fn document(&self) -> doc::Image {
        find::document(&self.descriptor, self.names.first().map(String::as_str))
    }
}

/// The input had no bytes at all.
#[derive(Debug)]
pub struct Empty;

impl std::fmt::Display for Empty {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("it is empty")
    }
}

impl std::error::Error for Empty {}

/// What came in and has no names in the store yet; dropped, it is gone.
pub struct Incoming<'s> {
    store: &'s Store,
    platform: Option<Platform>,
    temps: BTreeMap<Digest, Temp>,
    /// Of those that are compressed: their digests once they are not.
    plain: BTreeMap<Digest, Plain>,
    checks: Checks,
    buf: Vec<u8>,
    wanted: Vec<Digest>,
    /// The images, in order.
    pub images: Vec<Loaded>,
}

/// The digest of what a blob holds.
enum Plain {
    Known(Digest),
    Pending(Pending),
}

/// Reads images in. The caller holds [`Store::work`].
pub fn ingest<'s>(store: &'s Store, input: Input, choice: &Choice) -> Result<Incoming<'s>> {
    let base = choice.base.and_then(name::of_file);
    let base = base.as_deref();
    let mut incoming = Incoming::new(store, choice.platform.clone());
    match input {
        Input::Dir(dir) => incoming.files(Files::dir(dir), base)?,
        Input::Stream(reader) => {
            let (head, whole) = begin(reader)?;
            match Kind::of(&head)? {
                Kind::Archive(format) => incoming.archive(whole, format, base)?,
                Kind::Rootfs(format) => {
                    let (layer, root) = rootfs::write(&mut incoming, whole, format)?;
                    if root.images {
                        let again = File::open(layer.path()).context("read it again")?;
                        incoming.archive(again, format, base)?;
                    } else {
                        let platform = choice.platform.clone();
                        let more = Root { platform, ..Root::default() };
                        rootfs::image(&mut incoming, layer, &root, more)?;
                    }
                }
            }
        }
    }
    if let ([image], Some(base)) = (incoming.images.as_mut_slice(), base)
        && image.names.is_empty()
    {
        image.names.extend(name::normal(base).ok());
    }
    Ok(incoming)
}

/// Reads a root file system in, whatever its files are called: an image of one layer. The caller
/// holds [`Store::work`].
pub fn import<'s>(store: &'s Store, input: Box<dyn Read + Send + '_>, more: Root) -> Result<Incoming<'s>> {
    let mut incoming = Incoming::new(store, None);
    let (head, whole) = begin(input)?;
    let (Kind::Archive(format) | Kind::Rootfs(format)) = Kind::of(&head)?;
    let (layer, root) = rootfs::write(&mut incoming, whole, format)?;
    rootfs::image(&mut incoming, layer, &root, more)?;
    Ok(incoming)
}

/// The first bytes, and all of them.
fn begin<'a>(reader: Box<dyn Read + Send + 'a>) -> Result<(Vec<u8>, impl Read + Send + 'a)> {
    let (head, rest) = peek(reader, kind::PEEK).context("read it")?;
    if head.is_empty() {
        return Err(Empty.into());
    }
    Ok((head.clone(), Cursor::new(head).chain(rest)))
}

impl<'s> Incoming<'s> {
    fn new(store: &'s Store, platform: Option<Platform>) -> Incoming<'s> {
        Incoming {
            store,
            platform,
            temps: BTreeMap::new(),
            plain: BTreeMap::new(),
            checks: Checks::default(),
            buf: vec![0; 256 << 10],
            wanted: Vec::new(),
            images: Vec::new(),
        }
    }

    fn files(&mut self, mut files: Files, base: Option<&str>) -> Result<()> {
        let layout = files.bytes(self, Path::new("index.json"))?;
        let docker = files.bytes(self, Path::new("manifest.json"))?;
        match (layout, docker) {
            (Some(index), _) => layout::take(self, &mut files, &index, base),
            (None, Some(manifest)) if dir::is_one(&manifest) => dir::take(self, &mut files, &manifest),
            (None, Some(manifest)) => docker::take(self, &mut files, &manifest),
            (None, None) => {
                bail!("it is no image: neither index.json (OCI) nor manifest.json (docker) in it")
            }
        }
    }

    /// The entry of an index that is meant.
    fn choose(&self, index: &Index) -> Result<Descriptor> {
        match &self.platform {
            Some(platform) => index.choose(platform).cloned(),
            None => index.for_host().cloned(),
        }
    }

    /// An image that is for another platform than the one asked for is not it.
    fn is_for(&self, config: &Config) -> Result<()> {
        if self.platform.is_none() {
            return Ok(());
        }
        let is = json!({ "os": config.os, "architecture": config.architecture,
            "variant": config.extra.get("variant").and_then(Value::as_str).unwrap_or("") });
        let mut one = Descriptor::new("", Digest::of(b""), 0);
        one.platform = Some(serde_json::from_value(is).context("platform")?);
        let index = Index { schema_version: 2, manifests: vec![one], extra: Map::new() };
        self.choose(&index).map(drop)
    }

    fn archive(&mut self, input: impl Read + Send, format: Format, base: Option<&str>) -> Result<()> {
        let files = Files::archive(self, plain(format, input)?)?;
        self.files(files, base)
    }

    /// Takes a blob in until the input ends; where it is compressed, its content is hashed
    /// meanwhile. It is kept if it is wanted.
    fn take(&mut self, input: impl Read, expected: Option<&Digest>) -> Result<(Digest, u64)> {
        let (head, rest) = peek(input, 8)?;
        let mut writing = self.store.writing()?;
        let growth = Growth::default();
        let pending = match Format::of(&head) {
            Format::Plain => None,
            format => Some(self.checks.start(writing.path(), format, &growth)),
        };
        copy(&mut Cursor::new(head).chain(rest), &mut writing, &growth, &mut self.buf)?;
        growth.whole();
        let temp = writing.finish();
        if let Some(expected) = expected
            && temp.digest != *expected
        {
            bail!("blob {expected} is something else: its digest is {}", temp.digest);
        }
        let is = (temp.digest.clone(), temp.size);
        if let Some(pending) = pending {
            self.plain.entry(is.0.clone()).or_insert(Plain::Pending(pending));
        }
        // Of the same blob twice the first stays: its file is the one that is being looked at.
        self.temps.entry(is.0.clone()).or_insert(temp);
        Ok(is)
    }

    fn want(&mut self, digest: &Digest) {
        self.wanted.push(digest.clone());
    }

    fn bytes(&self, digest: &Digest) -> Result<Vec<u8>> {
        match self.temps.get(digest) {
            Some(temp) => crate::blob::read_small(temp.path()).with_context(|| format!("read blob {digest}")),
            None => self.store.read_blob(digest),
        }
    }

    fn open(&self, digest: &Digest) -> Result<File> {
        let path = self.temps.get(digest).map_or_else(|| self.store.blob(digest), |t| t.path().to_owned());
        File::open(path).with_context(|| format!("read blob {digest}"))
    }

    fn head(&self, digest: &Digest) -> Result<Vec<u8>> {
        Ok(peek(self.open(digest)?, 8)?.0)
    }

    /// Each layer is what the config says of it, once it is decompressed.
    fn verify<'d>(&mut self, layers: impl Iterator<Item = (&'d Digest, &'d Digest)> + Clone) -> Result<()> {
        for (layer, _) in layers.clone() {
            self.look(layer)?;
        }
        for (layer, diff_id) in layers {
            let is = self.plain(layer)?;
            if is != *diff_id {
                bail!("layer {layer} is something else: its diff_id is {is}, the config says {diff_id}");
            }
        }
        Ok(())
    }

    /// Begins to hash what a layer that came before, and is in the store, holds.
    fn look(&mut self, layer: &Digest) -> Result<()> {
        if self.temps.contains_key(layer) || self.plain.contains_key(layer) {
            return Ok(());
        }
        let format = Format::of(&self.head(layer)?);
        if format != Format::Plain {
            let path = self.store.blob(layer);
            let size = std::fs::metadata(&path).with_context(|| format!("read blob {layer}"))?.len();
            let growth = Growth::default();
            growth.more(size as usize);
            let pending = self.checks.start(&path, format, &growth);
            growth.whole();
            self.plain.insert(layer.clone(), Plain::Pending(pending));
        }
        Ok(())
    }

    fn plain(&mut self, layer: &Digest) -> Result<Digest> {
        let is = match self.plain.remove(layer) {
            None => return Ok(layer.clone()),
            Some(Plain::Known(digest)) => digest,
            Some(Plain::Pending(pending)) => pending.wait().with_context(|| format!("read layer {layer}"))?,
        };
        self.plain.insert(layer.clone(), Plain::Known(is.clone()));
        Ok(is)
    }

    fn add(&mut self, descriptor: Descriptor, names: Vec<String>) {
        match self.images.iter_mut().find(|i| i.descriptor.digest == descriptor.digest) {
            Some(image) => image.names.extend(names),
            None => self.images.push(Loaded { descriptor, names }),
        }
    }

    /// Afterwards the images are in the store, under their names.
    pub fn commit(self) -> Result<Vec<Loaded>> {
        // Between its blobs' names and its own nothing keeps an image.
        let _moment = self.store.moment()?;
        for digest in &self.wanted {
            match self.temps.get(digest) {
                Some(temp) => self.store.keep(temp)?,
                None if self.store.blob(digest).exists() => {}
                None => bail!("blob {digest} was taken away meanwhile"),
            }
        }
        self.store.sync()?;
        self.store.change(|index| {
            for image in &self.images {
                let mut entry = image.descriptor.clone();
                entry.annotations.remove(REF_NAME);
                entry.annotations.remove(crate::manifest::CONTAINERD_NAME);
                if image.names.is_empty() {
                    index.put(&entry, None);
                }
                for name in &image.names {
                    index.put(&entry, Some(name));
                }
            }
            Ok(())
        })?;
        Ok(self.images)
    }
}

/// Passes all of the input on, and says how far it came.
fn copy(input: &mut impl Read, output: &mut impl Write, growth: &Growth, buf: &mut [u8]) -> Result<()> {
    loop {
        let n = match input.read(buf) {
            Ok(0) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        output.write_all(&buf[..n]).context("write it into the store")?;
        growth.more(n);
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
