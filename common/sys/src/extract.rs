//! Trees made from archives. A path that an archive chose is looked up with openat2(2) and
//! RESOLVE_IN_ROOT as far as its directory, and what lies in that is named by one component
//! relative to the directory's handle: so nothing is made or changed outside the tree.

use crate::{Errno, Result, inroot};
use rustix::fs::{self as rx, AtFlags, FileType, Mode, OFlags, XattrFlags};
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A tree that is being made. The directory last used is kept open, since archives go through a
/// tree directory by directory.
pub struct Tree {
    root: OwnedFd,
    near: (PathBuf, OwnedFd),
}

/// What can be made besides regular files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node<'a> {
    /// A directory.
    Dir,
    /// A symbolic link to this.
    Symlink(&'a [u8]),
    /// A character device.
    Char(u32, u32),
    /// A block device.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stat {
    /// Its type and permissions, as st_mode.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Time of the last change: seconds, nanoseconds.
    pub mtime: (i64, u32),
    /// For a device: its number is 0/0.
    pub null_device: bool,
}

impl Stat {
    /// A directory.
    pub fn is_dir(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Directory
    }

    /// A symbolic link.
    pub fn is_symlink(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Symlink
    }

    /// overlayfs' mark for a name that lower layers have and this one hides.
    pub fn is_whiteout(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::CharacterDevice && self.null_device
    }
}

impl Tree {
    /// The tree at a directory that is there.
    pub fn open(path: &Path) -> Result<Tree> {
        let root = inroot::root(path)?;
        let near = inroot::open(&root, Path::new("."), OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Tree { root, near: (PathBuf::new(), near) })
    }

    /// Handle of a directory of the tree, reached through the tree's own symbolic links. What is
    /// missing is made, 0755, and each directory so made is given to `made`.
    pub fn dir(&mut self, path: &Path, made: &mut dyn FnMut(&Path)) -> Result<BorrowedFd<'_>> {
        if self.near.0 != path {
            let fd = self.look(path, made)?;
            self.near = (path.to_owned(), fd);
        }
        Ok(self.near.1.as_fd())
    }

    fn look(&self, path: &Path, made: &mut dyn FnMut(&Path)) -> Result<OwnedFd> {
        let open = |path: &Path| {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            inroot::open(&self.root, path, OFlags::PATH | OFlags::DIRECTORY)
        };
        match open(path) {
            Err(Errno(libc::ENOENT)) => {}
            other => return other,
        }
        let mut so_far = PathBuf::new();
        let mut at = open(&so_far)?;
        for name in path.components() {
            so_far.push(name);
            at = match open(&so_far) {
                Err(Errno(libc::ENOENT)) => {
                    let Component::Normal(name) = name else { return Err(Errno(libc::EINVAL)) };
                    rx::mkdirat(&at, name, Mode::from_raw_mode(0o755))?;
                    made(&so_far);
                    open(&so_far)?
                }
                other => other?,
            };
        }
        Ok(at)
    }

    /// A directory of the tree by its path, if it is one; the last component is not followed.
    pub fn find_dir(&self, path: &Path) -> Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        inroot::open(&self.root, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW)
    }

    /// Removes what stands at a name, a directory with all that is in it. The handle that is kept
    /// may be of that tree, or have been reached through it, so it is forgotten.
    pub fn remove(&mut self, dir: &Path, name: &OsStr) -> Result<()> {
        let parent = self.look(dir, &mut |_| {})?;
        match rx::unlinkat(&parent, name, AtFlags::empty()) {
            Err(rustix::io::Errno::ISDIR) => {
                let dev = rx::fstat(&parent)?.st_dev;
                inroot::remove_at(&parent, name, dev)?;
            }
            other => other?,
        }
        self.near = (PathBuf::new(), self.look(Path::new(""), &mut |_| {})?);
        Ok(())
    }

    /// syncfs(2): all that was written to this file system is on the disk afterwards.
    pub fn sync(&self) -> Result<()> {
        let fd = inroot::open(&self.root, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(rx::syncfs(fd)?)
    }
}

/// Makes a regular file and opens it for writing; EEXIST where something has the name.
pub fn create(dir: impl AsFd, name: &OsStr) -> Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rx::openat(dir, name, flags, Mode::from_raw_mode(0o600))?.into())
}

/// Makes a node, 0700 where it has permissions; EEXIST where something has the name.
pub fn make(dir: impl AsFd, name: &OsStr, node: Node) -> Result<()> {
    let mode = Mode::from_raw_mode(0o700);
    let special = |kind, device| rx::mknodat(&dir, name, kind, mode, device);
    match node {
        Node::Dir => rx::mkdirat(&dir, name, mode)?,
        Node::Symlink(target) => rx::symlinkat(OsStr::from_bytes(target), &dir, name)?,
        Node::Char(major, minor) => special(FileType::CharacterDevice, rx::makedev(major, minor))?,
        Node::Block(major, minor) => special(FileType::BlockDevice, rx::makedev(major, minor))?,
        Node::Fifo => special(FileType::Fifo, 0)?,
    }
    Ok(())
}

/// linkat(2); a symbolic link is linked itself.
pub fn link(from: impl AsFd, old: &OsStr, to: impl AsFd, new: &OsStr) -> Result<()> {
    Ok(rx::linkat(from, old, to, new, AtFlags::empty())?)
}

/// lstat(2) of a name in a directory; `None`: there is nothing.
pub fn stat(dir: impl AsFd, name: &OsStr) -> Result<Option<Stat>> {
    match rx::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        other => Ok(Some(of(&other?))),
    }
}

/// fstat(2).
pub fn stat_fd(fd: impl AsFd) -> Result<Stat> {
    Ok(of(&rx::fstat(fd)?))
}

fn of(s: &rx::Stat) -> Stat {
    Stat {
        mode: s.st_mode,
        owner: (s.st_uid, s.st_gid),
        mtime: (s.st_mtime, s.st_mtime_nsec as u32),
        null_device: s.st_rdev == 0,
    }
}

/// lchown(2) of a name. It clears setuid bits and file capabilities, so it comes first.
pub fn set_owner(dir: impl AsFd, name: &OsStr, (uid, gid): (u32, u32)) -> Result<()> {
    let (uid, gid) = (rx::Uid::from_raw(uid), rx::Gid::from_raw(gid));
    Ok(rx::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// chmod(2) of a name that is no symbolic link.
pub fn set_mode(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<()> {
    Ok(rx::chmodat(dir, name, Mode::from_raw_mode(mode & 0o7777), AtFlags::empty())?)
}

/// utimensat(2) of a name; the time of the last access stays.
pub fn set_mtime(dir: impl AsFd, name: &OsStr, (seconds, nanoseconds): (i64, u32)) -> Result<()> {
    let times = rx::Timestamps {
        last_access: rx::Timespec { tv_sec: 0, tv_nsec: rx::UTIME_OMIT },
        last_modification: rx::Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    };
    Ok(rx::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// lsetxattr(2) of a name.
pub fn set_xattr(dir: impl AsFd, name: &OsStr, key: &OsStr, value: &[u8]) -> Result<()> {
    Ok(rx::lsetxattr(inroot::fd_path(&dir).join(name), key, value, XattrFlags::empty())?)
}

/// The extended attributes of a name.
pub fn xattrs(dir: impl AsFd, name: &OsStr) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = inroot::fd_path(&dir).join(name);
    let mut names = Vec::with_capacity(64 << 10);
    match rx::llistxattr(&path, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    }
    let mut all = Vec::new();
    for name in names.split_inclusive(|b| *b == 0).filter_map(|n| CStr::from_bytes_with_nul(n).ok()) {
        let mut value = Vec::with_capacity(64 << 10);
        rx::lgetxattr(&path, name, rustix::buffer::spare_capacity(&mut value))?;
        all.push((name.to_bytes().to_vec(), value));
    }
    Ok(all)
}

/// Whether overlayfs' mark on a directory says that it hides all that lies below it.
pub fn is_opaque(dir: &Path) -> bool {
    let mut value = [0; 8];
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|key| rx::lgetxattr(dir, *key, &mut value[..]) == Ok(1) && value[0] == b'y')
}
