//! This program, run from something that nobody can write to.
//!
//! A process of ours that a container can see, or that a container's program turned into (its
//! `/proc/self/exe` as program, as `#!` interpreter, as ELF loader), names our file by its `exe`
//! link. Through that link a container with root's rights could write to the program on the host
//! (CVE-2019-5736). So whoever clones into a container first runs again from a bind mount of its
//! own file that is read-only and belongs to no mount namespace: neither open(2) nor mount(2) nor
//! mount_setattr(2) can make it writable again, and it shares the file's pages. Where mounts are
//! not allowed, from a sealed memfd(2).

use crate::{Errno, Result};
use rustix::fs::{AtFlags, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::mount as rx;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const SELF: &str = "/proc/self/exe";

/// The path of the program goes along in the environment until [`seal`] takes it out: a detached
/// mount has no path. It says where the siblings lie, never whether this process is sealed.
const ORIGIN: &str = "STAVE_PROGRAM";

const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Post-condition: the file that /proc/self/exe of this process names cannot be written to by way
/// of it, or not by anybody of this process's user. Runs this program again where it has to, so it
/// is called before anything else is done, by a process of one thread.
pub fn seal() -> Result<()> {
    let exe = std::fs::read_link(SELF)?;
    let origin = std::env::var_os(ORIGIN);
    if origin.is_some() {
        // SAFETY: the caller has one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(ORIGIN) };
    }
    if is_sealed(&exe)? {
        if let Some(origin) = origin {
            name_after(&origin);
            let _ = PROGRAM.set(origin.into());
        }
        return Ok(());
    }
    if origin.is_some() {
        // It has been run again already: to do so once more would go on for ever.
        return Err(Errno(libc::ELOOP));
    }
    if is_anothers()? {
        return Ok(());
    }
    let args: Vec<OsString> = std::env::args_os().collect();
    // Not allowed to mount, or not known to the kernel (mount_setattr: Linux 5.12): a copy.
    let fd = detached(Path::new(SELF)).or_else(|_| copied(&exe))?;
    Err(exec(&fd, &exe, &args))
}

/// Runs a program of ours, of which it is known that it will seal itself, sealed from the start:
/// one exec fewer. Comes back only with an error; the program then has to be run as it is.
pub fn exec_sealed(program: &Path, args: &[OsString]) -> Errno {
    match detached(program) {
        Ok(fd) => exec(&fd, program, args),
        Err(e) => e,
    }
}

/// What this program runs from; `None`: from its file, which is another user's.
pub fn sealed_by() -> Option<&'static str> {
    let exe = std::fs::read_link(SELF).ok().filter(|exe| is_sealed(exe) == Ok(true))?;
    Some(if exe == Path::new("/") {
        "a mount of its own that is read-only"
    } else {
        "a sealed copy in memory"
    })
}

/// Where this program lies, whatever it runs from.
pub fn program() -> std::io::Result<PathBuf> {
    match PROGRAM.get() {
        Some(path) => Ok(path.clone()),
        None => std::env::current_exe(),
    }
}

/// What cannot be forged: a detached mount alone shows a file as `/`, and only its own superblock
/// and mount say that it is read-only; only a memfd has seals.
fn is_sealed(exe: &Path) -> Result<bool> {
    if exe == Path::new("/") {
        return Ok(rustix::fs::statvfs(SELF)?.f_flag.contains(StatVfsMountFlags::RDONLY));
    }
    if !exe.as_os_str().as_bytes().starts_with(b"/memfd:") {
        return Ok(false);
    }
    let file = File::open(SELF)?;
    Ok(rustix::fs::fcntl_get_seals(&file).is_ok_and(|s| s.contains(SEALS)))
}

/// An ordinary user's containers have no more rights on the file than the user.
fn is_anothers() -> Result<bool> {
    let euid = crate::cred::euid();
    if euid == 0 || std::fs::metadata(SELF)?.uid() == euid {
        return Ok(false);
    }
    let write = rustix::fs::Access::WRITE_OK;
    Ok(rustix::fs::accessat(rustix::fs::CWD, SELF, write, AtFlags::EACCESS).is_err())
}

fn exec(fd: &OwnedFd, origin: &Path, args: &[OsString]) -> Errno {
    let variable = |(name, value): (OsString, OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let own = (OsString::from(ORIGIN), origin.as_os_str().to_owned());
    let argv = args.iter().map(|a| CString::new(a.as_bytes())).collect::<std::result::Result<Vec<_>, _>>();
    let envp = std::env::vars_os().chain([own]).map(variable).collect::<std::result::Result<Vec<_>, _>>();
    let (Ok(argv), Ok(envp)) = (argv, envp) else { return Errno(libc::EINVAL) };
    match nix::unistd::execveat(fd, c"", &argv, &envp, nix::fcntl::AtFlags::AT_EMPTY_PATH) {
        Ok(never) => match never {},
        Err(e) => e.into(),
    }
}

/// The file on a mount of its own, read-only, in no mount namespace. It is opened once more by its
/// path, so that the handle which holds the mount's namespace is gone before anybody could see it.
fn detached(program: &Path) -> Result<OwnedFd> {
    let how = rx::OpenTreeFlags::OPEN_TREE_CLONE | rx::OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rx::open_tree(rustix::fs::CWD, program, how)?;
    let attr =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is an empty C string, the struct lives over the call and its size is given.
    Errno::check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            std::mem::size_of::<libc::mount_attr>(),
        )
    })?;
    let path = crate::inroot::fd_path(tree.as_fd());
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// A copy in memory that is never written again.
fn copied(origin: &Path) -> Result<OwnedFd> {
    let name = origin.file_name().unwrap_or_default();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match rustix::fs::memfd_create(name, flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 there was no flag for it.
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        other => other?,
    };
    let from = File::open(SELF)?;
    let mut left = usize::try_from(from.metadata()?.len()).unwrap_or(usize::MAX);
    while left > 0 {
        match rustix::fs::sendfile(&fd, &from, None, left)? {
            0 => return Err(Errno(libc::EIO)),
            n => left -= n,
        }
    }
    rustix::fs::fcntl_add_seals(&fd, SEALS)?;
    Ok(fd)
}

/// What `ps` shows: older kernels name a process that was run by descriptor after its number.
fn name_after(origin: &OsStr) {
    if let Some(Ok(name)) = Path::new(origin).file_name().map(|n| CString::new(n.as_bytes())) {
        let _ = rustix::thread::set_name(&name);
    }
}
