//! start: a created process goes on to its exec.

use crate::container::{Container, host};
use crate::notify::Notify;
use crate::{delete, started, state};
use anyhow::{Result, bail};
use clap::Args;
use doc::Doc;
use launch::Look;
use std::path::Path;
use step::{Act, Fault, Stopped};

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
    let look = || container.look(&doc, &host()?, bundle);
    let steps = if doc.get("/linux/seccomp/listenerPath").is_some() {
        launch::create(&doc, &look()?)?
    } else {
        Vec::new()
    };
    let pidfd = sys::process::pidfd(record.pid)?;
    let listening = Notify::wanted(container).map(Notify::listen).transpose()?.flatten();
    if let Err(e) = launch::go(&container.dir, record.pid, &steps, &mut signals) {
        // A hook that fails is the end of the container (runtime.md, Lifecycle); one whose program cannot
        // be run has stopped.
        let of_hook = |f: &Fault| matches!(*f.act, Act::Hook { .. });
        if e.downcast_ref::<Fault>().is_some_and(of_hook) {
            delete::end(container)?;
            delete::remove(container, Some(&doc), bundle)?;
        } else if !e.is::<Stopped>() {
            // Its parent is an engine that deletes it now, and takes one whose end is still to be
            // seen for running: then it stays for good.
            let _ = sys::process::ended(&pidfd, 10_000);
        }
        return Err(started::in_words(e, "start", &doc));
    }
    if !doc.hooks("poststart")?.is_empty() {
        poststart(container, &doc, &look()?, record.pid).map_err(|e| started::in_words(e, "start", &doc))?;
    }
    drop(lock);
    if let Some(listening) = listening {
        listening.pass_on(record.pid, pidfd);
    }
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
        delete::remove_seen(container, doc, look)?;
    }
    failed
}
