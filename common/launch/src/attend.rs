//! Who stays with a process until it has ended: signals on, terminal through, orphans reaped.

use crate::{Child, Denials};
use anyhow::{Context, Result};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::io::Signals;
use sys::{process, tty};

/// Signals that a foreground parent hands on.
const FORWARD: [i32; 8] = [1, 2, 3, 10, 12, 15, 18, 28]; // HUP INT QUIT USR1 USR2 TERM CONT WINCH
/// And those that a runtime does besides: ALRM VTALRM PROF IO PWR.
const MORE: [i32; 5] = [14, 26, 27, 29, 30];
const CHLD: i32 = 17;
const WINCH: i32 = 28;

/// Takes the signals before the clone, so that none is lost between it and the watch.
pub fn signals() -> Result<Signals> {
    Signals::take(&FORWARD).context("take signals")
}

/// As [`signals`], all that a runtime hands on; `reap`: and those of its children.
pub fn all_signals(reap: bool) -> Result<Signals> {
    let mut all = [&FORWARD[..], &MORE[..]].concat();
    all.extend(reap.then_some(CHLD));
    Signals::take(&all).context("take signals")
}

/// How a runtime stays with a process.
pub struct Attend {
    /// The process has a terminal of its own: what is read from stdin goes there, and what comes from
    /// there to stdout.
    pub terminal: bool,
    /// Other children are reaped too.
    pub reap: bool,
}

/// Waits for the end of a process that was started, by the caller's own streams.
pub fn attend(child: &mut Child, signals: &mut Signals, how: Attend) -> Result<process::Exit> {
    let terminal = how.terminal.then(Terminal::of_streams).transpose()?;
    until_exit(child, signals, terminal.as_ref(), how.reap)
}

/// The terminal that one of the caller's streams is, else its controlling one.
fn callers_terminal() -> Option<File> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let mut streams = [stderr.as_fd(), stdout.as_fd(), stdin.as_fd()].into_iter();
    match streams.find(|fd| tty::is_tty(fd)) {
        Some(fd) => fd.try_clone_to_owned().map(File::from).ok(),
        None => File::options().read(true).write(true).open("/dev/tty").ok(),
    }
}

/// Rows and columns of the caller's terminal: a process that it will be joined to begins with them.
pub fn callers_size() -> Option<(u16, u16)> {
    callers_terminal().and_then(tty::size)
}

/// The caller's terminal, joined to the container's.
pub(crate) struct Terminal {
    /// Put back when this is dropped; where nothing typed is handed on, the keys stay the terminal's
    /// own, and ^C a signal.
    _raw: Option<tty::Raw>,
    /// Whose size the container's has; `None`: there is no terminal, only streams.
    tty: Option<File>,
    from: File,
    to: File,
    /// Whether what is typed goes to the workload.
    input: bool,
}

impl Terminal {
    /// Puts the terminal into raw mode if it is to be read.
    pub(crate) fn enter(tty: File, input: bool) -> Result<Terminal> {
        let raw = || tty::Raw::enter(tty.try_clone()?).map_err(anyhow::Error::from);
        let raw = input.then(raw).transpose().context("put the terminal into raw mode")?;
        let (from, to) = (tty.try_clone()?, tty.try_clone()?);
        Ok(Terminal { _raw: raw, tty: Some(tty), from, to, input })
    }

    /// The caller's standard streams, and the terminal that one of them is, else the controlling one.
    /// With neither the bytes go through as they are.
    fn of_streams() -> Result<Terminal> {
        let copy = |fd: BorrowedFd| fd.try_clone_to_owned().map(File::from);
        let tty = callers_terminal();
        let raw = |t: &File| tty::Raw::enter_input(t.try_clone()?).map_err(anyhow::Error::from);
        let raw = tty.as_ref().map(raw).transpose().context("put the terminal into raw mode")?;
        Ok(Terminal {
            _raw: raw,
            tty,
            from: copy(std::io::stdin().as_fd())?,
            to: copy(std::io::stdout().as_fd())?,
            input: true,
        })
    }

    fn resize(&self, master: &OwnedFd) {
        if let Some(tty) = &self.tty {
            tty::copy_size(tty, master);
        }
    }
}

/// Waits for the end of pid 1; hands on signals and the terminal's bytes.
pub(crate) fn until_exit(
    child: &mut Child,
    signals: &mut Signals,
    terminal: Option<&Terminal>,
    reap: bool,
) -> Result<process::Exit> {
    if let (Some(t), Some(master)) = (terminal, &child.master) {
        t.resize(master);
    }
    // Once the workload has closed its terminal, or the caller's has ended, they are read no more:
    // such a descriptor is always ready.
    let (mut output, mut input) = (terminal.is_some(), terminal.is_some_and(|t| t.input));
    let mut ended = None;
    loop {
        let mut fds: Vec<(BorrowedFd, bool)> = vec![(child.pidfd.as_fd(), false), (signals.as_fd(), false)];
        let (mut master_at, mut tty_at, mut denials_at) = (usize::MAX, usize::MAX, usize::MAX);
        if let Some(fd) = child.denials.as_ref().and_then(Denials::fd) {
            denials_at = fds.len();
            fds.push((fd, false));
        }
        if let (Some(t), Some(master)) = (terminal, &child.master) {
            if output {
                master_at = fds.len();
                fds.push((master.as_fd(), false));
            }
            if input {
                tty_at = fds.len();
                fds.push((t.from.as_fd(), false));
            }
        }
        let ready = sys::io::poll(&fds, -1)?;
        let is = |i: usize| ready.get(i).copied().unwrap_or(false);
        let (over, asked) = (is(0), is(denials_at));
        if is(1) {
            while let Some((number, by_kernel)) = signals.waiting()? {
                if number == CHLD {
                    // One signal may stand for several; none is lost that way.
                    while let (true, Some((pid, exit))) = (reap, process::reap()) {
                        ended = ended.or((pid == child.pid).then_some(exit));
                    }
                    continue;
                }
                if by_kernel && !process::apart(child.pid) {
                    continue; // the terminal has sent it to the whole group
                }
                if let (WINCH, Some(t), Some(master)) = (number, terminal, &child.master) {
                    t.resize(master);
                } else {
                    let _ = process::signal(&child.pidfd, number);
                }
            }
        }
        if let (Some(t), Some(master)) = (terminal, &child.master) {
            if is(master_at) && !over {
                output = pump(master, &t.to);
            }
            if is(tty_at) {
                input = pump(&t.from, master);
            }
        }
        if let (true, Some(denials)) = (asked, &mut child.denials) {
            denials.answer();
        }
        if over {
            let exit = match ended {
                Some(exit) => exit,
                None => process::wait(child.pid).context("wait for the process")?,
            };
            let exit = child.denials.as_ref().map_or(exit, |d| d.end(child.pid, exit));
            if let (Some(t), Some(master)) = (terminal, &child.master) {
                drain(master, &t.to);
            }
            return Ok(exit);
        }
    }
}

/// What one read gives; `false` at the end.
fn pump(from: impl AsFd, to: impl AsFd) -> bool {
    let mut buf = [0; 8192];
    match sys::io::read(from, &mut buf) {
        Ok(n) if n > 0 => sys::io::write_all(to, &buf[..n]).is_ok(),
        _ => false,
    }
}

/// What the terminal still holds after its process has ended: EIO once it is empty.
fn drain(master: &OwnedFd, to: &File) {
    while sys::io::poll(&[(master.as_fd(), false)], 0).is_ok_and(|r| r[0]) && pump(master, to) {}
}
