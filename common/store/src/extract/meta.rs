//! What an entry says of what it makes besides its data, and how that is set.

use crate::archive::Entry;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use sys::Errno;
use sys::extract::{self as make, Time};

/// What whoever extracts may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rights {
    /// Everything is the caller's, as for tar(1); no devices, and of the attributes only `user.`.
    User,
    /// Root of a user namespace: owners that the namespace has. No devices but whiteouts, no
    /// `trusted.` attributes (user_namespaces(7)).
    Inner,
    /// Root.
    Root,
}

impl Rights {
    /// Of this process.
    pub fn here() -> Rights {
        if sys::cred::euid() != 0 {
            return Rights::User;
        }
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let all = map.split_whitespace().eq(["0", "0", "4294967295"]);
        if all { Rights::Root } else { Rights::Inner }
    }

    pub(super) fn owners(self) -> bool {
        self != Rights::User
    }

    pub(super) fn devices(self) -> bool {
        self == Rights::Root
    }

    /// overlayfs' mark on an opaque directory, as the mount will need it.
    pub(super) fn opaque(self) -> &'static str {
        if self == Rights::Root { "trusted.overlay.opaque" } else { "user.overlay.opaque" }
    }

    /// overlayfs' own attributes are not an archive's to set, and a label of SELinux belongs to
    /// the machine that gave it.
    pub(super) fn wants(self, key: &[u8]) -> bool {
        let starts = |prefix: &str| key.starts_with(prefix.as_bytes());
        !["trusted.overlay.", "user.overlay.", "security.selinux"].into_iter().any(starts)
            && match self {
                Rights::Root => true,
                Rights::Inner => !starts("trusted."),
                Rights::User => starts("user."),
            }
    }
}

/// Owner, mode, time, attributes.
pub(super) struct Meta {
    pub(super) owner: (u32, u32),
    pub(super) mode: u32,
    pub(super) mtime: Time,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Meta {
    pub(super) fn of(entry: &Entry, rights: Rights) -> Result<Meta> {
        let mut xattrs = entry.xattrs()?;
        xattrs.retain(|(key, _)| rights.wants(key));
        Ok(Meta { owner: entry.owner()?, mode: entry.mode()?, mtime: entry.mtime()?, xattrs })
    }

    /// Of a directory of a lower layer.
    pub(super) fn like(dir: impl AsFd, rights: Rights) -> Result<Meta> {
        let stat = make::stat_fd(&dir)?;
        let mut xattrs = make::xattrs(&dir, OsStr::new("."))?;
        xattrs.retain(|(key, _)| rights.wants(key));
        Ok(Meta { owner: stat.owner, mode: stat.mode & 0o7777, mtime: stat.mtime, xattrs })
    }

    /// Of what has no entry and nothing below it.
    pub(super) fn plain() -> Meta {
        Meta { owner: (0, 0), mode: 0o755, mtime: (0, 0), xattrs: Vec::new() }
    }

    /// What open(2) and its kin can give at once: chown(2) would clear setuid bits again.
    pub(super) fn first_mode(&self) -> u32 {
        if self.mode & 0o6000 == 0 { self.mode } else { self.mode & 0o700 }
    }

    /// The mode must be set after all, `plain`: [`make::Tree::plain_owner`].
    pub(super) fn mode_is_late(&self, plain: Option<(u32, u32)>) -> bool {
        plain.is_none() || self.first_mode() != self.mode
    }
}

/// An attribute of something made. What the file system, or the kind of file, has no place for is
/// left out, as docker does.
pub(super) fn xattr(key: &[u8], set: impl FnOnce(&OsStr) -> sys::Result<()>) -> Result<()> {
    let name = OsStr::from_bytes(key);
    match set(name) {
        Ok(()) | Err(Errno(sys::EOPNOTSUPP)) => Ok(()),
        // xattr(7): `user.` is for files and directories alone.
        Err(Errno(sys::EPERM)) if key.starts_with(b"user.") => Ok(()),
        other => other.with_context(|| format!("set {}", name.as_bytes().escape_ascii())),
    }
}

pub(super) fn chown(set: sys::Result<()>, (uid, gid): (u32, u32)) -> Result<()> {
    set.with_context(|| format!("chown it to {uid}:{gid}"))
}
