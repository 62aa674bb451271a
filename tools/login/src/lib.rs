//! Credentials for a registry: tried there, and put where docker would put them.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use clap::Parser;
use registry::credentials::{self, Credential, Kept};
use registry::{Client, Net, Progress};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};

/// Log in to a registry
#[derive(Parser, Debug)]
#[command(name = "stave-login", version)]
pub struct Words {
    /// Name of the user; without it, it is asked for
    #[arg(short, long)]
    username: Option<String>,
    /// The password: others see it in the list of processes
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// The password is what comes on stdin
    #[arg(long)]
    password_stdin: bool,
    /// HOST[:PORT]; without it docker.io
    #[arg(default_value = "docker.io", value_parser = credentials::registry)]
    registry: String,
}

/// The main of `stave login`.
pub fn run(words: &Words) -> Result<u8> {
    if words.password_stdin && words.username.is_none() {
        return Err(cli::usage("--password-stdin goes with -u USER"));
    }
    let user = match &words.username {
        Some(user) => user.clone(),
        None => ask("Username: ", true)?,
    };
    let password = match (&words.password, words.password_stdin) {
        (Some(password), _) => password.clone(),
        (None, true) => stdin()?,
        (None, false) => ask("Password: ", false)?,
    };
    if user.is_empty() || password.is_empty() {
        return Err(cli::usage("the user and the password must not be empty"));
    }
    if user.contains(':') {
        return Err(cli::usage("the name of a user has no colon"));
    }
    let host = &words.registry;
    let credential = Credential::Password { user, password };
    let net = Net::new(Progress::default())?;
    let shown = || format!("log in to {host}");
    Client::login(&net, host, credential.clone()).and_then(|c| c.verify()).with_context(shown)?;
    if let Kept::Plain(path) = credentials::keep(host, &credential).with_context(shown)? {
        cli::say("login", &format!("the password stands in {}, and is not encrypted", path.display()));
    }
    cli::print("Login Succeeded\n")?;
    Ok(0)
}

/// What stdin has, without the newline at its end.
fn stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().take(64 << 10).read_to_string(&mut text).context("read the password")?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks at the terminal; without `echo` what is typed is not shown.
fn ask(prompt: &str, echo: bool) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(cli::usage("stdin is no terminal to ask at: -u USER --password-stdin"));
    }
    let tty = File::options().read(true).write(true).open("/dev/tty").context("open /dev/tty")?;
    let mut line = String::new();
    // SIGHUP, SIGINT, SIGQUIT, SIGTERM: the terminal is as before, and then it is the end.
    let mut held = sys::io::Held::back(&[1, 2, 3, 15]).context("take signals")?;
    // Before the prompt: who answers it at once is neither shown nor lost.
    let hidden = if echo { None } else { Some(sys::tty::Hidden::enter(&tty).context("hide what is typed")?) };
    (&tty).write_all(prompt.as_bytes()).context("write to /dev/tty")?;
    if !held.readable(&tty).context("read from /dev/tty")? {
        drop(hidden);
        (&tty).write_all(b"\n").context("write to /dev/tty")?;
        return Err(cli::fail_with_status(130));
    }
    BufReader::new(&tty).read_line(&mut line).context("read from /dev/tty")?;
    drop(hidden);
    if !echo {
        (&tty).write_all(b"\n").context("write to /dev/tty")?;
    }
    if line.is_empty() {
        bail!("nothing was typed");
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
