//! Namespaces (namespaces(7)): make, pin, join.

use crate::{Errno, Result};
use nix::sched::CloneFlags;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The clone(2) flag of a namespace by its OCI name.
pub fn flag(kind: &str) -> Result<CloneFlags> {
    Ok(match kind {
        "mount" => CloneFlags::CLONE_NEWNS,
        "pid" => CloneFlags::CLONE_NEWPID,
        "network" => CloneFlags::CLONE_NEWNET,
        "ipc" => CloneFlags::CLONE_NEWIPC,
        "uts" => CloneFlags::CLONE_NEWUTS,
        "user" => CloneFlags::CLONE_NEWUSER,
        "cgroup" => CloneFlags::CLONE_NEWCGROUP,
        "time" => CloneFlags::from_bits_retain(0x80),
        _ => return Err(Errno(libc::EINVAL)),
    })
}

/// The file below /proc/PID/ns of a namespace by its OCI name.
pub fn proc_name(kind: &str) -> &str {
    match kind {
        "mount" => "mnt",
        "network" => "net",
        other => other,
    }
}

/// unshare(2) of one namespace.
pub fn unshare(kind: &str) -> Result<()> {
    Ok(nix::sched::unshare(flag(kind)?)?)
}

/// setns(2) into the namespace that a file pins; it must be of that kind.
pub fn join(kind: &str, path: &Path) -> Result<()> {
    // What is no namespace may be anything, a FIFO that nobody writes to.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    Ok(nix::sched::setns(file.as_fd(), flag(kind)?)?)
}

/// setns(2) into several namespaces of a process, in this order. By the files below /proc, since a
/// pidfd cannot be opened by a child that already is in another pid namespace; all are opened
/// before the first is joined.
pub fn join_process(pid: i32, kinds: &[String]) -> Result<()> {
    let open = |kind: &String| File::open(format!("/proc/{pid}/ns/{}", proc_name(kind)));
    let files = kinds.iter().map(open).collect::<std::io::Result<Vec<_>>>()?;
    for (file, kind) in files.iter().zip(kinds) {
        nix::sched::setns(file.as_fd(), flag(kind)?)?;
    }
    Ok(())
}

/// Makes a namespace and pins it at `path` with a bind mount; the caller stays where it was.
/// Post-condition: `path` is an nsfs mount. Not for mount and pid: they cannot be pinned so.
pub fn pin(kind: &str, path: &Path) -> Result<()> {
    within_new(kind, || {
        File::options().create(true).truncate(false).write(true).mode(0o444).open(path)?;
        let own = format!("/proc/thread-self/ns/{}", proc_name(kind));
        let flags = nix::mount::MsFlags::MS_BIND;
        Ok(nix::mount::mount(Some(own.as_str()), path, None::<&str>, flags, None::<&str>)?)
    })
}

fn within_new<T>(kind: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
    back_after(kind, || {
        unshare(kind)?;
        act()
    })
}

/// Runs `act` in the namespace pinned at `path` (of the calling thread's own where `None`), and
/// comes back.
pub fn within<T>(kind: &str, path: Option<&Path>, act: impl FnOnce() -> Result<T>) -> Result<T> {
    match path {
        None => act(),
        Some(path) => back_after(kind, || {
            join(kind, path)?;
            act()
        }),
    }
}

/// The same of one that is held open.
pub fn within_file<T>(kind: &str, file: &File, act: impl FnOnce() -> Result<T>) -> Result<T> {
    back_after(kind, || {
        nix::sched::setns(file.as_fd(), flag(kind)?)?;
        act()
    })
}

/// A namespace to come back to.
pub struct Home {
    kind: String,
    file: File,
}

impl Home {
    /// The one of this kind that the calling thread is in, or for pid and time its children to be.
    pub fn of(kind: &str) -> Result<Home> {
        let name = if kind == "pid" { "pid_for_children" } else { proc_name(kind) };
        let file = File::open(format!("/proc/thread-self/ns/{name}"))?;
        Ok(Home { kind: kind.into(), file })
    }

    /// Post-condition: the calling thread is in it again.
    pub fn back(&self) -> Result<()> {
        Ok(nix::sched::setns(self.file.as_fd(), flag(&self.kind)?)?)
    }
}

fn back_after<T>(kind: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let home = Home::of(kind)?;
    let result = act();
    home.back()?;
    result
}

/// Runs `act` in the mount namespace of a process, at its root, and comes back to the caller's own
/// root and working directory.
pub fn in_tree_of<T>(pid: i32, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let theirs = File::open(format!("/proc/{pid}/ns/mnt"))?;
    in_other_tree(|| {
        nix::sched::setns(theirs.as_fd(), CloneFlags::CLONE_NEWNS)?;
        act()
    })
}

/// The same in a new one, from which nothing comes out, and which goes then.
pub fn in_tree_apart<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    in_other_tree(|| {
        unshare("mount")?;
        crate::mount::propagate(Path::new("/"), "rprivate")?;
        act()
    })
}

fn in_other_tree<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    let (root, cwd) = (crate::inroot::root(Path::new("/"))?, crate::inroot::root(Path::new("."))?);
    let result = back_after("mount", act);
    nix::unistd::fchdir(&root)?;
    nix::unistd::chroot(".")?;
    nix::unistd::fchdir(&cwd)?;
    result
}

/// Whether the caller is in another user namespace than the machine's first (linux/proc_ns.h).
pub fn in_user_namespace() -> bool {
    use std::os::unix::fs::MetadataExt;
    const FIRST: u64 = 0xEFFF_FFFD;
    std::fs::metadata("/proc/thread-self/ns/user").is_ok_and(|m| m.ino() != FIRST)
}

/// sethostname(2).
pub fn set_hostname(name: &str) -> Result<()> {
    Ok(nix::unistd::sethostname(name)?)
}

/// setdomainname(2): the NIS domain, in the caller's uts namespace.
pub fn set_domainname(name: &str) -> Result<()> {
    // SAFETY: the kernel reads as many bytes as it is told there are.
    Errno::check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }.into()).map(drop)
}

/// Brings a network interface up in the caller's network namespace (netdevice(7), SIOCSIFFLAGS).
pub fn link_up(name: &str) -> Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: ifreq is plain data, for which all zeroes is a value.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= req.ifr_name.len() {
        return Err(Errno(libc::ENODEV));
    }
    for (to, from) in req.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: both requests read and write one ifreq, which lives as long as the calls.
    unsafe {
        Errno::check(libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFFLAGS as _, &mut req).into())?;
        req.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        Errno::check(libc::ioctl(fd.as_raw_fd(), libc::SIOCSIFFLAGS as _, &mut req).into())?;
    }
    Ok(())
}
