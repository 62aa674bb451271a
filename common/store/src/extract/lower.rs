//! The layers below the one that is extracted, as overlayfs will show them together.

use super::{HOPS, parts};
use anyhow::Result;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sys::Errno;
use sys::extract::{self as make, Tree};

/// The directories of the layers below, lowest first. They may still be in the making: asking for
/// them waits.
pub trait Below {
    /// An error: one of them will not come.
    fn layers(&self) -> Result<Vec<Arc<OwnedFd>>>;
}

/// Nothing below: the lowest layer, or a tree in which all layers lie one over the other.
pub struct Nothing;

impl Below for Nothing {
    fn layers(&self) -> Result<Vec<Arc<OwnedFd>>> {
        Ok(Vec::new())
    }
}

/// What the topmost layer with something at a path has there.
pub(super) enum Found {
    Nothing,
    Dir(OwnedFd),
    /// A symbolic link: where it lies, and where it points to.
    Link(OwnedFd, Vec<u8>),
    /// Anything else: where it lies.
    File(OwnedFd),
}

/// `path` has no links in it: each of its parents is a directory, as overlayfs shows them.
pub(super) fn look(below: &dyn Below, path: &Path) -> Result<Found> {
    let Some(name) = path.file_name() else { return Ok(Found::Nothing) };
    let parents: Vec<&OsStr> = path.parent().map(|p| p.iter().collect()).unwrap_or_default();
    'layers: for layer in below.layers()?.iter().rev() {
        let mut dir = make::walk(layer, std::iter::empty())?;
        let mut hides = make::is_opaque_at(&dir);
        for parent in &parents {
            match make::stat(&dir, parent)? {
                Some(s) if s.is_dir() => dir = make::walk(&dir, std::iter::once(*parent))?,
                None if hides => return Ok(Found::Nothing),
                None => continue 'layers,
                // Something else hides all that lies below.
                Some(_) => return Ok(Found::Nothing),
            }
            hides |= make::is_opaque_at(&dir);
        }
        match make::stat(&dir, name)? {
            Some(s) if s.is_whiteout() => return Ok(Found::Nothing),
            Some(s) if s.is_dir() => return Ok(Found::Dir(make::walk(&dir, std::iter::once(name))?)),
            Some(s) if s.is_symlink() => {
                let target = make::readlink(&dir, name)?;
                return Ok(Found::Link(dir, target));
            }
            Some(_) => return Ok(Found::File(dir)),
            None if hides => return Ok(Found::Nothing),
            None => {}
        }
    }
    Ok(Found::Nothing)
}

/// Whether the layer in the making has an opaque directory on the way to `path`.
pub(super) fn own_hides(own: &Tree, path: &Path) -> bool {
    let mut at = own.find(std::iter::empty());
    for name in path {
        let Ok(dir) = at else { return false };
        if make::is_opaque_at(&dir) {
            return true;
        }
        at = make::walk(&dir, std::iter::once(name));
    }
    false
}

/// The directory in which a hard link's target lies, as the layers show together; links in its
/// path are followed.
pub(super) fn holder(below: &dyn Below, own: &Tree, path: &Path) -> Result<Option<OwnedFd>> {
    let mut real = PathBuf::new();
    let mut todo: Vec<OsString> = path.iter().rev().map(OsStr::to_owned).collect();
    let mut hops = 0;
    while let Some(name) = todo.pop() {
        if name == ".." {
            real.pop();
            continue;
        }
        let last = todo.is_empty();
        let here = match own.find(real.iter()) {
            Ok(dir) => make::stat(&dir, &name)?.map(|s| (dir, s)),
            Err(Errno(sys::ENOENT)) => None,
            Err(e) => return Err(e.into()),
        };
        let all = real.join(&name);
        let link = match here {
            Some((_, s)) if s.is_whiteout() => return Ok(None),
            Some((dir, s)) if last => return Ok((!s.is_dir()).then_some(dir)),
            Some((dir, s)) if s.is_symlink() => Some(make::readlink(&dir, &name)?),
            Some((_, s)) if s.is_dir() => None,
            Some(_) => return Err(Errno(sys::ENOTDIR).into()),
            None if own_hides(own, &all) => return Ok(None),
            None => match look(below, &all)? {
                // The link itself may be what gets one more name.
                Found::Link(dir, _) | Found::File(dir) if last => return Ok(Some(dir)),
                Found::Dir(_) if !last => None,
                Found::Link(_, target) => Some(target),
                _ => return Ok(None),
            },
        };
        match link {
            None => real.push(name),
            Some(target) => {
                hops += 1;
                if hops > HOPS {
                    return Err(Errno(sys::ELOOP).into());
                }
                if target.starts_with(b"/") {
                    real.clear();
                }
                todo.extend(parts(&target).into_iter().rev());
            }
        }
    }
    Ok(None)
}
