//! Processes: clone3(2), pidfds, exec, wait, signals.

use crate::{Errno, Result};
use nix::sched::CloneFlags;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// SIGKILL.
pub const KILL: i32 = libc::SIGKILL;

/// The two sides of a clone.
pub enum Side {
    /// In the child.
    Child,
    /// In the parent: the child's pid and its pidfd (close-on-exec).
    Parent(i32, OwnedFd),
}

/// clone3(2) without CLONE_VM: as fork(2), into new namespaces, into a cgroup v2 where given.
///
/// # Safety
/// The caller must have one thread only: in the child no other exists, so a lock held by one (the
/// allocator's, say) would never be released.
pub unsafe fn clone3(namespaces: CloneFlags, cgroup: Option<BorrowedFd>) -> Result<Side> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: i32 = -1;
    // SAFETY: clone_args is plain data, for which all zeroes is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces.bits() as u64 | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    // A sibling's signal is its parent's own (clone(2), CLONE_PARENT).
    let sibling = namespaces.bits() & libc::CLONE_PARENT != 0;
    args.exit_signal = if sibling { 0 } else { libc::SIGCHLD as u64 };
    if let Some(fd) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = fd.as_raw_fd() as u64;
    }
    // SAFETY: args lives over the call; without CLONE_VM both sides go on with memory of their own.
    let pid = Errno::check(unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut args, std::mem::size_of::<libc::clone_args>())
    });
    let pid = match pid {
        // A filter that cannot look into clone_args says that there is no such call. The older one has
        // the stack second and the pidfd third everywhere but on s390.
        Err(Errno(libc::ENOSYS)) if cgroup.is_none() => {
            let flags = args.flags | args.exit_signal;
            // SAFETY: as above: no stack of its own, no CLONE_VM; the pidfd is stored where it is read.
            Errno::check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) })?
        }
        other => other?,
    };
    if pid == 0 {
        return Ok(Side::Child);
    }
    // SAFETY: CLONE_PIDFD stored a new descriptor, which nobody else owns.
    Ok(Side::Parent(pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// A child of the caller: a plain fork. Same condition as [`clone3`], which callers of this crate
/// meet by having one thread.
pub fn fork() -> Result<Side> {
    // SAFETY: the tools have one thread at every call of this function.
    match unsafe { clone3(CloneFlags::empty(), None) } {
        // In a container: its flags lie where no seccomp filter can look, so that call is not there.
        Err(Errno(libc::ENOSYS)) => {}
        other => return other,
    }
    // SAFETY: as above.
    let pid = Errno::check(unsafe { libc::fork() }.into())? as i32;
    if pid == 0 { Ok(Side::Child) } else { Ok(Side::Parent(pid, pidfd(pid)?)) }
}

/// execve(2); comes back only with an error.
pub fn exec(path: &std::ffi::CStr, args: &[CString], env: &[CString]) -> Errno {
    match nix::unistd::execve(path, args, env) {
        Ok(never) => match never {},
        Err(e) => e.into(),
    }
}

/// close_range(2): every descriptor from `first` on gets close-on-exec.
pub fn cloexec_from(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: only flags of descriptors change, none is closed.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    Errno::check(done).map(drop)
}

/// Default action for every signal and none blocked, as an exec'd program expects. Rust ignores
/// SIGPIPE, and an ignored signal stays ignored over exec.
pub fn default_signals() {
    use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
    // struct sigaction as the kernel has it: SIG_DFL, no flags, no mask are all zero.
    let default = [0_u64; 4];
    for number in 1..=64_u64 {
        // By the bare call: the C library keeps 32 and 33 to itself, and a caller may have them
        // ignored. KILL and STOP are EINVAL.
        // SAFETY: the kernel reads one struct, no longer than `default`; SIG_DFL is no handler, so
        // there is no code that could run at a bad moment.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), 0, 8) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// From here on these signals end the calling process with 128+n, also where it is the first of a pid
/// namespace: to such a one the default action is none (pid_namespaces(7)). They are let through.
pub fn end_by(numbers: &[i32]) -> Result<()> {
    extern "C" fn end(number: i32) {
        exit_now(128 + number);
    }
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let mut set = SigSet::empty();
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    for number in numbers {
        let signal = Signal::try_from(*number)?;
        // SAFETY: the handler makes one system call, _exit(2), which is safe at any moment.
        unsafe { sigaction(signal, &action)? };
        set.add(signal);
    }
    Ok(set.thread_unblock()?)
}

/// These signals wait from here on.
pub fn block(numbers: &[i32]) -> Result<()> {
    use nix::sys::signal::{SigSet, Signal};
    let signals = numbers.iter().map(|n| Signal::try_from(*n)).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(SigSet::from_iter(signals).thread_block()?)
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Exit {
    /// exit(3) with this status.
    Code(i32),
    /// A signal's number.
    Signal(i32),
}

impl Exit {
    /// The status that a shell gives: 128+n for a signal.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(c) => c,
            Exit::Signal(s) => 128 + s,
        }
    }
}

/// waitid(2) for one child by pid, blocking.
pub fn wait(pid: i32) -> Result<Exit> {
    use nix::sys::wait::{WaitStatus, waitpid};
    loop {
        match waitpid(nix::unistd::Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Exit::Signal(signal as i32)),
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Reaps a child that has ended, without blocking: (pid, how). `None`: none has, or there is none.
pub fn reap() -> Option<(i32, Exit)> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(pid, code)) => Some((pid.as_raw(), Exit::Code(code))),
        Ok(WaitStatus::Signaled(pid, signal, _)) => Some((pid.as_raw(), Exit::Signal(signal as i32))),
        _ => None,
    }
}

/// PR_SET_CHILD_SUBREAPER: orphans below the caller become its children.
pub fn subreaper() -> Result<()> {
    // SAFETY: the operation takes integers only.
    let done = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    Errno::check(done.into()).map(drop)
}

/// The caller becomes leader of a process group of its own (setpgid(2)).
pub fn lead_group() -> Result<()> {
    let own = nix::unistd::Pid::from_raw(0);
    Ok(nix::unistd::setpgid(own, own)?)
}

/// How a process ended, asked of its pidfd after it was reaped (PIDFD_GET_INFO, Linux 6.15); for
/// a process that is no child of the caller's.
pub fn exit_of(pidfd: impl AsFd) -> Option<Exit> {
    const GET_INFO: libc::c_ulong = 0xc040_ff0b; // _IOWR(0xff, 11, 64 bytes)
    const INFO_EXIT: u64 = 1 << 3;
    // struct pidfd_info (linux/pidfd.h), first version: mask, cgroupid, 11 words, exit_code.
    let mut info = [0_u64; 8];
    info[0] = INFO_EXIT;
    // SAFETY: the request's size says 64 bytes, which `info` has.
    let done = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), GET_INFO as _, info.as_mut_ptr()) };
    if done < 0 || info[0] & INFO_EXIT == 0 {
        return None;
    }
    let status = (info[7] >> 32) as u32 as i32;
    Some(if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    })
}

/// Whether whoever started this process has it ignore a signal (nohup(1), a job in a shell's
/// background), sigaction(2).
pub fn is_ignored(number: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing changes; the kernel fills the struct, of which all zeros are a valid value.
    let action = unsafe {
        libc::sigaction(number, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// pidfd_open(2).
pub fn pidfd(pid: i32) -> Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno(libc::ESRCH))?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// pidfd_getfd(2): a descriptor of another process as one of ours, close-on-exec. EBADF: it has none
/// of that number.
pub fn descriptor_of(pidfd: impl AsFd, number: i32) -> Result<OwnedFd> {
    use rustix::process::{PidfdGetfdFlags, pidfd_getfd};
    Ok(pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty())?)
}

/// pidfd_send_signal(2) by number; 0 only asks whether the process is there.
pub fn signal(pidfd: impl AsFd, number: i32) -> Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: no siginfo is passed; the rest are integers.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, 0, 0) };
    Errno::check(done).map(drop)
}

/// Whether the process behind a pidfd is still running, or becomes so within the time
/// (milliseconds; -1: forever). A pidfd is readable once its process has ended.
pub fn ended(pidfd: impl AsFd, timeout: i32) -> Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    loop {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::NONE);
        match poll(&mut fds, timeout) {
            Ok(n) => return Ok(n > 0),
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Start time in clock ticks since boot (proc_pid_stat(5), field 22): with it a pid names one
/// process for good. A zombie counts as gone.
pub fn start_time(pid: i32) -> Result<u64> {
    // One read; the name in it may be any bytes.
    let mut stat = [0; 2048];
    let n = crate::io::read(std::fs::File::open(format!("/proc/{pid}/stat"))?, &mut stat)?;
    let stat = String::from_utf8_lossy(&stat[..n]);
    let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return Err(Errno(libc::ESRCH));
    }
    fields.nth(18).and_then(|f| f.parse().ok()).ok_or(Errno(libc::ESRCH))
}

/// The number of a signal by name (with or without SIG, any case) or by number.
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(n) = text.parse::<i32>() {
        return (0..=64).contains(&n).then_some(n);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    if let Some(rt) = name.strip_prefix("SIGRTMIN") {
        return if rt.is_empty() { Some(34) } else { rt.parse::<i32>().ok().map(|n| 34 + n) };
    }
    name.parse::<nix::sys::signal::Signal>().ok().map(|s| s as i32)
}

/// The name without SIG, for messages.
pub fn signal_name(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(s) => s.as_str().trim_start_matches("SIG").to_owned(),
        Err(_) => number.to_string(),
    }
}

/// setsid(2).
pub fn setsid() -> Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Whether the caller leads its session.
pub fn leads_session() -> bool {
    nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid())
}

/// Whether a process is in another process group than the caller.
pub fn apart(pid: i32) -> bool {
    let own = nix::unistd::getpgrp();
    nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).is_ok_and(|g| g != own)
}

/// Whether this kernel is of that version or a later one (uname(2)).
pub fn kernel_is(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    let text = name.release().to_string_lossy();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

/// The caller's pid.
pub fn pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// Ends the calling process at once, without running destructors or atexit handlers: for a child
/// whose memory is a copy of its parent's.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) never returns and touches no memory.
    unsafe { libc::_exit(code) }
}

/// [`clone3`] into new namespaces by their OCI names. The caller has one thread (see there).
pub fn clone_into(namespaces: &[String], cgroup: Option<BorrowedFd>) -> Result<Side> {
    let mut flags = CloneFlags::empty();
    for kind in namespaces {
        flags |= crate::ns::flag(kind)?;
    }
    // SAFETY: the tools have one thread at every call of this function.
    unsafe { clone3(flags, cgroup) }
}

/// As [`clone_into`], but the new process is the caller's sibling (CLONE_PARENT): who started the
/// caller waits for it.
pub fn clone_beside(namespaces: &[String], cgroup: Option<BorrowedFd>) -> Result<Side> {
    let mut flags = CloneFlags::from_bits_retain(libc::CLONE_PARENT);
    for kind in namespaces {
        flags |= crate::ns::flag(kind)?;
    }
    // SAFETY: the tools have one thread at every call of this function.
    unsafe { clone3(flags, cgroup) }
}

/// The program that `command` starts begins as others do: no signal is blocked or ignored, whatever is
/// in the caller.
pub fn begins_clean(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt;
    let clean = || {
        default_signals();
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls and allocates nothing.
    unsafe { command.pre_exec(clean) }
}

/// The program that `command` starts gets SIGTERM when the thread that starts it ends, however that
/// ends (PR_SET_PDEATHSIG).
pub fn ends_with_us(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt;
    let parent = std::process::id();
    let set = move || {
        // SAFETY: takes no pointers.
        let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0) };
        // SAFETY: cannot fail.
        let now = unsafe { libc::getppid() };
        match done {
            0 if now.cast_unsigned() == parent => Ok(()),
            // It ended before.
            0 => Err(std::io::Error::from_raw_os_error(libc::ESRCH)),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(set) }
}
