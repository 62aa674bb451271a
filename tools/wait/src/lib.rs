//! Blocks until containers have ended, and prints how.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use cli::Host;
use state::{Record, Roots};
use std::time::Duration;
use sys::process;

/// Wait until containers have ended, and print their exit statuses
#[derive(Parser, Debug)]
#[command(name = "stave-wait", version)]
pub struct Words {
    /// Containers, by name or id
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// The main of `stave wait`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    cli::each("wait", &words.containers, |word| Ok(format!("{}\n", one(word, &host.roots)?)))
}

fn one(word: &str, roots: &Roots) -> Result<i32> {
    let id = state::find(roots, word)?;
    end(&id, roots).with_context(|| format!("wait for {word}"))
}

fn end(id: &str, roots: &Roots) -> Result<i32> {
    let Some(record) = Record::read(roots, id)? else { bail!("it was never started") };
    if let Some(exit) = &record.stave.exit {
        return Ok(exit.code);
    }
    let Some(pid) = record.running() else { return recorded(roots, id, &record) };
    let pidfd = process::pidfd(pid)?;
    if record.running().is_none() {
        return recorded(roots, id, &record);
    }
    process::ended(&pidfd, -1)?;
    recorded(roots, id, &record).or_else(|e| match process::exit_of(&pidfd) {
        // Taken away at once (--rm): the kernel still knows.
        Some(exit) => Ok(exit.status()),
        None => Err(e),
    })
}

/// The end as its monitor writes it down, a moment after it.
fn recorded(roots: &Roots, id: &str, record: &Record) -> Result<i32> {
    loop {
        let watched = record.monitor().is_some();
        match Record::read(roots, id)? {
            Some(Record { stave: state::Run { exit: Some(exit), .. }, .. }) => return Ok(exit.code),
            Some(_) if watched => std::thread::sleep(Duration::from_millis(2)),
            Some(_) => bail!("nobody was there to see how it ended"),
            None => bail!("it was taken away"),
        }
    }
}
