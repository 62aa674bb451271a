//! What the plan of a process depends on and the document cannot tell.

use anyhow::{Context, Result};
use doc::Doc;
use state::{CgroupDir, Host, Place};
use std::path::{Path, PathBuf};
use step::{Act, IdMap};

/// Gathered before the plan.
pub struct Look {
    /// The container's id.
    pub id: String,
    /// The OCI bundle, absolute.
    pub bundle: PathBuf,
    /// The container's cgroup directories, where `limit` made them.
    pub cgroups: Vec<CgroupDir>,
    /// What makes its cgroups once the process is there, where systemd does.
    pub unit: Vec<Act>,
    /// What takes one more process into that unit, where the caller may not.
    pub attach: Option<Act>,
    /// Root of the container as the host sees it; `/`: no root of its own.
    pub root: PathBuf,
    /// Whether a mount lies there already.
    pub mounted: bool,
    /// The overlay that makes the root, where the document has layers.
    pub overlay: Option<Act>,
    /// Directories whose files make up the root, topmost first: for etc/passwd.
    pub dirs: Vec<PathBuf>,
    /// Whether this kernel shows its memory, at /proc/kcore.
    pub kcore: bool,
    /// The caller's pid namespace is not its user namespace's (an engine of an ordinary user): who leaves
    /// it does not come back.
    pub foreign: bool,
    /// The old root is covered instead of left (`--no-pivot`).
    pub no_pivot: bool,
    /// Mounted v1 hierarchies, to show the container its own.
    pub host: Host,
}

impl Look {
    /// As things stand now.
    pub fn now(doc: &Doc, host: &Host) -> Result<Look> {
        Ok(Look::planned(doc, host)?.looked())
    }

    /// Of a bundle that is not in Stave's own directory, as things stand now. `cgroup`: the path in
    /// every hierarchy; `unit`: see [`Look::unit`].
    pub fn of(doc: &Doc, host: &Host, id: &str, bundle: &Path, cgroup: &str, unit: Vec<Act>) -> Look {
        let root = match doc.root_path() {
            Some(path) => bundle.join(path).components().collect(),
            None => PathBuf::from("/"),
        };
        let look = Look {
            id: id.to_owned(),
            bundle: bundle.to_owned(),
            cgroups: host.cgroup_dirs(cgroup, &[]),
            unit,
            attach: None,
            mounted: true,
            overlay: None,
            dirs: vec![root.clone()],
            root,
            kcore: true,
            foreign: false,
            no_pivot: false,
            host: host.clone(),
        };
        look.looked()
    }

    /// As this kernel has it.
    pub fn here(mut self) -> Look {
        self.kcore = Path::new("/proc/kcore").exists();
        self.foreign = sys::ns::in_user_namespace();
        self
    }

    fn looked(mut self) -> Look {
        // A unit's are not there yet.
        let unit = !self.unit.is_empty();
        self.cgroups.retain(|d| unit || d.path.is_dir());
        self.mounted = self.root == Path::new("/") || matches!(sys::mount::is_mount(&self.root), Ok(Some(_)));
        self.here()
    }

    /// As they will stand once every stage before has run.
    pub fn planned(doc: &Doc, host: &Host) -> Result<Look> {
        let id = doc.id()?.context("the document has no id")?;
        let place = Place::of(doc, id)?;
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
            id: id.to_owned(),
            bundle,
            cgroups: host.cgroup_dirs(&place.path, &doc.resources()?.controllers()),
            unit: limits::launched(doc, host, &place)?,
            attach: limits::attach(host, &place),
            root,
            mounted: true,
            overlay: overlay(doc, host)?,
            dirs,
            kcore: true,
            foreign: false,
            no_pivot: false,
            host: host.clone(),
        })
    }

    /// The v2 cgroup that a new process is cloned into; `None`: there is none, or it has to join it
    /// afterwards ([`sys::cgroup::was_killed`]).
    pub fn cloned_into(&self) -> Option<PathBuf> {
        let dir = self.v2()?;
        (!sys::cgroup::was_killed(&dir.path)).then(|| dir.path.clone())
    }

    /// Its directory in the hierarchy of v2.
    pub fn v2(&self) -> Option<&CgroupDir> {
        self.cgroups.iter().find(|d| d.v2)
    }

    /// Whether rules for devices are in force: in the files of v1, or by a program on v2.
    pub fn device_rules(&self) -> bool {
        self.cgroups.iter().any(|d| d.holds_devices() || (d.v2 && self.host.filters_devices()))
    }
}

/// The layers under the container's own directory, at `rootfs` of the bundle; `None` where the
/// document has none. With a user namespace their ids are mapped by whoever has the right to it: so
/// nothing is copied or changed, and containers of other ids share the layers. An ordinary user's
/// layers are its own, and mounted in the user namespace.
pub fn overlay(doc: &Doc, host: &Host) -> Result<Option<Act>> {
    let roots = &host.roots;
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
        userxattr: false,
        idmap: if host.is_able() { id_map(doc)? } else { None },
    }))
}

/// Of the document's user namespace.
fn id_map(doc: &Doc) -> Result<Option<IdMap>> {
    let namespaces = doc.namespaces()?;
    let Some(user) = namespaces.iter().find(|n| n.kind == "user") else { return Ok(None) };
    if let Some(path) = &user.path {
        return Ok(Some(IdMap { uids: Vec::new(), gids: Vec::new(), userns: Some(path.into()) }));
    }
    let (uids, gids) = doc.id_maps()?;
    let rows = |list: &[doc::IdMapping]| list.iter().map(|m| [m.inside, m.outside, m.size]).collect();
    Ok(Some(IdMap { uids: rows(&uids), gids: rows(&gids), userns: None }))
}
