//! One more process in a container that runs: as its user, with its rights, in its directory and
//! environment.
#![forbid(unsafe_code)]

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Drive, Driver, Host};
use launch::flags::Process;
use launch::{Enter, Foreground, Look};
use state::Record;
use std::fs::File;
use step::Watch;

/// Run a command in a container that runs
#[derive(Parser, Debug)]
#[command(name = "stave-exec", version)]
pub struct Words {
    #[command(flatten)]
    drive: Drive,
    #[command(flatten)]
    process: Process,
    /// Hand stdin on to the command
    #[arg(short = 'i', long, help_heading = "Process")]
    interactive: bool,
    /// A container, by name or id
    container: String,
    /// The command
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The main of `stave exec`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let id = state::find(&host.roots, &words.container)?;
    let mut doc = state::read(&host.roots, &id)?;
    let running = Record::read(&host.roots, &id)?.and_then(|r| r.running());
    let Some(pid) = running else { bail!("exec in {}: it does not run", words.container) };
    if host.is_frozen(&state::cgroup(&id, &doc)) {
        bail!("exec in {0}: it is paused (stave resume {0})", words.container);
    }
    doc.remove("/process/terminal");
    doc.set("/process/args", words.command.clone())?;
    words.process.edit(&mut doc, &host)?;
    let enter = Enter {
        pid,
        kinds: doc.namespaces()?.into_iter().map(|n| n.kind).collect(),
        cgroup: true,
        as_container: true,
        traced: launch::may_trace(&doc)?,
    };
    let steps = launch::enter(&doc, &Look::now(&doc, &host)?, &enter)?;
    if words.drive.dry_run > 0 {
        cli::print(&launch::show(&steps))?;
        return Ok(0);
    }
    let mut driver = Driver::new("exec", &words.drive)?;
    driver.expect(steps.len());
    let watch: Option<&mut dyn Watch> = if driver.watches() { Some(&mut driver) } else { None };
    let null = if words.interactive { None } else { Some(File::open("/dev/null")?.into()) };
    let how = Foreground {
        steps: &steps,
        stdio: [null, None, None],
        terminal: doc.terminal(),
        input: words.interactive,
        watch,
        tell: Some(cli::teller("exec")),
    };
    Ok(launch::foreground(how, |_| Ok(()))?.status() as u8)
}
