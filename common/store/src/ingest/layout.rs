//! An OCI image layout (image-spec image-layout.md).

use super::{Files, Incoming};
use crate::manifest::CONTAINERD_NAME;
use crate::{Config, Descriptor, Index, Manifest, name};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// All its images; of one that is there for several platforms, this machine's.
pub(super) fn take(
    incoming: &mut Incoming,
    files: &mut Files,
    index: &[u8],
    base: Option<&str>,
) -> Result<()> {
    let index: Index = serde_json::from_slice(index).context("index.json")?;
    if index.manifests.is_empty() {
        bail!("index.json: no images in it");
    }
    let mut done: Vec<Option<&str>> = Vec::new();
    for entry in &index.manifests {
        let reference = reference(entry);
        let same = |d: &&Descriptor| self::reference(d) == reference && d.platform.is_some();
        let mut one = entry.clone();
        // Several platforms of one name may stand side by side as well as in an index.
        if entry.platform.is_some() && index.manifests.iter().filter(same).count() > 1 {
            if done.contains(&reference) {
                continue;
            }
            done.push(reference);
            let mut choice = index.clone();
            choice.manifests.retain(|d| same(&d));
            one = incoming.choose(&choice)?;
        }
        let found = image(incoming, files, one, places)?;
        let names = reference.and_then(|r| name::in_archive(r, base)).into_iter().collect();
        incoming.add(found, names);
    }
    Ok(())
}

/// The whole name where docker or containerd wrote one beside the tag.
fn reference(d: &Descriptor) -> Option<&str> {
    d.annotations.get(CONTAINERD_NAME).and_then(|v| v.as_str()).or(d.ref_name())
}

/// Where a blob may lie.
type Places = fn(&Descriptor) -> Vec<String>;

fn places(d: &Descriptor) -> Vec<String> {
    vec![format!("blobs/sha256/{}", d.digest.hex())]
}

/// One image with all its blobs: gives the manifest's descriptor.
pub(super) fn image(
    incoming: &mut Incoming,
    files: &mut Files,
    entry: Descriptor,
    places: Places,
) -> Result<Descriptor> {
    let mut at = entry;
    for _ in 0..4 {
        let bytes = {
            blob(incoming, files, &at, places)?;
            incoming.bytes(&at.digest)?
        };
        if at.is_index() {
            let index: Index =
                serde_json::from_slice(&bytes).with_context(|| format!("index {}", at.digest))?;
            at = incoming.choose(&index)?;
            continue;
        }
        let manifest: Manifest =
            serde_json::from_slice(&bytes).with_context(|| format!("manifest {}", at.digest))?;
        if !at.is_manifest() {
            bail!("{} is no manifest of an image but {}", at.digest, at.media_type);
        }
        incoming.want(&at.digest);
        for d in [&manifest.config].into_iter().chain(&manifest.layers) {
            blob(incoming, files, d, places)?;
            incoming.want(&d.digest);
        }
        check(incoming, &manifest).with_context(|| format!("image {}", at.digest))?;
        at.platform = None;
        return Ok(at);
    }
    bail!("{}: indexes within indexes", at.digest)
}

/// A blob of the layout, or one that the store has already.
fn blob(incoming: &mut Incoming, files: &mut Files, d: &Descriptor, places: Places) -> Result<()> {
    let mut found = None;
    for place in places(d) {
        let at = files.find(incoming, Path::new(&place))?;
        found = found.or(at.filter(|(digest, _)| *digest == d.digest));
        if found.is_some() {
            break;
        }
    }
    let size = match found {
        Some((_, size)) => size,
        None => match std::fs::metadata(incoming.store.blob(&d.digest)) {
            Ok(meta) => meta.len(),
            Err(_) => bail!("no blob {}, which the image has", d.digest),
        },
    };
    if size != d.size {
        bail!("blob {} has {size} bytes, its descriptor says {}", d.digest, d.size);
    }
    Ok(())
}

/// The config is an image's, and agrees with the manifest and the layers.
fn check(incoming: &mut Incoming, manifest: &Manifest) -> Result<()> {
    let config: Config = serde_json::from_slice(&incoming.bytes(&manifest.config.digest)?)
        .with_context(|| format!("config {}", manifest.config.digest))?;
    incoming.is_for(&config)?;
    let ids = &config.rootfs.diff_ids;
    if ids.len() != manifest.layers.len() {
        bail!("{} layers in its manifest, {} in its config", manifest.layers.len(), ids.len());
    }
    incoming.verify(manifest.layers.iter().map(|l| &l.digest).zip(ids))
}
