//! Stops all processes of containers by the freezer of their cgroups, until `stave resume`.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::{Host, freezer};
use state::Record;
use step::Fault;

/// Stop all processes of containers until they are resumed
#[derive(Parser, Debug)]
#[command(name = "stave-pause", version)]
pub struct Words {
    /// Show the steps as shell that can be run, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Containers, by name or id
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// The main of `stave pause`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    cli::each("pause", &words.containers, |word| {
        one(word, words.dry_run, &host).with_context(|| format!("pause {word}"))
    })
}

fn one(word: &str, dry_run: bool, host: &Host) -> Result<String> {
    let id = state::find(&host.roots, word)?;
    // Nobody starts it or takes it away meanwhile.
    let _lock = state::lock(&host.roots, &id)?;
    if Record::read(&host.roots, &id)?.and_then(|r| r.running()).is_none() {
        bail!("it does not run");
    }
    let act = freezer::act(host, &state::cgroup(&id, &state::read(&host.roots, &id)?), true)?;
    if dry_run {
        return Ok(act.show() + "\n");
    }
    act.make().map_err(|e| Fault::new(&act, e))?;
    Ok(format!("{word}\n"))
}
