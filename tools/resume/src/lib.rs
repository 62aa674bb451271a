//! Lets all processes of containers go on that `stave pause` has stopped.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Host, freezer};

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
        freezer::one(&host, word, false, words.dry_run).with_context(|| format!("resume {word}"))
    })
}
