//! run: create and start in one, and wait for the end unless detached.

use crate::Engine;
use crate::container::Container;
use crate::making::{Made, Making};
use crate::{delete, start, started};
use anyhow::{Context, Result};
use clap::Args;
use launch::Attend;

/// The words of `run`.
#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    making: Making,
    /// Do not wait for its end
    #[arg(short = 'd', long)]
    detach: bool,
    /// Keep the container after its end
    #[arg(long)]
    keep: bool,
    /// The container
    pub id: String,
}

/// The verb.
pub fn run(container: &Container, words: &Run, engine: &Engine) -> Result<u8> {
    let mut made = Made::begin(container, &words.making, engine, words.detach)?;
    if !words.detach {
        started::size_as_caller(&mut made.doc)?;
    }
    let reap = !words.detach && !words.making.no_subreaper;
    if reap {
        sys::process::subreaper().context("adopt the container's orphans")?;
    }
    let mut signals = if words.detach { launch::signals()? } else { launch::all_signals(reap)? };
    let mut steps = made.plan(launch::init)?;
    if !words.detach {
        started::plain_terminal(&mut steps);
    }
    started::look_up_first(&mut steps);
    let listening = made.listen()?;
    let mut child = made.finish(steps, &mut signals, launch::start)?;
    start::poststart(container, &made.doc, &made.look, child.pid)
        .map_err(|e| started::in_words(e, "run", &made.doc))?;
    let (doc, look) = made.unlock();
    if words.detach {
        if let Some(listening) = listening {
            listening.pass_on(child.pid, &child.pidfd);
        }
        return Ok(0);
    }
    if let Some(listening) = listening {
        // This process is the one to look after, and goes on meanwhile.
        let process = child.pidfd.try_clone().context("watch the process")?;
        std::thread::spawn(move || {
            listening.pass_on(sys::process::pid(), &process);
            listening.hear_out(&process);
        });
    }
    let exit = launch::attend(&mut child, &mut signals, Attend { terminal: doc.terminal(), reap });
    if !words.keep || exit.is_err() {
        let _lock = container.lock().ok();
        if exit.is_err() {
            delete::end(container)?;
        }
        if container.exists() {
            delete::remove_seen(container, &doc, &look)?;
        }
    }
    Ok(exit?.status() as u8)
}
