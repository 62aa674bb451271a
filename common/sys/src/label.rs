//! Labels of Linux Security Modules: what a process is taken for once it has exec'd.

use crate::{Errno, Result, inroot};
use rustix::fs::{self as rx, Mode, OFlags, ResolveFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What confines by labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Profiles by name; apparmor(7).
    AppArmor,
    /// Contexts `user:role:type:level`; selinux(8).
    Selinux,
}

impl Module {
    /// Whether this kernel runs it.
    pub fn is_on(self) -> bool {
        match self {
            Module::AppArmor => std::fs::read("/sys/module/apparmor/parameters/enabled")
                .is_ok_and(|text| text.first() == Some(&b'Y')),
            Module::Selinux => Path::new("/sys/fs/selinux/enforce").exists(),
        }
    }
}

/// The label that the caller has from its next execve(2) on; in force or an error. ENOSYS: the kernel
/// does not run this module.
pub fn on_exec(module: Module, label: &str) -> Result<()> {
    if !module.is_on() {
        return Err(Errno(libc::ENOSYS));
    }
    match module {
        Module::Selinux => own_attr("attr/exec", label),
        Module::AppArmor => match own_attr("attr/apparmor/exec", &format!("exec {label}")) {
            // Before Linux 5.8 it has no directory of its own.
            Err(Errno(libc::ENOENT)) => own_attr("attr/exec", &format!("exec {label}")),
            other => other,
        },
    }
}

fn own_attr(name: &str, text: &str) -> Result<()> {
    let own = Path::new("thread-self").join(name);
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let fd = rx::openat2(proc()?, &own, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty(), how)?;
    crate::io::write_all(fd, text.as_bytes())
}

/// The root of a procfs that is one: /proc belongs to the container by now, which could have put
/// something else there, or over a part of it, that takes the label and does nothing
/// (CVE-2019-16884). Nothing below may be mounted upon: RESOLVE_NO_XDEV sees to that.
fn proc() -> Result<OwnedFd> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    const ROOT_INODE: u64 = 1;
    let fd = inroot::root(Path::new("/proc"))?;
    let real = rx::fstatfs(fd.as_fd())?.f_type as i64 == PROC_SUPER_MAGIC
        && rx::fstat(fd.as_fd())?.st_ino == ROOT_INODE;
    if real { Ok(fd) } else { Err(Errno(libc::EXDEV)) }
}
