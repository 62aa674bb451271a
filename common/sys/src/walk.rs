//! Trees read by directory handles: a name is one component of an open directory, no symbolic link
//! is followed and no mount crossed (openat2(2)), so a tree that somebody else may write is safe
//! to read.

use crate::{Result, extract};
use rustix::fs::{self as rx, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What stat(2) says of a name, as far as an archive holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meta {
    /// Its type.
    pub kind: Kind,
    /// Permissions, with setuid, setgid and sticky.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Bytes of a regular file; of a symbolic link, of its target.
    pub size: u64,
    /// Time of the last change: seconds, nanoseconds.
    pub mtime: (i64, u32),
    /// How many names it has.
    pub links: u64,
    /// Which file it is, on its file system.
    pub inode: u64,
    /// Which file system that is.
    pub disk: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
}

/// The types of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is what its name says
pub enum Kind {
    Dir,
    File,
    Symlink,
    Char,
    Block,
    Fifo,
    Socket,
}

impl Meta {
    /// overlayfs' mark for a name that lower layers have and this one hides.
    pub fn is_whiteout(&self) -> bool {
        self.kind == Kind::Char && self.device == (0, 0)
    }

    #[allow(clippy::unnecessary_cast)] // their widths differ by machine
    fn of(s: &rx::Stat) -> Meta {
        let kind = match FileType::from_raw_mode(s.st_mode) {
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Char,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            _ => Kind::File,
        };
        let special = matches!(kind, Kind::Char | Kind::Block);
        Meta {
            kind,
            mode: s.st_mode & 0o7777,
            owner: (s.st_uid, s.st_gid),
            size: if matches!(kind, Kind::File | Kind::Symlink) { s.st_size as u64 } else { 0 },
            mtime: (s.st_mtime, s.st_mtime_nsec as u32),
            links: s.st_nlink as u64,
            inode: s.st_ino,
            disk: s.st_dev as u64,
            device: if special { (rx::major(s.st_rdev), rx::minor(s.st_rdev)) } else { (0, 0) },
        }
    }
}

const HOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// The directory at a path, for reading.
pub fn root(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rx::open(path, flags, Mode::empty())?)
}

/// A directory in a directory; EXDEV where something is mounted on it.
pub fn open_dir(dir: impl AsFd, name: &OsStr) -> Result<OwnedFd> {
    open(dir, name, OFlags::DIRECTORY)
}

/// A regular file in a directory, for reading. Where it became something else meanwhile, opening
/// that neither blocks nor makes it a terminal.
pub fn open_file(dir: impl AsFd, name: &OsStr) -> Result<File> {
    Ok(open(dir, name, OFlags::NONBLOCK | OFlags::NOCTTY)?.into())
}

fn open(dir: impl AsFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        match rx::openat2(&dir, name, flags, Mode::empty(), HOW) {
            Err(rustix::io::Errno::AGAIN) => {}
            other => return Ok(other?),
        }
    }
}

/// lstat(2) of a name in a directory; `None`: there is nothing.
pub fn meta(dir: impl AsFd, name: &OsStr) -> Result<Option<Meta>> {
    match rx::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        other => Ok(Some(Meta::of(&other?))),
    }
}

/// fstat(2).
pub fn meta_fd(fd: impl AsFd) -> Result<Meta> {
    Ok(Meta::of(&rx::fstat(fd)?))
}

/// The names in an open directory, sorted by their bytes.
pub fn names(dir: impl AsFd) -> Result<Vec<OsString>> {
    let mut all = Vec::new();
    for entry in rx::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            all.push(OsString::from_vec(name.to_vec()));
        }
    }
    all.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(all)
}

/// readlink(2).
pub fn read_link(dir: impl AsFd, name: &OsStr) -> Result<Vec<u8>> {
    Ok(rx::readlinkat(dir, name, Vec::new())?.into_bytes())
}

/// The extended attributes of a name, sorted by their keys.
pub fn xattrs(dir: impl AsFd, name: &OsStr) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut all = extract::xattrs(dir, name)?;
    all.sort();
    Ok(all)
}

/// As many files as the hard limit allows may be open afterwards: a deep tree takes one for each
/// level and layer.
pub fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
