//! Images come in: from an OCI layout, an archive of one, a docker archive, or a root file system
//! as a tar. A stream is read once and never sought. Blobs get their final names all together at
//! the end, so input that is bad, or breaks off, leaves nothing behind.

mod docker;
mod files;
mod layout;
mod rootfs;

use crate::compress::{Format, peek, plain};
use crate::digest::Hashing;
use crate::extract::clean;
use crate::{Descriptor, Digest, REF_NAME, Store, Temp, archive, find, name};
use anyhow::{Context, Result, bail};
use files::Files;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

/// Where images come from.
pub enum Input<'a> {
    /// A directory.
    Dir(&'a Path),
    /// A file, or a pipe.
    Stream(Box<dyn Read + Send + 'a>),
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
    temps: BTreeMap<Digest, Temp>,
    wanted: Vec<Digest>,
    /// The images, in order.
    pub images: Vec<Loaded>,
}

/// Reads images in. `base`: what the input is called, for images whose archive has only a tag for
/// them, or nothing. The caller holds [`Store::work`].
pub fn ingest<'s>(store: &'s Store, input: Input, base: Option<&str>) -> Result<Incoming<'s>> {
    let base = base.and_then(name::of_file);
    let base = base.as_deref();
    let mut incoming = Incoming { store, temps: BTreeMap::new(), wanted: Vec::new(), images: Vec::new() };
    match input {
        Input::Dir(dir) => incoming.files(Files::dir(dir), base)?,
        Input::Stream(reader) => {
            let (head, rest) = peek(reader, PEEK).context("read it")?;
            if head.is_empty() {
                return Err(Empty.into());
            }
            let kind = kind(&head)?;
            let whole = Cursor::new(head).chain(rest);
            match kind {
                Kind::Rootfs => {
                    if let Some((temp, format)) = rootfs::take(&mut incoming, whole)? {
                        let again = std::fs::File::open(temp.path()).context("read it again")?;
                        incoming.archive(again, format, base)?;
                    }
                }
                Kind::Archive(format) => incoming.archive(whole, format, base)?,
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

impl<'s> Incoming<'s> {
    fn files(&mut self, mut files: Files, base: Option<&str>) -> Result<()> {
        let layout = files.bytes(self, Path::new("index.json"))?;
        let docker = files.bytes(self, Path::new("manifest.json"))?;
        match (layout, docker) {
            (Some(index), _) => layout::take(self, &mut files, &index, base),
            (None, Some(manifest)) => docker::take(self, &mut files, &manifest),
            (None, None) => {
                bail!("it is no image: neither index.json (OCI) nor manifest.json (docker) in it")
            }
        }
    }

    fn archive(&mut self, input: impl Read + Send, format: Format, base: Option<&str>) -> Result<()> {
        let files = Files::archive(self, plain(format, input)?)?;
        self.files(files, base)
    }

    /// Takes a blob in, with the same meaning as [`Store::take`]. It is kept if it is wanted.
    fn take(&mut self, input: impl Read, expected: Option<&Digest>) -> Result<(Digest, u64)> {
        let temp = self.store.take(input, expected.map(|d| (d, None)))?;
        let is = (temp.digest.clone(), temp.size);
        self.temps.insert(temp.digest.clone(), temp);
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

    fn open(&self, digest: &Digest) -> Result<std::fs::File> {
        let path = self.temps.get(digest).map_or_else(|| self.store.blob(digest), |t| t.path().to_owned());
        std::fs::File::open(path).with_context(|| format!("read blob {digest}"))
    }

    fn head(&self, digest: &Digest) -> Result<Vec<u8>> {
        Ok(peek(self.open(digest)?, 8)?.0)
    }

    /// A layer is what the config says of it, once it is decompressed.
    fn verify(&self, layer: &Digest, diff_id: &Digest) -> Result<()> {
        let is = match Format::of(&self.head(layer)?) {
            Format::Plain => layer.clone(),
            format => {
                let mut plain = Hashing::new(plain(format, self.open(layer)?)?);
                std::io::copy(&mut plain, &mut std::io::sink())
                    .with_context(|| format!("read layer {layer}"))?;
                plain.hasher.finish()
            }
        };
        if is != *diff_id {
            bail!("layer {layer} is something else: its diff_id is {is}, the config says {diff_id}");
        }
        Ok(())
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
            if let Some(temp) = self.temps.get(digest) {
                self.store.keep(temp)?;
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

/// Enough to see what an archive's first file is called.
const PEEK: usize = 256 << 10;

enum Kind {
    Archive(Format),
    Rootfs,
}

/// By the first name in the archive: those of images' archives are no root's.
fn kind(head: &[u8]) -> Result<Kind> {
    let format = Format::of(head);
    let mut tar = archive::Archive::new(plain(format, head)?);
    loop {
        match tar.next() {
            Ok(Some(entry)) => {
                let path = clean(&entry.path);
                match path.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned()) {
                    None => {}
                    Some(first) if of_image(&first) => return Ok(Kind::Archive(format)),
                    Some(_) => return Ok(Kind::Rootfs),
                }
            }
            Ok(None) if tar.ended() => bail!("it is an archive with nothing in it"),
            Ok(None) => bail!("it is no archive"),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof && head.len() < 512 => {
                bail!("it is no archive")
            }
            Err(e) => return Err(e).context("it is no archive"),
        }
    }
}

fn of_image(first: &str) -> bool {
    let stem = first.split('.').next().unwrap_or_default();
    let stem = stem.strip_prefix("sha256:").unwrap_or(stem);
    let fixed = ["blobs", "index.json", "oci-layout", "manifest.json", "repositories"];
    fixed.contains(&first) || (stem.len() == 64 && crate::digest::is_hex(stem))
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
