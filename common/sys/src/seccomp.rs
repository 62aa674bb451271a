//! Filters of system calls (seccomp(2), seccomp_unotify(2)).

use crate::{Errno, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// `struct sock_filter`: code, jt, jf, k.
pub type Insn = (u16, u8, u8, u32);

/// The verdict by which a listener is asked.
pub const ASK: u32 = 0x7fc0_0000;

/// Loads a filter for this process and those that it starts; with `listen`, gives the descriptor
/// (close-on-exec) on which [`ASK`] arrives. EACCES: neither no_new_privs nor CAP_SYS_ADMIN.
pub fn load(filter: &[Insn], flags: u32, listen: bool) -> Result<Option<OwnedFd>> {
    let insn = |(code, jt, jf, k): &Insn| libc::sock_filter { code: *code, jt: *jt, jf: *jf, k: *k };
    let mut insns: Vec<libc::sock_filter> = filter.iter().map(insn).collect();
    let len = u16::try_from(insns.len()).map_err(|_| Errno(libc::EINVAL))?;
    let program = libc::sock_fprog { len, filter: insns.as_mut_ptr() };
    let listener = if listen { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    let flags = libc::c_ulong::from(flags) | listener;
    // SAFETY: the program and its instructions live across the call, which only reads them.
    let fd =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    Errno::check(fd)?;
    // SAFETY: with a listener asked for the kernel has just made this descriptor for us.
    Ok(listen.then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) }))
}

/// A call that a filter asks about. The thread that makes it waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// What the answer names.
    pub id: u64,
    /// The thread, as the reader sees it; 0: from outside of its pid namespace.
    pub thread: i32,
    /// Number of the call.
    pub number: u32,
    /// AUDIT_ARCH_*.
    pub arch: u32,
    /// Its arguments.
    pub args: [u64; 6],
}

/// Whether a call waits to be asked about; `None`: nobody is left whom the filter holds.
pub fn waiting(listener: impl AsFd) -> Option<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    let got = fds[0].revents().unwrap_or(PollFlags::empty());
    let call = got.contains(PollFlags::POLLIN);
    (call || !got.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)).then_some(call)
}

/// The next call that is asked about; blocks. ENOENT: the one that asked was killed meanwhile.
pub fn receive(listener: impl AsFd) -> Result<Notice> {
    // SAFETY: all zeros are a value of this struct of numbers, and what the kernel asks for.
    let mut n: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one notification into the struct that the request is made for.
    Errno::check(i64::from(unsafe {
        libc::ioctl(listener.as_fd().as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut n)
    }))?;
    let data = n.data;
    Ok(Notice {
        id: n.id,
        thread: n.pid.cast_signed(),
        number: data.nr.cast_unsigned(),
        arch: data.arch,
        args: data.args,
    })
}

/// Whether the thread still waits, so that its number is still its own.
pub fn waits(listener: impl AsFd, id: u64) -> bool {
    // SAFETY: the kernel reads one number.
    let rc = unsafe {
        libc::ioctl(listener.as_fd().as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id)
    };
    rc == 0
}

/// The call fails with this errno (0: it does nothing and succeeds).
pub fn deny(listener: impl AsFd, id: u64, errno: i32) -> Result<()> {
    answer(listener, libc::seccomp_notif_resp { id, val: 0, error: -errno, flags: 0 })
}

/// The call is made as if nobody had been asked.
pub fn go_on(listener: impl AsFd, id: u64) -> Result<()> {
    let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    answer(listener, libc::seccomp_notif_resp { id, val: 0, error: 0, flags })
}

fn answer(listener: impl AsFd, mut response: libc::seccomp_notif_resp) -> Result<()> {
    // SAFETY: the kernel reads one answer.
    Errno::check(i64::from(unsafe {
        libc::ioctl(listener.as_fd().as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response)
    }))?;
    Ok(())
}
