//! A container's directory and id, and a document: from nothing, from a root file system, from
//! the machine itself, or the one on stdin.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::{Args, Parser};
use cli::{Drive, Driver, Host, bundle};
use doc::{Doc, Mount};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use step::{Act, Step};

/// Make a container's directory and give it an id
#[derive(Parser, Debug)]
#[command(name = "stave-new", version)]
pub struct Words {
    #[command(flatten)]
    drive: Drive,
    /// Name of the container
    name: Option<String>,
    /// `-`: the document on stdin gets this name
    #[arg(value_parser = ["-"], value_name = "-")]
    stdin: Option<String>,
    #[command(flatten)]
    from: From,
}

/// What a container begins as; shared with `run`.
#[derive(Args, Debug, Default)]
pub struct From {
    /// The machine's own root, copy-on-write
    #[arg(long, conflicts_with = "rootfs", help_heading = "Root")]
    pub host: bool,
    /// A directory with a root file system, copy-on-write
    #[arg(long, value_name = "DIR", help_heading = "Root")]
    pub rootfs: Option<PathBuf>,
}

impl From {
    /// Whether either was asked for; else the root is an image's, or the machine's as it is.
    pub fn given(&self) -> bool {
        self.host || self.rootfs.is_some()
    }
}

/// The main of `stave new`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let dash = words.stdin.is_some() || words.name.as_deref() == Some("-");
    let name = words.name.as_deref().filter(|n| *n != "-");
    let mut doc = if dash { cli::input::document()? } else { Doc::default() };
    let there = doc.id()?.map(String::from).filter(|id| host.roots.bundle(id).is_dir());
    let _lock = there.as_deref().map(|id| held(id, name, &host)).transpose()?;
    edit(&words.from, name, &mut doc, &host)?;
    bundle::identify(&mut doc)?;
    let steps = plan(&doc, &host, true)?;
    if words.drive.dry_run > 0 {
        cli::print(&cli::show(&steps))?;
        return Ok(0);
    }
    let made = Driver::new("new", &words.drive)?.run(&steps)?;
    cli::print_doc(&doc).map(|()| 0).inspect_err(|_| cli::roll_back("new", &steps, &made))
}

/// The document of a container that is there already may be given again, but not another name.
fn held(id: &str, name: Option<&str>, host: &Host) -> Result<fs::File> {
    let lock = state::lock(&host.roots, id)?;
    let doc = state::read(&host.roots, id)?;
    if name.is_some() && doc.name()? != name {
        bail!(
            "name {}: the container {id} is there already, as {}",
            name.unwrap_or_default(),
            doc.name()?.unwrap_or(id)
        );
    }
    Ok(lock)
}

/// Name and root into the document.
pub fn edit(from: &From, name: Option<&str>, doc: &mut Doc, host: &Host) -> Result<()> {
    if let Some(name) = name {
        if !doc::is_name(name) {
            return Err(cli::usage(format!(
                "'{name}' is not a name (letters, digits, _ . -; a letter or digit first)"
            )));
        }
        doc.set_stave("name", name)?;
    }
    if from.host {
        of_host(doc, host)?;
    } else if let Some(dir) = &from.rootfs {
        let dir = dir.canonicalize().with_context(|| format!("--rootfs {}", dir.display()))?;
        if !dir.is_dir() {
            bail!("--rootfs {}: Not a directory", dir.display());
        }
        layer(doc, &dir)?;
    } else {
        doc.set_default("/root/path", "/")?;
    }
    Ok(())
}

/// One directory as the only layer, in the default isolation.
fn layer(doc: &mut Doc, dir: &Path) -> Result<()> {
    doc.set_stave("layers", json!([{ "dir": dir.to_string_lossy() }]))?;
    doc.set_default("/process/args", json!(["sh"]))?;
    Ok(doc::isolate(doc)?)
}

/// File systems that live on a disk: an overlay of / does not show them, so each gets its own.
const ON_DISK: [&str; 8] = ["ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs", "bcachefs", "zfs"];

fn of_host(doc: &mut Doc, host: &Host) -> Result<()> {
    doc.set_stave("host", true)?;
    layer(doc, Path::new("/"))?;
    // What Stave keeps must not be seen in the copy of the machine: it holds the copy.
    let mut masked = doc.strings("/linux/maskedPaths")?;
    for dir in [&host.roots.root, &host.roots.run] {
        masked.push(dir.to_string_lossy().into_owned());
    }
    doc.set("/linux/maskedPaths", masked)?;
    bundle::identify(doc)?;
    let id = doc.id()?.unwrap_or_default().to_owned();
    let text = fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    for (n, at) in submounts(&text, &host.roots.root).into_iter().enumerate() {
        let own = host.roots.in_bundle(&id, &format!("sub{n}"));
        let place = at.to_string_lossy().into_owned();
        doc.put_mount(&Mount {
            destination: place.clone(),
            kind: Some("overlay".into()),
            source: Some("overlay".into()),
            options: vec![
                format!("lowerdir={place}"),
                format!("upperdir={}", own.join("upper").display()),
                format!("workdir={}", own.join("work").display()),
            ],
            ..Mount::default()
        })?;
    }
    Ok(())
}

/// Mount points below / of file systems on disks; one that holds Stave's own root is left out, as
/// its changes cannot be kept in itself.
fn submounts(mountinfo: &str, own: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let fields: Vec<&str> = left.split(' ').collect();
        let (Some(root), Some(at)) = (fields.get(3), fields.get(4)) else { continue };
        let at = sys::mount::unescape(at);
        let kind = right.split(' ').next().unwrap_or_default();
        let fits = ON_DISK.contains(&kind) && *root == "/" && at != Path::new("/") && !own.starts_with(&at);
        if fits && !at.starts_with(own) && !found.contains(&at) && at.is_dir() {
            found.push(at);
        }
    }
    found
}

/// The bundle, and the directories that overlays of the document write into.
pub fn plan(doc: &Doc, host: &Host, sync: bool) -> Result<Vec<Step>> {
    let mut steps = bundle::steps(doc, host, sync)?;
    let Some(id) = doc.id()? else { return Ok(steps) };
    let own = host.roots.bundle(id);
    for m in doc.mounts()? {
        let dirs =
            m.options.iter().filter_map(|o| o.strip_prefix("upperdir=").or(o.strip_prefix("workdir=")));
        for dir in dirs.map(Path::new).filter(|d| d.starts_with(&own) && !d.is_dir()) {
            steps.push(Step::parent(Act::Mkdir { path: dir.to_owned(), mode: 0o755 }));
        }
    }
    Ok(steps)
}
