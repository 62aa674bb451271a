//! The freezer of a container's cgroup: v2's own where there is one, else v1's controller.

use anyhow::{Context, Result};
use cli::Host;
use state::CgroupDir;
use step::{Act, Fault};
use sys::cgroup;

/// The directory by which the cgroup at a path is frozen; `None`: it is in no hierarchy that can.
fn freezer(host: &Host, path: &str) -> Option<CgroupDir> {
    let mut dirs = host.cgroup_dirs(path, &[]);
    dirs.retain(|d| (d.v2 || d.controllers.iter().any(|c| c == "freezer")) && d.path.is_dir());
    dirs.pop() // v2's is the last
}

/// Whether the cgroup at a path is frozen.
pub fn is_frozen(host: &Host, path: &str) -> bool {
    freezer(host, path).is_some_and(|d| cgroup::is_frozen(&d.path, d.v2))
}

/// Post-condition: the processes of the cgroup have stopped, or go on.
pub fn freeze(host: &Host, path: &str, frozen: bool) -> Result<()> {
    let dir = freezer(host, path).context("no cgroup hierarchy here has a freezer for it")?;
    let act = Act::Freeze { cgroup: dir.path, v2: dir.v2, frozen };
    act.make().map_err(|e| Fault::new(&act, e))?;
    Ok(())
}

/// Lets processes go on that have been told to end: a frozen one of v1 cannot.
pub fn thaw(host: &Host, path: &str) -> Result<()> {
    if is_frozen(host, path) { freeze(host, path, false) } else { Ok(()) }
}
