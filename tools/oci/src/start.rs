//! start: a created process goes on to its exec.

use crate::container::{Container, host};
use crate::{delete, state};
use anyhow::{Result, bail};
use clap::Args;
use doc::Doc;
use launch::Look;
use std::path::Path;

/// The words of `start`.
#[derive(Args, Debug)]
pub struct Start {
    /// The container
    pub id: String,
}

/// The verb.
pub fn start(container: &Container) -> Result<u8> {
    let lock = container.lock()?;
    let record = container.record()?;
    let doc = container.doc()?;
    let status = state::status(container, record.as_ref(), container.cgroup(&doc)?.as_deref());
    let Some(record) = record.filter(|_| status == "created") else {
        match status {
            "running" => bail!("cannot start an already running container"),
            "stopped" => bail!("cannot start a container that has stopped"),
            _ => bail!("cannot start a container in the {status} state"),
        }
    };
    let mut signals = launch::signals()?;
    let bundle = Path::new(&record.bundle);
    let look = container.look(&doc, &host()?, bundle)?;
    let steps = if doc.get("/linux/seccomp/listenerPath").is_some() {
        launch::create(&doc, &look)?
    } else {
        Vec::new()
    };
    launch::go(&container.dir, record.pid, &steps, &mut signals)?;
    if doc.hooks("poststart")?.is_empty() {
        return Ok(0);
    }
    let begun = poststart(container, &doc, &look, record.pid);
    drop(lock);
    begun?;
    Ok(0)
}

/// The poststart hooks. One that fails is the end of the container (runtime.md, Lifecycle).
pub fn poststart(container: &Container, doc: &Doc, look: &Look, pid: i32) -> Result<()> {
    let failed = launch::poststart(doc, look, pid);
    if failed.is_err() {
        if let Ok(pidfd) = sys::process::pidfd(pid) {
            let _ = sys::process::signal(&pidfd, sys::process::KILL);
            let _ = sys::process::ended(&pidfd, 10_000);
        }
        delete::remove(container, Some(doc), &look.bundle)?;
    }
    failed
}
