//! What `docker save`, podman, crane and bazel write: manifest.json, configs and layers as files.
//! It has no OCI manifest, so one is made; the config is kept byte for byte.

use super::{Files, Incoming};
use crate::compress::Format;
use crate::extract::clean;
use crate::{CONFIG, Config, Descriptor, Digest, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST, normal};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub(super) fn take(incoming: &mut Incoming, files: &mut Files, manifest: &[u8]) -> Result<()> {
    let items: Vec<Item> = serde_json::from_slice(manifest).context("manifest.json")?;
    if items.is_empty() {
        bail!("manifest.json: no images in it");
    }
    for item in items {
        let names = item.repo_tags.clone().unwrap_or_default();
        let names = names.iter().map(|n| normal(n)).collect::<Result<Vec<_>>>().context("manifest.json")?;
        let descriptor = image(incoming, files, &item)?;
        incoming.add(descriptor, names);
    }
    Ok(())
}

fn image(incoming: &mut Incoming, files: &mut Files, item: &Item) -> Result<Descriptor> {
    let mut file = |incoming: &mut Incoming, name: &str| -> Result<(Digest, u64)> {
        let found = files.find(incoming, &clean(name.as_bytes()))?;
        let (digest, size) = found.with_context(|| format!("no {name}, which manifest.json names"))?;
        incoming.want(&digest);
        Ok((digest, size))
    };
    let (config, size) = file(incoming, &item.config)?;
    let config_at = Descriptor::new(CONFIG, config.clone(), size);
    let config: Config =
        serde_json::from_slice(&incoming.bytes(&config)?).with_context(|| format!("read {}", item.config))?;
    incoming.is_for(&config)?;
    let names = item.layers.clone().unwrap_or_default();
    if names.len() != config.rootfs.diff_ids.len() {
        bail!("{} layers in manifest.json, {} in {}", names.len(), config.rootfs.diff_ids.len(), item.config);
    }
    let mut layers = Vec::new();
    for name in &names {
        let (digest, size) = file(incoming, name)?;
        let format = Format::of(&incoming.head(&digest)?);
        layers.push(Descriptor::new(media_type(format), digest, size));
    }
    incoming.verify(layers.iter().map(|l| &l.digest).zip(&config.rootfs.diff_ids))?;
    manifest(incoming, &config_at, &layers)
}

/// A layer's.
pub(super) fn media_type(format: Format) -> &'static str {
    match format {
        Format::Plain => LAYER,
        Format::Gzip => LAYER_GZIP,
        Format::Zstd => LAYER_ZSTD,
    }
}

/// Makes a manifest: the same bytes for the same parts.
pub(super) fn manifest(
    incoming: &mut Incoming,
    config: &Descriptor,
    layers: &[Descriptor],
) -> Result<Descriptor> {
    let text = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    let (digest, size) = incoming.take(text.to_string().as_bytes(), None)?;
    incoming.want(&digest);
    Ok(Descriptor::new(MANIFEST, digest, size))
}
