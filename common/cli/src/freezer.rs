//! The freezer of a container's cgroup: v2's own where there is one, else v1's controller. Where both are, somebody
//! else may have used the other: what is let go on is so by both.

use anyhow::{Context, Result, bail};
use state::{CgroupDir, Host, Record};
use step::{Act, Fault};

/// What stops the processes of the cgroup at a path, or lets them go on.
fn acts(host: &Host, path: &str, frozen: bool) -> Result<Vec<Act>> {
    let mut dirs = host.freezers(path);
    let usual = dirs.pop().context("it is in no cgroup that can be frozen")?;
    dirs.retain(|d| !frozen && sys::cgroup::is_to_freeze(&d.path, d.v2));
    let act = |d: CgroupDir| Act::Freeze { cgroup: d.path, v2: d.v2, frozen };
    Ok(dirs.into_iter().chain([usual]).map(act).collect())
}

fn make(acts: &[Act]) -> Result<()> {
    for act in acts {
        act.make().map_err(|e| Fault::new(act, e))?;
    }
    Ok(())
}

/// Post-condition: the processes of the cgroup have stopped, or go on.
pub fn freeze(host: &Host, path: &str, frozen: bool) -> Result<()> {
    make(&acts(host, path, frozen)?)?;
    if frozen { Ok(()) } else { free(host, path) }
}

/// What has frozen a cgroup above is not this container's to undo. (v2 ends processes all the same.)
fn free(host: &Host, path: &str) -> Result<()> {
    for dir in host.freezers(path).iter().filter(|d| !d.v2) {
        if let Some(above) = sys::cgroup::frozen_above(&dir.path, false) {
            bail!("it is frozen by a cgroup above: {}", above.display());
        }
    }
    Ok(())
}

/// Lets processes go on that have been told to end: a frozen one of v1 cannot, whoever has frozen it, nor can
/// one in a cgroup below.
pub fn thaw(host: &Host, path: &str) -> Result<()> {
    let told =
        |d: CgroupDir| {
            let all = if d.v2 { vec![d.path] } else { sys::cgroup::tree(&d.path) };
            all.into_iter()
                .filter(move |at| sys::cgroup::is_to_freeze(at, d.v2))
                .map(move |cgroup| Act::Freeze { cgroup, v2: d.v2, frozen: false })
        };
    for act in host.freezers(path).into_iter().flat_map(told) {
        match act.make() {
            // Whoever was in it has ended, and it is gone.
            Err(e) if [sys::ENOENT, sys::ENODEV].map(sys::Errno).contains(&e.errno) => {}
            other => {
                other.map_err(|e| Fault::new(&act, e))?;
            }
        }
    }
    free(host, path)
}

/// What `stave pause` and `stave resume` do to each of their containers: the line that says so, or the
/// steps as shell where they are only to be shown.
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
    let acts = acts(host, &cgroup, frozen)?;
    if dry_run {
        return Ok(acts.iter().map(|act| act.show() + "\n").collect());
    }
    make(&acts)?;
    if !frozen {
        free(host, &cgroup)?;
    }
    Ok(format!("{word}\n"))
}
