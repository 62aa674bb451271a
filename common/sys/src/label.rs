//! Labels of Linux Security Modules: what a process is taken for once it has exec'd.

use crate::{Errno, Result, procfs};
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

/// /proc belongs to the container by now, which could have put something else there, or over a part of
/// it, that takes the label and does nothing (CVE-2019-16884).
fn own_attr(name: &str, text: &str) -> Result<()> {
    procfs::write(&Path::new("thread-self").join(name), text)
}
