//! An nsenter that knows the document: the caller's own program, user and rights, in some or all
//! of a container's namespaces and in its cgroup.
#![forbid(unsafe_code)]

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Drive, Driver, Host};
use doc::Doc;
use launch::{Enter, Foreground, Look};
use state::Record;
use step::Watch;

/// Enter some or all of a container's namespaces and its cgroup, then run a command
#[derive(Parser, Debug)]
#[command(name = "stave-join", version)]
pub struct Words {
    #[command(flatten)]
    drive: Drive,
    /// The mount namespace
    #[arg(short = 'm', long, help_heading = "What to enter [default: all]")]
    mount: bool,
    /// The uts namespace: host name
    #[arg(short = 'u', long, help_heading = "What to enter [default: all]")]
    uts: bool,
    /// The ipc namespace
    #[arg(short = 'i', long, help_heading = "What to enter [default: all]")]
    ipc: bool,
    /// The network namespace
    #[arg(long, visible_alias = "network", help_heading = "What to enter [default: all]")]
    net: bool,
    /// The pid namespace
    #[arg(short = 'p', long, help_heading = "What to enter [default: all]")]
    pid: bool,
    /// The cgroup namespace
    #[arg(short = 'C', long, help_heading = "What to enter [default: all]")]
    cgroup: bool,
    /// The cgroup itself: its limits
    #[arg(short = 'c', long, help_heading = "What to enter [default: all]")]
    join_cgroup: bool,
    /// A container, by name or id
    container: String,
    /// The command [default: the caller's shell]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The main of `stave join`.
pub fn run(words: &Words) -> Result<u8> {
    let host = Host::gather()?;
    let id = state::find(&host.roots, &words.container)?;
    let container = state::read(&host.roots, &id)?;
    let running = Record::read(&host.roots, &id)?.and_then(|r| r.running());
    let Some(pid) = running else { bail!("join {}: it does not run", words.container) };
    let asked = [
        ("mount", words.mount),
        ("uts", words.uts),
        ("ipc", words.ipc),
        ("network", words.net),
        ("pid", words.pid),
        ("cgroup", words.cgroup),
    ];
    let some = words.join_cgroup || asked.iter().any(|(_, yes)| *yes);
    let has: Vec<String> = container.namespaces()?.into_iter().map(|n| n.kind).collect();
    if let Some((kind, _)) = asked.iter().find(|(kind, yes)| *yes && !has.iter().any(|h| h == kind)) {
        bail!("join {}: its {kind} namespace is the host's", words.container);
    }
    let kinds =
        has.into_iter().filter(|k| !some || asked.iter().any(|(kind, yes)| *yes && kind == k)).collect();
    let joins = !some || words.join_cgroup;
    if joins && host.is_frozen(&state::cgroup(&id, &container)) {
        bail!("join {0}: it is paused (stave resume {0})", words.container);
    }
    let enter = Enter { pid, kinds, cgroup: joins, as_container: false, traced: false };
    // Only the command: all else stays the caller's.
    let mut doc = Doc::default();
    doc.set("/process/args", command(&words.command))?;
    let steps = launch::enter(&doc, &Look::now(&container, &host)?, &enter)?;
    if words.drive.dry_run > 0 {
        cli::print(&launch::show(&steps))?;
        return Ok(0);
    }
    let mut driver = Driver::new("join", &words.drive)?;
    driver.expect(steps.len());
    let watch: Option<&mut dyn Watch> = if driver.watches() { Some(&mut driver) } else { None };
    let stdio = [None, None, None];
    let how = Foreground { steps: &steps, stdio, terminal: false, input: true, watch, tell: None };
    Ok(launch::foreground(how, |_| Ok(()))?.status() as u8)
}

fn command(words: &[String]) -> Vec<String> {
    if words.is_empty() {
        return vec![std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into())];
    }
    words.to_vec()
}
