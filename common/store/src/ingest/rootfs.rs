//! A root file system as a tar: it becomes the one layer of an image, its bytes as they are.

use super::{Incoming, docker};
use crate::archive::Archive;
use crate::compress::{Format, plain};
use crate::digest::Hashing;
use crate::extract::clean;
use crate::{CONFIG, Descriptor, LAYER, LAYER_GZIP, LAYER_ZSTD, Temp};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io::{self, Read, Write};
use std::path::Path;

/// Config and manifest depend on the bytes and the machine's architecture alone. An archive of
/// images whose first file did not tell is given back, written down as it came.
pub(super) fn take(incoming: &mut Incoming, mut input: impl Read + Send) -> Result<Option<(Temp, Format)>> {
    let mut head = [0; 8];
    let n = input.read(&mut head)?;
    let format = Format::of(&head[..n]);
    let mut copy = Copy { input: head[..n].chain(input), output: incoming.store.writing()? };
    let mut tar = Archive::new(Hashing::new(plain(format, &mut copy)?));
    let (mut index, mut root) = (false, false);
    while let Some(entry) = tar.next().context("read the archive")? {
        let path = clean(&entry.path);
        index |= entry.kind().is_file() && INDEX.iter().any(|n| path == Path::new(n));
        root |= ROOT.iter().any(|n| path.starts_with(n));
    }
    // No digest tells whether it is whole, so the end must be marked.
    if !tar.ended() {
        bail!("read the archive: it has no end mark, so it was cut off");
    }
    tar.drain().context("read the archive")?;
    let diff_id = tar.into_inner().hasher.finish();
    io::copy(&mut copy, &mut io::sink()).context("read the archive")?;
    let layer = copy.output.finish();
    if index && !root {
        return Ok(Some((layer, format)));
    }
    let media_type = match format {
        Format::Zstd => LAYER_ZSTD,
        Format::Gzip => LAYER_GZIP,
        Format::Plain => LAYER,
    };
    let layer_at = Descriptor::new(media_type, layer.digest.clone(), layer.size);
    incoming.want(&layer.digest);
    incoming.temps.insert(layer.digest.clone(), layer);
    let config = json!({
        "architecture": crate::platform::architecture(),
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
    });
    let (config, size) = incoming.take(config.to_string().as_bytes(), None)?;
    incoming.want(&config);
    let descriptor = docker::manifest(incoming, &Descriptor::new(CONFIG, config, size), &[layer_at])?;
    incoming.add(descriptor, Vec::new());
    Ok(None)
}

/// The files that an archive of images has at its top, and what a root has there.
const INDEX: [&str; 2] = ["manifest.json", "index.json"];
const ROOT: [&str; 5] = ["bin", "etc", "usr", "lib", "var"];

/// Writes down what is read through it.
struct Copy<R, W> {
    input: R,
    output: W,
}

impl<R: Read, W: Write> Read for Copy<R, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.output.write_all(&buf[..n])?;
        Ok(n)
    }
}
