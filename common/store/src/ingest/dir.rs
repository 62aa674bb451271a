//! What `skopeo copy ... dir:` and `podman save --format docker-dir` write: manifest.json is one
//! image's manifest, or the list of several, and each blob is called by its digest's digits.

use super::{Files, Incoming, layout};
use crate::{Descriptor, MANIFEST};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// Whether a manifest.json is one of these, and not docker's list of images.
pub(super) fn is_one(manifest: &[u8]) -> bool {
    serde_json::from_slice::<Value>(manifest).is_ok_and(|v| v.is_object())
}

pub(super) fn take(incoming: &mut Incoming, files: &mut Files, manifest: &[u8]) -> Result<()> {
    let value: Value = serde_json::from_slice(manifest).context("manifest.json")?;
    let media_type = value.get("mediaType").and_then(Value::as_str).unwrap_or(MANIFEST);
    let (digest, size) = files.find(incoming, Path::new("manifest.json"))?.context("no manifest.json")?;
    let found = layout::image(incoming, files, Descriptor::new(media_type, digest, size), places)?;
    incoming.add(found, Vec::new());
    Ok(())
}

fn places(d: &Descriptor) -> Vec<String> {
    let hex = d.digest.hex();
    vec![hex.to_owned(), format!("{hex}.manifest.json"), "manifest.json".to_owned()]
}
