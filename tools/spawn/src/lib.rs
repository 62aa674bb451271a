//! Pid 1: the flags that concern a process, and the foreground life of one.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use cli::{Drive, Driver, Host, bundle};
use doc::{Capabilities, DEFAULT_CAPABILITIES, Doc, Mount};
use launch::{Look, Stdio, Terminal};

use state::Record;
use std::fs::File;
use std::path::PathBuf;
use step::{Act, Side, Watch};

/// The flags of `stave spawn`.
#[derive(Args, Debug, Default)]
pub struct Spawn {
    /// A terminal of its own (pty), joined to /dev/tty
    #[arg(short = 't', long, help_heading = "Process")]
    pub tty: bool,
    /// NAME=VALUE, or NAME to pass the caller's on
    #[arg(short = 'e', long, value_name = "NAME[=VALUE]", help_heading = "Process")]
    pub env: Vec<String>,
    /// USER[:GROUP], names or numbers of the container's own passwd and group
    #[arg(short = 'u', long, value_name = "USER[:GROUP]", help_heading = "Process")]
    pub user: Option<String>,
    /// Working directory; made where missing
    #[arg(short = 'w', long, value_name = "DIR", help_heading = "Process")]
    pub workdir: Option<String>,
    /// The root can only be read
    #[arg(long, help_heading = "Process")]
    pub read_only: bool,
    /// Add a capability, or ALL
    #[arg(long, value_name = "CAP", help_heading = "Process")]
    pub cap_add: Vec<String>,
    /// Take a capability away, or ALL
    #[arg(long, value_name = "CAP", help_heading = "Process")]
    pub cap_drop: Vec<String>,
    /// An init as pid 1 that reaps children and hands on signals
    #[arg(long, help_heading = "Process")]
    pub init: bool,
    /// Take everything away once the process has ended
    #[arg(long, help_heading = "Process")]
    pub rm: bool,
    /// The process ends when the one that started it does
    #[arg(long, help_heading = "Process")]
    pub die_with_parent: bool,
}

/// Where `--init` puts its program in the container: on a tmpfs, so nothing is written to the root.
const INIT: &str = "/dev/stave-init";

/// Writes what the flags and the command say into the document.
pub fn edit(flags: &Spawn, command: &[String], doc: &mut Doc, host: &Host) -> Result<()> {
    if !command.is_empty() {
        let mut args = doc.strings("/stave/entrypoint")?;
        args.extend(command.iter().cloned());
        doc.set("/process/args", args)?;
    }
    if !flags.env.is_empty() && doc.get("/process/env").is_none() {
        let own: Vec<String> = std::env::vars_os()
            .map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy()))
            .collect();
        doc.set("/process/env", own)?;
    }
    for text in &flags.env {
        match text.split_once('=') {
            Some(("", _)) => return Err(cli::usage(format!("-e {text}: the name is missing"))),
            Some((name, value)) => doc.put_env(name, value)?,
            None => {
                if let Some(value) = std::env::var_os(text) {
                    doc.put_env(text, &value.to_string_lossy())?;
                }
            }
        }
    }
    if flags.tty {
        doc.set("/process/terminal", true)?;
    }
    if let Some(dir) = &flags.workdir {
        if !dir.starts_with('/') {
            return Err(cli::usage(format!("-w {dir}: not an absolute path")));
        }
        doc.set("/process/cwd", dir.as_str())?;
    }
    if flags.read_only {
        doc.set("/root/readonly", true)?;
    }
    capabilities(flags, doc)?;
    if let Some(text) = &flags.user {
        user(text, doc, host)?;
    }
    if flags.rm {
        doc.set_stave("rm", true)?;
    }
    if flags.die_with_parent {
        doc.set_stave("dieWithParent", true)?;
    }
    if flags.init {
        init(doc)?;
    }
    Ok(())
}

fn user(text: &str, doc: &mut Doc, host: &Host) -> Result<()> {
    let look = Look::planned(doc, host)?;
    let ids = launch::user::resolve(&look.dirs, text).with_context(|| format!("-u {text}"))?;
    doc.set("/process/user/uid", ids.uid)?;
    doc.set("/process/user/gid", ids.gid)?;
    doc.remove("/process/user/additionalGids");
    if !ids.groups.is_empty() {
        doc.set("/process/user/additionalGids", ids.groups)?;
    }
    // As docker: an ordinary user has none in force, and may gain those of the bounding set.
    if ids.uid != 0 && doc.get("/process/capabilities").is_some() {
        doc.remove("/process/capabilities/effective");
        doc.remove("/process/capabilities/permitted");
    }
    Ok(())
}

fn capabilities(flags: &Spawn, doc: &mut Doc) -> Result<()> {
    if flags.cap_add.is_empty() && flags.cap_drop.is_empty() {
        return Ok(());
    }
    let name = |text: &String| -> Result<String> {
        let upper = text.to_ascii_uppercase();
        let full = if upper.starts_with("CAP_") || upper == "ALL" { upper } else { format!("CAP_{upper}") };
        if full != "ALL" && !sys::cred::CAPABILITIES.contains(&full.as_str()) {
            return Err(cli::usage(format!("no capability {text}")));
        }
        Ok(full)
    };
    let add = flags.cap_add.iter().map(name).collect::<Result<Vec<_>>>()?;
    let drop = flags.cap_drop.iter().map(name).collect::<Result<Vec<_>>>()?;
    let old = doc.capabilities()?.unwrap_or_else(|| {
        let all = DEFAULT_CAPABILITIES.map(String::from).to_vec();
        Capabilities { bounding: all.clone(), effective: all.clone(), permitted: all, ..Default::default() }
    });
    // As docker: ALL empties or fills first, single names after it.
    let change = |set: &[String]| {
        let mut list: Vec<String> = set.to_vec();
        if drop.iter().any(|c| c == "ALL") {
            list.clear();
        }
        if add.iter().any(|c| c == "ALL") {
            let known = sys::cred::bounding();
            let all = sys::cred::CAPABILITIES.iter().enumerate().filter(|(i, _)| known & (1 << i) != 0);
            list = all.map(|(_, c)| (*c).to_owned()).collect();
        }
        for c in add.iter().filter(|c| *c != "ALL") {
            if !list.contains(c) {
                list.push(c.clone());
            }
        }
        list.retain(|c| !drop.contains(c) || add.contains(c));
        list
    };
    doc.set("/process/capabilities/bounding", change(&old.bounding))?;
    if doc.user()?.uid == 0 {
        doc.set("/process/capabilities/effective", change(&old.effective))?;
        doc.set("/process/capabilities/permitted", change(&old.permitted))?;
    }
    Ok(())
}

fn init(doc: &mut Doc) -> Result<()> {
    let program = beside("stave-init").context("--init")?;
    doc.put_mount(&Mount {
        destination: INIT.into(),
        kind: Some("bind".into()),
        source: Some(program.to_string_lossy().into_owned()),
        options: vec!["bind".into(), "ro".into()],
    })?;
    let mut args = doc.args()?;
    if args.first().map(String::as_str) != Some(INIT) {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
        doc.set("/process/args", args)?;
    }
    Ok(())
}

/// A program that is installed beside this one.
fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let path = own.with_file_name(name);
    if path.is_file() { Ok(path) } else { bail!("{} is not there", path.display()) }
}

/// How a foreground run is led.
pub struct Foreground<'a> {
    /// Of the tool, for what it says.
    pub name: &'static str,
    /// `-n`, `--trace`, `--step`.
    pub drive: &'a Drive,
    /// What the terminal or stdin gives goes to the workload.
    pub interactive: bool,
}

/// The steps of pid 1 as shell: `-n`.
pub fn show(doc: &Doc, look: &Look) -> Result<String> {
    let steps = launch::init(doc, look)?;
    let (parents, children): (Vec<_>, Vec<_>) = steps.into_iter().partition(|s| s.side == Side::Parent);
    let mut out = String::new();
    let last = parents.len() - 1;
    for s in &parents[..last] {
        out += &format!("{}\n", s.act.show());
    }
    out += &format!("{} sh -e /dev/fd/3 3<<'CHILD'\n", parents[last].act.show());
    // From the last act that has a word of shell on, one program does the rest on itself and execs.
    let own = |a: &Act| a.show().starts_with("stave step ");
    let tail = children.iter().rposition(|s| !own(&s.act)).map_or(0, |i| i + 1);
    for s in &children[..tail] {
        match &s.act {
            // It must hold for the process itself, which is this shell.
            Act::Setns { .. } | Act::Unshare { .. } | Act::Session {} => {
                out += &format!("# {}\n", s.act.show())
            }
            act => out += &format!("{}\n", act.show()),
        }
    }
    out += "exec stave step";
    let moved = children[..tail].iter().filter(|s| matches!(s.act, Act::Setns { .. } | Act::Unshare { .. }));
    for s in moved.chain(&children[tail..]) {
        out += &format!(" \\\n  {}", s.act.show().trim_start_matches("stave step "));
    }
    Ok(out + "\nCHILD\n")
}

/// Spawns, waits, records; with `stave.rm` everything is taken away at the end, also of a start
/// that failed. Gives the workload's status.
pub fn foreground(doc: &Doc, host: &Host, how: &Foreground) -> Result<u8> {
    let id = doc.id()?.context("the document has no id")?.to_owned();
    let result = live(doc, host, &id, how);
    if doc.stave_flag("rm")
        && let Err(e) = bundle::remove(&id, host)
    {
        cli::say(how.name, &cli::line(&e));
    }
    result
}

fn live(doc: &Doc, host: &Host, id: &str, how: &Foreground) -> Result<u8> {
    if let Some(record) = Record::read(&host.roots, id).ok().flatten()
        && let Some(pid) = record.running()
    {
        bail!("spawn {id}: it runs already, as process {pid}");
    }
    let look = Look::now(doc, host)?;
    let steps = launch::init(doc, &look)?;
    let mut driver = Driver::new(how.name, how.drive)?;
    driver.expect(steps.len());
    let watch: Option<&mut dyn Watch> = if driver.watches() { Some(&mut driver) } else { None };
    let null = if how.interactive { None } else { Some(File::open("/dev/null")?.into()) };
    let stdio: Stdio = [null, None, None];
    let mut signals = launch::signals()?;
    let child = match launch::start(&steps, stdio, watch) {
        Ok(child) => child,
        Err(launch::Error::Step(act, fail)) => return Err(cli::explain(&act, &fail)),
        Err(launch::Error::Quit) => return Err(cli::fail()),
        Err(e) => return Err(anyhow!(e)),
    };
    let mut record = Record::new(&host.roots, id, child.pid);
    let saved = launch::save(&host.roots, &record);
    let terminal = if doc.terminal() { Some(Terminal::open(how.interactive)) } else { None }.transpose();
    let terminal = match (saved, terminal) {
        (Ok(()), Ok(t)) => t,
        (Err(e), _) | (_, Err(e)) => {
            let _ = sys::process::signal(&child.pidfd, 9);
            let _ = sys::process::wait(child.pid);
            return Err(e);
        }
    };
    let exit = launch::until_exit(&child, &mut signals, terminal.as_ref())?;
    drop(terminal);
    if !doc.stave_flag("rm") {
        record.stave.exit = Some(launch::exit_record(exit));
        launch::save(&host.roots, &record)?;
    }
    Ok(exit.status() as u8)
}
