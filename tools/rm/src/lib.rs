//! Takes containers away, with all that they left.
#![forbid(unsafe_code)]

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Host, bundle};
use state::Record;

/// Take containers away, with all that they left
#[derive(Parser, Debug)]
#[command(name = "stave-rm", version)]
pub struct Words {
    /// End it first if it runs; a container that is not there is fine
    #[arg(short, long)]
    force: bool,
    /// Show the steps as shell that can be run, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Containers, by name or id
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// The main of `stave rm`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let mut status = 0;
    for word in &words.containers {
        match one(word, words, &host) {
            Ok(()) if words.dry_run => {}
            Ok(_) => cli::print(&format!("{word}\n"))?,
            Err(e) => {
                cli::say("rm", &cli::line(&e));
                status = 1;
            }
        }
    }
    Ok(status)
}

fn one(word: &str, words: &Words, host: &Host) -> Result<()> {
    let id = match state::find(&host.roots, word) {
        Err(_) if words.force => return Ok(()),
        other => other?,
    };
    if words.dry_run {
        let doc = state::read(&host.roots, &id).ok();
        for s in bundle::everything(&id, doc.as_ref(), host).iter().rev() {
            if let Some(line) = s.act.show_undo() {
                cli::print(&format!("{line}\n"))?;
            }
        }
        return Ok(());
    }
    let _lock = match state::lock(&host.roots, &id) {
        // Somebody else took it away, or a crash left less than a container.
        Err(_) if !host.roots.bundle(&id).exists() => return bundle::remove(&id, host),
        other => other?,
    };
    let record = Record::read(&host.roots, &id).ok().flatten();
    if let Some(record) = record
        && let Some(pid) = record.running()
    {
        if !words.force {
            bail!("rm {word}: it runs, as process {pid}; end it first, or rm -f");
        }
        let fd = sys::process::pidfd(pid)?;
        if record.running().is_some() {
            sys::process::signal(&fd, 9)?;
            sys::process::ended(&fd, 10_000)?;
        }
        // Its parent may still be writing the end down.
        for _ in 0..200 {
            if record.monitor().is_none_or(|p| p == sys::process::pid()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    bundle::remove(&id, host)
}
