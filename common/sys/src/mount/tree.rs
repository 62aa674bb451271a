//! Mounts held by descriptors: made apart from any tree, given their attributes there, and only then
//! put onto a target that is a descriptor too. No path is looked up twice, so nobody can exchange
//! what lies at it in between (CVE-2021-30465), and nothing is seen half done.

use super::words::{Change, Words, attr};
use crate::{Errno, Result};
use rustix::fs::CWD;
use rustix::mount as rx;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A mount that no tree holds; it goes when the descriptor does, unless it was attached.
pub struct Tree(OwnedFd);

impl From<OwnedFd> for Tree {
    /// Of a descriptor that another process made.
    fn from(fd: OwnedFd) -> Tree {
        Tree(fd)
    }
}

impl From<Tree> for OwnedFd {
    fn from(tree: Tree) -> OwnedFd {
        tree.0
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Tree {
    /// open_tree(2): a copy of what is mounted at a path. `nofollow`: of a link, the link itself.
    pub fn of_path(path: &Path, recursive: bool, nofollow: bool) -> Result<Tree> {
        let mut flags = copy(recursive);
        if nofollow {
            flags |= rx::OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
        }
        Ok(Tree(rx::open_tree(CWD, path, flags)?))
    }

    /// The same of an open file or directory.
    pub fn of_file(file: impl AsFd, recursive: bool) -> Result<Tree> {
        Ok(Tree(rx::open_tree(file, "", copy(recursive) | rx::OpenTreeFlags::AT_EMPTY_PATH)?))
    }

    /// fsopen(2), fsmount(2): a file system of its own. A word without `=` is set as a flag.
    pub fn of_filesystem(kind: &str, source: &str, words: &Words) -> Result<Tree> {
        let fs = rx::fsopen(kind, rx::FsOpenFlags::FSOPEN_CLOEXEC)?;
        if !source.is_empty() {
            rx::fsconfig_set_string(&fs, "source", source)?;
        }
        let flags = words.mount_flags();
        for (flag, word) in [
            (libc::MS_RDONLY, "ro"),
            (libc::MS_SYNCHRONOUS, "sync"),
            (libc::MS_DIRSYNC, "dirsync"),
            (libc::MS_LAZYTIME, "lazytime"),
            (libc::MS_MANDLOCK, "mand"),
        ] {
            if flags & flag != 0 {
                rx::fsconfig_set_flag(&fs, word)?;
            }
        }
        for word in words.data.iter().flat_map(|w| w.split(',')).filter(|w| !w.is_empty()) {
            match word.split_once('=') {
                Some((key, value)) => rx::fsconfig_set_string(&fs, key, value)?,
                None => rx::fsconfig_set_flag(&fs, word)?,
            }
        }
        rx::fsconfig_create(&fs)?;
        let none = rx::MountAttrFlags::empty();
        let tree = Tree(rx::fsmount(&fs, rx::FsMountFlags::FSMOUNT_CLOEXEC, none)?);
        let Change { set, .. } = words.bind_attributes();
        // Its own defaults are mount(2)'s.
        let clear = if set & attr::ATIME != 0 { attr::ATIME } else { 0 };
        if set != 0 {
            set_attributes(&tree, false, Change { set, clear })?;
        }
        Ok(tree)
    }

    /// What the words say of the mount itself (mount_setattr(2)). Flags that a mount came with from
    /// another user namespace are locked: they stay unless they are named, which is EPERM.
    pub fn restrict(&self, words: &Words) -> Result<()> {
        let change = words.bind_attributes();
        if !change.is_empty() {
            match set_attributes(self, false, change) {
                Err(Errno(libc::EPERM)) => {
                    let mut named = words.named_attributes();
                    named.clear |= change.clear & attr::NOSYMFOLLOW; // no lock holds that one
                    set_attributes(self, false, named)?;
                }
                other => other?,
            }
        }
        if words.recursive.is_empty() { Ok(()) } else { set_attributes(self, true, words.recursive) }
    }

    /// Read-only, with all that is mounted below it; other attributes are kept.
    pub fn readonly(&self) -> Result<()> {
        set_attributes(self, true, Change { set: attr::RDONLY, clear: 0 })
    }

    /// Nothing on it runs, with others' rights or at all; its other attributes kept.
    pub fn inert(&self) -> Result<()> {
        set_attributes(self, false, Change { set: attr::NOSUID | attr::NOEXEC, clear: 0 })
    }

    /// The files show as owned by who the map of a user namespace says (mount_setattr(2), ID-mapped
    /// mounts). EINVAL: the file system cannot.
    pub fn map_ids(&self, namespace: impl AsFd, recursive: bool) -> Result<()> {
        let mut how = attributes(Change { set: attr::IDMAP, clear: 0 });
        how.userns_fd = namespace.as_fd().as_raw_fd().cast_unsigned().into();
        setattr(self.as_fd(), recursive, &how)
    }

    /// move_mount(2) onto an open file or directory. ENOTDIR: one is a directory, the other is not.
    pub fn attach(&self, target: impl AsFd) -> Result<()> {
        let flags = rx::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | rx::MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        Ok(rx::move_mount(self, "", target.as_fd(), "", flags)?)
    }

    /// Propagation, by the words' flags and in their order. For a mount that is attached: one that
    /// comes onto a shared mount becomes shared.
    pub fn propagate(&self, flags: &[u64]) -> Result<()> {
        flags.iter().try_for_each(|f| propagation(self.as_fd(), *f))
    }
}

fn copy(recursive: bool) -> rx::OpenTreeFlags {
    let flags = rx::OpenTreeFlags::OPEN_TREE_CLONE | rx::OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | rx::OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// struct mount_attr (linux/mount.h).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

fn attributes(change: Change) -> MountAttr {
    MountAttr { attr_set: change.set, attr_clr: change.clear, propagation: 0, userns_fd: 0 }
}

/// mount_setattr(2) of the mount that an open file is the root of.
pub(super) fn set_attributes(mount: impl AsFd, recursive: bool, change: Change) -> Result<()> {
    setattr(mount.as_fd(), recursive, &attributes(change))
}

/// Propagation of the mount that an open file is the root of.
pub(super) fn propagation(mount: BorrowedFd, flag: u64) -> Result<()> {
    let how = MountAttr { attr_set: 0, attr_clr: 0, propagation: flag & !libc::MS_REC, userns_fd: 0 };
    setattr(mount, flag & libc::MS_REC != 0, &how)
}

fn setattr(mount: BorrowedFd, recursive: bool, how: &MountAttr) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let (fd, size) = (mount.as_raw_fd(), std::mem::size_of::<MountAttr>());
    // SAFETY: the kernel reads the empty string and `size` bytes of `how`, both of which outlive
    // the call.
    let done =
        unsafe { libc::syscall(libc::SYS_mount_setattr, fd, c"".as_ptr(), flags, &raw const *how, size) };
    Errno::check(done).map(drop)
}
