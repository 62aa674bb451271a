//! A container's root, all layers and what was written, as one flat tar.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::Host;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Write a container's root file system as one tar
#[derive(Parser, Debug)]
#[command(name = "stave-export", version)]
pub struct Words {
    /// Into a file, which is there once it is whole; `-`: stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name, id, or the beginning of an id; it may run
    container: String,
}

/// The main of `stave export`.
pub fn run(words: &Words) -> Result<u8> {
    let place = cli::archive::place(words.output.as_deref())?;
    let host = Host::gather()?;
    let id = state::find(&host.roots, &words.container)?;
    // Nobody takes it away or mounts it meanwhile.
    let _lock = state::lock(&host.roots, &id)?;
    let doc = state::read(&host.roots, &id)?;
    let layers: Vec<PathBuf> = doc.layers()?.into_iter().map(|l| l.dir.into()).collect();
    if layers.is_empty() {
        bail!("{} has no root of its own", words.container);
    }
    if layers.iter().any(|l| l == Path::new("/")) {
        bail!("the root of {} is this machine's: stave pack --changes writes what changed", words.container);
    }
    let bundle = host.roots.bundle(&id);
    let mounted = mounted(&bundle)?;
    cli::archive::write(place, host.umask, |file| {
        let out = BufWriter::with_capacity(256 << 10, file);
        let written = store::flat(&mounted.map_or_else(|| tree(&bundle, layers), |root| vec![root]), out);
        let mut out = written.with_context(|| format!("export {}", words.container))?;
        out.flush().context("write the archive")
    })?;
    Ok(0)
}

/// Where the kernel shows it as one tree.
fn mounted(bundle: &Path) -> Result<Option<PathBuf>> {
    let rootfs = bundle.join("rootfs");
    let kind = sys::mount::is_mount(&rootfs).context("stat its rootfs")?;
    Ok((kind == Some(sys::mount::OVERLAY)).then_some(rootfs))
}

/// What is one tree, lowest first.
fn tree(bundle: &Path, mut layers: Vec<PathBuf>) -> Vec<PathBuf> {
    let upper = bundle.join("upper");
    // Before the first mount the upper directory has not the root's owner and mode yet.
    if fs::read_dir(&upper).is_ok_and(|mut entries| entries.next().is_some()) {
        layers.push(upper);
    }
    layers
}
