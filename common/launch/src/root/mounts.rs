//! The entries of `mounts`, in their order, with /dev and the terminal among them.

use super::dev;
use crate::{Look, process};
use anyhow::{Result, bail};
use doc::{Doc, IdMapping, Mount, Namespace};
use std::path::{Path, PathBuf};
use step::{Act, IdMap, Step};
use sys::mount::Words;

/// All of them. `late`: what must wait until nothing is made in them any more.
pub(super) fn all(doc: &Doc, look: &Look, late: &mut Vec<Act>) -> Result<Vec<Step>> {
    let list = doc.mounts()?;
    let place = |m: &Mount| place(m, &look.root);
    let at = Within { doc, look, namespaces: doc.namespaces()? };
    let own_root = look.root != Path::new("/");
    let mut steps: Vec<Step> = Vec::new();
    // What is made in /dev is made as soon as that is mounted: with the volumes in place the same
    // path may lead, by a link of the image's, into a directory of the host's.
    let on_dev = list.iter().find(|m| place(m) == Path::new("/dev"));
    if own_root && on_dev.is_none() {
        steps.extend(dev::of_dev(doc, look)?);
    }
    let mut terminal = doc.terminal();
    for (n, m) in list.iter().enumerate() {
        let to = place(m);
        let mut m = m.clone();
        let words = Words::of(&m.options);
        let below = list.iter().skip(n + 1).any(|l| place(l).starts_with(&to));
        // It can be read only once what belongs in it is there.
        let fills = to == Path::new("/dev") || (m.kind.as_deref() == Some("tmpfs") && below);
        if fills && words.bind.is_none() && m.options.iter().any(|o| o == "ro") {
            m.options.retain(|o| o != "ro");
            late.push(look.remount_readonly(to.clone()));
        }
        steps.extend(at.mount(n, &m, to.clone(), late)?);
        // A /dev of the host's is left as it is.
        if own_root && to == Path::new("/dev") && !is_bind(&m) {
            steps.extend(dev::of_dev(doc, look)?);
        }
        if terminal && to == Path::new("/dev/pts") {
            steps.extend(process::terminal(doc, &look.root)?.map(Step::child));
            terminal = false;
        }
    }
    if own_root && !on_dev.is_some_and(is_bind) {
        steps.extend(dev::others(doc, look)?);
    }
    if terminal {
        steps.extend(process::terminal(doc, &look.root)?.map(Step::child));
    }
    Ok(steps)
}

/// Where an entry belongs; a relative path is taken as from the root (config.md, Mounts). Some name
/// the place as the host sees it, as runc lets them.
fn place(m: &Mount, root: &Path) -> PathBuf {
    let to: PathBuf = Path::new("/").join(&m.destination).components().collect();
    match to.strip_prefix(root) {
        Ok(inner) if root != Path::new("/") => Path::new("/").join(inner),
        _ => to,
    }
}

fn is_bind(m: &Mount) -> bool {
    m.kind.as_deref() == Some("bind") || m.options.iter().any(|o| o == "bind" || o == "rbind")
}

impl Look {
    fn remount_readonly(&self, to: PathBuf) -> Act {
        self.mount(to, String::new(), None, ["remount", "bind", "ro"].map(String::from).to_vec())
    }

    fn mount(&self, to: PathBuf, source: String, kind: Option<String>, options: Vec<String>) -> Act {
        Act::Mount { root: self.root.clone(), to, source, kind, options, idmap: None, or: None }
    }
}

/// What an entry's steps depend on.
struct Within<'a> {
    doc: &'a Doc,
    look: &'a Look,
    namespaces: Vec<Namespace>,
}

impl Within<'_> {
    fn has(&self, kind: &str) -> bool {
        self.namespaces.iter().any(|n| n.kind == kind)
    }

    /// Whether the child is in a user namespace that does not own the host's things.
    fn in_user_namespace(&self) -> bool {
        self.has("user") || self.look.host.euid != 0
    }

    fn mount(&self, n: usize, m: &Mount, to: PathBuf, late: &mut Vec<Act>) -> Result<Vec<Step>> {
        let words = Words::of(&m.options);
        let bind = is_bind(m) && !words.remount;
        if !bind && (words.idmap.is_some() || !m.uid_mappings.is_empty()) {
            bail!("mounts.{n}: only a bind mount can have its ids mapped");
        }
        if bind {
            return self.bind(n, m, &words, to);
        }
        let source = m.source.clone().or_else(|| m.kind.clone()).unwrap_or_default();
        let acts = match m.kind.as_deref() {
            _ if words.remount => vec![self.look.mount(to, source, m.kind.clone(), m.options.clone())],
            Some("cgroup" | "cgroup2") => self.cgroups(m, to, late),
            Some(kind) => {
                let or = match kind {
                    "sysfs" => Some("/sys"),
                    "mqueue" => Some("/dev/mqueue"),
                    _ => None,
                };
                let mut act = self.look.mount(to, source, m.kind.clone(), m.options.clone());
                self.or(&mut act, or.map(Path::new));
                vec![act]
            }
            None => bail!("mounts.{n}: {} has neither a type nor the option bind", m.destination),
        };
        Ok(acts.into_iter().map(Step::child).collect())
    }

    /// In a user namespace the kernel makes no new one where that would show what is not its own.
    fn or(&self, act: &mut Act, other: Option<&Path>) {
        if let (true, Act::Mount { or, .. }) = (self.in_user_namespace(), act) {
            *or = other.map(Path::to_owned);
        }
    }

    fn bind(&self, n: usize, m: &Mount, words: &Words, to: PathBuf) -> Result<Vec<Step>> {
        if !words.data.is_empty() {
            bail!(
                "mounts.{n}: bind mounts cannot have any filesystem-specific options applied: {}",
                words.text()
            );
        }
        let Some(source) = m.source.as_ref().filter(|s| !s.is_empty()) else {
            bail!("mounts.{n}: {} is a bind mount without a source", m.destination);
        };
        let source = self.look.bundle.join(source).to_string_lossy().into_owned();
        let mut options = m.options.clone();
        if words.bind.is_none() {
            options.insert(0, "bind".into());
        }
        let idmap = self.idmap(n, m, words)?;
        let mut steps = Vec::new();
        // What a child in a user namespace may not reach or map is taken by the parent.
        if self.has("user") && self.look.host.euid == 0 && !words.copy_link {
            let (source, options, idmap) = (source.clone(), options.clone(), idmap.clone());
            steps.push(Step::parent(Act::Source { source, options, idmap }));
        }
        let root = self.look.root.clone();
        steps.push(Step::child(Act::Mount { root, to, source, kind: None, options, idmap, or: None }));
        Ok(steps)
    }

    /// Its own map, or the container's (config.md, `idmap`).
    fn idmap(&self, n: usize, m: &Mount, words: &Words) -> Result<Option<IdMap>> {
        let ranges = |list: &[IdMapping]| list.iter().map(|r| [r.inside, r.outside, r.size]).collect();
        let of = |uids: &[IdMapping], gids: &[IdMapping]| {
            Some(IdMap { uids: ranges(uids), gids: ranges(gids), userns: None })
        };
        if !m.uid_mappings.is_empty() {
            return Ok(of(&m.uid_mappings, &m.gid_mappings));
        }
        if words.idmap.is_none() {
            return Ok(None);
        }
        let Some(user) = self.namespaces.iter().find(|n| n.kind == "user") else {
            bail!("mounts.{n}: idmap: neither the mount nor the container has an id map");
        };
        if let Some(path) = &user.path {
            return Ok(Some(IdMap { uids: Vec::new(), gids: Vec::new(), userns: Some(path.into()) }));
        }
        let (uids, gids) = self.doc.id_maps()?;
        if uids.is_empty() || gids.is_empty() {
            bail!("mounts.{n}: idmap: neither the mount nor the container has an id map");
        }
        Ok(of(&uids, &gids))
    }

    /// The container's own view of every hierarchy; without a cgroup namespace, its directory in each.
    fn cgroups(&self, m: &Mount, to: PathBuf, late: &mut Vec<Act>) -> Vec<Act> {
        let look = self.look;
        let own = look.cgroups.iter().find(|d| d.v2).map(|d| d.path.clone());
        if look.host.cgroups.pure_v2() || m.kind.as_deref() == Some("cgroup2") {
            let mut act = look.mount(to, "cgroup".into(), Some("cgroup2".into()), m.options.clone());
            self.or(&mut act, own.as_deref().or(Some(Path::new("/sys/fs/cgroup"))));
            return vec![act];
        }
        let mut tmpfs: Vec<String> = m.options.iter().filter(|o| *o != "ro" && *o != "rw").cloned().collect();
        tmpfs.push("mode=755".into());
        let mut acts = vec![look.mount(to.clone(), "tmpfs".into(), Some("tmpfs".into()), tmpfs)];
        for dir in &look.cgroups {
            let name = dir.mount.file_name().unwrap_or_default();
            let mut options = m.options.clone();
            if !self.has("cgroup") {
                options.insert(0, "bind".into());
                acts.push(look.mount(to.join(name), dir.path.to_string_lossy().into_owned(), None, options));
                continue;
            }
            let kind = if dir.v2 { "cgroup2" } else { "cgroup" };
            if !dir.v2 {
                options.extend(dir.controllers.iter().cloned());
            }
            let mut act = look.mount(to.join(name), "cgroup".into(), Some(kind.into()), options);
            self.or(&mut act, Some(&dir.path));
            acts.push(act);
        }
        // Hierarchies of several controllers go by the name of each.
        for dir in look.cgroups.iter().filter(|d| !d.v2) {
            let Some(name) = dir.mount.file_name().map(|n| n.to_string_lossy().into_owned()) else {
                continue;
            };
            for one in name.split(',').filter(|one| *one != name) {
                let (root, link) = (look.root.clone(), to.join(one));
                acts.push(Act::Symlink { root, target: name.clone(), link });
            }
        }
        if m.options.iter().any(|o| o == "ro") {
            late.push(look.remount_readonly(to));
        }
        acts
    }
}
