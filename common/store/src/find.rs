//! From what a person typed to an image.

use crate::digest::is_hex;
use crate::index::shown;
use crate::{Config, Descriptor, Digest, Index, Manifest, Platform, Store, nearest, normal};
use anyhow::{Context, Result, bail};

/// The store has no such image: it may be pulled.
#[derive(Debug)]
pub struct NoImage(String);

impl std::fmt::Display for NoImage {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoImage {}

/// An entry of index.json that was asked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The entry.
    pub descriptor: Descriptor,
    /// The name that it was found by; by digest: the first that it has.
    pub name: Option<String>,
    /// Whether the word was a digest or the beginning of one.
    pub by_digest: bool,
}

/// An image of the store, read.
#[derive(Clone, Debug)]
pub struct Image {
    /// Of its manifest.
    pub descriptor: Descriptor,
    /// What it was asked for as.
    pub name: Option<String>,
    /// Parsed.
    pub manifest: Manifest,
    /// Parsed.
    pub config: Config,
}

impl Store {
    /// The entry for a word: NAME, NAME:TAG, NAME@sha256:HEX, sha256:HEX, or six or more digits
    /// that only one digest begins with. That there is none is a [`NoImage`].
    pub fn find(&self, word: &str) -> Result<Found> {
        let index = self.index()?;
        let name = normal(word).ok();
        let named = |d: &&Descriptor| d.ref_name().map(shown) == name;
        if let Some(d) = index.manifests.iter().filter(|_| name.is_some()).find(named) {
            return Ok(Found { descriptor: d.clone(), name, by_digest: false });
        }
        let wanted = word.rsplit_once('@').map_or(word, |(_, digest)| digest);
        let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        if hex.len() >= 6 && is_hex(hex) {
            let all: Vec<&Descriptor> =
                index.manifests.iter().filter(|d| d.digest.hex().starts_with(hex)).collect();
            if let Some(first) = all.first() {
                if all.iter().any(|d| d.digest != first.digest) {
                    bail!("{word} is ambiguous: more digits, please");
                }
                let name = all.iter().find_map(|d| d.ref_name().map(shown));
                return Ok(Found { descriptor: (*first).clone(), name, by_digest: true });
            }
        }
        let mut names: Vec<String> = index.manifests.iter().filter_map(|d| d.ref_name().map(shown)).collect();
        names.sort();
        Err(NoImage(match nearest(word, &names).as_slice() {
            _ if index.manifests.is_empty() => {
                format!("no image {word}; the store is empty: stave pull NAME, or stave load FILE")
            }
            [] => format!("no image {word}"),
            near => format!("no image {word}; nearest: {}", near.join(", ")),
        })
        .into())
    }

    /// The image that a descriptor points to; of an index, the one for this machine.
    pub fn open(&self, descriptor: &Descriptor, name: Option<String>) -> Result<Image> {
        self.open_for(descriptor, name, None)
    }

    /// As [`Store::open`]; an image for another platform than this is an error.
    pub fn open_for(
        &self,
        descriptor: &Descriptor,
        name: Option<String>,
        platform: Option<&Platform>,
    ) -> Result<Image> {
        let image = self.chosen(descriptor, name, platform)?;
        if let Some(platform) = platform {
            let mut only = image.descriptor.clone();
            only.platform = Some(image.config.platform());
            Index { schema_version: 2, manifests: vec![only], extra: Default::default() }.choose(platform)?;
        }
        Ok(image)
    }

    fn chosen(
        &self,
        descriptor: &Descriptor,
        name: Option<String>,
        platform: Option<&Platform>,
    ) -> Result<Image> {
        let mut descriptor = descriptor.clone();
        for _ in 0..4 {
            let bytes = self.read_blob(&descriptor.digest)?;
            if !descriptor.is_index() {
                let shown = || format!("manifest {}", descriptor.digest);
                let manifest: Manifest = serde_json::from_slice(&bytes).with_context(shown)?;
                let config = self.read_blob(&manifest.config.digest)?;
                let config = serde_json::from_slice(&config)
                    .with_context(|| format!("config {}", manifest.config.digest))?;
                return Ok(Image { descriptor, name, manifest, config });
            }
            let index: Index =
                serde_json::from_slice(&bytes).with_context(|| format!("index {}", descriptor.digest))?;
            descriptor = match platform {
                Some(platform) => index.choose(platform)?.clone(),
                None => index.for_host()?.clone(),
            };
        }
        bail!("{}: indexes within indexes", descriptor.digest)
    }

    /// The image for a word.
    pub fn image(&self, word: &str) -> Result<Image> {
        self.image_for(word, None)
    }

    /// As [`Store::image`], for a platform.
    pub fn image_for(&self, word: &str, platform: Option<&Platform>) -> Result<Image> {
        let found = self.find(word)?;
        self.open_for(&found.descriptor, found.name, platform).with_context(|| format!("open image {word}"))
    }

    /// The image that a document has.
    pub fn image_of(&self, image: &doc::Image) -> Result<Image> {
        self.image_of_for(image, None)
    }

    /// As [`Store::image_of`], for a platform.
    pub fn image_of_for(&self, image: &doc::Image, platform: Option<&Platform>) -> Result<Image> {
        let digest = Digest::parse(&image.digest)?;
        let name = image.annotations.get(crate::REF_NAME).and_then(|v| v.as_str()).map(str::to_owned);
        if !self.blob(&digest).exists() {
            bail!("no image {} in the store", name.as_deref().unwrap_or(&image.digest));
        }
        self.open_for(&Descriptor::new(&image.media_type, digest, image.size), name, platform)
    }
}

impl Image {
    /// As a document has it.
    pub fn descriptor(&self) -> doc::Image {
        document(&self.descriptor, self.name.as_deref())
    }

    /// Bytes of its layers and configuration in the store.
    pub fn size(&self) -> u64 {
        self.manifest.layers.iter().fold(self.manifest.config.size, |sum, l| sum.saturating_add(l.size))
    }
}

/// A descriptor as `stave.image`.
pub(crate) fn document(descriptor: &Descriptor, name: Option<&str>) -> doc::Image {
    doc::Image {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        annotations: name.map_or(serde_json::Value::Null, |n| serde_json::json!({ crate::REF_NAME: n })),
    }
}
