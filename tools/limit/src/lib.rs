//! The cgroup, and the limits in it: on v1, v2 and hybrid hosts.
#![forbid(unsafe_code)]

mod check;
mod devices;
mod flags;
mod named;
mod owner;
mod update;
mod v1;
mod v2;
mod view;

pub use flags::Limit;
pub use named::{Words, run};
pub use update::update;

use anyhow::{Result, bail};
use cli::Host;
use doc::{Doc, Resources};
use state::{CgroupDir, Roots};
use std::path::Path;
use step::{Act, Setting, Step};

impl cli::Stage for Limit {
    const NAME: &'static str = "limit";
    const ABOUT: &'static str = "Make a container's cgroup and set its limits";

    fn edit(&self, doc: &mut Doc, host: &Host) -> Result<()> {
        flags::edit(self, doc, host)
    }

    /// With a fresh cgroup for each start: one that was there, and that nobody is in, is made anew.
    fn plan(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        let (id, at) = cgroup(doc)?;
        let mut steps = steps(doc, host, &at)?;
        let old = |s: &Step| match &s.act {
            Act::Cgroup { path, shared: false } if path.ends_with(id) && path.is_dir() => Some(path.clone()),
            _ => None,
        };
        let found: Vec<_> = steps.iter().enumerate().filter_map(|(n, s)| Some((n, old(s)?))).collect();
        for (n, cgroup) in found.into_iter().rev() {
            steps.insert(n, Step::parent(Act::Renew { cgroup }));
        }
        Ok(steps)
    }

    /// The cgroups above are the caller's, who named them; but not ours, that of all containers.
    fn leaves(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        let (id, at) = cgroup(doc)?;
        let own = Roots::cgroup(id);
        let all = Path::new(own.trim_start_matches('/')).parent().map(Path::to_owned).unwrap_or_default();
        let ours = |path: &Path| at == own && path.ends_with(&all);
        let mut steps = steps(doc, host, &at)?;
        steps.retain(|s| !matches!(&s.act, Act::Cgroup { path, shared: true } if !ours(path)));
        Ok(steps)
    }

    fn view(doc: &Doc, host: &Host) -> Result<String> {
        let (_, at) = cgroup(doc)?;
        Ok(view::table(&view::rows(doc, host, &at)?))
    }
}

/// The id, and the path of the cgroup in each hierarchy.
fn cgroup(doc: &Doc) -> Result<(&str, String)> {
    let Some(id) = doc.id()? else { bail!("the document has no id") };
    Ok((id, doc.cgroups_path()?.map_or_else(|| Roots::cgroup(id), String::from)))
}

/// The period against which `--cpus` counts, in microseconds (docker's, and the kernel's own).
const PERIOD: u64 = 100_000;

/// The cgroup at `path` (absolute within each hierarchy that `host` uses; there already is fine) with
/// the limits of the document, whatever its own path says. What cannot be is an error before anything
/// is made.
pub fn steps(doc: &Doc, host: &Host, path: &str) -> Result<Vec<Step>> {
    let resources = doc.resources()?;
    let asked = resources.controllers();
    let mut dirs = host.cgroup_dirs(path, &asked);
    if !host.is_able() {
        // An ordinary user has what was delegated to it, and can do without the rest where no limit was
        // asked for that it would hold.
        let open = |d: &CgroupDir| d.path.ancestors().find(|a| a.exists()).is_some_and(sys::cred::may_write);
        let name = |c: &str| if c == "blkio" { "io".to_owned() } else { c.to_owned() };
        let needed = |d: &CgroupDir| d.controllers.iter().any(|c| asked.contains(&name(c)));
        dirs.retain(|d| open(d) || needed(d));
    }
    check::check(&resources, &dirs)?;
    let mut acts = Vec::new();
    for dir in &dirs {
        directory(dir, host, &resources, &mut acts);
        if dir.v2 {
            v2::limits(dir, &resources, &mut acts)
        } else {
            v1::limits(dir, &resources, &mut acts)
        }
        // Delegation is not safe in v1.
        if let (true, Some(uid)) = (host.cgroups.pure_v2() && host.is_able(), owner::owner(doc)?) {
            acts.push(Act::OwnCgroup { path: dir.path.clone(), uid });
        }
        acts.extend(devices::rules(dir, &dirs, &resources.devices, host.filters_devices())?);
        // A container that runs already is not in a hierarchy that it had no use for.
        let usual = dirs.iter().find(|d| !d.v2 && d.usual());
        if let (Some(usual), false, false) = (usual, dir.usual(), host.every_hierarchy) {
            acts.push(Act::Adopt { cgroup: dir.path.clone(), from: usual.path.clone() });
        }
    }
    Ok(acts.into_iter().map(Step::parent).collect())
}

/// The directory and those above it; v2 hands its controllers down level by level, a cpuset of v1
/// its processors.
fn directory(dir: &CgroupDir, host: &Host, r: &Resources, acts: &mut Vec<Act>) {
    let asked = r.controllers();
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    // Where v1 holds the limits, v2's few controllers are handed down only to be used: a root that holds
    // processes, as of a cgroup namespace, cannot (no internal processes, cgroups(7)).
    let pure = host.cgroups.pure_v2();
    let usual = |c: &str| pure && (host.every_hierarchy || matches!(c, "memory" | "cpu" | "pids"));
    let needed: Vec<String> = asked.into_iter().filter(|c| dir.v2 && has(c)).collect();
    let mut wanted = needed.clone();
    let more = dir.controllers.iter().filter(|c| dir.v2 && usual(c) && !needed.contains(c));
    wanted.extend(more.cloned());
    let hand_down = |at: &Path| {
        let (wanted, needed) = (wanted.clone(), needed.clone());
        (!wanted.is_empty()).then(|| Act::HandDown { cgroup: at.to_owned(), wanted, needed })
    };
    let cpuset = !dir.v2 && has("cpuset");
    let inherit = |at: &Path| cpuset.then(|| Act::Inherit { cpuset: at.to_owned() });
    let mut above: Vec<_> = dir.path.ancestors().skip(1).take_while(|a| *a != dir.mount).collect();
    above.reverse();
    acts.extend(hand_down(&dir.mount));
    for path in above {
        acts.push(Act::Cgroup { path: path.to_owned(), shared: true });
        acts.extend(inherit(path));
        acts.extend(hand_down(path));
    }
    acts.push(Act::Cgroup { path: dir.path.clone(), shared: false });
    acts.extend(inherit(&dir.path));
}

/// Limits that are set together; none is no step.
fn group(dir: &CgroupDir, set: Vec<Setting>) -> Option<Act> {
    (!set.is_empty()).then(|| Act::Limit { cgroup: dir.path.clone(), set })
}

fn one(file: &str, value: impl ToString) -> Setting {
    Setting { file: file.to_owned(), text: value.to_string(), ..Setting::default() }
}

/// A limit that a kernel without the file does not have either: -1.
fn limit(file: &str, value: i64) -> Setting {
    Setting { optional: value == -1, ..one(file, value) }
}

/// What kernels call differently, and may count differently.
fn or(first: Setting, file: &str, text: String) -> Setting {
    Setting { or: Some((file.to_owned(), text)), ..first }
}

/// A task is there, so 0 and 1 come to the same; systemd, which others limit by, knows no 0.
fn tasks(n: i64) -> Setting {
    Setting { optional: n < 0, ..one("pids.max", if n == 0 { "1".into() } else { max(n) }) }
}

/// A list that is not empty.
fn list(list: &Option<String>) -> Option<&String> {
    list.as_ref().filter(|l| !l.is_empty())
}

/// One line a device.
fn rdma(r: &Resources) -> Option<Setting> {
    let word = |name: &str, n: Option<u32>| n.map_or(String::new(), |n| format!(" {name}={n}"));
    let line = |(device, limits): (&String, &doc::Rdma)| {
        let (handles, objects) =
            (word("hca_handle", limits.hca_handles), word("hca_object", limits.hca_objects));
        format!("{device}{handles}{objects}")
    };
    let lines: Vec<String> = r.rdma.iter().map(line).collect();
    (!lines.is_empty()).then(|| one("rdma.max", lines.join("\n")))
}

fn max(n: i64) -> String {
    if n < 0 { "max".into() } else { n.to_string() }
}
