//! Trees made from archives. A directory is entered by one component at a time, no link followed,
//! and what lies in it is named by one component relative to its handle: so nothing is made or
//! changed outside the tree, and no path is too long.

use crate::{Errno, Result, inroot};
use rustix::fs::{self as rx, AtFlags, FileType, Mode, OFlags, XattrFlags};
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Seconds, nanoseconds.
pub type Time = (i64, u32);

/// A tree that is being made, and the directory in it where work goes on. The handles of its
/// parents are kept open, since archives go through a tree directory by directory. A directory's
/// modification time is put back when it is left.
pub struct Tree {
    /// Of the directory, from the root: real names, no links.
    names: Vec<OsString>,
    /// The root first; then those on the way down that are open.
    levels: Vec<Level>,
    kept: usize,
    plain: Option<(u32, u32)>,
}

struct Level {
    /// How many names lead to it.
    depth: usize,
    fd: OwnedFd,
    /// What its time is to be when it is left; none: nothing changed in it.
    mtime: Option<Time>,
}

/// More handles are not kept, and fewer where the process may have few; deeper trees close those in
/// the middle.
const KEPT: usize = 24;

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
    /// Time of the last change.
    pub mtime: Time,
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
    /// The tree at a directory that is there. `exact`: the umask is 0.
    pub fn open(path: &Path, exact: bool) -> Result<Tree> {
        let root = inroot::root(path)?;
        let stat = rx::fstat(&root)?;
        // Only where nothing is inherited is a new file as open(2) was told.
        let acl = rx::lgetxattr(path, "system.posix_acl_default", &mut [0; 0][..]).is_ok();
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let inherits = !exact || acl || stat.st_mode & 0o2000 != 0 || stat.st_gid != gid;
        let levels = vec![Level { depth: 0, fd: root, mtime: None }];
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let kept = most.map_or(KEPT, |n| (n / 16).clamp(2, KEPT as u64) as usize);
        Ok(Tree { names: Vec::new(), levels, kept, plain: (!inherits).then_some((uid, gid)) })
    }

    /// Owner of what is made, if modes are then as they were given; none: both are to be set.
    pub fn plain_owner(&self) -> Option<(u32, u32)> {
        self.plain
    }

    /// Where work goes on: the names from the root.
    pub fn names(&self) -> &[OsString] {
        &self.names
    }

    /// Goes up, to where `depth` names lead.
    pub fn up_to(&mut self, depth: usize) -> Result<()> {
        while let Some(level) = self.levels.pop_if(|l| l.depth > depth) {
            level.leave()?;
        }
        self.names.truncate(depth);
        Ok(())
    }

    /// Into a directory of this name. ENOTDIR: it is something else, a symbolic link perhaps.
    pub fn down(&mut self, name: &OsStr) -> Result<()> {
        let fd = self.open_dir(name)?;
        self.names.push(name.to_owned());
        self.push(fd)
    }

    fn open_dir(&mut self, name: &OsStr) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rx::openat(self.here()?, name, flags, Mode::empty()) {
            // As few as may be: the root and where we are.
            Err(rustix::io::Errno::MFILE) if self.levels.len() > 2 => {
                while self.levels.len() > 2 {
                    self.levels.remove(1).leave()?;
                }
                Ok(rx::openat(self.here()?, name, flags, Mode::empty())?)
            }
            Err(rustix::io::Errno::LOOP) => Err(Errno(libc::ENOTDIR)),
            other => Ok(other?),
        }
    }

    fn push(&mut self, fd: OwnedFd) -> Result<()> {
        let depth = self.levels.last().map_or(0, |l| l.depth) + 1;
        self.levels.push(Level { depth, fd, mtime: None });
        if self.levels.len() > self.kept {
            self.levels.remove(1).leave()?;
        }
        Ok(())
    }

    /// Handle of the directory where work goes on.
    pub fn here(&mut self) -> Result<BorrowedFd<'_>> {
        // What was closed in the middle is opened again.
        loop {
            let depth = self.top().depth;
            let Some(name) = self.names.get(depth).cloned() else { break };
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rx::openat(&self.top().fd, &name, flags, Mode::empty())?;
            self.push(fd)?;
        }
        Ok(self.top().fd.as_fd())
    }

    fn top(&self) -> &Level {
        // The root is never taken away.
        &self.levels[self.levels.len() - 1]
    }

    /// As [`Tree::here`], for making or removing something in it.
    pub fn changing(&mut self) -> Result<BorrowedFd<'_>> {
        self.here()?;
        let last = self.levels.len() - 1;
        let level = &mut self.levels[last];
        if level.mtime.is_none() {
            level.mtime = Some(of(&rx::fstat(&level.fd)?).mtime);
        }
        Ok(level.fd.as_fd())
    }

    /// The time that this directory is to have when it is left.
    pub fn set_time(&mut self, mtime: Time) -> Result<()> {
        self.here()?;
        let last = self.levels.len() - 1;
        self.levels[last].mtime = Some(mtime);
        Ok(())
    }

    /// Removes what stands at a name here, a directory with all that is in it.
    pub fn remove(&mut self, name: &OsStr) -> Result<()> {
        let here = self.changing()?;
        match rx::unlinkat(here, name, AtFlags::empty()) {
            Err(rustix::io::Errno::ISDIR) => {
                let dev = rx::fstat(here)?.st_dev;
                inroot::remove_at(here, name, dev)
            }
            other => Ok(other?),
        }
    }

    /// A directory by its real path from the root, no link followed, wherever work goes on.
    pub fn find<'a>(&self, names: impl Iterator<Item = &'a OsStr> + Clone) -> Result<OwnedFd> {
        let common = self.names.iter().zip(names.clone()).take_while(|(a, b)| a.as_os_str() == *b).count();
        let near = self.levels.iter().rfind(|l| l.depth <= common);
        let (fd, depth) = near.map_or((&self.levels[0].fd, 0), |l| (&l.fd, l.depth));
        walk(fd, names.skip(depth))
    }

    /// Leaves all directories but the root, whose time is put back too.
    pub fn leave(&mut self) -> Result<()> {
        self.up_to(0)?;
        match self.levels[0].mtime {
            Some(mtime) => set_mtime(&self.levels[0].fd, OsStr::new(""), mtime),
            None => Ok(()),
        }
    }
}

impl Level {
    fn leave(self) -> Result<()> {
        self.mtime.map_or(Ok(()), |mtime| set_mtime(&self.fd, OsStr::new(""), mtime))
    }
}

/// A directory below another, no link followed.
pub fn walk<'a>(from: impl AsFd, names: impl Iterator<Item = &'a OsStr>) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rx::openat(from, ".", flags, Mode::empty())?;
    for name in names {
        at = rx::openat(&at, name, flags, Mode::empty())?;
    }
    Ok(at)
}

/// A handle of a directory, to be kept while it may be renamed.
pub fn open_dir(path: &Path) -> Result<OwnedFd> {
    inroot::root(path)
}

/// syncfs(2): all that was written to the file system of this directory is on the disk afterwards.
pub fn sync(dir: &Path) -> Result<()> {
    Ok(rx::syncfs(File::open(dir)?)?)
}

/// From now on the calling thread's umask(2) is 0, and its own (unshare(2) with CLONE_FS).
pub fn own_umask() -> Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    Ok(())
}

/// Makes a regular file and opens it for writing; EEXIST where something has the name.
pub fn create(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rx::openat(dir, name, flags, Mode::from_raw_mode(mode & 0o7777))?.into())
}

/// Makes a node; EEXIST where something has the name.
pub fn make(dir: impl AsFd, name: &OsStr, node: Node, mode: u32) -> Result<()> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
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

/// readlinkat(2).
pub fn readlink(dir: impl AsFd, name: &OsStr) -> Result<Vec<u8>> {
    Ok(rx::readlinkat(dir, name, Vec::new())?.into_bytes())
}

/// The names in a directory.
pub fn list(dir: impl AsFd) -> Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rx::openat(dir, ".", flags, Mode::empty())?;
    let mut all = Vec::new();
    for entry in rx::Dir::new(dir)? {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if name != "." && name != ".." {
            all.push(name);
        }
    }
    Ok(all)
}

fn of(s: &rx::Stat) -> Stat {
    Stat {
        mode: s.st_mode,
        owner: (s.st_uid, s.st_gid),
        mtime: (s.st_mtime, s.st_mtime_nsec as u32),
        null_device: s.st_rdev == 0,
    }
}

fn ids((uid, gid): (u32, u32)) -> (Option<rx::Uid>, Option<rx::Gid>) {
    (Some(rx::Uid::from_raw(uid)), Some(rx::Gid::from_raw(gid)))
}

fn times((seconds, nanoseconds): Time) -> rx::Timestamps {
    rx::Timestamps {
        last_access: rx::Timespec { tv_sec: 0, tv_nsec: rx::UTIME_OMIT },
        last_modification: rx::Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    }
}

/// lchown(2) of a name. It clears setuid bits and file capabilities, so it comes first.
pub fn set_owner(dir: impl AsFd, name: &OsStr, owner: (u32, u32)) -> Result<()> {
    let (uid, gid) = ids(owner);
    Ok(rx::chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// fchown(2). It clears setuid bits and file capabilities, so it comes first.
pub fn set_owner_fd(file: impl AsFd, owner: (u32, u32)) -> Result<()> {
    let (uid, gid) = ids(owner);
    Ok(rx::fchown(file, uid, gid)?)
}

/// chmod(2) of a name that is no symbolic link.
pub fn set_mode(dir: impl AsFd, name: &OsStr, mode: u32) -> Result<()> {
    Ok(rx::chmodat(dir, name, Mode::from_raw_mode(mode & 0o7777), AtFlags::empty())?)
}

/// fchmod(2).
pub fn set_mode_fd(file: impl AsFd, mode: u32) -> Result<()> {
    Ok(rx::fchmod(file, Mode::from_raw_mode(mode & 0o7777))?)
}

/// utimensat(2) of a name, or of the directory itself where that is empty; the time of the last
/// access stays.
pub fn set_mtime(dir: impl AsFd, name: &OsStr, mtime: Time) -> Result<()> {
    let flags = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::SYMLINK_NOFOLLOW };
    Ok(rx::utimensat(dir, name, &times(mtime), flags)?)
}

/// futimens(2); the time of the last access stays.
pub fn set_mtime_fd(file: impl AsFd, mtime: Time) -> Result<()> {
    Ok(rx::futimens(file, &times(mtime))?)
}

/// lsetxattr(2) of a name.
pub fn set_xattr(dir: impl AsFd, name: &OsStr, key: &OsStr, value: &[u8]) -> Result<()> {
    Ok(rx::lsetxattr(inroot::fd_path(&dir).join(name), key, value, XattrFlags::empty())?)
}

/// lremovexattr(2) of a name.
pub fn remove_xattr(dir: impl AsFd, name: &OsStr, key: &OsStr) -> Result<()> {
    Ok(rx::lremovexattr(inroot::fd_path(&dir).join(name), key)?)
}

/// fsetxattr(2).
pub fn set_xattr_fd(file: impl AsFd, key: &OsStr, value: &[u8]) -> Result<()> {
    Ok(rx::fsetxattr(file, key, value, XattrFlags::empty())?)
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

const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// Whether overlayfs' mark on a directory says that it hides all that lies below it.
pub fn is_opaque(dir: &Path) -> bool {
    let mut value = [0; 8];
    OPAQUE.iter().any(|key| rx::lgetxattr(dir, *key, &mut value[..]) == Ok(1) && value[0] == b'y')
}

/// As [`is_opaque`], of a handle.
pub fn is_opaque_at(dir: impl AsFd) -> bool {
    is_opaque(&inroot::fd_path(&dir).join("."))
}
