//! delete: everything that a container holds goes; what is gone already is fine.

use crate::container::{Container, host};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use step::Act;

/// The verb.
pub fn delete(container: &Container, force: bool) -> Result<u8> {
    if force && !container.exists() {
        return Ok(0);
    }
    let lock = container.lock()?;
    let record = container.record()?;
    if let Some(pid) = record.as_ref().and_then(|r| r.running()) {
        let status = container.status(record.as_ref());
        if status == "running" && !force {
            bail!("cannot delete container {} that is not stopped: {status}", container.id);
        }
        let pidfd = sys::process::pidfd(pid).context("end the process")?;
        sys::process::signal(&pidfd, sys::process::KILL).context("end the process")?;
        sys::process::ended(&pidfd, 10_000).context("end the process")?;
    }
    let bundle = record.map(|r| r.bundle).unwrap_or_default();
    remove(container, Path::new(&bundle))?;
    drop(lock);
    Ok(0)
}

/// Takes away the cgroups with all that is in them, and the directory; then the poststop hooks.
pub fn remove(container: &Container, bundle: &Path) -> Result<()> {
    let doc = container.doc().ok();
    let mut hooks = Vec::new();
    if let Some(doc) = &doc {
        let host = host()?;
        let mut steps = container.cgroup_steps(doc, &host)?;
        let look = container.look(doc, &host, bundle)?;
        let members = look.cgroups.iter().map(|d| Act::Members { cgroup: d.path.clone() });
        steps.extend(members.map(step::Step::parent));
        cli::undo_all(&steps)?;
        hooks = launch::hooks(doc, &look, "poststop", "stopped")?;
    }
    fs::remove_dir_all(&container.dir).with_context(|| format!("remove {}", container.dir.display()))?;
    for hook in hooks {
        if let Err(e) = hook.make_for(0) {
            cli::say("oci", &format!("warning: {}: {e}", hook.what()));
        }
    }
    Ok(())
}
