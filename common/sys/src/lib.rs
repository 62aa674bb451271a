//! System calls, named as the kernel names them. The only crate with unsafe code; it knows neither
//! JSON nor any path of ours. nix where it has the call, rustix where nix lacks it, libc where both do.
#![allow(unsafe_code)]

pub mod bpf;
pub mod cgroup;
pub mod copy;
pub mod cred;
#[cfg(all(target_arch = "x86_64", target_env = "gnu", target_feature = "crt-static"))]
mod entry;
mod errno;
pub mod extract;
pub mod files;
pub mod inroot;
pub mod io;
pub mod keyring;
pub mod label;
pub mod mount;
pub mod netlink;
pub mod ns;
pub mod process;
pub mod procfs;
pub mod sched;
pub mod seal;
pub mod seccomp;
pub mod tty;
pub mod usage;
pub mod walk;

pub use errno::{Errno, Result};

/// The numbers that callers tell apart.
pub use libc::{
    EACCES, EAGAIN, EBADF, EBUSY, ECONNREFUSED, EEXIST, EINVAL, EIO, ELOOP, ENODATA, ENODEV, ENOENT, ENOSYS,
    ENOTDIR, ENOTTY, EOPNOTSUPP, EPERM, EPIPE, EROFS, ESRCH, ETIMEDOUT, EXDEV,
};

/// open(2): a FIFO or a device does not make the caller wait.
pub use libc::{O_NOFOLLOW, O_NONBLOCK};
