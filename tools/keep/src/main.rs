//! `stave-keep`: the detached end of a pipeline.

use anyhow::{Context, Result};
use clap::Parser;
use cli::{Drive, Driver, Host, bundle};
use std::process::ExitCode;

/// Start pid 1 of a container in the background, and watch over it
#[derive(Parser, Debug)]
#[command(name = "stave-keep", version)]
struct Words {
    /// A container, by name or id; without one the document is read from stdin
    container: Option<String>,
}

fn main() -> ExitCode {
    cli::tool("keep", 125, run)
}

fn run(words: Words) -> Result<u8> {
    let host = Host::gather()?;
    let mut doc = match &words.container {
        Some(word) => state::read(&host.roots, &state::find(&host.roots, word)?)?,
        None => cli::input::document()?,
    };
    let born = bundle::identify(&mut doc)?;
    let steps = bundle::steps(&doc, &host, !doc.stave_flag("rm"))?;
    Driver::new("keep", &Drive::default())?.run(&steps)?;
    let id = doc.id()?.context("the document has no id")?.to_owned();
    if let Err(e) = stave_keep::detach(&doc, &host) {
        if born {
            bundle::remove(&id, &host)?;
        } else if words.container.is_none() && host.roots.bundle(&id).is_dir() {
            let status = e.downcast_ref::<cli::Failure>().map_or(125, |f| f.status);
            cli::say("keep", &cli::line(&e));
            cli::say("keep", &format!("left: stave rm {id}"));
            return Err(cli::Failure { status, text: None }.into());
        }
        return Err(e);
    }
    cli::print(&format!("{id}\n"))?;
    Ok(0)
}
