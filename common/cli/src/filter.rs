//! The filters: a document in, its steps done, the document out.

use crate::{Drive, Driver, bundle, error, input, output};
use anyhow::{Context, Result};
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use doc::Doc;
use state::Host;
use std::fmt::Write;
use std::process::ExitCode;
use step::{Side, Step};

/// A stave that leaves something in the kernel.
pub trait Stage: Args {
    /// `mount` of `stave-mount`.
    const NAME: &'static str;
    /// One line for the head of --help.
    const ABOUT: &'static str;

    /// Writes what the flags say into the document.
    fn edit(&self, doc: &mut Doc, host: &Host) -> Result<()>;

    /// What the document asks of the kernel. It looks at nothing but its two arguments.
    fn plan(doc: &Doc, host: &Host) -> Result<Vec<Step>>;

    /// What `--undo` takes away: all that is planned, but for what may have been there before.
    fn leaves(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        Self::plan(doc, host)
    }

    /// What is in force, for a person.
    fn view(doc: &Doc, host: &Host) -> Result<String>;
}

/// The words of a filter: the stage's own, and the frame's.
#[derive(Parser, Debug)]
pub struct Filter<S: Args> {
    /// How the steps are done.
    #[command(flatten)]
    pub drive: Drive,
    /// Take away what this stage leaves
    #[arg(long)]
    pub undo: bool,
    /// A container, by name or id; without one the document is read from stdin
    pub container: Option<String>,
    /// What the stage is asked for.
    #[command(flatten)]
    pub stage: S,
}

/// The clap command of a filter.
pub fn command<S: Stage>() -> clap::Command {
    let name: &str = format!("stave-{}", S::NAME).leak(); // once a process
    Filter::<S>::command().name(name).version(env!("CARGO_PKG_VERSION")).about(S::ABOUT)
}

/// The words, and whether any flag of the stage's own is among them.
struct Named<S: Stage>(Filter<S>, bool);

impl<S: Stage> FromArgMatches for Named<S> {
    fn from_arg_matches(m: &clap::ArgMatches) -> std::result::Result<Self, clap::Error> {
        Filter::<S>::from_arg_matches(m).map(|f| Named(f, !crate::words::<S>(m).is_empty()))
    }
    fn update_from_arg_matches(&mut self, m: &clap::ArgMatches) -> std::result::Result<(), clap::Error> {
        self.0.update_from_arg_matches(m)
    }
}

impl<S: Stage> CommandFactory for Named<S> {
    fn command() -> clap::Command {
        command::<S>()
    }
    fn command_for_update() -> clap::Command {
        command::<S>()
    }
}

impl<S: Stage> Parser for Named<S> {}

/// The main of a filter.
pub fn filter<S: Stage>() -> ExitCode {
    error::tool::<Named<S>>(S::NAME, 1, |Named(words, changes)| run(&words, changes))
}

/// Does what the words of a filter say. `changes`: whether any flag of the stage's own is among them.
pub fn run<S: Stage>(words: &Filter<S>, changes: bool) -> Result<u8> {
    let host = Host::gather()?;
    // A container that is named is held before its document is read, so that no change is lost.
    let (mut doc, lock) = match &words.container {
        Some(word) => {
            let id = state::find(&host.roots, word)?;
            let lock = state::lock(&host.roots, &id)?;
            (state::read(&host.roots, &id)?, Some(lock))
        }
        None => (input::document()?, None),
    };
    let operand = words.container.is_some();
    if words.undo {
        return undo::<S>(words, &doc, &host, operand);
    }
    // A document that reaches a kernel stage without an id gets one there.
    let born = bundle::identify(&mut doc)?;
    let id = doc.id()?.context("the document has no id")?.to_owned();
    let held = !born && host.roots.bundle(&id).is_dir();
    // A new id is known to nobody else yet.
    let lock = if held && !operand { Some(state::lock(&host.roots, &id)?) } else { lock };
    let result = act(words, changes, &mut doc, &host);
    drop(lock);
    result.map_err(|e| if held && !operand { error::left(S::NAME, &id, &e, 1) } else { e })
}

/// Edits, plans, does and hands on.
fn act<S: Stage>(words: &Filter<S>, changes: bool, doc: &mut Doc, host: &Host) -> Result<u8> {
    words.stage.edit(doc, host)?;
    let mut steps = bundle::steps(doc, host, true)?;
    steps.extend(S::plan(doc, host)?);
    if words.drive.dry_run > 0 {
        return output::print(&show(&steps)).map(|()| 0);
    }
    steps.iter_mut().for_each(|s| s.act.remember());
    let mut driver = Driver::new(S::NAME, &words.drive)?;
    let made = driver.run(&steps)?;
    match (words.container.is_some(), changes) {
        (true, true) => Ok(0),
        (true, false) => output::print(&S::view(doc, host)?).map(|()| 0),
        (false, _) => output::print_doc(doc)
            .map(|()| 0)
            .inspect_err(|_| crate::drive::roll_back(S::NAME, &steps, &made)),
    }
}

/// The steps as shell; those of the other side are shown as what they are.
pub fn show(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        match step.side {
            Side::Parent => {
                let _ = writeln!(out, "{}", step.act.show());
            }
            Side::Child => {
                for line in step.act.show().lines() {
                    let _ = writeln!(out, "# spawn: {line}");
                }
            }
        }
    }
    out
}

fn undo<S: Stage>(words: &Filter<S>, doc: &Doc, host: &Host, operand: bool) -> Result<u8> {
    let steps = S::leaves(doc, host)?;
    if words.drive.dry_run > 0 {
        let mut out = String::new();
        for line in steps.iter().rev().filter(|s| s.side == Side::Parent).filter_map(|s| s.act.show_undo()) {
            let _ = writeln!(out, "{line}");
        }
        output::print(&out)?;
        return Ok(0);
    }
    if words.drive.trace {
        for s in steps.iter().rev().filter(|s| s.side == Side::Parent) {
            if let Some(line) = s.act.show_undo() {
                eprintln!("+ {line}");
            }
        }
    }
    crate::undo_all(&steps)?;
    if !operand {
        output::print_doc(doc)?;
    }
    Ok(0)
}
