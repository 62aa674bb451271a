//! kill: a signal to the container's process, or to all of them.

use crate::container::{Container, host};
use crate::{ps, state};
use anyhow::{Context, Result, bail};
use clap::Args;
use cli::freezer;
use doc::Doc;
use sys::process;

/// The words of `kill`.
#[derive(Args, Debug)]
pub struct Kill {
    /// To all its processes; and none is fine
    #[arg(short = 'a', long)]
    all: bool,
    /// The container
    pub id: String,
    /// Name or number
    #[arg(default_value = "TERM")]
    signal: String,
}

/// The verb.
pub fn kill(container: &Container, words: &Kill) -> Result<u8> {
    let record = container.record()?;
    let number = process::signal_number(&words.signal)
        .with_context(|| format!("unknown signal \"{}\"", words.signal))?;
    let doc = container.doc()?;
    let cgroup = container.cgroup(&doc)?;
    // Others outlive the first process where it is not the first of a pid namespace.
    let all = words.all || (number == process::KILL && !ends_with_its_first(&doc)?);
    if all && cgroup.is_some() {
        let any =
            if number == process::KILL { kill_all(container, &doc)? } else { signal_all(container, number)? };
        thaw_for(number, cgroup.as_deref())?;
        // Nobody in it: it has ended, or its cgroup is one that an ordinary user was not let make.
        if any {
            return Ok(0);
        }
    }
    let pid = record.as_ref().and_then(|r| r.running());
    let status = state::status(container, record.as_ref(), cgroup.as_deref());
    let Some(pid) = pid.filter(|_| status != "stopped") else {
        // As with runc: what is asked of all is so where there is nobody.
        return if words.all { Ok(0) } else { bail!("container not running") };
    };
    let pidfd = process::pidfd(pid).context("container not running")?;
    match process::signal(&pidfd, number) {
        Err(sys::Errno(sys::ESRCH)) => bail!("container not running"),
        other => other.with_context(|| format!("send signal {} to process {pid}", words.signal))?,
    }
    thaw_for(number, cgroup.as_deref())?;
    Ok(0)
}

/// Whether the end of the first process is that of all: it has a pid namespace of its own.
fn ends_with_its_first(doc: &Doc) -> Result<bool> {
    Ok(doc.namespaces()?.iter().any(|n| n.kind == "pid" && n.path.is_none()))
}

/// A frozen process of v1 ends only once it is let go on.
fn thaw_for(number: i32, cgroup: Option<&str>) -> Result<()> {
    match cgroup {
        Some(path) if number == process::KILL => freezer::thaw(&host()?, path),
        _ => Ok(()),
    }
}

/// All at once, by the hierarchy that can; whether there was one.
fn kill_all(container: &Container, doc: &Doc) -> Result<bool> {
    let mut any = false;
    for dir in container.cgroups(doc, &host()?)?.iter().rev() {
        any |= sys::cgroup::begin_to_kill(&dir.path)
            .with_context(|| format!("end the processes of cgroup {}", dir.path.display()))?;
    }
    Ok(any)
}

/// To every process of the cgroup, until no new one comes up that had no signal yet; whether there
/// was one.
fn signal_all(container: &Container, number: i32) -> Result<bool> {
    let mut told: Vec<i32> = Vec::new();
    loop {
        let new: Vec<i32> = ps::pids(container)?.into_iter().filter(|p| !told.contains(p)).collect();
        if new.is_empty() {
            return Ok(!told.is_empty());
        }
        for pid in &new {
            if let Ok(pidfd) = process::pidfd(*pid) {
                let _ = process::signal(&pidfd, number);
            }
        }
        told.extend(new);
    }
}
