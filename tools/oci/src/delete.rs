//! delete: everything that a container holds goes; what is gone already is fine.

use crate::container::{Container, host};
use crate::log::{Level, say};
use anyhow::{Context, Result, bail};
use clap::Args;
use cli::freezer;
use doc::Doc;
use launch::Look;
use state::CgroupDir;
use std::fs;
use std::path::Path;
use step::{Act, Step};

/// The words of `delete`.
#[derive(Args, Debug)]
pub struct Delete {
    /// Also one that runs; and none is fine
    #[arg(short = 'f', long)]
    force: bool,
    /// The container
    pub id: String,
}

/// The verb.
pub fn delete(container: &Container, words: &Delete) -> Result<u8> {
    if words.force {
        return force(container);
    }
    let lock = container.lock()?;
    let record = container.record()?;
    let doc = container.doc().ok();
    let cgroup = doc.as_ref().map(|d| container.cgroup(d)).transpose()?.flatten();
    let status = crate::state::status(container, record.as_ref(), cgroup.as_deref());
    if !matches!(status, "stopped" | "created" | "creating") {
        bail!("cannot delete container {} that is not stopped: {status}", container.id);
    }
    end(container)?;
    remove(container, doc.as_ref(), Path::new(&record.map(|r| r.bundle).unwrap_or_default()))?;
    drop(lock);
    Ok(0)
}

/// Whatever it does, and however much of it there is. Its process ends before anybody is waited for:
/// who holds the lock may be waiting for the process.
fn force(container: &Container) -> Result<u8> {
    if !container.exists() {
        return Ok(0);
    }
    end(container)?;
    let Ok(lock) = container.lock() else { return Ok(0) };
    // Made since.
    end(container)?;
    let bundle = container.record().ok().flatten().map(|r| r.bundle).unwrap_or_default();
    remove(container, container.doc().ok().as_ref(), Path::new(&bundle))?;
    drop(lock);
    Ok(0)
}

/// Post-condition: the container's first process has ended, if it had one.
pub fn end(container: &Container) -> Result<()> {
    let Some(pid) = container.record().ok().flatten().and_then(|r| r.running()) else { return Ok(()) };
    let Ok(pidfd) = sys::process::pidfd(pid) else { return Ok(()) };
    match sys::process::signal(&pidfd, sys::process::KILL) {
        Err(sys::Errno(sys::ESRCH)) => return Ok(()),
        other => other.with_context(|| format!("end process {pid}"))?,
    }
    // A frozen process of v1 ends only once it is let go on.
    if let Ok(Some(cgroup)) = container.doc().and_then(|d| container.cgroup(&d)) {
        freezer::thaw(&host()?, &cgroup)?;
    }
    if !sys::process::ended(&pidfd, 10_000)? {
        bail!("container init still running");
    }
    Ok(())
}

/// Takes away the cgroups with all that is in them, and the directory; then come the poststop hooks,
/// whose failures are warnings (runtime.md, Lifecycle). The cgroups above stay: they may be others'.
pub fn remove(container: &Container, doc: Option<&Doc>, bundle: &Path) -> Result<()> {
    match doc {
        Some(doc) => remove_seen(container, doc, &container.look(doc, &host()?, bundle)?),
        None => remove_dir(container),
    }
}

/// The same of one that was looked at before.
pub fn remove_seen(container: &Container, doc: &Doc, look: &Look) -> Result<()> {
    let cgroup = |dir: &CgroupDir| Act::Cgroup { path: dir.path.clone(), shared: false };
    let unit = container.place(doc)?.and_then(|place| limits::unit(&look.host, &place));
    // A unit's cgroups are made with its first process: after the look.
    let cgroups = match unit {
        Some(_) => container.cgroups(doc, &look.host)?,
        None => look.cgroups.clone(),
    };
    // Nobody is in most of them any more.
    let held: Vec<_> = cgroups.iter().filter(|dir| cgroup(dir).undo().is_err()).collect();
    let mut acts: Vec<Act> = unit.into_iter().collect();
    acts.extend(held.iter().map(|dir| cgroup(dir)));
    acts.extend(launch::rdt(doc, look)?);
    acts.extend(held.iter().map(|dir| Act::Members { cgroup: dir.path.clone() }));
    cli::undo_all(&acts.into_iter().map(Step::parent).collect::<Vec<_>>())?;
    let hooks = launch::hooks(doc, look, "poststop", "stopped")?;
    remove_dir(container)?;
    for hook in hooks {
        if let Err(e) = hook.make_for(0) {
            say(Level::Warning, &format!("{}: {e}", hook.what()));
        }
    }
    Ok(())
}

/// The container's directory; already gone is fine.
pub fn remove_dir(container: &Container) -> Result<()> {
    match fs::remove_dir_all(&container.dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.with_context(|| format!("remove {}", container.dir.display())),
    }
}
