//! A root file system as a tar: it becomes the one layer of an image, its bytes as they are.

use super::checks::{Follow, Growth};
use super::{Incoming, Root, docker};
use crate::archive::Archive;
use crate::compress::{Format, plain};
use crate::digest::Hashing;
use crate::extract::clean;
use crate::{CONFIG, Descriptor, Digest, Platform, Temp};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::thread;

/// Makes the image. Config and manifest depend on the bytes, the platform and what is said besides.
pub(super) fn image(incoming: &mut Incoming, layer: Temp, found: &Found, more: Root) -> Result<()> {
    let diff_id = found.digest.as_ref().unwrap_or(&layer.digest);
    let platform = more.platform.unwrap_or_else(Platform::host);
    let mut config = json!({ "architecture": platform.architecture, "os": platform.os });
    if !platform.variant.is_empty() {
        config["variant"] = json!(platform.variant);
    }
    if let Some(created) = more.created {
        config["created"] = json!(created);
    }
    config["config"] = more.config.into();
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [diff_id] });
    if !more.history.is_empty() {
        config["history"] = more.history.into();
    }
    let layer_at = Descriptor::new(docker::media_type(found.format), layer.digest.clone(), layer.size);
    incoming.want(&layer.digest);
    incoming.temps.insert(layer.digest.clone(), layer);
    let (config, size) = incoming.take(config.to_string().as_bytes(), None)?;
    incoming.want(&config);
    let descriptor = docker::manifest(incoming, &Descriptor::new(CONFIG, config, size), &[layer_at])?;
    incoming.add(descriptor, Vec::new());
    Ok(())
}

/// This thread writes the bytes down, another reads them as the archive that they are.
pub(super) fn write(incoming: &mut Incoming, mut input: impl Read, format: Format) -> Result<(Temp, Found)> {
    let mut writing = incoming.store.writing()?;
    let growth = Growth::default();
    let follow = growth.follow(writing.path()).context("read it again")?;
    let looking = thread::spawn(move || look(follow, format));
    let buf = &mut incoming.buf;
    loop {
        let n = match input.read(buf) {
            Ok(0) => break growth.whole(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        writing.write_all(&buf[..n]).context("write it into the store")?;
        growth.more(n);
        // It is no archive, however long it goes on.
        if looking.is_finished() {
            break drop(growth);
        }
    }
    let found = looking.join().map_err(|_| anyhow!("the reading thread panicked"))?;
    Ok((writing.finish(), found.context("read the archive")?))
}

/// What a tar turned out to be.
pub(super) struct Found {
    format: Format,
    /// Of the plain bytes, where they were compressed.
    digest: Option<Digest>,
    /// They are images and no root.
    pub(super) images: bool,
}

fn look(input: Follow, format: Format) -> Result<Found> {
    if format == Format::Plain {
        let mut tar = Archive::new(input);
        let images = entries(&mut tar)?;
        return Ok(Found { format, digest: None, images });
    }
    let plain = plain(format, input)?;
    let mut tar = Archive::new(Hashing::new(plain));
    let images = entries(&mut tar)?;
    let digest = Some(tar.into_inner().hasher.finish());
    Ok(Found { format, digest, images })
}

/// Reads all of an archive. Whether it is one of images.
fn entries(tar: &mut Archive<impl BufRead>) -> Result<bool> {
    let (mut index, mut root) = (false, false);
    while let Some(entry) = tar.next()? {
        let path = clean(&entry.path);
        index |= entry.kind().is_file() && INDEX.iter().any(|n| path == Path::new(n));
        root |= ROOT.iter().any(|n| path.starts_with(n));
    }
    // No digest tells whether it is whole, so the end must be marked.
    if !tar.ended() {
        bail!("it has no end mark, so it was cut off");
    }
    tar.drain()?;
    Ok(index && !root)
}

/// The files that an archive of images has at its top, and what a root has there.
const INDEX: [&str; 2] = ["manifest.json", "index.json"];
const ROOT: [&str; 5] = ["bin", "etc", "usr", "lib", "var"];
