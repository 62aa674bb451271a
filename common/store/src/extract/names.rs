//! Names and link targets that an archive chose.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A name that an archive chose, as one below the tree's root: `..` and a leading `/` stay inside.
pub fn clean(name: &[u8]) -> PathBuf {
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(p) => path.push(p),
            Component::ParentDir => {
                path.pop();
            }
            _ => {}
        }
    }
    path
}

/// The names in a link's target, `..` among them.
pub(super) fn parts(target: &[u8]) -> Vec<OsString> {
    let all = Path::new(OsStr::from_bytes(target)).components();
    all.filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir))
        .map(|c| c.as_os_str().to_owned())
        .collect()
}

/// For an error's one line.
pub(super) fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let short: String = text.chars().take(200).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", short.escape_debug())
}
