//! Pid 1 in the foreground: the end of a pipeline.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::{Args, Parser};
use cli::{Drive, Driver, Host, bundle};
use doc::Doc;
use launch::flags::{First, Process};
use launch::{Foreground, Look, Stdio};
use state::{CgroupDir, Record};
use std::fs::File;
use step::Watch;
use sys::process;

/// The flags that concern a container's first process.
#[derive(Args, Clone, Debug, Default)]
pub struct Spawn {
    #[command(flatten)]
    process: Process,
    #[command(flatten)]
    first: First,
    /// The process ends when the one that started it does
    #[arg(long, help_heading = "Process")]
    die_with_parent: bool,
}

impl Spawn {
    /// Whether everything goes once the process has ended.
    pub fn removes(&self) -> bool {
        self.first.rm
    }

    /// Whether it gets a terminal.
    pub fn terminal(&self) -> bool {
        self.process.tty
    }
}

/// Start pid 1 of a container in the foreground
#[derive(Parser, Debug)]
#[command(name = "stave-spawn", version)]
pub struct Words {
    #[command(flatten)]
    drive: Drive,
    #[command(flatten)]
    spawn: Spawn,
    /// A container, by name or id; without one the document is read from stdin
    container: Option<String>,
    /// The command; without one the document's
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The main of `stave spawn`.
pub fn run(words: &Words) -> Result<u8> {
    cli::end("spawn", words.container.as_deref(), |doc, host| lead(words, doc, host))
}

fn lead(words: &Words, doc: &mut Doc, host: &Host) -> Result<u8> {
    edit(&words.spawn, &words.command, doc, host)?;
    let steps = bundle::steps(doc, host, !doc.stave_flag("rm"))?;
    if words.drive.dry_run > 0 {
        cli::print(&cli::show(&steps))?;
        cli::print(&launch::show(&launch::init(doc, &Look::now(doc, host)?)?))?;
        return Ok(0);
    }
    let mut driver = Driver::new("spawn", &words.drive)?;
    driver.run(&steps)?;
    foreground(doc, host, &mut driver, true)
}

/// Writes what the flags and the command say into the document.
pub fn edit(flags: &Spawn, command: &[String], doc: &mut Doc, host: &Host) -> Result<()> {
    launch::flags::command(command, doc)?;
    flags.process.edit(doc, host)?;
    flags.first.edit(doc)?;
    if flags.die_with_parent {
        doc.set_stave("dieWithParent", true)?;
    }
    Ok(())
}

/// Spawns, waits, records; with `stave.rm` everything is taken away at the end, also of a start
/// that failed. `input`: what the terminal or stdin gives goes to the workload. Gives the
/// workload's status.
pub fn foreground(doc: &Doc, host: &Host, driver: &mut Driver, input: bool) -> Result<u8> {
    let id = doc.id()?.context("the document has no id")?.to_owned();
    let result = live(doc, host, &id, driver, input);
    if doc.stave_flag("rm")
        && let Err(e) = bundle::remove_alone(&id, host)
    {
        cli::say(driver.name(), &cli::line(&e));
    }
    result
}

fn live(doc: &Doc, host: &Host, id: &str, driver: &mut Driver, input: bool) -> Result<u8> {
    for warning in launch::warnings(doc, host)? {
        cli::say(driver.name(), &warning);
    }
    let lock = bundle::hold("spawn", id, doc, host)?;
    let look = Look::now(doc, host)?;
    let steps = launch::init(doc, &look)?;
    driver.expect(steps.len());
    let name = driver.name().to_owned();
    let watch: Option<&mut dyn Watch> = if driver.watches() { Some(driver) } else { None };
    let null = if input { None } else { Some(File::open("/dev/null")?.into()) };
    let stdio: Stdio = [null, None, None];
    let mut record = None;
    let before = cgroup::oom_kills(&look.cgroups);
    let tell = Some(cli::teller(&name));
    let how = Foreground { steps: &steps, stdio, terminal: doc.terminal(), input, watch, tell };
    let exit = launch::foreground(how, |child| {
        let begun = Record::new(&host.roots, id, child.pid);
        launch::save(&host.roots, &begun)?;
        launch::poststart(doc, &look, child.pid)?;
        record = Some(begun);
        drop(lock);
        Ok(())
    })?;
    let kills = cgroup::oom_kills_since(before, &look.cgroups);
    if kills > 0 {
        cli::say(&name, &want_of_memory(doc.name()?.unwrap_or(id), exit, kills, &look.cgroups));
    }
    if let (Some(record), false) = (record, doc.stave_flag("rm")) {
        launch::save_end(&host.roots, record, exit, kills)?;
    }
    Ok(exit.status() as u8)
}

/// Whom the kernel killed, and by which limit; the first process may have gone on, or not.
fn want_of_memory(container: &str, exit: process::Exit, kills: u64, cgroups: &[CgroupDir]) -> String {
    let who = match (exit, kills) {
        (process::Exit::Signal(process::KILL), _) => String::new(),
        (_, 1) => "1 process ".into(),
        (_, n) => format!("{n} processes "),
    };
    let limit = cgroup::effective(cgroups).memory.map(|l| {
        let above = !cgroups.iter().any(|d| d.path == l.dir);
        let of = if above { format!(" of {}", l.dir.display()) } else { String::new() };
        format!(" (limit {}{of})", cli::parse::human(l.value))
    });
    format!("{container}: {who}killed for want of memory{}", limit.unwrap_or_default())
}
