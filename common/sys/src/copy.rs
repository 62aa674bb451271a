//! A copy of a directory's content, through directory handles: no symbolic link is followed.

use crate::Result;
use rustix::fs::{self as rx, AtFlags, FileType, Mode, OFlags};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);

/// What `from` holds appears in `to`, with owners, modes and times; `to` gets the owner and the times
/// of `from`, and keeps its own mode, which its mount has. Sockets, which nobody would answer, are left
/// out. Both may be O_PATH handles.
pub fn tree(from: impl AsFd, to: impl AsFd) -> Result<()> {
    let to = contents(to)?;
    let mode = rx::fstat(&to)?.st_mode;
    directory(&contents(from)?, &to)?;
    Ok(rx::fchmod(&to, Mode::from_raw_mode(mode))?)
}

fn contents(dir: impl AsFd) -> Result<OwnedFd> {
    Ok(rx::openat(dir, ".", OPEN | OFlags::DIRECTORY, Mode::empty())?)
}

fn directory(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    for entry in rx::Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(from, to, name)?;
        }
    }
    let st = rx::fstat(from)?;
    rx::fchown(to, Some(owner(&st)), Some(group(&st)))?;
    rx::fchmod(to, Mode::from_raw_mode(st.st_mode))?;
    Ok(rx::futimens(to, &times(&st))?)
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<()> {
    let st = rx::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(st.st_mode);
    let mode = Mode::from_raw_mode(st.st_mode);
    match kind {
        FileType::Directory => {
            rx::mkdirat(to, name, Mode::RWXU)?;
            let flags = OPEN | OFlags::DIRECTORY;
            let source = rx::openat(from, name, flags, Mode::empty())?;
            return directory(&source, &rx::openat(to, name, flags, Mode::empty())?);
        }
        FileType::RegularFile => {
            let mut source = File::from(rx::openat(from, name, OPEN, Mode::empty())?);
            let flags = OPEN | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let mut copy = File::from(rx::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
            std::io::copy(&mut source, &mut copy)?;
        }
        FileType::Symlink => rx::symlinkat(rx::readlinkat(from, name, Vec::new())?, to, name)?,
        FileType::Socket => return Ok(()),
        _ => rx::mknodat(to, name, kind, mode, st.st_rdev)?,
    }
    rx::chownat(to, name, Some(owner(&st)), Some(group(&st)), AtFlags::SYMLINK_NOFOLLOW)?;
    if kind != FileType::Symlink {
        rx::chmodat(to, name, mode, AtFlags::empty())?;
    }
    Ok(rx::utimensat(to, name, &times(&st), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn owner(st: &rx::Stat) -> rx::Uid {
    rx::Uid::from_raw(st.st_uid)
}

fn group(st: &rx::Stat) -> rx::Gid {
    rx::Gid::from_raw(st.st_gid)
}

fn times(st: &rx::Stat) -> rx::Timestamps {
    // The types differ from one architecture to another.
    macro_rules! at {
        ($seconds:expr, $nanos:expr) => {
            rx::Timespec { tv_sec: $seconds.try_into().unwrap_or_default(), tv_nsec: $nanos as _ }
        };
    }
    rx::Timestamps {
        last_access: at!(st.st_atime, st.st_atime_nsec),
        last_modification: at!(st.st_mtime, st.st_mtime_nsec),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn content_modes_and_links_come_along() {
        let random: [u8; 8] = crate::io::random().unwrap();
        let top = std::env::temp_dir().join(format!("stave-copy-{:x}", u64::from_ne_bytes(random)));
        let (from, to) = (top.join("from"), top.join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("a/b/file"), "text").unwrap();
        fs::set_permissions(from.join("a/b/file"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(from.join("a"), fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("/etc", from.join("link")).unwrap();
        let open = |p: &std::path::Path| crate::inroot::root(p).unwrap();
        tree(open(&from), open(&to)).unwrap();
        assert_eq!(fs::read(to.join("a/b/file")).unwrap(), b"text");
        assert_eq!(fs::metadata(to.join("a/b/file")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::metadata(to.join("a")).unwrap().mode() & 0o7777, 0o1777);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), std::path::Path::new("/etc"));
        fs::remove_dir_all(&top).unwrap();
    }
}
