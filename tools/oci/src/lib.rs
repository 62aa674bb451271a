//! A front door with runc's command line: what engines call to make, start and end containers of
//! bundles that they have made (runtime.md of the OCI runtime specification, and runc(8)).
//!
//! `args` and `words` are the command line, `log` is what goes wrong; a file each for the verbs, and
//! `container`, `making` and `started` for what several of them have in common.
#![forbid(unsafe_code)]

mod args;
mod below;
mod checkpoint;
mod container;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod log;
mod making;
mod notify;
mod pause;
mod ps;
mod run;
mod spec;
mod start;
mod started;
mod state;
#[cfg(test)]
mod table;
mod update;
mod words;

pub use args::verb;
pub use words::Words;

use anyhow::{Result, bail};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use container::Container;
use std::ffi::OsString;
use std::path::Path;
use words::{Global, Verb};

/// What the flags before the verb say of cgroups.
pub struct Engine {
    /// Containers get cgroups.
    pub cgroups: bool,
    /// systemd makes them.
    pub systemd: bool,
    /// One without limits may do without where the caller may make none.
    pub may_lack_cgroups: bool,
}

/// The verbs that clone into a container.
pub const CLONING: [&str; 4] = ["create", "run", "exec", "restore"];

/// The main of `stave oci`: the exit status.
pub fn main(name: &'static str, given: &[OsString]) -> u8 {
    let words = match parse(name, given) {
        Ok(words) => words,
        Err(status) => return status,
    };
    let (verb, id) = words.verb.name();
    let result = log::open(&words.global).and_then(|()| {
        if log::debugs()
            && let Some(from) = sys::seal::sealed_by()
        {
            // runc's words, as far as they are so.
            log::say(log::Level::Debug, &format!("{name} exeseal: using /proc/self/exe clone: {from}"));
        }
        run(&words)
    });
    match result {
        Ok(status) => status,
        Err(e) => {
            let text = started::kernels_words(cli::line(&e));
            let space = if id.is_empty() { "" } else { " " };
            let whole = format!("{verb}{space}{id}: {text}");
            match e.downcast_ref::<started::Refused>() {
                Some(refused) => log::say_apart(&refused.line, &whole),
                None if text.is_empty() => {}
                None => log::say(log::Level::Error, &whole),
            }
            status(&e)
        }
    }
}

/// 1, whatever step has failed; but for an exec, and where a signal has ended it.
fn status(e: &anyhow::Error) -> u8 {
    if e.is::<step::Fault>() { 1 } else { cli::status(e, 1) }
}

/// The words, or the status of an end that has been told of.
fn parse(name: &'static str, given: &[OsString]) -> Result<Words, u8> {
    // Most starts are of good words: what tells of others is made when it is needed.
    if let Some(words) = args::verb(given).and_then(Words::with).and_then(|verb| good(verb, given)) {
        return Ok(words);
    }
    let command = helped(Words::command().name(name), name);
    let formed = args::formed(&command, given).map_err(|text| {
        log::say(log::Level::Error, &text);
        1
    })?;
    let all = std::iter::once(OsString::from(name)).chain(formed);
    let found = command.try_get_matches_from(all).and_then(|m| Words::from_arg_matches(&m));
    found.map_err(|e| told(name, given, &e))
}

fn good(command: clap::Command, given: &[OsString]) -> Option<Words> {
    let formed = args::formed(&command, given).ok()?;
    let all = std::iter::once(OsString::from(command.get_name())).chain(formed);
    Words::from_arg_matches_mut(&mut command.try_get_matches_from(all).ok()?).ok()
}

/// Help goes to stdout. A wrong word is said in one line, to the log as well if its flags can be read,
/// and the usage is shown.
fn told(name: &str, given: &[OsString], e: &clap::Error) -> u8 {
    let text = e.render().to_string();
    if matches!(
        e.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return cli::print(&text).map_or(1, |()| 0);
    }
    let _ = log::open(&flags_alone(given));
    let first = text.split("\n\n").next().unwrap_or_default();
    let first: Vec<&str> = first.strip_prefix("error: ").unwrap_or(first).split_whitespace().collect();
    if e.kind() == ErrorKind::InvalidSubcommand {
        // As runc: a verb that there is not is another status.
        log::say(
            log::Level::Error,
            &format!("No help topic for '{}'", args::verb(given).unwrap_or_default()),
        );
        return 3;
    }
    log::say(log::Level::Error, &format!("{} (see {name} --help)", first.join(" ")));
    1
}

/// Help begins with the program, the verb and what it is for, as runc's does.
fn helped(command: clap::Command, name: &str) -> clap::Command {
    const REST: &str = "{about}\n\n{usage-heading} {usage}\n\n{all-args}{after-help}";
    let verbs: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let command = command.help_template(format!("NAME:\n   {name} - {REST}"));
    verbs.iter().fold(command, |command, verb| {
        command.mut_subcommand(verb, |c| c.help_template(format!("NAME:\n   {name} {verb} - {REST}")))
    })
}

/// Where the log is, of words that make no sense as a whole.
fn flags_alone(given: &[OsString]) -> Global {
    let mut global = Global::default();
    let mut words = given.iter().map(|w| w.to_string_lossy());
    while let Some(word) = words.next() {
        for (flag, to) in [("--log", true), ("--log-format", false)] {
            let joined = word.strip_prefix(flag).and_then(|w| w.strip_prefix('=')).map(String::from);
            let value = joined.or_else(|| (word == flag).then(|| words.next().map(|w| w.into_owned()))?);
            match value {
                Some(value) if to => global.log = Some(value),
                Some(value) => global.log_format = value,
                None => {}
            }
        }
    }
    global
}

fn run(words: &Words) -> Result<u8> {
    let root = container::root(words.global.root.as_deref())?;
    let at = |id: &str| Container::new(&root, id);
    let engine = engine(&words.global)?;
    match &words.verb {
        Verb::Checkpoint(w) => checkpoint::checkpoint(w),
        Verb::Create(w) => create::create(&at(&w.id)?, w, &engine),
        Verb::Delete(w) => delete::delete(&at(&w.id)?, w),
        Verb::Events(w) => events::events(&at(&w.id)?, w),
        Verb::Exec(w) => exec::exec(&root, w),
        Verb::Features(_) => features::features(),
        Verb::Kill(w) => kill::kill(&at(&w.id)?, w),
        Verb::List(w) => list::list(w, &root, words.global.root.is_none()),
        Verb::Pause(w) => pause::pause(&at(&w.id)?),
        Verb::Ps(w) => ps::ps(&at(&w.id)?, w),
        Verb::Restore(_) => checkpoint::refuse("restore"),
        Verb::Resume(w) => pause::resume(&at(&w.id)?),
        Verb::Run(w) => run::run(&at(&w.id)?, w, &engine),
        Verb::Spec(w) => spec::spec(w),
        Verb::Start(w) => start::start(&at(&w.id)?),
        Verb::State(w) => state::state(&at(&w.id)?),
        Verb::Update(w) => update::update(&at(&w.id)?, w),
    }
}

/// What the flags before the verb say; an error for a value that makes no sense.
fn engine(global: &Global) -> Result<Engine> {
    let manager = match global.cgroup_manager.as_deref().unwrap_or_default() {
        "" if global.systemd_cgroup => "systemd",
        "" => "cgroupfs",
        known @ ("cgroupfs" | "systemd" | "disabled") => known,
        other => bail!("unknown cgroup manager {other}"),
    };
    let may_lack_cgroups = match global.rootless.as_deref().unwrap_or("auto") {
        "true" => true,
        "false" => false,
        // root of a user namespace, as podman is for an ordinary user, is no more.
        "auto" | "" => sys::cred::euid() != 0 || sys::ns::in_user_namespace(),
        other => bail!("invalid --rootless value: {other}"),
    };
    let (cgroups, systemd) = (manager != "disabled", manager == "systemd");
    Ok(Engine { cgroups, systemd, may_lack_cgroups })
}

/// The name that this program was called by: runc's or crun's, where a client looks for it, else its own.
pub fn called(word: Option<&OsString>) -> &'static str {
    match word.map(Path::new).and_then(Path::file_name).and_then(|n| n.to_str()) {
        Some("runc") => "runc",
        Some("crun") => "crun",
        _ => "stave-oci",
    }
}
