//! Terminals and pseudoterminals (pty(7)).

use crate::{Errno, Result, inroot};
use rustix::fs::OFlags;
use rustix::termios as rx;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

const PTMX: inroot::Node = inroot::Node { kind: rustix::fs::FileType::CharacterDevice, major: 5, minor: 2 };

/// Opens a new pair from the devpts instance below `root` (`/dev/pts/ptmx`): master, slave. The
/// slave comes from TIOCGPTPEER, so no path of the container is walked for it.
pub fn open_pair(root: &Path) -> Result<(OwnedFd, OwnedFd)> {
    let root = inroot::root(root)?;
    // Opening alone starts some devices. There may be no /proc here by which a handle could be opened: what is put
    // there in between is told afterwards.
    let ptmx = |path: &str| {
        let open = |flags| {
            let file = inroot::open(&root, Path::new(path), flags)?;
            if PTMX.is(&file)? { Ok(file) } else { Err(Errno(libc::ENODEV)) }
        };
        open(OFlags::PATH).and_then(|_| open(OFlags::RDWR | OFlags::NOCTTY))
    };
    let master = ptmx("/dev/pts/ptmx").or_else(|_| ptmx("/dev/ptmx"))?;
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int; TIOCGPTPEER takes flags and returns a new descriptor.
    let slave = unsafe {
        Errno::check(libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlock).into())?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let fd = Errno::check(libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags).into())?;
        OwnedFd::from_raw_fd(fd as i32)
    };
    Ok((master, slave))
}

/// Makes the terminal the controlling one of the caller, who must lead a session (TIOCSCTTY).
pub fn control(slave: impl AsFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    Errno::check(unsafe { libc::ioctl(slave.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) }.into()).map(drop)
}

/// Whether the descriptor is a terminal.
pub fn is_tty(fd: impl AsFd) -> bool {
    rx::isatty(fd)
}

/// Raw mode for as long as the value lives; restored when it is dropped.
pub struct Raw {
    tty: File,
    before: rx::Termios,
}

impl Raw {
    /// Puts the terminal into raw mode (termios(3), cfmakeraw).
    pub fn enter(tty: File) -> Result<Raw> {
        Raw::with(tty, |raw, _| raw.make_raw())
    }

    /// As [`Raw::enter`], but what is printed is still made lines of by this terminal.
    pub fn enter_input(tty: File) -> Result<Raw> {
        Raw::with(tty, |raw, before| {
            raw.make_raw();
            raw.output_modes = before.output_modes;
        })
    }

    fn with(tty: File, change: impl FnOnce(&mut rx::Termios, &rx::Termios)) -> Result<Raw> {
        let before = rx::tcgetattr(&tty)?;
        let mut raw = before.clone();
        change(&mut raw, &before);
        rx::tcsetattr(&tty, rx::OptionalActions::Now, &raw)?;
        Ok(Raw { tty, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = rx::tcsetattr(&self.tty, rx::OptionalActions::Now, &self.before);
    }
}

/// A terminal prints a newline as it is, without a carriage return before it (termios(3), ONLCR): another
/// one, or a file, comes after it.
pub fn plain_newlines(tty: impl AsFd) -> Result<()> {
    let mut modes = rx::tcgetattr(&tty)?;
    modes.output_modes.remove(rx::OutputModes::ONLCR);
    Ok(rx::tcsetattr(&tty, rx::OptionalActions::Now, &modes)?)
}

/// What is typed is not shown for as long as the value lives.
pub struct Hidden<'a> {
    tty: &'a File,
    before: rx::Termios,
}

impl<'a> Hidden<'a> {
    /// Clears ECHO (termios(3)); what was typed before is thrown away.
    pub fn enter(tty: &'a File) -> Result<Hidden<'a>> {
        let before = rx::tcgetattr(tty)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(rx::LocalModes::ECHO);
        rx::tcsetattr(tty, rx::OptionalActions::Flush, &hidden)?;
        Ok(Hidden { tty, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = rx::tcsetattr(self.tty, rx::OptionalActions::Now, &self.before);
    }
}

/// Gives the terminal to the caller's process group (tcsetpgrp(3)); not a terminal: nothing.
pub fn take_foreground(tty: impl AsFd) {
    use nix::sys::signal::{SigSet, Signal};
    // From a group in the background the call itself would stop the caller (SIGTTOU).
    let mut ttou = SigSet::empty();
    ttou.add(Signal::SIGTTOU);
    if ttou.thread_block().is_ok() {
        let _ = rx::tcsetpgrp(tty, rustix::process::getpgrp());
    }
}

/// Copies the window size of one terminal to another; not a terminal: nothing happens.
pub fn copy_size(from: impl AsFd, to: impl AsFd) {
    if let Ok(size) = rx::tcgetwinsize(from) {
        let _ = rx::tcsetwinsize(to, size);
    }
}

/// Sets the window size of a terminal (TIOCSWINSZ).
pub fn set_size(tty: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = rx::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rx::tcsetwinsize(tty, size)?)
}

/// Rows and columns of a terminal (TIOCGWINSZ); not a terminal: none.
pub fn size(tty: impl AsFd) -> Option<(u16, u16)> {
    rx::tcgetwinsize(tty).ok().map(|s| (s.ws_row, s.ws_col))
}
