//! Single steps by hand: what `-n` prints where shell has no word. Several are done in order, in
//! this process; the last may be an exec.
#![forbid(unsafe_code)]

use anyhow::Result;
use clap::Parser;
use cli::{Drive, Driver};
use step::{Act, Step};

/// Do single steps, each given as JSON
#[derive(Parser, Debug)]
#[command(name = "stave-step", version)]
pub struct Words {
    #[command(flatten)]
    drive: Drive,
    /// Undo them, the last first
    #[arg(long)]
    undo: bool,
    /// One step, as -n prints it
    #[arg(required = true, value_name = "JSON", value_parser = act)]
    steps: Vec<Act>,
}

fn act(text: &str) -> Result<Act, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// The main of `stave step`.
pub fn run(words: &Words) -> Result<u8> {
    let steps: Vec<Step> = words.steps.iter().cloned().map(Step::parent).collect();
    if words.drive.dry_run > 0 {
        let lines = words.steps.iter().rev().filter_map(Act::show_undo).map(|l| l + "\n");
        let text = if words.undo { lines.collect() } else { cli::show(&steps) };
        return cli::print(&text).map(|()| 0);
    }
    if words.undo {
        return cli::undo_all(&steps).map(|()| 0);
    }
    Driver::new("step", &words.drive)?.run(&steps)?;
    Ok(0)
}
