//! The watch over pid 1: signals on, terminal through, exit recorded.

use crate::{Child, Denials, Start, Stdio, Tell, start};
use anyhow::{Context, Result};
use state::{Exit, Record, Roots};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use step::{Act, Fault, Step, Watch};
use sys::io::Signals;
use sys::{process, tty};

/// Signals that a foreground parent hands on.
const FORWARD: [i32; 8] = [1, 2, 3, 10, 12, 15, 18, 28]; // HUP INT QUIT USR1 USR2 TERM CONT WINCH
const WINCH: i32 = 28;

/// The caller's terminal, joined to the container's.
struct Terminal {
    /// Put back when this is dropped; where nothing typed is handed on, the keys stay the terminal's
    /// own, and ^C a signal.
    _raw: Option<tty::Raw>,
    tty: File,
    /// Whether what is typed goes to the workload.
    input: bool,
}

impl Terminal {
    /// Puts the terminal into raw mode if it is to be read.
    fn enter(tty: File, input: bool) -> Result<Terminal> {
        let raw = || tty::Raw::enter(tty.try_clone()?).map_err(anyhow::Error::from);
        let raw = input.then(raw).transpose().context("put the terminal into raw mode")?;
        Ok(Terminal { _raw: raw, tty, input })
    }
}

/// Takes the signals before the clone, so that none is lost between it and the watch.
pub fn signals() -> Result<Signals> {
    Signals::take(&FORWARD).context("take signals")
}

/// Writes the record of a run that has begun.
pub fn save(roots: &Roots, record: &Record) -> Result<()> {
    save_in(&roots.run_of(&record.id), record)
}

/// As [`save`], in a directory that is given.
pub fn save_in(dir: &Path, record: &Record) -> Result<()> {
    let acts = [
        Act::Mkdir { path: dir.to_owned(), mode: 0o711 },
        Act::Save { path: dir.join("state.json"), text: record.text(), former: None, sync: false },
    ];
    for act in acts {
        act.make().map_err(|e| Fault::new(&act, e))?;
    }
    Ok(())
}

/// Writes down how a run has ended: if the container is still there, and it is still this run that
/// its record tells of.
pub fn save_end(roots: &Roots, mut record: Record, exit: process::Exit) -> Result<()> {
    record.stave.exit = Some(exit_record(exit));
    let Ok(_lock) = state::lock(roots, &record.id) else { return Ok(()) };
    match Record::read(roots, &record.id) {
        Ok(Some(last)) if last.pid == record.pid && last.stave.started == record.stave.started => {
            save(roots, &record)
        }
        _ => Ok(()),
    }
}

/// A process in the foreground of the caller.
pub struct Foreground<'a> {
    /// The steps, with their `Clone`.
    pub steps: &'a [Step],
    /// What the workload has as its standard streams.
    pub stdio: Stdio,
    /// Whether the document asks for a terminal.
    pub terminal: bool,
    /// Whether what is typed there goes to the workload.
    pub input: bool,
    /// Who looks on.
    pub watch: Option<&'a mut dyn Watch>,
    /// Who is told of system calls that are denied, where the document asks for it.
    pub tell: Option<Tell>,
}

/// Starts a process and stays until it has ended; `began` is called once exec has happened, and
/// its error ends the process.
pub fn foreground(how: Foreground, began: impl FnOnce(&Child) -> Result<()>) -> Result<process::Exit> {
    let tty =
        || File::options().read(true).write(true).open("/dev/tty").context("open the terminal /dev/tty");
    let tty = how.terminal.then(tty).transpose()?;
    let mut signals = signals()?;
    let given = Start { stdio: how.stdio, watch: how.watch, tell: how.tell, ..Start::default() };
    let mut child = start(how.steps, given, &mut signals)?;
    let terminal = began(&child).and_then(|()| tty.map(|t| Terminal::enter(t, how.input)).transpose());
    match terminal {
        Ok(terminal) => until_exit(&mut child, &mut signals, terminal.as_ref()),
        Err(e) => {
            let _ = process::signal(&child.pidfd, process::KILL);
            let _ = process::wait(child.pid);
            Err(e)
        }
    }
}

/// Waits for the end of pid 1; hands on signals and the terminal's bytes.
fn until_exit(
    child: &mut Child,
    signals: &mut Signals,
    terminal: Option<&Terminal>,
) -> Result<process::Exit> {
    if let (Some(t), Some(master)) = (terminal, &child.master) {
        tty::copy_size(&t.tty, master);
    }
    // Once the workload has closed its terminal, or the caller's has ended, they are read no more:
    // such a descriptor is always ready.
    let (mut output, mut input) = (terminal.is_some(), terminal.is_some_and(|t| t.input));
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
                fds.push((t.tty.as_fd(), false));
            }
        }
        let ready = sys::io::poll(&fds, -1)?;
        let is = |i: usize| ready.get(i).copied().unwrap_or(false);
        let (over, asked) = (is(0), is(denials_at));
        if is(1) {
            while let Some((number, by_kernel)) = signals.waiting()? {
                if by_kernel && !process::apart(child.pid) {
                    continue; // the terminal has sent it to the whole group
                }
                if let (WINCH, Some(t), Some(master)) = (number, terminal, &child.master) {
                    tty::copy_size(&t.tty, master);
                } else {
                    let _ = process::signal(&child.pidfd, number);
                }
            }
        }
        if let (Some(t), Some(master)) = (terminal, &child.master) {
            if is(master_at) && !is(0) {
                output = pump(master, &t.tty);
            }
            if is(tty_at) {
                input = pump(&t.tty, master);
            }
        }
        if let (true, Some(denials)) = (asked, &mut child.denials) {
            denials.answer();
        }
        if over {
            let exit = process::wait(child.pid).context("wait for the process")?;
            let exit = child.denials.as_ref().map_or(exit, |d| d.end(child.pid, exit));
            if let (Some(t), Some(master)) = (terminal, &child.master) {
                drain(master, &t.tty);
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

/// The end as the record holds it.
fn exit_record(exit: process::Exit) -> Exit {
    let signal = match exit {
        process::Exit::Signal(s) => Some(s),
        process::Exit::Code(_) => None,
    };
    let cause = if signal.is_some() { "signal" } else { "exit" };
    Exit { code: exit.status(), signal, cause: cause.into(), at: state::now() }
}
