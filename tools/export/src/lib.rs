//! A container's root, all layers and what was written, as one flat tar.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::Host;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use store::Overlay;

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
    let seen =
        see(&host.roots.bundle(&id), &layers).with_context(|| format!("export {}", words.container))?;
    cli::archive::write(place, host.umask, |file| {
        let whole = Overlay { at: "/".into(), upper: seen.path(), lower: Vec::new(), targets: Vec::new() };
        let out = BufWriter::with_capacity(256 << 10, file);
        let (mut out, _) = store::archive(&[whole], None, out)?;
        out.flush().context("write the archive")
    })?;
    Ok(0)
}

/// The layers as one tree.
enum Seen {
    /// Mounted already.
    There(PathBuf),
    /// Mounted for this process alone, at no place: it goes with the handle.
    Own(sys::mount::Tree),
}

impl Seen {
    fn path(&self) -> PathBuf {
        match self {
            Seen::There(path) => path.clone(),
            Seen::Own(tree) => tree.path(),
        }
    }
}

fn see(bundle: &Path, layers: &[PathBuf]) -> Result<Seen> {
    let rootfs = bundle.join("rootfs");
    if sys::mount::is_mount(&rootfs).context("stat its rootfs")? == Some(sys::mount::OVERLAY) {
        return Ok(Seen::There(rootfs));
    }
    let upper = bundle.join("upper");
    let mut lower: Vec<PathBuf> = layers.iter().rev().cloned().collect();
    // Before the first mount the upper directory has not the root's owner and mode yet.
    if fs::read_dir(&upper).is_ok_and(|mut entries| entries.next().is_some()) {
        lower.insert(0, upper);
    }
    // An overlay that nobody writes to wants two at the least; this one is empty.
    lower.push(rootfs);
    let overlay = sys::mount::Overlay { lower: &lower, upper: None, volatile: false };
    Ok(Seen::Own(overlay.tree().context("mount its layers")?))
}
