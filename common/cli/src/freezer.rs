//! The freezer of a container's cgroup: v2's own where there is one, else v1's controller.

use anyhow::{Context, Result, bail};
use state::{Host, Record};
use step::{Act, Fault};

/// What stops the processes of the cgroup at a path, or lets them go on.
pub fn act(host: &Host, path: &str, frozen: bool) -> Result<Act> {
    let dir = host.freezer(path).context("it is in no cgroup that can be frozen")?;
    Ok(Act::Freeze { cgroup: dir.path, v2: dir.v2, frozen })
}

/// Post-condition: the processes of the cgroup have stopped, or go on.
pub fn freeze(host: &Host, path: &str, frozen: bool) -> Result<()> {
    let act = act(host, path, frozen)?;
    act.make().map_err(|e| Fault::new(&act, e))?;
    Ok(())
}

/// Lets processes go on that have been told to end: a frozen one of v1 cannot.
pub fn thaw(host: &Host, path: &str) -> Result<()> {
    match host.freezer(path) {
        Some(dir) if sys::cgroup::is_to_freeze(&dir.path, dir.v2) => freeze(host, path, false),
        _ => Ok(()),
    }
}

/// What `stave pause` and `stave resume` do to each of their containers: the line that says so, or the
/// step as shell where it is only to be shown.
pub fn one(host: &Host, word: &str, frozen: bool, dry_run: bool) -> Result<String> {
    let id = state::find(&host.roots, word)?;
    // Nobody starts it or takes it away meanwhile.
    let _lock = state::lock(&host.roots, &id)?;
    let cgroup = state::cgroup(&id, &state::read(&host.roots, &id)?);
    // One that ended while it was paused leaves its cgroup so.
    let left = !frozen && host.is_frozen(&cgroup);
    if !left && Record::read(&host.roots, &id)?.and_then(|r| r.running()).is_none() {
        bail!("it does not run");
    }
    let act = act(host, &cgroup, frozen)?;
    if dry_run {
        return Ok(act.show() + "\n");
    }
    act.make().map_err(|e| Fault::new(&act, e))?;
    Ok(format!("{word}\n"))
}
