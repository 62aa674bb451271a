//! A run from its start to its end, recorded.

use crate::attend::{self, Terminal, signals};
use crate::{Child, Start, Stdio, Tell, start};
use anyhow::{Context, Result};
use state::{Exit, Record, Roots};
use std::fs::File;
use std::path::Path;
use step::{Act, Fault, Step, Watch};
use sys::process;

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
/// its record tells of. `oom_kills`: how many of its processes were killed for want of memory.
pub fn save_end(roots: &Roots, mut record: Record, exit: process::Exit, oom_kills: u64) -> Result<()> {
    record.stave.exit = Some(exit_record(exit, oom_kills));
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
        Ok(terminal) => attend::until_exit(&mut child, &mut signals, terminal.as_ref(), false),
        Err(e) => {
            let _ = process::signal(&child.pidfd, process::KILL);
            let _ = process::wait(child.pid);
            Err(e)
        }
    }
}

/// The end as the record holds it.
fn exit_record(exit: process::Exit, oom_kills: u64) -> Exit {
    let signal = match exit {
        process::Exit::Signal(s) => Some(s),
        process::Exit::Code(_) => None,
    };
    let cause = match signal {
        Some(process::KILL) if oom_kills > 0 => "oom",
        Some(_) => "signal",
        None => "exit",
    };
    Exit { code: exit.status(), signal, cause: cause.into(), oom_kills, at: state::now() }
}
