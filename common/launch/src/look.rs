//! What the plan of a process depends on and the document cannot tell.

use anyhow::{Context, Result};
use doc::Doc;
use state::{CgroupDir, Host, Roots};
use std::path::{Path, PathBuf};
use step::Act;

/// Gathered before the plan.
pub struct Look {
    /// The container's cgroup directories, where `limit` made them.
    pub cgroups: Vec<CgroupDir>,
    /// Root of the container as the host sees it; `/`: no root of its own.
    pub root: PathBuf,
    /// Whether a mount lies there already.
    pub mounted: bool,
    /// The overlay that makes the root, where the document has layers.
    pub overlay: Option<Act>,
    /// Directories whose files make up the root, topmost first: for etc/passwd.
    pub dirs: Vec<PathBuf>,
    /// Mounted v1 hierarchies, to show the container its own.
    pub host: Host,
}

impl Look {
    /// As things stand now.
    pub fn now(doc: &Doc, host: &Host) -> Result<Look> {
        let mut look = Look::planned(doc, host)?;
        look.cgroups.retain(|d| d.path.is_dir());
        look.mounted = look.root == Path::new("/") || matches!(sys::mount::is_mount(&look.root), Ok(Some(_)));
        Ok(look)
    }

    /// As they will stand once every stage before has run.
    pub fn planned(doc: &Doc, host: &Host) -> Result<Look> {
        let id = doc.id()?.context("the document has no id")?;
        let own = Roots::cgroup(id);
        let bundle = host.roots.bundle(id);
        let root = match doc.root_path() {
            Some(path) => bundle.join(path),
            None => PathBuf::from("/"),
        };
        let layers = doc.layers()?;
        let mut dirs = Vec::new();
        if layers.is_empty() {
            dirs.push(root.clone());
        } else {
            dirs.push(bundle.join("upper"));
            dirs.extend(layers.iter().rev().map(|l| PathBuf::from(&l.dir)));
        }
        Ok(Look {
            cgroups: host.cgroup_dirs(doc.cgroups_path()?.unwrap_or(&own)),
            root,
            mounted: true,
            overlay: overlay(doc, &host.roots)?,
            dirs,
            host: host.clone(),
        })
    }

    /// Whether rules for devices are in force: a v1 hierarchy holds them.
    pub fn device_rules(&self) -> bool {
        self.cgroups.iter().any(|d| !d.v2 && d.controllers.iter().any(|c| c == "devices"))
    }
}

/// The layers under the container's own directory, at `rootfs` of the bundle; `None` where the
/// document has none.
pub fn overlay(doc: &Doc, roots: &Roots) -> Result<Option<Act>> {
    let id = doc.id()?.context("the document has no id")?;
    let layers = doc.layers()?;
    if layers.is_empty() {
        return Ok(None);
    }
    Ok(Some(Act::Overlay {
        lower: layers.iter().rev().map(|l| PathBuf::from(&l.dir)).collect(),
        upper: roots.in_bundle(id, "upper"),
        work: roots.in_bundle(id, "work"),
        at: roots.in_bundle(id, "rootfs"),
        volatile: doc.stave_flag("volatile"),
    }))
}
