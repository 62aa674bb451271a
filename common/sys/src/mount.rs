//! Mounts: mount(2), the newer calls by descriptors, overlayfs, and the exchange of roots.

mod idmap;
mod overlay;
mod pivot;
mod tree;
mod words;

pub use idmap::{Range, namespace};
pub use overlay::{Overlay, PAGE};
pub use pivot::{change_root, is_initramfs, move_root, pivot_root};
pub use tree::Tree;
pub use words::{Change, Words, propagation};

use crate::{Errno, Result, inroot};
use nix::mount::{MntFlags, MsFlags};
use rustix::fs::{AtFlags, StatxFlags, statx};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// OVERLAYFS_SUPER_MAGIC of linux/magic.h.
pub const OVERLAY: i64 = 0x794c_7630;
/// NSFS_MAGIC of linux/magic.h: a pinned namespace.
pub const NSFS: i64 = 0x6e73_6673;
/// PROC_SUPER_MAGIC of linux/magic.h.
pub const PROC: i64 = 0x9fa0;

/// A new file system on an open directory: mount(2) where that suffices. The caller's working
/// directory is the target then.
pub fn filesystem(kind: &str, source: &str, target: impl AsFd, words: &Words) -> Result<()> {
    if words.needs_handle() {
        let tree = Tree::of_filesystem(kind, source, &words.writable(words.copy_up))?;
        if words.copy_up {
            crate::copy::tree(&target, &tree)?;
            tree.restrict(words)?;
        }
        if !words.recursive.is_empty() {
            tree::set_attributes(&tree, true, words.recursive)?;
        }
        tree.attach(target)?;
        return tree.propagate(&words.propagation);
    }
    // By no path at all: /proc may be another's, and what lies at a name may be exchanged.
    rustix::process::fchdir(target)?;
    let flags = MsFlags::from_bits_retain(words.mount_flags());
    let data = words.text();
    let data = if data.is_empty() { None } else { Some(data.as_str()) };
    Ok(nix::mount::mount(Some(source), ".", Some(kind), flags, data)?)
}

/// `remount`: a mount that is there, by its root; with `bind` its own attributes alone.
pub fn remount(mount: impl AsFd, words: &Words) -> Result<()> {
    if words.bind.is_some() {
        tree::set_attributes(&mount, false, words.named_attributes())?;
    } else {
        let flags = MsFlags::from_bits_retain(words.mount_flags()) | MsFlags::MS_REMOUNT;
        let data = words.text();
        let data = if data.is_empty() { None } else { Some(data.as_str()) };
        nix::mount::mount(None::<&str>, &inroot::fd_path(&mount), None::<&str>, flags, data)?;
    }
    if !words.recursive.is_empty() {
        tree::set_attributes(&mount, true, words.recursive)?;
    }
    words.propagation.iter().try_for_each(|f| tree::propagation(mount.as_fd(), *f))
}

/// Makes the mount that an open file is the root of read-only; its other attributes stay.
pub fn readonly(mount: impl AsFd) -> Result<()> {
    tree::set_attributes(mount, false, Change { set: words::attr::RDONLY, clear: 0 })
}

/// Changes the propagation of a mount (mount_namespaces(7)): `rslave`, `rprivate`, ...
pub fn propagate(target: &Path, word: &str) -> Result<()> {
    let flags = propagation(word).ok_or(Errno(libc::EINVAL))?;
    let flags = MsFlags::from_bits_retain(flags);
    Ok(nix::mount::mount(None::<&str>, target, None::<&str>, flags, None::<&str>)?)
}

/// Changes the propagation of the mount that a path lies on.
pub fn propagate_holder(of: &Path, word: &str) -> Result<()> {
    let path = std::fs::canonicalize(of)?;
    for at in path.ancestors() {
        match propagate(at, word) {
            Err(Errno(libc::EINVAL)) if at.parent().is_some() => {} // no mount's root
            other => return other,
        }
    }
    Err(Errno(libc::EINVAL))
}

/// Whether a mount's root lies at `path`, and of which file system (statfs(2) magic).
pub fn is_mount(path: &Path) -> Result<Option<i64>> {
    let st =
        statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::TYPE)?;
    if !st.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT) {
        return Ok(None);
    }
    magic(path).map(Some)
}

/// The kind of file system at a path (statfs(2), f_type).
pub fn magic(path: &Path) -> Result<i64> {
    Ok(rustix::fs::statfs(path)?.f_type as i64)
}

/// The kind of file system of an open file.
pub fn magic_of(file: impl AsFd) -> Result<i64> {
    Ok(rustix::fs::fstatfs(file)?.f_type as i64)
}

/// Whether two handles stand for the same file, by mounts with the same attributes.
pub fn alike(a: impl AsFd, b: impl AsFd) -> Result<bool> {
    let look = |file: std::os::fd::BorrowedFd| -> Result<_> {
        let (stat, mount) = (rustix::fs::fstat(file)?, rustix::fs::fstatvfs(file)?);
        Ok((stat.st_dev, stat.st_ino, mount.f_flag))
    };
    Ok(look(a.as_fd())? == look(b.as_fd())?)
}

/// Takes away every mount stacked at `path`; none there is fine. Detached, so that a process
/// which still stands in it keeps its view and nothing blocks.
pub fn umount_all(path: &Path) -> Result<()> {
    loop {
        match nix::mount::umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            Err(nix::Error::EINVAL | nix::Error::ENOENT) => return Ok(()),
            // Refused before the kernel looks whether there is anything.
            Err(nix::Error::EPERM) if !matches!(is_mount(path), Ok(Some(_))) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Takes away the topmost mount at `path`, with all that is mounted in it; none there is fine.
pub fn umount_top(path: &Path) -> Result<()> {
    match nix::mount::umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
pub fn unescape(field: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let (mut out, bytes) = (Vec::new(), field.as_bytes());
    let mut i = 0;
    while i < bytes.len() {
        let octal = field.get(i + 1..i + 4).and_then(|o| u8::from_str_radix(o, 8).ok());
        match (bytes[i], octal) {
            (b'\\', Some(b)) => {
                out.push(b);
                i += 4;
            }
            (b, _) => {
                out.push(b);
                i += 1;
            }
        }
    }
    std::ffi::OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_octal() {
        assert_eq!(unescape(r"/a\040b\134c\0"), Path::new("/a b\\c\\0"));
    }
}
