//! A signal to a container's first process, or to all its processes, through pidfds: a pid may be
//! another's by the time the signal is sent.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::{Host, bundle, freezer};
use doc::Doc;
use state::Record;
use step::{Act, Fault};
use sys::process;

/// Send a signal to containers
#[derive(Parser, Debug)]
#[command(name = "stave-kill", version)]
pub struct Words {
    /// By name or number
    #[arg(short = 's', long, default_value = "KILL", value_parser = signal)]
    signal: i32,
    /// To every process of the container's cgroup, not only the first
    #[arg(short = 'a', long)]
    all: bool,
    /// Containers, by name or id
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

fn signal(text: &str) -> Result<i32, String> {
    process::signal_number(text).ok_or_else(|| "there is no such signal".into())
}

/// The main of `stave kill`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    cli::each("kill", &words.containers, |word| one(word, words, &host).map(|()| format!("{word}\n")))
}

fn one(word: &str, words: &Words, host: &Host) -> Result<()> {
    let id = state::find(&host.roots, word)?;
    let done = if words.all { all(&id, words.signal, host) } else { first(&id, words.signal, host) };
    done.with_context(|| format!("kill {word}"))
}

/// KILL ends a paused one at once; any other signal waits until it goes on.
fn first(id: &str, signal: i32, host: &Host) -> Result<()> {
    let record = Record::read(&host.roots, id)?;
    let Some(pid) = record.as_ref().and_then(Record::running) else { bail!("it does not run") };
    let pidfd = process::pidfd(pid)?;
    // The pid was this container's after the pidfd was opened, so the pidfd is.
    if record.and_then(|r| r.running()).is_none() {
        bail!("it does not run");
    }
    process::signal(&pidfd, signal)?;
    if signal == process::KILL
        && let Ok(doc) = state::read(&host.roots, id)
    {
        freezer::thaw(host, &state::cgroup(id, &doc))?;
    }
    Ok(())
}

/// Nobody is in a cgroup that is the container's own. All end with the first where that is the first of a pid
/// namespace; who else is of it cannot be known.
fn alone(id: &str, signal: i32, doc: Option<&Doc>, host: &Host) -> Result<()> {
    if Record::read(&host.roots, id)?.and_then(|r| r.running()).is_none() {
        bail!("it has no process");
    }
    let mut spaces = doc.map(Doc::namespaces).transpose()?.unwrap_or_default().into_iter();
    if signal == process::KILL && spaces.any(|n| n.kind == "pid" && n.path.is_none()) {
        return first(id, signal, host);
    }
    bail!("it runs in no cgroup of its own: only its first process is known (kill it without --all)")
}

/// KILL is done when none is left.
fn all(id: &str, signal: i32, host: &Host) -> Result<()> {
    let doc = state::read(&host.roots, id).ok();
    let mut any = false;
    for step in bundle::everything(id, doc.as_ref(), host).into_iter().rev() {
        let Act::Members { cgroup } = &step.act else { continue };
        if signal == process::KILL {
            any |= !sys::cgroup::all_procs(cgroup).is_empty();
            step.act.undo().map_err(|e| Fault::new(&step.act, e))?;
        } else if sys::cgroup::signal(cgroup, signal) {
            return Ok(());
        }
    }
    if !any {
        return alone(id, signal, doc.as_ref(), host);
    }
    match doc {
        Some(doc) => freezer::thaw(host, &state::cgroup(id, &doc)),
        None => Ok(()),
    }
}
