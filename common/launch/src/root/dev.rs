//! What every container has in its /dev, and the devices that its document asks for.

use crate::Look;
use anyhow::Result;
use doc::{Device, Doc};
use std::path::Path;
use step::{Act, Step};

/// The devices that every container has (config-linux.md, Default Devices); ptmx is a link.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Those, as the document has them where it does, and its own of /dev itself.
pub(super) fn of_dev(doc: &Doc, look: &Look) -> Result<Vec<Step>> {
    let root = &look.root;
    let asked = doc.devices()?;
    let mut steps = Vec::new();
    for (path, major, minor) in DEFAULT {
        if !asked.iter().any(|d| d.path == path) {
            steps.push(Step::child(device(root, &Device::character(path, major, minor))));
        }
    }
    steps.extend(made(doc, look, in_dev)?);
    let links = [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("/proc/kcore", "core"),
        ("pts/ptmx", "ptmx"),
    ];
    for (target, name) in links.into_iter().filter(|(_, name)| look.kcore || *name != "core") {
        let link = Path::new("/dev").join(name);
        steps.push(Step::child(Act::Symlink { root: root.clone(), target: target.into(), link }));
    }
    Ok(steps)
}

/// Those elsewhere.
pub(super) fn others(doc: &Doc, look: &Look) -> Result<Vec<Step>> {
    made(doc, look, |d| !in_dev(d) && d.path != "/dev/ptmx")
}

/// Some of the document's. In a user namespace they have the owner and mode that it asks for, and need
/// not be the host's, if the parent may make them.
fn made(doc: &Doc, look: &Look, some: impl Fn(&Device) -> bool) -> Result<Vec<Step>> {
    let user = doc.namespaces()?.iter().any(|n| n.kind == "user") && look.host.euid == 0;
    let mut steps = Vec::new();
    for d in doc.devices()?.iter().filter(|d| some(d)) {
        let act = device(&look.root, d);
        if let (true, Act::Device { path, kind, major, minor, mode, uid, gid, .. }) = (user, act.clone())
            && kind != "p"
        {
            steps.push(Step::parent(Act::Node { path, kind, major, minor, mode, uid, gid }));
        }
        steps.push(Step::child(act));
    }
    Ok(steps)
}

/// Whether it lies in /dev itself, and is no link there.
fn in_dev(d: &Device) -> bool {
    Path::new(&d.path).parent() == Some(Path::new("/dev")) && d.path != "/dev/ptmx"
}

fn device(root: &Path, d: &Device) -> Act {
    let kind = if d.kind == "u" { "c" } else { &d.kind };
    Act::Device {
        root: root.to_owned(),
        path: d.path.clone().into(),
        kind: kind.to_owned(),
        major: d.major.try_into().unwrap_or_default(),
        minor: d.minor.try_into().unwrap_or_default(),
        mode: d.file_mode.unwrap_or(0o666) & 0o7777,
        uid: d.uid.unwrap_or_default(),
        gid: d.gid.unwrap_or_default(),
    }
}
