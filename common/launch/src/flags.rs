//! What a process is started with, as flags: `spawn` and `keep` take them, and `exec` the first
//! half of them, so they are defined here and nowhere else.

use crate::{Look, user};
use anyhow::{Context, Result, bail};
use clap::Args;
use doc::{Capabilities, DEFAULT_CAPABILITIES, Doc, Mount};
use state::Host;
use std::path::PathBuf;

/// Of any process: the first of a container, and one that enters it.
#[derive(Args, Clone, Debug, Default)]
pub struct Process {
    /// A terminal of its own (pty), joined to /dev/tty
    #[arg(short = 't', long, help_heading = "Process")]
    pub tty: bool,
    /// NAME=VALUE, or NAME to pass the caller's on
    #[arg(short = 'e', long, value_name = "NAME[=VALUE]", value_parser = variable, help_heading = "Process")]
    pub env: Vec<String>,
    /// USER[:GROUP], names or numbers of the container's own passwd and group
    #[arg(short = 'u', long, value_name = "USER[:GROUP]", help_heading = "Process")]
    pub user: Option<String>,
    /// Working directory; made where missing
    #[arg(short = 'w', long, value_name = "DIR", value_parser = absolute, help_heading = "Process")]
    pub workdir: Option<String>,
}

/// Of a container's first process alone.
#[derive(Args, Clone, Debug, Default)]
pub struct First {
    /// The root can only be read
    #[arg(long, help_heading = "Process")]
    pub read_only: bool,
    /// Add a capability, or ALL
    #[arg(long, value_name = "CAP", value_parser = capability, help_heading = "Process")]
    pub cap_add: Vec<String>,
    /// Take a capability away, or ALL
    #[arg(long, value_name = "CAP", value_parser = capability, help_heading = "Process")]
    pub cap_drop: Vec<String>,
    /// seccomp=FILE, seccomp=unconfined, no-new-privileges[=false]
    #[arg(long, value_name = "OPTION", value_parser = security_option, help_heading = "Process")]
    pub security_opt: Vec<SecurityOpt>,
    /// Tell of system calls that seccomp denies
    #[arg(long, help_heading = "Process")]
    pub seccomp_log: bool,
    /// An init as pid 1 that reaps children and hands on signals
    #[arg(long, help_heading = "Process")]
    pub init: bool,
    /// Take everything away once the process has ended
    #[arg(long, help_heading = "Process")]
    pub rm: bool,
}

/// One of docker's security options.
#[derive(Clone, Debug)]
pub enum SecurityOpt {
    /// A profile's file, `unconfined`, or `builtin`.
    Seccomp(String),
    /// Whether execve(2) can give rights.
    NoNewPrivileges(bool),
}

/// docker's spelling: a colon does as well as an equals sign.
fn security_option(text: &str) -> Result<SecurityOpt, String> {
    let (name, value) = text.split_once(['=', ':']).map_or((text, None), |(n, v)| (n, Some(v)));
    match (name, value) {
        ("no-new-privileges", None | Some("true")) => Ok(SecurityOpt::NoNewPrivileges(true)),
        ("no-new-privileges", Some("false")) => Ok(SecurityOpt::NoNewPrivileges(false)),
        ("no-new-privileges", Some(_)) => Err("neither true nor false".into()),
        ("seccomp", None | Some("")) => Err("the profile is missing".into()),
        ("seccomp", Some(profile)) => Ok(SecurityOpt::Seccomp(profile.into())),
        _ => Err("there is no such option".into()),
    }
}

fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('=') { Err("the name is missing".into()) } else { Ok(text.into()) }
}

fn absolute(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.into()) } else { Err("not an absolute path".into()) }
}

/// The name as the document has it: `CAP_CHOWN`, or `ALL`.
fn capability(text: &str) -> Result<String, String> {
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") || upper == "ALL" { upper } else { format!("CAP_{upper}") };
    if full != "ALL" && !sys::cred::CAPABILITIES.contains(&full.as_str()) {
        return Err("there is no such capability".into());
    }
    Ok(full)
}

/// Where `--init` puts its program in the container: on a tmpfs, so nothing is written to the root.
const INIT: &str = "/dev/stave-init";

impl Process {
    /// Writes the flags into the document.
    pub fn edit(&self, doc: &mut Doc, host: &Host) -> Result<()> {
        if !self.env.is_empty() && doc.get("/process/env").is_none() {
            let own: Vec<String> = std::env::vars_os()
                .map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy()))
                .collect();
            doc.set("/process/env", own)?;
        }
        for text in &self.env {
            match (text.split_once('='), std::env::var_os(text)) {
                (Some((name, value)), _) => doc.put_env(name, value)?,
                (None, Some(value)) => doc.put_env(text, &value.to_string_lossy())?,
                (None, None) => {}
            }
        }
        if self.tty {
            doc.set("/process/terminal", true)?;
        }
        if let Some(dir) = &self.workdir {
            doc.set("/process/cwd", dir.as_str())?;
        }
        match &self.user {
            Some(text) => become_user(text, doc, host),
            None => Ok(()),
        }
    }
}

impl First {
    /// Writes the flags into the document; after [`Process::edit`], since a capability counts by
    /// who has it.
    pub fn edit(&self, doc: &mut Doc) -> Result<()> {
        if self.read_only {
            doc.set("/root/readonly", true)?;
        }
        if !(self.cap_add.is_empty() && self.cap_drop.is_empty()) {
            // The default profile goes with the capabilities; another one is the user's own.
            let follows = doc.get("/linux/seccomp") == Some(&doc::default_seccomp(doc)?);
            capabilities(&self.cap_add, &self.cap_drop, doc)?;
            if follows {
                doc.set("/linux/seccomp", doc::default_seccomp(doc)?)?;
            }
        }
        for option in &self.security_opt {
            option.edit(doc)?;
        }
        if self.seccomp_log {
            if doc.get("/linux/seccomp").is_none() {
                bail!("--seccomp-log: the container has no seccomp profile");
            }
            doc.set_stave("seccompLog", true)?;
        }
        if self.rm {
            doc.set_stave("rm", true)?;
        }
        if self.init { init(doc) } else { Ok(()) }
    }
}

impl SecurityOpt {
    /// After the capabilities, on which a profile may depend.
    fn edit(&self, doc: &mut Doc) -> Result<()> {
        match self {
            SecurityOpt::NoNewPrivileges(yes) => doc.set("/process/noNewPrivileges", *yes)?,
            SecurityOpt::Seccomp(profile) if profile == "unconfined" => doc.remove("/linux/seccomp"),
            SecurityOpt::Seccomp(profile) if profile == "builtin" => {
                doc.set("/linux/seccomp", doc::default_seccomp(doc)?)?;
            }
            SecurityOpt::Seccomp(path) => {
                let about = || format!("seccomp profile {path}");
                let text = std::fs::read(path).with_context(about)?;
                let profile = serde_json::from_slice(&text).with_context(about)?;
                let bounding = doc.capabilities()?.unwrap_or_default().bounding;
                let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
                let machine = seccomp::Machine::native(&bounding, &release);
                let resolved = seccomp::resolve(&profile, &machine).with_context(about)?;
                // What is wrong with it is better said here, where the file is known.
                seccomp::compile(&resolved, machine.arch).with_context(about)?;
                doc.set("/linux/seccomp", resolved)?;
            }
        }
        Ok(())
    }
}

/// The command in place of the document's; an image's entrypoint stays before it (as docker).
pub fn command(words: &[String], doc: &mut Doc) -> Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    let mut args = doc.strings("/stave/entrypoint")?;
    args.extend(words.iter().cloned());
    Ok(doc.set("/process/args", args)?)
}

/// `USER[:GROUP]` into `process.user`, as the files of the container's root have it.
fn become_user(text: &str, doc: &mut Doc, host: &Host) -> Result<()> {
    let look = Look::planned(doc, host)?;
    if set_user(text, &look.dirs, doc)? != 0 && doc.get("/process/capabilities").is_some() {
        nothing_in_force(doc);
    }
    Ok(())
}

/// The same with the directories that make up the root, topmost first; gives the user's number.
pub fn set_user(text: &str, dirs: &[PathBuf], doc: &mut Doc) -> Result<u32> {
    let mut ids = user::resolve(dirs, text).with_context(|| format!("user {text}"))?;
    within(&mut ids, doc).with_context(|| format!("user {text}"))?;
    doc.set("/process/user/uid", ids.uid)?;
    doc.set("/process/user/gid", ids.gid)?;
    doc.set("/process/user/additionalGids", ids.groups)?;
    Ok(ids.uid)
}

/// A user namespace has some ids only: groups that are not among them are left out.
fn within(ids: &mut user::Ids, doc: &Doc) -> Result<()> {
    let (uids, gids) = doc.id_maps()?;
    if uids.is_empty() || gids.is_empty() {
        return Ok(());
    }
    let has = |rows: &[doc::IdMapping], id: u32| {
        rows.iter().any(|row| id >= row.inside && id - row.inside < row.size)
    };
    if !has(&uids, ids.uid) || !has(&gids, ids.gid) {
        bail!(
            "the user namespace has no {}:{}; /etc/subuid and /etc/subgid may give an ordinary user more ids",
            ids.uid,
            ids.gid
        );
    }
    ids.groups.retain(|g| has(&gids, *g));
    Ok(())
}

/// As docker: an ordinary user has no capability in force, and may gain those of the bounding set.
pub fn nothing_in_force(doc: &mut Doc) {
    doc.remove("/process/capabilities/effective");
    doc.remove("/process/capabilities/permitted");
}

/// As docker: ALL empties or fills first, single names after it.
fn capabilities(add: &[String], drop: &[String], doc: &mut Doc) -> Result<()> {
    let old = doc.capabilities()?.unwrap_or_else(|| {
        let all = DEFAULT_CAPABILITIES.map(String::from).to_vec();
        Capabilities { bounding: all.clone(), effective: all.clone(), permitted: all, ..Default::default() }
    });
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
    let own = sys::seal::program().context("--init: find this program")?;
    let program: PathBuf = own.with_file_name("stave-init");
    if !program.is_file() {
        bail!("--init: {} is not there", program.display());
    }
    doc.put_mount(&Mount {
        destination: INIT.into(),
        kind: Some("bind".into()),
        source: Some(program.to_string_lossy().into_owned()),
        options: vec!["bind".into(), "ro".into()],
        ..Mount::default()
    })?;
    let mut args = doc.args()?;
    if args.first().map(String::as_str) != Some(INIT) {
        args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
        doc.set("/process/args", args)?;
    }
    Ok(())
}
