//! Paths inside a container's root, resolved from outside: openat2(2) with RESOLVE_IN_ROOT, so
//! that no symbolic link in the root, however it is swapped, leads out of it.

use crate::{Errno, Result};
use rustix::fs::{self as rx, Mode, OFlags, ResolveFlags};
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

pub use rustix::fs::{FileType, OFlags as Flags};

/// Names a file without opening it.
pub const O_PATH: OFlags = OFlags::PATH;

const HOW: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// An O_PATH handle of the root itself.
pub fn root(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rx::open(path, flags, Mode::empty())?)
}

/// Opens a path within the root. The kernel answers EAGAIN when the tree is renamed meanwhile.
pub fn open(root: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let mut tries = 0;
    loop {
        match rx::openat2(root.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), HOW) {
            Err(rustix::io::Errno::AGAIN) if tries < 128 => tries += 1,
            other => return Ok(other?),
        }
    }
}

/// Reads a whole file within the root; bounded, since a container chose its contents. EINVAL: it is no
/// regular file, and was not opened: that alone starts some devices (a watchdog).
pub fn read(root: impl AsFd, path: &Path, limit: u64) -> Result<Vec<u8>> {
    use std::io::Read;
    let found = open(root, path, OFlags::PATH)?;
    if FileType::from_raw_mode(rx::fstat(&found)?.st_mode) != FileType::RegularFile {
        return Err(Errno(libc::EINVAL));
    }
    let fd = rx::open(fd_path(&found), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    std::fs::File::from(fd).take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A path that names an open file to calls which take only paths.
pub fn fd_path(fd: impl AsFd) -> PathBuf {
    format!("/proc/thread-self/fd/{}", fd.as_fd().as_raw_fd()).into()
}

/// O_PATH handle of `path` within the root; what is missing is made: directories 0755, and at the
/// end a directory or an empty file.
pub fn make(root: impl AsFd, path: &Path, kind: FileType) -> Result<OwnedFd> {
    match open(&root, path, OFlags::PATH) {
        Err(Errno(libc::ENOENT)) => made(&root, path, kind),
        other => other,
    }
}

/// As many links as the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

/// As [`make`], where something is missing. A link to what is not there is followed, and that is made.
fn made(root: impl AsFd, path: &Path, kind: FileType) -> Result<OwnedFd> {
    if let (Some(dir), Some(name)) = (path.parent(), path.file_name())
        && let Ok(dir) = open(&root, dir, OFlags::PATH)
        && make_one(&dir, name, kind) == Ok(())
    {
        return open(&root, path, OFlags::PATH);
    }
    let mut path = path.to_owned();
    'link: for _ in 0..LINKS {
        let names: Vec<_> =
            path.components().filter(|c| matches!(c, Component::Normal(_) | Component::ParentDir)).collect();
        let mut at = open(&root, Path::new("/"), OFlags::PATH)?;
        let mut so_far = PathBuf::from("/");
        for (i, name) in names.iter().enumerate() {
            let before = so_far.clone();
            so_far.push(name);
            // Each step from the root again: a link on the way may lead anywhere within it.
            at = match open(&root, &so_far, OFlags::PATH) {
                Ok(fd) => fd,
                Err(Errno(libc::ENOENT)) => {
                    let last = i + 1 == names.len();
                    let kind = if last { kind } else { FileType::Directory };
                    if let Err(e) = make_one(&at, name.as_os_str(), kind) {
                        if e != Errno(libc::EEXIST) {
                            return Err(e);
                        }
                        if let Ok(target) = rx::readlinkat(&at, name.as_os_str(), Vec::new()) {
                            let mut next = before.join(OsStr::from_bytes(target.to_bytes()));
                            next.extend(&names[i + 1..]);
                            path = next;
                            continue 'link;
                        }
                    }
                    open(&root, &so_far, OFlags::PATH)?
                }
                Err(e) => return Err(e),
            };
        }
        return Ok(at);
    }
    Err(Errno(libc::ELOOP))
}

fn make_one(dir: &OwnedFd, name: &OsStr, kind: FileType) -> Result<()> {
    Ok(match kind {
        FileType::Directory => rx::mkdirat(dir, name, Mode::from_raw_mode(0o755)),
        _ => rx::mknodat(dir, name, kind, Mode::from_raw_mode(0o644), 0),
    }?)
}

/// As [`make`], for a mount target: an empty file or a directory; and whether it was there.
pub fn make_target(root: impl AsFd, path: &Path, file: bool) -> Result<(OwnedFd, bool)> {
    match open(&root, path, OFlags::PATH) {
        Err(Errno(libc::ENOENT)) => {}
        other => return other.map(|fd| (fd, true)),
    }
    made(root, path, if file { FileType::RegularFile } else { FileType::Directory }).map(|fd| (fd, false))
}

/// As [`make_target`] of a directory, but a link at the end is not followed: ELOOP, ENOTDIR.
pub fn make_plain(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let plain = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY;
    match open(&root, path, plain) {
        Err(Errno(libc::ENOENT)) => {}
        other => return other,
    }
    made(&root, path, FileType::Directory)?;
    open(&root, path, plain)
}

/// The directory that holds `path`, as a handle, and the last component.
fn parent(root: impl AsFd, path: &Path) -> Result<(OwnedFd, &OsStr)> {
    let name = path.file_name().ok_or(Errno(libc::EINVAL))?;
    let dir = make(root, path.parent().unwrap_or(Path::new("/")), FileType::Directory)?;
    Ok((dir, name))
}

/// symlink(2) within the root; one that is there already is fine.
pub fn symlink(root: impl AsFd, target: &str, link: &Path) -> Result<()> {
    let (dir, name) = parent(root, link)?;
    match rx::symlinkat(target, &dir, name) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// A file that is no regular one, as mknod(2) makes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// Character device, block device or FIFO.
    pub kind: FileType,
    /// Of a device.
    pub major: u32,
    /// Of a device.
    pub minor: u32,
}

impl Node {
    /// Whether an open file is that.
    pub fn is(self, file: impl AsFd) -> Result<bool> {
        let st = rx::fstat(file)?;
        let same = st.st_rdev == rx::makedev(self.major, self.minor);
        let kind = FileType::from_raw_mode(st.st_mode);
        Ok(kind == self.kind && (same || kind == FileType::Fifo))
    }
}

/// mknod(2) within the root, with owner, group and a mode whatever the umask. There already, as the
/// same: nothing is done; as something else: EEXIST. The directory may be another container's too: by
/// the name, what comes after could meet something else.
pub fn mknod(root: impl AsFd, path: &Path, node: Node, mode: u32, owner: (u32, u32)) -> Result<()> {
    let (dir, name) = parent(&root, path)?;
    let umask = crate::cred::set_umask(0);
    let dev = rx::makedev(node.major, node.minor);
    let made = rx::mknodat(&dir, name, node.kind, Mode::from_raw_mode(mode), dev);
    crate::cred::set_umask(umask);
    match made {
        Ok(()) if owner == (0, 0) => return Ok(()),
        Ok(()) => {}
        Err(rustix::io::Errno::EXIST) => {
            let there = open(&root, path, OFlags::PATH)?;
            return if node.is(there)? { Ok(()) } else { Err(Errno(libc::EEXIST)) };
        }
        Err(e) => return Err(e.into()),
    }
    let file = rx::openat(&dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if !node.is(&file)? {
        return Err(Errno(libc::EEXIST));
    }
    let (uid, gid) = (rx::Uid::from_raw(owner.0), rx::Gid::from_raw(owner.1));
    Ok(rx::chownat(&file, "", Some(uid), Some(gid), rx::AtFlags::EMPTY_PATH)?)
}

/// A target for a bind mount within the root, which must not be there yet.
pub fn make_new(root: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let (dir, name) = parent(&root, path)?;
    rx::mknodat(&dir, name, FileType::RegularFile, Mode::empty(), 0)?;
    Ok(rx::openat(&dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// An O_PATH handle of any file on the host. `nofollow`: of a link, the link itself.
pub fn handle(path: &Path, nofollow: bool) -> Result<OwnedFd> {
    let link = if nofollow { OFlags::NOFOLLOW } else { OFlags::empty() };
    Ok(rx::open(path, OFlags::PATH | OFlags::CLOEXEC | link, Mode::empty())?)
}

/// Opens what a handle stands for, for reading and writing.
pub fn reopen(fd: impl AsFd) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rx::open(fd_path(&fd), flags, Mode::empty())?)
}

/// Permissions of an open file.
pub fn mode(fd: impl AsFd) -> Result<u32> {
    Ok(rx::fstat(fd)?.st_mode & 0o7777)
}

/// Whether a handle, of a file of a proc, is that proc's root.
pub fn is_proc_root(fd: impl AsFd) -> Result<bool> {
    Ok(rx::fstat(fd)?.st_ino == crate::procfs::ROOT)
}

/// Whether a handle stands for a regular file with nothing in it.
pub fn is_empty_file(fd: impl AsFd) -> Result<bool> {
    let stat = rx::fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0)
}

/// Whether a handle stands for a directory.
pub fn is_dir(fd: impl AsFd) -> Result<bool> {
    Ok(FileType::from_raw_mode(rx::fstat(fd)?.st_mode) == FileType::Directory)
}

/// Removes a tree that lies wholly on device `dev`, through directory handles: no symbolic link is
/// followed, a mount within it is EXDEV. Gone meanwhile is fine.
pub fn remove_tree(path: &Path, dev: u64) -> Result<()> {
    remove_at(rx::CWD, path.as_os_str(), dev)
}

/// As [`remove_tree`], by name in a directory.
pub fn remove_at(parent: impl AsFd, name: &OsStr, dev: u64) -> Result<()> {
    match open_dir(&parent, name) {
        Ok(dir) => empty(&dir, dev)?,
        Err(Errno(libc::ENOENT)) => return Ok(()),
        Err(e) => return Err(e),
    }
    match rx::unlinkat(&parent, name, rx::AtFlags::REMOVEDIR) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// As [`remove_tree`], but the directory itself stays.
pub fn empty_tree(path: &Path, dev: u64) -> Result<()> {
    empty(&open_dir(rx::CWD, path.as_os_str())?, dev)
}

/// One whose mode keeps its owner out is opened up: an image may have such.
fn open_dir(parent: impl AsFd, name: &OsStr) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rx::openat(&parent, name, flags, Mode::empty()) {
        Err(rustix::io::Errno::ACCESS) => {}
        other => return Ok(other?),
    }
    let handle = rx::openat(&parent, name, flags | OFlags::PATH, Mode::empty())?;
    rx::chmod(fd_path(&handle), Mode::RWXU)?;
    Ok(rx::openat(&parent, name, flags, Mode::empty())?)
}

/// Levels that are gone down by calling oneself: each takes two descriptors.
const DEEP: usize = 16;

/// What lies deeper than that is moved up, until nothing does.
fn empty(top: &OwnedFd, dev: u64) -> Result<()> {
    loop {
        let mut moved = 0;
        clear(top, top, dev, 0, &mut moved)?;
        if moved == 0 {
            return Ok(());
        }
    }
}

fn clear(dir: &OwnedFd, top: &OwnedFd, dev: u64, level: usize, moved: &mut u64) -> Result<()> {
    if rx::fstat(dir)?.st_dev != dev {
        return Err(Errno(libc::EXDEV));
    }
    for entry in entries(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_dir = entry.file_type() == FileType::Directory;
        let how = if is_dir { rx::AtFlags::REMOVEDIR } else { rx::AtFlags::empty() };
        match unlink(dir, name, how) {
            Ok(()) | Err(Errno(libc::ENOENT)) => continue,
            Err(Errno(libc::ENOTEMPTY | libc::EEXIST)) => {}
            Err(e) => return Err(e),
        }
        let name = OsStr::from_bytes(name.to_bytes());
        // Another process may be removing the same tree.
        let below = match open_dir(dir, name) {
            Err(Errno(libc::ENOENT)) => continue,
            below => below?,
        };
        if level == DEEP {
            // A name that nothing there has: what was moved before may still be there.
            loop {
                *moved += 1;
                let to = format!(".moved-{}-{moved}", std::process::id());
                match rx::renameat_with(dir, name, top, to, rx::RenameFlags::NOREPLACE) {
                    Err(rustix::io::Errno::EXIST) => {}
                    Err(rustix::io::Errno::NOENT) => break,
                    other => break other?,
                }
            }
            continue;
        }
        clear(&below, top, dev, level + 1, moved)?;
        match rx::unlinkat(dir, name, rx::AtFlags::REMOVEDIR) {
            Err(rustix::io::Errno::NOENT) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Reading opens the directory once more by `.`, for which its owner may lack the right to search it.
fn entries(dir: &OwnedFd) -> Result<rx::Dir> {
    match rx::Dir::read_from(dir) {
        Err(rustix::io::Errno::ACCESS) => {}
        other => return Ok(other?),
    }
    rx::fchmod(dir, Mode::RWXU)?;
    Ok(rx::Dir::read_from(dir)?)
}

fn unlink(dir: &OwnedFd, name: &CStr, how: rx::AtFlags) -> Result<()> {
    match rx::unlinkat(dir, name, how) {
        Err(rustix::io::Errno::ACCESS) => {}
        other => return Ok(other?),
    }
    rx::fchmod(dir, Mode::RWXU)?;
    Ok(rx::unlinkat(dir, name, how)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_tree_goes() {
        let random: [u8; 8] = crate::io::random().unwrap();
        let top = std::env::temp_dir().join(format!("stave-inroot-{:x}", u64::from_ne_bytes(random)));
        std::fs::create_dir(&top).unwrap();
        let mut at = root(&top).unwrap();
        for _ in 0..5000 {
            rx::mkdirat(&at, "d", Mode::RWXU).unwrap();
            rx::mknodat(&at, "f", FileType::RegularFile, Mode::RWXU, 0).unwrap();
            at = rx::openat(&at, "d", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        }
        let dev = rx::fstat(&at).unwrap().st_dev;
        remove_tree(&top, dev).unwrap();
        assert!(!top.exists());
        remove_tree(&top, dev).unwrap();
    }
}
