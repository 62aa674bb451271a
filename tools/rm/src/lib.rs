//! Takes containers away, with all that they left.
#![forbid(unsafe_code)]

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Host, bundle, freezer};
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
    cli::each("rm", &words.containers, |word| {
        if words.dry_run { show(word, &host) } else { one(word, words, &host).map(|()| format!("{word}\n")) }
    })
}

/// What would be undone, as shell.
fn show(word: &str, host: &Host) -> Result<String> {
    let id = state::find(&host.roots, word)?;
    let doc = state::read(&host.roots, &id).ok();
    let steps = bundle::everything(&id, doc.as_ref(), host);
    Ok(steps.iter().rev().filter_map(|s| s.act.show_undo()).map(|line| line + "\n").collect())
}

fn one(word: &str, words: &Words, host: &Host) -> Result<()> {
    let id = match state::find(&host.roots, word) {
        Err(_) if words.force => return Ok(()),
        other => other?,
    };
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
            // A frozen process of v1 ends only once it is let go on.
            if let Ok(doc) = state::read(&host.roots, &id) {
                freezer::thaw(host, &state::cgroup(&id, &doc))?;
            }
            sys::process::ended(&fd, 10_000)?;
        }
    }
    bundle::remove(&id, host)
}
