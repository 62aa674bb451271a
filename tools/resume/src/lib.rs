//! Lets all processes of containers go on that `stave pause` has stopped.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::{Host, freezer};
use state::Record;
use step::Fault;

/// Let the processes of paused containers go on
#[derive(Parser, Debug)]
#[command(name = "stave-resume", version)]
pub struct Words {
    /// Show the steps as shell that can be run, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Containers, by name or id
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// The main of `stave resume`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    cli::each("resume", &words.containers, |word| {
        one(word, words.dry_run, &host).with_context(|| format!("resume {word}"))
    })
}

fn one(word: &str, dry_run: bool, host: &Host) -> Result<String> {
    let id = state::find(&host.roots, word)?;
    let _lock = state::lock(&host.roots, &id)?;
    let cgroup = state::cgroup(&id, &state::read(&host.roots, &id)?);
    // One that ended while it was paused leaves its cgroup so.
    if !host.is_frozen(&cgroup) && Record::read(&host.roots, &id)?.and_then(|r| r.running()).is_none() {
        bail!("it does not run");
    }
    let act = freezer::act(host, &cgroup, false)?;
    if dry_run {
        return Ok(act.show() + "\n");
    }
    act.make().map_err(|e| Fault::new(&act, e))?;
    Ok(format!("{word}\n"))
}
