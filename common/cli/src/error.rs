//! Errors: tool, verb, object, cause, once; and the exit statuses.

use anyhow::Result;
use clap::Parser;
use std::fmt;
use std::process::ExitCode;

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

/// An error with a status of its own.
pub fn fail_with(status: u8, text: impl Into<String>) -> anyhow::Error {
    Failure { status, text: Some(text.into()) }.into()
}

/// One line on stderr, as `stave-mount: text`.
pub fn say(name: &str, text: &str) {
    eprintln!("stave-{name}: {text}");
}

/// The whole chain of an error on one line, each cause once, without errno's number.
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
    out.replace('\n', " ")
}

/// The main of every tool: parses the words, runs, and turns the result into an exit status.
/// `broken` is the status of a failure that has none of its own (1; 125 where the workload's
/// status is passed on).
pub fn tool<A: Parser>(name: &str, broken: u8, run: impl FnOnce(A) -> Result<u8>) -> ExitCode {
    if sys::io::ensure_stdio().is_err() {
        return ExitCode::from(broken);
    }
    let args = match A::try_parse() {
        Ok(args) => args,
        Err(e) => return parse_error(name, &e),
    };
    match run(args) {
        Ok(status) => ExitCode::from(status),
        Err(e) => ExitCode::from(report(name, broken, &e)),
    }
}

fn report(name: &str, broken: u8, e: &anyhow::Error) -> u8 {
    if let Some(failure) = e.downcast_ref::<Failure>() {
        if failure.text.is_some() {
            say(name, &line(e));
        }
        return failure.status;
    }
    say(name, &line(e));
    if e.downcast_ref::<Usage>().is_some() { 2 } else { broken }
}

/// clap's errors as one line; help and version as they are.
fn parse_error(name: &str, e: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = e.print();
        return ExitCode::SUCCESS;
    }
    let text = e.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let words: Vec<&str> = first.split_whitespace().collect();
    say(name, &format!("{} (see stave-{name} --help)", words.join(" ")));
    ExitCode::from(2)
}
