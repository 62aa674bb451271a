//! Pipes, sockets and descriptors.

use crate::{Errno, Result};
use rustix::net::SocketAddrUnix;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// pipe2(2), close-on-exec.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// tee(2): up to `len` bytes of what waits in one pipe appear in the other and stay in the first;
/// blocks until there is some; 0 at end of file. EINVAL: not two pipes.
pub fn tee(from: impl AsFd, to: impl AsFd, len: usize) -> Result<usize> {
    loop {
        match rustix::pipe::tee(from.as_fd(), to.as_fd(), len, rustix::pipe::SpliceFlags::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// read(2).
pub fn read(fd: impl AsFd, buf: &mut [u8]) -> Result<usize> {
    loop {
        match rustix::io::read(fd.as_fd(), &mut *buf) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// write(2) of all the bytes.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd.as_fd(), bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                poll(&[(fd.as_fd(), false)], -1)?;
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// poll(2): which of the descriptors can be read (`true`: asked for writing) within the time
/// (milliseconds, -1 forever). Interrupted counts as none.
pub fn poll(fds: &[(std::os::fd::BorrowedFd, bool)], timeout: i32) -> Result<Vec<bool>> {
    use nix::poll::{PollFd, PollFlags, PollTimeout};
    let event = |write: bool| if write { PollFlags::POLLOUT } else { PollFlags::POLLIN };
    let mut list: Vec<PollFd> = fds.iter().map(|(fd, w)| PollFd::new(*fd, event(*w))).collect();
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::NONE);
    match nix::poll::poll(&mut list, timeout) {
        Ok(_) => Ok(list.iter().map(|p| p.revents().is_some_and(|r| !r.is_empty())).collect()),
        Err(nix::Error::EINTR) => Ok(vec![false; fds.len()]),
        Err(e) => Err(e.into()),
    }
}

/// A connected pair of SOCK_SEQPACKET sockets (unix(7)): messages keep their bounds, and the end
/// of the other side is seen.
pub fn seqpacket() -> Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends one message, with a descriptor beside it where given (SCM_RIGHTS). Never raises SIGPIPE.
pub fn send(socket: impl AsFd, bytes: &[u8], fd: Option<std::os::fd::BorrowedFd>) -> Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let raw: Vec<i32> = fd.iter().map(|f| f.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage] = if raw.is_empty() { &[] } else { &rights };
    let iov = [std::io::IoSlice::new(bytes)];
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &iov, control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(nix::Error::EINTR) => {}
            other => return other.map(drop).map_err(Errno::from),
        }
    }
}

/// Receives one message and the descriptor that came with it; an empty message is end of file.
pub fn recv(socket: impl AsFd) -> Result<(Vec<u8>, Option<OwnedFd>)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::FromRawFd;
    let mut buf = vec![0; 8192];
    let mut space = nix::cmsg_space!([i32; 1]);
    loop {
        let mut iov = [std::io::IoSliceMut::new(&mut buf)];
        let fd = socket.as_fd().as_raw_fd();
        let got = match recvmsg::<()>(fd, &mut iov, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::Error::EINTR) => continue,
            Err(nix::Error::ECONNRESET) => return Ok((Vec::new(), None)),
            other => other?,
        };
        let mut passed = None;
        for message in got.cmsgs().map_err(Errno::from)? {
            if let ControlMessageOwned::ScmRights(fds) = message {
                for fd in fds {
                    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
                    passed = Some(unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
        }
        let n = got.bytes;
        buf.truncate(n);
        return Ok((buf, passed));
    }
}

/// The number that the next descriptor of this process will have.
pub fn next_number() -> Result<i32> {
    // SAFETY: the number is of no use to anybody but the call, and what it makes is closed at once.
    let fd = Errno::check(unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) }.into())?;
    // SAFETY: made just now, known to nobody else.
    unsafe { libc::close(fd as i32) };
    Ok(fd as i32)
}

/// Reads a whole regular file; what else may be there (a FIFO that nobody writes to, a device without an
/// end) is an error, and does not keep the caller.
pub fn read_file(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use std::io::{Error, ErrorKind, Read};
    use std::os::unix::fs::OpenOptionsExt;
    let file =
        std::fs::File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(Error::from_raw_os_error(libc::EISDIR));
    }
    if !meta.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default().min(1 << 20));
    (&file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A small file of /proc or a cgroup, whose size nobody knows before: `fs::read_to_string` asks for it
/// nevertheless, and then reads 32 bytes, 32, 64 and so on, each of which makes the kernel write the text anew.
pub fn text(path: impl AsRef<std::path::Path>) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::with_capacity(4096);
    std::fs::File::open(path)?.take(u64::MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// dup2(2) onto a standard stream (0, 1 or 2); the copy is inherited over exec.
pub fn onto_stdio(fd: impl AsFd, number: i32) -> Result<()> {
    match number {
        0 => rustix::stdio::dup2_stdin(fd)?,
        1 => rustix::stdio::dup2_stdout(fd)?,
        _ => rustix::stdio::dup2_stderr(fd)?,
    }
    Ok(())
}

/// The numbers of those standard streams of which something is so.
pub fn streams_that(are: impl Fn(std::os::fd::BorrowedFd) -> bool) -> Vec<i32> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let all = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    (0..).zip(all).filter(|(_, fd)| are(*fd)).map(|(n, _)| n).collect()
}

/// A file without a name (memfd_create(2)), close-on-exec.
pub fn memfd(name: &str) -> Result<std::fs::File> {
    Ok(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

/// A FIFO at a path (fifo(7)), for its owner alone.
pub fn fifo(path: &std::path::Path) -> Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

/// A connection to a stream socket at a path, as an engine opens for a console.
pub fn connect_stream(path: &std::path::Path) -> Result<OwnedFd> {
    let fd = unix_socket(rustix::net::SocketType::STREAM)?;
    in_directory(path, |short| Ok(rustix::net::connect(&fd, &SocketAddrUnix::new(short)?)?))?;
    Ok(fd)
}

/// A datagram socket that sends to the one at a path, or of an abstract name, written `@NAME`.
pub fn connect_datagram(path: &std::path::Path) -> Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;
    let fd = unix_socket(rustix::net::SocketType::DGRAM)?;
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => rustix::net::connect(&fd, &SocketAddrUnix::new_abstract_name(name)?)?,
        None => in_directory(path, |short| Ok(rustix::net::connect(&fd, &SocketAddrUnix::new(short)?)?))?,
    }
    Ok(fd)
}

/// A datagram socket at a path, where nothing may be yet.
pub fn bind_datagram(path: &std::path::Path) -> Result<OwnedFd> {
    let fd = unix_socket(rustix::net::SocketType::DGRAM)?;
    in_directory(path, |short| Ok(rustix::net::bind(&fd, &SocketAddrUnix::new(short)?)?))?;
    Ok(fd)
}

fn unix_socket(kind: rustix::net::SocketType) -> Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, socket_with};
    Ok(socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// The address of a socket holds 107 bytes of path: a longer one is named through its directory.
fn in_directory<T>(path: &std::path::Path, act: impl FnOnce(&std::path::Path) -> Result<T>) -> Result<T> {
    if path.as_os_str().len() < 108 {
        return act(path);
    }
    let dir = std::fs::File::open(path.parent().ok_or(Errno(libc::EINVAL))?)?;
    let name = path.file_name().ok_or(Errno(libc::EINVAL))?;
    act(&crate::inroot::fd_path(&dir).join(name))
}

/// Closes every descriptor from `first` on but some (close_range(2)). For a child that will never
/// run its parent's destructors: what they own is gone.
pub fn close_all_but(first: u32, keep: &[std::os::fd::BorrowedFd]) -> Result<()> {
    let mut keep: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    keep.sort_unstable();
    let mut from = first;
    for last in keep.iter().map(|fd| Some(*fd)).chain([None]) {
        let to = last.map_or(u32::MAX, |fd| fd.wrapping_sub(1));
        if from <= to && last != Some(0) {
            // SAFETY: the caller exits or execs without touching another descriptor of its parent's.
            Errno::check(unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) })?;
        }
        from = from.max(last.map_or(u32::MAX, |fd| fd + 1));
    }
    Ok(())
}

/// Gives those of the standard streams that are pipes, or with `terminal` terminals, to a user. One
/// that cannot be given stays as it is.
pub fn own_stdio(uid: u32, terminal: bool) {
    let owner = rustix::fs::Uid::from_raw(uid);
    let give = |fd: std::os::fd::BorrowedFd| {
        let pipe = kind(fd).is_ok_and(|k| k.is_fifo() || k.is_socket());
        if pipe || (terminal && crate::tty::is_tty(fd)) {
            let _ = rustix::fs::fchown(fd, Some(owner), None);
        }
    };
    give(std::io::stdin().as_fd());
    give(std::io::stdout().as_fd());
    give(std::io::stderr().as_fd());
}

/// Random bytes (getrandom(2)).
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

/// The kind of file behind a descriptor.
pub fn kind(fd: impl AsFd) -> Result<rustix::fs::FileType> {
    Ok(rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

/// A descriptor that the caller of this program passed on, by its number: a duplicate of it,
/// close-on-exec. EBADF: there is none.
pub fn inherited(number: i32) -> Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: F_DUPFD_CLOEXEC touches no memory; the descriptor that it returns is new and ours.
    unsafe {
        let fd = Errno::check(libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3).into())?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// lseek(2) relative to where the descriptor stands; the new offset.
pub fn seek_by(fd: impl AsFd, by: i64) -> Result<u64> {
    Ok(rustix::fs::seek(fd, rustix::fs::SeekFrom::Current(by))?)
}

/// flock(2), exclusive: blocks until it is ours; released when the file is closed.
pub fn lock(fd: impl AsFd) -> Result<()> {
    Ok(rustix::fs::flock(fd, rustix::fs::FlockOperation::LockExclusive)?)
}

/// flock(2), shared: blocks while somebody has it exclusive; released when the file is closed.
pub fn lock_shared(fd: impl AsFd) -> Result<()> {
    Ok(rustix::fs::flock(fd, rustix::fs::FlockOperation::LockShared)?)
}

/// Descriptors 0, 1 and 2 exist afterwards, on /dev/null where they were closed: otherwise the
/// next file opened would become somebody's standard output.
pub fn ensure_stdio() -> Result<()> {
    loop {
        let fd = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        if fd.as_raw_fd() > 2 {
            return Ok(());
        }
        std::mem::forget(fd);
    }
}

/// A signalfd (signalfd(2)) of some signals, which it blocks in the calling thread.
pub struct Signals(nix::sys::signalfd::SignalFd);

impl Signals {
    /// Blocks the signals and opens the descriptor, close-on-exec and non-blocking.
    pub fn take(numbers: &[i32]) -> Result<Signals> {
        use nix::sys::signal::{SigSet, Signal};
        use nix::sys::signalfd::{SfdFlags, SignalFd};
        let mut set = SigSet::empty();
        for n in numbers {
            set.add(Signal::try_from(*n)?);
        }
        set.thread_block()?;
        Ok(Signals(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// As [`Signals::take`], without those that whoever started this process has it ignore
    /// (nohup(1), a job in a shell's background).
    pub fn take_heeded(numbers: &[i32]) -> Result<Signals> {
        let heeded = numbers.iter().copied().filter(|n| !crate::process::is_ignored(*n));
        Signals::take(&heeded.collect::<Vec<_>>())
    }

    /// Lets them through again; one that waits acts at once.
    pub fn give_back(self, numbers: &[i32]) -> Result<()> {
        use nix::sys::signal::{SigSet, Signal};
        let mut set = SigSet::empty();
        for n in numbers {
            set.add(Signal::try_from(*n)?);
        }
        Ok(set.thread_unblock()?)
    }

    /// The next signal that waits: its number, and whether the kernel sent it (a terminal's key,
    /// not a process).
    pub fn waiting(&mut self) -> Result<Option<(i32, bool)>> {
        const SI_KERNEL: i32 = 0x80;
        Ok(self.0.read_signal()?.map(|s| (s.ssi_signo as i32, s.ssi_code == SI_KERNEL)))
    }
}

/// Signals that are held back while a question stands, and are an answer to it. Made before the
/// question is shown: who answers at once is heard. Dropped, the caller's signal mask is as before.
pub struct Held {
    signals: Signals,
    before: nix::sys::signal::SigSet,
}

impl Held {
    /// Blocks the signals from here on.
    pub fn back(numbers: &[i32]) -> Result<Held> {
        let before = nix::sys::signal::SigSet::thread_get_mask()?;
        Ok(Held { signals: Signals::take(numbers)?, before })
    }

    /// Waits until a descriptor can be read (`true`) or one of the signals comes (`false`), which
    /// is taken.
    pub fn readable(&mut self, fd: impl AsFd) -> Result<bool> {
        loop {
            let ready = poll(&[(fd.as_fd(), false), (self.signals.as_fd(), false)], -1)?;
            if ready.get(1) == Some(&true) && self.signals.waiting()?.is_some() {
                return Ok(false);
            }
            if ready.first() == Some(&true) {
                return Ok(true);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
