//! Stops all processes of containers by the freezer of their cgroups, until `stave resume`.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Host, freezer};

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
        freezer::one(&host, word, true, words.dry_run).with_context(|| format!("pause {word}"))
    })
}
