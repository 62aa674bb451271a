//! The kernel's own /proc, whatever lies at that path: a container may have put a directory of its
//! own there, or a mount over one file (CVE-2025-52881).

use crate::{Errno, Result, mount};
use rustix::fs::{self as rx, Mode, OFlags, ResolveFlags};
use rustix::mount as rxm;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// PROC_ROOT_INO of linux/proc_ns.h: the root of a whole proc, and nothing else.
pub(crate) const ROOT: u64 = 1;

/// Writes to a file by its path below /proc. EXDEV: /proc is not the kernel's here, or something is
/// mounted over the file, and the caller may not mount one of his own.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    crate::io::write_all(open(path, flags)?, text.as_bytes())
}

/// Opens a file by its path below /proc. No mount is crossed and no magic link followed.
pub fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    match there().and_then(|proc| below(proc, path, flags)) {
        // A proc for the caller alone, which nobody can mount over.
        Err(Errno(libc::EXDEV)) => below(private().map_err(|_| Errno(libc::EXDEV))?, path, flags),
        other => other,
    }
}

fn below(proc: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    Ok(rx::openat2(proc, path, flags | OFlags::CLOEXEC, Mode::empty(), how)?)
}

/// What is at /proc, if it is one.
fn there() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = rx::open("/proc", flags, Mode::empty()).map_err(|_| Errno(libc::EXDEV))?;
    if mount::magic_of(&proc)? == mount::PROC && rx::fstat(&proc)?.st_ino == ROOT {
        return Ok(proc);
    }
    Err(Errno(libc::EXDEV))
}

fn private() -> Result<OwnedFd> {
    let fs = rxm::fsopen("proc", rxm::FsOpenFlags::FSOPEN_CLOEXEC)?;
    rxm::fsconfig_create(&fs)?;
    let none = rxm::MountAttrFlags::empty();
    Ok(rxm::fsmount(&fs, rxm::FsMountFlags::FSMOUNT_CLOEXEC, none)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_files_and_no_way_out() {
        assert!(open(Path::new("self/status"), OFlags::RDONLY).is_ok());
        assert!(open(Path::new("thread-self/comm"), OFlags::RDONLY).is_ok());
        for out in ["self/root/etc", "self/cwd", "self/fd/0", "../etc/passwd"] {
            assert!(open(Path::new(out), OFlags::RDONLY).is_err(), "{out}");
        }
    }
}
