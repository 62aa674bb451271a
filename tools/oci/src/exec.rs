//! exec: one more process in a container, with its namespaces, cgroups and rights.

use crate::container::{Container, host, not_there};
use crate::started::{self, Outlets};
use crate::{below, state, words};
use anyhow::{Context, Result, bail};
use clap::Args;
use doc::{Capabilities, Doc};
use launch::{Attend, Enter, Start};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use step::Act;

/// The words of `exec`.
#[derive(Args, Debug)]
pub struct Exec {
    #[command(flatten)]
    outlets: Outlets,
    /// The process as a document's `process`; other flags do not change it
    #[arg(short = 'p', long, value_name = "FILE")]
    process: Option<String>,
    /// Do not wait for its end
    #[arg(short = 'd', long)]
    detach: bool,
    /// Give it a terminal
    #[arg(short = 't', long)]
    tty: bool,
    /// Its directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
    /// A variable of its environment
    #[arg(short = 'e', long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Its user and group, in numbers
    #[arg(short = 'u', long, value_name = "UID[:GID]")]
    user: Option<String>,
    /// A group more, in numbers
    #[arg(short = 'g', long, value_name = "GID", allow_negative_numbers = true)]
    additional_gids: Vec<i64>,
    /// A capability more
    #[arg(short = 'c', long, value_name = "CAP")]
    cap: Vec<String>,
    /// Whether programs that it runs can give it more rights
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_new_privs: Option<bool>,
    /// Its AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// Its SELinux label
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// A cgroup below the container's, of all hierarchies or of some v1 controllers
    #[arg(long, value_name = "[CONTROLLER,...:]PATH")]
    cgroup: Vec<String>,
    /// Also in a container that is paused
    #[arg(long)]
    ignore_paused: bool,
    /// The container
    pub id: String,
    /// The command, where there is no --process
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The verb. What fails before the command runs has status 255, so that it is not taken for the
/// command's own.
pub fn exec(root: &Path, words: &Exec) -> Result<u8> {
    Container::new(root, &words.id)
        .and_then(|container| enter(&container, words))
        .map_err(|e| cli::fail_with(255, cli::line(&e)))
}

fn enter(container: &Container, words: &Exec) -> Result<u8> {
    let extra = words.outlets.extra()?;
    let record = container.record()?;
    let mut doc = container.doc()?;
    let (host, cgroup) = (host()?, container.cgroup(&doc)?);
    let frozen = || cgroup.as_deref().is_some_and(|c| host.is_frozen(c));
    let status = state::status_by(container, record.as_ref(), frozen);
    match status {
        "running" | "created" => {}
        "paused" if words.ignore_paused => {}
        "paused" => bail!("cannot exec in a paused container (use --ignore-paused to override)"),
        _ => bail!("cannot exec in a {status} container"),
    }
    let record = record.ok_or_else(not_there)?;
    // Before the flags give this process other rights than the container has.
    let traced = launch::may_trace(&doc)?;
    process(&mut doc, words)?;
    words.outlets.fit(doc.terminal(), words.detach)?;
    if !words.detach {
        started::size_as_caller(&mut doc)?;
    }
    let open = words.outlets.open(extra, Path::new(""))?;
    let mut look = container.look(&doc, &host, Path::new(&record.bundle))?;
    // The container's files as its own processes see them.
    if look.root != Path::new("/") {
        look.dirs = vec![PathBuf::from(format!("/proc/{}/root", record.pid))];
    }
    look.cgroups = match &cgroup {
        Some(path) => below::joined(host.cgroup_dirs(path, &[]), &words.cgroup, record.pid)?,
        None => Vec::new(),
    };
    let kinds = doc.namespaces()?.into_iter().map(|n| n.kind).collect();
    let what = Enter { pid: record.pid, kinds, cgroup: true, as_container: true, traced };
    let mut steps = launch::enter(&doc, &look, &what)?;
    for step in &mut steps {
        // What was not there when the container began is not made now (as runc).
        if let Act::Chdir { make, .. } = &mut step.act {
            *make = false;
        }
    }
    if !words.detach {
        started::plain_terminal(&mut steps);
    }
    started::look_up_first(&mut steps);
    started::pass_on(&mut steps, open.extra);

    let mut signals = if words.detach { launch::signals()? } else { launch::all_signals(false)? };
    let mut said = started::Said::wanted(true);
    let watch = said.as_mut().map(|s| s as &mut dyn step::Watch);
    let mut child = launch::start(&steps, Start { watch, ..Start::default() }, &mut signals)
        .map_err(|e| started::in_words(e, "exec", &doc))?;
    open.tell(&child, "setns").inspect_err(|_| started::end(&child))?;
    if words.detach {
        return Ok(0);
    }
    let exit = launch::attend(&mut child, &mut signals, Attend { terminal: doc.terminal(), reap: false });
    Ok(exit.inspect_err(|_| started::end(&child))?.status() as u8)
}

/// Makes the document's process the one that is asked for.
fn process(doc: &mut Doc, words: &Exec) -> Result<()> {
    match words::path(&words.process) {
        Some(path) => from_file(doc, path)?,
        None => from_flags(doc, words)?,
    }
    started::settle_environment(doc)?;
    words.outlets.listening(doc)?;
    doc.validate()?;
    Ok(())
}

/// A process as an engine writes it. What it leaves open is the container's.
fn from_file(doc: &mut Doc, path: &Path) -> Result<()> {
    const INHERITED: [&str; 6] =
        ["capabilities", "apparmorProfile", "selinuxLabel", "rlimits", "oomScoreAdj", "user/umask"];
    // A pipe, as a shell's <(...) is one, will do.
    let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let process: Value = serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
    if !process.is_object() {
        bail!("read {}: a process is a JSON object", path.display());
    }
    let former: Vec<(String, Value)> = INHERITED
        .iter()
        .map(|key| format!("/process/{key}"))
        .filter_map(|key| doc.get(&key).cloned().map(|value| (key, value)))
        .collect();
    doc.set("/process", process)?;
    for (key, value) in former {
        let empty = doc.get(&key).is_some_and(|v| v.as_array().is_some_and(Vec::is_empty) || *v == json!(""));
        if empty {
            doc.remove(&key);
        }
        doc.set_default(&key, value)?;
    }
    doc::nothing_of_the_caller(doc)?;
    Ok(())
}

/// The container's own process with another command, and what the flags change of it.
fn from_flags(doc: &mut Doc, words: &Exec) -> Result<()> {
    if words.command.is_empty() {
        bail!("exec args cannot be empty");
    }
    doc.set("/process/args", words.command.clone())?;
    doc.set("/process/terminal", words.tty)?;
    doc.remove("/process/consoleSize");
    let text = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
    for (key, value) in [
        ("cwd", text(&words.cwd)),
        ("apparmorProfile", text(&words.apparmor)),
        ("selinuxLabel", text(&words.process_label)),
    ] {
        if let Some(value) = value {
            doc.set(&format!("/process/{key}"), value)?;
        }
    }
    if let Some(value) = words.no_new_privs {
        doc.set("/process/noNewPrivileges", value)?;
    }
    let mut env = doc.env()?;
    env.extend(words.env.iter().cloned());
    doc.set("/process/env", env)?;
    user(doc, words)?;
    capabilities(doc, &words.cap)
}

fn user(doc: &mut Doc, words: &Exec) -> Result<()> {
    if let Some(user) = words.user.as_deref().filter(|u| !u.is_empty()) {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(u, g)| (u, Some(g)));
        let number = |text: &str, what: &str| {
            text.parse::<u32>().with_context(|| format!("bad {what}: {text:?} is no number"))
        };
        if let Some(gid) = gid {
            doc.set("/process/user/gid", number(gid, "gid")?)?;
        }
        doc.set("/process/user/uid", number(uid, "uid")?)?;
    }
    if words.additional_gids.is_empty() {
        return Ok(());
    }
    let mut groups: Vec<u32> = doc.read("/process/user/additionalGids")?.unwrap_or_default();
    for gid in &words.additional_gids {
        groups.push(u32::try_from(*gid).with_context(|| format!("additional-gids must be positive: {gid}"))?);
    }
    doc.set("/process/user/additionalGids", groups)?;
    Ok(())
}

/// As runc merges them: into three sets, and into the ambient one where the container has inheritable
/// ones, without which there are none.
fn capabilities(doc: &mut Doc, more: &[String]) -> Result<()> {
    if more.is_empty() {
        return Ok(());
    }
    let mut caps: Capabilities = doc.capabilities()?.unwrap_or_default();
    let inheritable = doc.get("/process/capabilities/inheritable").is_some();
    for cap in more {
        caps.bounding.push(cap.clone());
        caps.effective.push(cap.clone());
        caps.permitted.push(cap.clone());
        if inheritable {
            caps.ambient.push(cap.clone());
        }
    }
    doc.set("/process/capabilities", serde_json::to_value(caps)?)?;
    Ok(())
}
