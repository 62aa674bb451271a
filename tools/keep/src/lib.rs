//! The detached end: the parent of pid 1 once its caller has gone. It logs what the workload
//! writes and records how it ended.
#![forbid(unsafe_code)]

mod log;
mod monitor;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use cli::{Drive, Driver, Host, bundle};
use doc::Doc;
use launch::Look;
use launch::flags::{First, Process};
use step::quote;
use sys::{io, process};

/// Start pid 1 of a container in the background, and watch over it
#[derive(Parser, Debug)]
#[command(name = "stave-keep", version)]
pub struct Words {
    #[command(flatten)]
    drive: Drive,
    #[command(flatten)]
    process: Process,
    #[command(flatten)]
    first: First,
    /// A container, by name or id; without one the document is read from stdin
    container: Option<String>,
    /// The command; without one the document's
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The main of `stave keep`.
pub fn run(words: &Words) -> Result<u8> {
    cli::end("keep", words.container.as_deref(), |doc, host| lead(words, doc, host))
}

fn lead(words: &Words, doc: &mut Doc, host: &Host) -> Result<u8> {
    launch::flags::command(&words.command, doc)?;
    words.process.edit(doc, host)?;
    words.first.edit(doc)?;
    let steps = bundle::steps(doc, host, !doc.stave_flag("rm"))?;
    let id = doc.id()?.context("the document has no id")?.to_owned();
    if words.drive.dry_run > 0 {
        cli::print(&cli::show(&steps))?;
        cli::print(&show(doc, host)?)?;
        return Ok(0);
    }
    let mut driver = Driver::new("keep", &words.drive)?;
    driver.run(&steps)?;
    detach(doc, host, &mut driver)?;
    tell(&id)
}

/// Prints the id of a container that runs now; where that cannot be done, it is named all the same.
pub fn tell(id: &str) -> Result<u8> {
    match cli::print(&format!("{id}\n")) {
        Ok(()) => Ok(0),
        Err(e) => {
            Err(cli::fail_with(1, format!("{}; it runs: {id}", cli::line(&e).trim_start_matches(": "))))
        }
    }
}

/// The launch as shell, in the background.
pub fn show(doc: &Doc, host: &Host) -> Result<String> {
    let id = doc.id()?.context("the document has no id")?;
    let steps = launch::init(doc, &Look::planned(doc, host)?.here())?;
    let log = quote(&host.roots.in_bundle(id, "log").to_string_lossy());
    Ok(format!("{{\n{}}} </dev/null >>{log} 2>&1 &\necho {id}\n", launch::show(&steps)))
}

/// Starts the container behind the caller's back. When this returns, exec has happened and a
/// process of its own watches over it; an error means that nothing runs.
pub fn detach(doc: &Doc, host: &Host, driver: &mut Driver) -> Result<()> {
    let id = doc.id()?.context("the document has no id")?.to_owned();
    for warning in launch::warnings(doc, host)? {
        cli::say(driver.name(), &warning);
    }
    let lock = bundle::hold("start", &id, doc, host)?;
    let (ours, theirs) = io::seqpacket().context("make a socket pair")?;
    match process::fork().context("fork the monitor")? {
        process::Side::Child => {
            drop(ours);
            let code = i32::from(monitor::live(doc, host, &id, driver, lock, theirs).is_err());
            process::exit_now(code)
        }
        process::Side::Parent(..) => {
            drop(theirs);
            // One message: a status byte and an error, or status 0 for exec.
            match io::recv(&ours).context("hear from the monitor")?.0.split_first() {
                Some((0, _)) => Ok(()),
                Some((status, [])) => Err(cli::Failure { status: *status, text: None }.into()),
                Some((status, text)) => Err(cli::fail_with(*status, String::from_utf8_lossy(text))),
                None => Err(anyhow!("start {id}: the monitor ended without a word")),
            }
        }
    }
}
