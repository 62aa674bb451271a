//! Credentials (credentials(7), capabilities(7)).

use crate::{Errno, Result};
use nix::unistd::{Gid, Uid};

/// Names by number, from 0 (linux/capability.h).
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The sets of capset(2) and prctl(2), each a mask by number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Caps {
    /// In force.
    pub effective: u64,
    /// May be made effective.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
    /// Ambient.
    pub ambient: u64,
}

/// The mask of a list of names; a name that this table lacks is left out.
pub fn mask(names: &[String]) -> u64 {
    let bit = |n: &String| CAPABILITIES.iter().position(|c| c == n).map_or(0, |i| 1u64 << i);
    names.iter().map(bit).fold(0, |a, b| a | b)
}

fn prctl(op: i32, a: u64, b: u64) -> Result<i32> {
    // SAFETY: the operations used here take integers only.
    Ok(Errno::check(unsafe { libc::prctl(op, a, b, 0, 0) }.into())? as i32)
}

/// Drops from the bounding set all that the mask lacks (PR_CAPBSET_DROP).
pub fn bound(mask: u64) -> Result<()> {
    for cap in 0..64 {
        match prctl(libc::PR_CAPBSET_READ, cap, 0) {
            Err(_) => break, // beyond the kernel's last one
            Ok(1) if mask & (1 << cap) == 0 => {
                prctl(libc::PR_CAPBSET_DROP, cap, 0)?;
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Whether root's capabilities live through setresuid(2) to another user (PR_SET_KEEPCAPS).
pub fn keep_caps(keep: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0).map(drop)
}

/// Sets effective, permitted and inheritable (capset(2)), then ambient.
pub fn set_caps(caps: &Caps) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let half = |m: u64, n: u32| (m >> (32 * n)) as u32;
    let data: Vec<u32> = (0..2)
        .flat_map(|n| [half(caps.effective, n), half(caps.permitted, n), half(caps.inheritable, n)])
        .collect();
    // SAFETY: version 3 takes a header of two and data of two times three 32-bit words.
    Errno::check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) })?;
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0)?;
    // One that is not both permitted and inheritable cannot be ambient (capabilities(7)); engines ask
    // for such, and nobody makes an error of it.
    let ambient = caps.ambient & caps.permitted & caps.inheritable;
    for cap in (0..64).filter(|c| ambient & (1 << c) != 0) {
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, cap)?;
    }
    Ok(())
}

/// What the kernel knows at all: the bounding set of a process that never dropped any is this.
pub fn bounding() -> u64 {
    (0..64).filter(|c| prctl(libc::PR_CAPBSET_READ, *c, 0) == Ok(1)).fold(0, |m, c| m | 1 << c)
}

/// What this kernel knows: all that the first process of a user namespace has.
pub fn known() -> u64 {
    let known = |cap: &u64| prctl(libc::PR_CAPBSET_READ, *cap, 0).is_ok();
    (0..CAPABILITIES.len() as u64).rev().find(known).map_or(0, |last| u64::MAX >> (63 - last))
}

/// Groups, group, user, in the one order that works. -1 would mean "as it is" to the kernel.
pub fn set_user(uid: u32, gid: u32, groups: &[u32]) -> Result<()> {
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno(libc::EINVAL));
    }
    let list: Vec<Gid> = groups.iter().map(|g| Gid::from_raw(*g)).collect();
    match nix::unistd::setgroups(&list) {
        // Where none is asked for but that which it has anyway, nothing is lost.
        Err(nix::Error::EPERM) if groups.iter().all(|g| *g == gid) && groups_denied() => {}
        other => other?,
    }
    let (g, u) = (Gid::from_raw(gid), Uid::from_raw(uid));
    nix::unistd::setresgid(g, g, g)?;
    Ok(nix::unistd::setresuid(u, u, u)?)
}

/// Runs `act` with a user's rights to files in place of the caller's (setfsuid(2)).
pub fn as_fs_user<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> T {
    let (u, g) = (nix::unistd::geteuid(), nix::unistd::getegid());
    nix::unistd::setfsgid(Gid::from_raw(gid));
    nix::unistd::setfsuid(Uid::from_raw(uid));
    let result = act();
    nix::unistd::setfsuid(u);
    nix::unistd::setfsgid(g);
    result
}

/// The caller's permitted set: what it can give on.
pub fn permitted() -> Result<u64> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let mut data = [0_u32; 6];
    // SAFETY: version 3 takes a header of two and fills data of two times three 32-bit words.
    Errno::check(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) })?;
    Ok(u64::from(data[1]) | u64::from(data[4]) << 32)
}

/// PR_SET_NO_NEW_PRIVS.
pub fn no_new_privs() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

/// PR_SET_DUMPABLE: 0 hides /proc/self and refuses ptrace to the processes of a container that
/// this one is about to join.
pub fn set_dumpable(on: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, on.into(), 0).map(drop)
}

/// PR_SET_PDEATHSIG.
pub fn die_with_parent() -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0).map(drop)
}

/// prlimit(2) by the limit's OCI name, of a process; 0 is the caller. `u64::MAX` is no limit.
pub fn set_rlimit(pid: i32, name: &str, soft: u64, hard: u64) -> Result<()> {
    let what = match name {
        "RLIMIT_AS" => libc::RLIMIT_AS,
        "RLIMIT_CORE" => libc::RLIMIT_CORE,
        "RLIMIT_CPU" => libc::RLIMIT_CPU,
        "RLIMIT_DATA" => libc::RLIMIT_DATA,
        "RLIMIT_FSIZE" => libc::RLIMIT_FSIZE,
        "RLIMIT_LOCKS" => libc::RLIMIT_LOCKS,
        "RLIMIT_MEMLOCK" => libc::RLIMIT_MEMLOCK,
        "RLIMIT_MSGQUEUE" => libc::RLIMIT_MSGQUEUE,
        "RLIMIT_NICE" => libc::RLIMIT_NICE,
        "RLIMIT_NOFILE" => libc::RLIMIT_NOFILE,
        "RLIMIT_NPROC" => libc::RLIMIT_NPROC,
        "RLIMIT_RSS" => libc::RLIMIT_RSS,
        "RLIMIT_RTPRIO" => libc::RLIMIT_RTPRIO,
        "RLIMIT_RTTIME" => libc::RLIMIT_RTTIME,
        "RLIMIT_SIGPENDING" => libc::RLIMIT_SIGPENDING,
        "RLIMIT_STACK" => libc::RLIMIT_STACK,
        _ => return Err(Errno(libc::EINVAL)),
    };
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the kernel reads one struct; no old value is asked for.
    let done = unsafe { libc::prlimit64(pid, what, &raw const limit, std::ptr::null_mut()) };
    Errno::check(done.into()).map(drop)
}

/// The caller becomes root, in no other group, of the user namespace that it is in. Where a namespace
/// denies setgroups(2), the groups stay that it came with: to leave one could give it more rights.
pub fn become_root() -> Result<()> {
    match nix::unistd::setgroups(&[]) {
        Err(nix::Error::EPERM) if groups_denied() => {}
        other => other?,
    }
    let (g, u) = (Gid::from_raw(0), Uid::from_raw(0));
    nix::unistd::setresgid(g, g, g)?;
    Ok(nix::unistd::setresuid(u, u, u)?)
}

/// Whether the user namespace that the caller is in denies setgroups(2) (user_namespaces(7)).
fn groups_denied() -> bool {
    std::fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"deny"))
}

/// Whether the caller, by its effective ids and its rights, may execute a file (faccessat(2), AT_EACCESS).
pub fn may_execute(path: impl rustix::path::Arg) -> Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    Ok(accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// Whether the caller may write to a directory or file (faccessat(2), AT_EACCESS).
pub fn may_write(path: &std::path::Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// The caller's effective group id.
pub fn egid() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// The caller's effective user id.
pub fn euid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// umask(2); gives the one before.
pub fn set_umask(mask: u32) -> u32 {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask)).bits()
}
