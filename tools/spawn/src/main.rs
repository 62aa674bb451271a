//! `stave-spawn`: the end of a pipeline; pid 1 in the foreground.

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Drive, Driver, Host, bundle};
use std::process::ExitCode;

/// Start pid 1 of a container in the foreground
#[derive(Parser, Debug)]
#[command(name = "stave-spawn", version)]
struct Words {
    #[command(flatten)]
    drive: Drive,
    #[command(flatten)]
    spawn: stave_spawn::Spawn,
    /// A container, by name or id; without one the document is read from stdin
    container: Option<String>,
    /// The command; without one the document's
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn main() -> ExitCode {
    cli::tool("spawn", 125, run)
}

fn run(words: Words) -> Result<u8> {
    let host = Host::gather()?;
    let mut doc = match &words.container {
        Some(word) => state::read(&host.roots, &state::find(&host.roots, word)?)?,
        None => cli::input::document()?,
    };
    let born = bundle::identify(&mut doc)?;
    let result = lead(&words, &mut doc, &host);
    let id = doc.id()?.context("the document has no id")?;
    if born && !doc.stave_flag("rm") && result.is_err() && host.roots.bundle(id).is_dir() {
        bundle::remove(id, &host)?;
    }
    // What earlier stages made is still there when this one fails.
    let spoken = |e: &anyhow::Error| e.downcast_ref::<cli::Failure>().is_some_and(|f| f.text.is_none());
    match result {
        Err(e) if !born && words.container.is_none() && host.roots.bundle(id).is_dir() && !spoken(&e) => {
            let status = e.downcast_ref::<cli::Failure>().map_or(125, |f| f.status);
            let status = if e.downcast_ref::<cli::Usage>().is_some() { 2 } else { status };
            cli::say("spawn", &cli::line(&e));
            cli::say("spawn", &format!("left: stave rm {id}"));
            Err(cli::Failure { status, text: None }.into())
        }
        other => other,
    }
}

fn lead(words: &Words, doc: &mut doc::Doc, host: &Host) -> Result<u8> {
    stave_spawn::edit(&words.spawn, &words.command, doc, host)?;
    if words.drive.dry_run > 0 {
        let look = launch::Look::now(doc, host)?;
        cli::print(&stave_spawn::show(doc, &look)?)?;
        return Ok(0);
    }
    let steps = bundle::steps(doc, host, !doc.stave_flag("rm"))?;
    Driver::new("spawn", &Drive::default())?.run(&steps)?;
    stave_spawn::foreground(
        doc,
        host,
        &stave_spawn::Foreground { name: "spawn", drive: &words.drive, interactive: true },
    )
}
