//! What every container has in its /dev, and the devices that its document asks for.

use crate::Look;
use anyhow::Result;
use doc::{Device, Doc};
use std::path::Path;
use step::Act;

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
pub(super) fn of_dev(doc: &Doc, look: &Look) -> Result<Vec<Act>> {
    let root = &look.root;
    let asked = doc.devices()?;
    let mut acts = Vec::new();
    for (path, major, minor) in DEFAULT {
        if !asked.iter().any(|d| d.path == path) {
            acts.push(device(root, &Device::character(path, major, minor)));
        }
    }
    acts.extend(asked.iter().filter(|d| in_dev(d)).map(|d| device(root, d)));
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
        acts.push(Act::Symlink { root: root.clone(), target: target.into(), link });
    }
    Ok(acts)
}

/// Those elsewhere.
pub(super) fn others(doc: &Doc, root: &Path) -> Result<Vec<Act>> {
    let elsewhere = |d: &&Device| !in_dev(d) && d.path != "/dev/ptmx";
    Ok(doc.devices()?.iter().filter(elsewhere).map(|d| device(root, d)).collect())
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
