//! The root file system of a new mount namespace: its mounts, its /dev, what is hidden and what can
//! only be read, and the pivot.

use crate::Look;
use anyhow::{Result, bail};
use doc::{Doc, Mount};
use std::path::{Path, PathBuf};
use step::Act;

/// From the host's tree to the container's.
pub(crate) fn root_file_system(doc: &Doc, look: &Look) -> Result<Vec<Act>> {
    let root = &look.root;
    let own_root = root != Path::new("/");
    let how = doc.get("/linux/rootfsPropagation").and_then(|v| v.as_str()).unwrap_or("rslave");
    if how.ends_with("shared") {
        bail!("rootfsPropagation {how}: what is mounted in the container would be mounted outside too");
    }
    let mut acts = vec![Act::Propagate { at: "/".into(), how: how.into() }];
    // Where no stage could leave the root mounted, it is mounted here, for this process alone.
    match &look.overlay {
        _ if !own_root || look.mounted => {}
        Some(overlay) => acts.push(overlay.clone()),
        None => acts.push(Act::BindSelf { path: root.clone() }),
    }
    // What is made in /dev is made as soon as that is mounted: with the volumes in place the same
    // path may lead, by a link of the image's, into a directory of the host's.
    let mut terminal = doc.terminal();
    for m in &doc.mounts()? {
        acts.extend(mount(root, m, look));
        // A /dev of the host's is left as it is.
        if own_root && m.destination == "/dev" && !is_bind(m) {
            acts.extend(dev(root));
        }
        if terminal && m.destination == "/dev/pts" {
            acts.push(Act::Terminal { root: root.clone() });
            terminal = false;
        }
    }
    if terminal {
        acts.push(Act::Terminal { root: root.clone() });
    }
    for path in doc.strings("/linux/readonlyPaths")? {
        acts.push(Act::Readonly { root: root.clone(), path: path.into() });
    }
    for path in doc.strings("/linux/maskedPaths")? {
        acts.push(Act::Mask { root: root.clone(), path: path.into() });
    }
    if own_root {
        if doc.root_readonly() {
            acts.push(Act::Readonly { root: root.clone(), path: "/".into() });
        }
        acts.push(Act::PivotRoot { root: root.clone() });
    }
    Ok(acts)
}

fn is_bind(m: &Mount) -> bool {
    m.kind.as_deref() == Some("bind") || m.options.iter().any(|o| o == "bind" || o == "rbind")
}

/// One entry of `mounts`. `cgroup` means the container's own view of every hierarchy.
fn mount(root: &Path, m: &Mount, look: &Look) -> Vec<Act> {
    let act = |to: PathBuf, source: String, kind: Option<String>, options: Vec<String>| Act::Mount {
        root: root.to_owned(),
        to,
        source,
        kind,
        options,
    };
    let to = PathBuf::from(&m.destination);
    if is_bind(m) {
        let source = m.source.clone().unwrap_or_default();
        let source = look.bundle.join(source);
        let mut options = m.options.clone();
        if !options.iter().any(|o| o == "bind" || o == "rbind") {
            options.insert(0, "bind".into());
        }
        return vec![act(to, source.to_string_lossy().into_owned(), None, options)];
    }
    let source = m.source.clone().or_else(|| m.kind.clone()).unwrap_or_default();
    if m.kind.as_deref() != Some("cgroup") {
        return vec![act(to, source, m.kind.clone(), m.options.clone())];
    }
    if look.host.cgroups.pure_v2() {
        return vec![act(to, "cgroup".into(), Some("cgroup2".into()), m.options.clone())];
    }
    let readonly = |o: &String| o == "ro" || o == "rw";
    let open: Vec<String> = m.options.iter().filter(|o| !readonly(o)).cloned().collect();
    let mut tmpfs = open.clone();
    tmpfs.push("mode=755".into());
    let mut acts = vec![act(to.clone(), "tmpfs".into(), Some("tmpfs".into()), tmpfs)];
    for dir in &look.cgroups {
        let name = dir.mount.file_name().unwrap_or_default();
        let (kind, mut options) =
            if dir.v2 { ("cgroup2", Vec::new()) } else { ("cgroup", dir.controllers.clone()) };
        options.splice(0..0, m.options.iter().cloned());
        acts.push(act(to.join(name), "cgroup".into(), Some(kind.into()), options));
    }
    if m.options.iter().any(|o| o == "ro") {
        acts.push(Act::Readonly { root: root.to_owned(), path: to });
    }
    acts
}

/// The devices and links that every container has (runtime spec, config-linux.md, Default Devices).
fn dev(root: &Path) -> Vec<Act> {
    let nodes =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
    let links = [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("/proc/kcore", "core"),
        ("pts/ptmx", "ptmx"),
    ];
    let mut acts = Vec::new();
    for (name, major, minor) in nodes {
        let path = Path::new("/dev").join(name);
        acts.push(Act::Device { root: root.to_owned(), path, major, minor, mode: 0o666 });
    }
    for (target, name) in links {
        let link = Path::new("/dev").join(name);
        acts.push(Act::Symlink { root: root.to_owned(), target: target.into(), link });
    }
    acts
}
