//! Errors: tool, verb, object, cause, once; and the exit statuses.

use anyhow::Result;
use clap::Parser;
use std::fmt;
use std::process::ExitCode;
use step::{Act, Fault, Stopped};

/// The words were off: exit status 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A failure with an exit status of its own; with no text nothing is said, because the stage that
/// broke has spoken.
#[derive(Debug)]
pub struct Failure {
    /// Exit status.
    pub status: u8,
    /// What to say.
    pub text: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.text.as_deref().unwrap_or_default())
    }
}

impl std::error::Error for Failure {}

/// An error with exit status 2.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// A silent end: status 1.
pub fn fail() -> anyhow::Error {
    Failure { status: 1, text: None }.into()
}

/// A silent end with a status of its own.
pub fn fail_with_status(status: u8) -> anyhow::Error {
    Failure { status, text: None }.into()
}

/// An error with a status of its own.
pub fn fail_with(status: u8, text: impl Into<String>) -> anyhow::Error {
    Failure { status, text: Some(text.into()) }.into()
}

/// One line on stderr, as `stave-mount: text`.
pub fn say(name: &str, text: &str) {
    use std::io::Write;
    // At once, as the stages of a pipe all say theirs to one terminal. Nobody may be reading; that is no
    // reason to fail.
    let _ = std::io::stderr().write_all(format!("stave-{name}: {}\n", plain(text)).as_bytes());
}

/// Says lines as [`say`] does, whoever has them.
pub fn teller(name: &str) -> Box<dyn FnMut(&str)> {
    let name = name.to_owned();
    Box::new(move |text| say(&name, text))
}

/// Names that strangers chose (in archives, from registries) are shown; what they could tell a
/// terminal to do is not done.
fn plain(text: &str) -> String {
    text.chars().fold(String::new(), |mut all, c| {
        if c.is_control() {
            all.extend(c.escape_debug())
        } else {
            all.push(c)
        }
        all
    })
}

/// The whole chain of an error on one line, each cause once, without errno's number; a step that
/// was denied to an ordinary user names the right that is lacking.
pub fn line(error: &anyhow::Error) -> String {
    let mut out = String::new();
    for cause in error.chain() {
        let mut text = cause.to_string();
        if let Some(at) = text.rfind(" (os error ")
            && text.ends_with(')')
        {
            text.truncate(at);
        }
        if out.ends_with(&text) {
            continue;
        }
        if !out.is_empty() {
            out.push_str(": ");
        }
        out.push_str(&text);
    }
    if let Some(right) = error.downcast_ref::<Fault>().and_then(lacking) {
        out += &format!("; it needs {right}");
    }
    out.replace('\n', " ")
}

/// The right that an ordinary user lacks for a step.
fn lacking(fault: &Fault) -> Option<&'static str> {
    let denied = [sys::Errno(sys::EPERM), sys::Errno(sys::EACCES)].contains(&fault.fail.errno);
    if !denied || fault.fail.why.is_some() || sys::cred::euid() == 0 {
        return None;
    }
    Some(match *fault.act {
        Act::Cgroup { .. } | Act::Write { .. } | Act::JoinCgroup { .. } | Act::DeviceRules { .. } => {
            "write access to the cgroup tree (root, or a delegated cgroup)"
        }
        Act::Bundle { .. } | Act::Mkdir { .. } | Act::Save { .. } | Act::Name { .. } => {
            "write access there (root, or STAVE_ROOT and STAVE_RUN of your own)"
        }
        _ => "CAP_SYS_ADMIN (root)",
    })
}

/// What an ordinary user without ids for a user namespace can have done.
pub const SUBIDS: &str = "root can give it some: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME, and package uidmap";

/// Whether an error has nothing to say.
fn quiet(e: &anyhow::Error) -> bool {
    e.downcast_ref::<Failure>().is_some_and(|f| f.text.is_none()) || e.is::<Stopped>()
}

/// The exit status of an error; `broken` where it has none of its own.
pub fn status(e: &anyhow::Error, broken: u8) -> u8 {
    if let Some(f) = e.downcast_ref::<Failure>() {
        return f.status;
    }
    if e.is::<Usage>() {
        return 2;
    }
    if let Some(stopped) = e.downcast_ref::<Stopped>() {
        return stopped.signal.map_or(1, |n| 128 + n as u8);
    }
    e.downcast_ref::<Fault>().and_then(|f| f.fail.status).unwrap_or(broken)
}

/// Says an error now, and what earlier stages made and is still there; the status is kept.
pub fn left(name: &str, id: &str, e: &anyhow::Error, broken: u8) -> anyhow::Error {
    if !quiet(e) {
        say(name, &line(e));
    }
    say(name, &format!("left: stave rm {id}"));
    Failure { status: status(e, broken), text: None }.into()
}

/// The main of every tool: parses the words, runs, and turns the result into an exit status.
/// `broken` is the status of a failure that has none of its own (1; 125 where the workload's
/// status is passed on).
pub fn tool<A: Parser>(name: &str, broken: u8, run: impl FnOnce(A) -> Result<u8>) -> ExitCode {
    if sys::io::ensure_stdio().is_err() {
        return ExitCode::from(broken);
    }
    parsed(name, broken, run)
}

/// As [`tool`], for those that clone into a container: it could write to their program on the host,
/// so they first run again from something that nobody can write to ([`sys::seal`]).
pub fn cloning_tool<A: Parser>(name: &str, broken: u8, run: impl FnOnce(A) -> Result<u8>) -> ExitCode {
    if sys::io::ensure_stdio().is_err() {
        return ExitCode::from(broken);
    }
    if let Err(e) = sys::seal::seal() {
        say(name, &format!("seal this program against writing: {e}"));
        return ExitCode::from(broken);
    }
    parsed(name, broken, run)
}

fn parsed<A: Parser>(name: &str, broken: u8, run: impl FnOnce(A) -> Result<u8>) -> ExitCode {
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(e) => return parse_error::<A>(name, &e),
    };
    match run(args) {
        Ok(status) => ExitCode::from(status),
        Err(e) => {
            if !quiet(&e) {
                say(name, &line(&e));
            }
            ExitCode::from(status(&e, broken))
        }
    }
}

/// clap's errors as one line; help and version as they are.
fn parse_error<A: Parser>(name: &str, e: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match crate::print(&e.render().to_string()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                if !quiet(&e) {
                    say(name, &line(&e));
                }
                ExitCode::FAILURE
            }
        };
    }
    let text = e.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let words: Vec<&str> = first.split_whitespace().collect();
    say(name, &format!("{} (see stave-{name} --help)", words.join(" ")));
    if let Some(id) = waiting::<A>() {
        say(name, &format!("left: stave rm {id}"));
    }
    ExitCode::from(2)
}

/// The container whose document waits on stdin: of a tool that reads one where none is named, and
/// only off a pipe.
fn waiting<A: Parser>() -> Option<String> {
    use std::os::fd::AsFd;
    let command = A::command();
    if !command.get_arguments().any(|a| a.get_id() == "container" && !a.is_required_set()) {
        return None;
    }
    let matches = command.ignore_errors(true).try_get_matches().ok()?;
    let named = matches.try_get_one::<String>("container").ok().flatten().is_some();
    if named || !sys::io::kind(std::io::stdin().as_fd()).ok()?.is_fifo() {
        return None;
    }
    let doc = crate::input::document().ok()?;
    let id = doc.id().ok()??.to_owned();
    let roots = state::Roots::from_env().ok()?;
    roots.bundle(&id).is_dir().then_some(id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_terminal_gets_no_orders() {
        assert_eq!(super::plain("ä\u{1b}[2J\n'x'\u{9b}"), "ä\\u{1b}[2J\\n'x'\\u{9b}");
    }
}
