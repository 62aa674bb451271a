//! What a document asks of cgroups, as steps: the directories, and the limits in them; on v1, v2 and
//! hybrid hosts.
#![forbid(unsafe_code)]

mod check;
mod devices;
mod driver;
mod gvariant;
mod owner;
mod unit;
mod update;
mod v1;
mod v2;

pub use devices::again;
pub use driver::Driver;
pub use unit::tell;
pub use update::{changed, put, update, write_down};

use anyhow::Result;
use doc::{Doc, Resources};
use state::{CgroupDir, Host};
pub use state::{Place, Unit};
use std::path::{Path, PathBuf};
use step::{Access, Act, Setting, Step};

/// The period against which `--cpus` counts, in microseconds (docker's, and the kernel's own).
pub const PERIOD: u64 = 100_000;

/// The cgroups of a place (in each hierarchy that `host` uses; there already is fine) with the limits of
/// the document, whatever its own path says. What cannot be is an error before anything is made. A unit
/// of systemd's is made with a process in it: until it is there, that is left to whoever starts one.
pub fn steps(doc: &Doc, host: &Host, place: &Place) -> Result<Vec<Step>> {
    let Some(unit) = &place.unit else {
        return Ok(directories(doc, host, place)?.into_iter().map(Step::parent).collect());
    };
    if kept(host, place).is_some_and(|dir| dir.is_dir()) {
        let acts = unit::live(doc, host, place, unit)?;
        return Ok(acts.into_iter().map(Step::parent).collect());
    }
    Ok(launched(doc, host, place)?.into_iter().map(Step::child).collect())
}

/// What is done for a process that has just been cloned, by its parent, where its cgroup is a unit's: the
/// unit is made, and then the rest of the limits. Nothing, where the cgroup is a directory of ours.
pub fn launched(doc: &Doc, host: &Host, place: &Place) -> Result<Vec<Act>> {
    match &place.unit {
        Some(unit) => unit::made(doc, host, place, unit),
        None => Ok(Vec::new()),
    }
}

/// Where systemd keeps the cgroups of its units: in v2's hierarchy where there is one, else in its own of
/// v1's.
fn kept(host: &Host, place: &Place) -> Option<PathBuf> {
    let own = || host.cgroups.v1("name=systemd");
    let hierarchy = host.cgroups.v2().or_else(own)?;
    Some(hierarchy.at.join(place.path.trim_start_matches('/')))
}

/// The step that takes a unit away when it is undone; `None`: the place is no unit's.
pub fn unit(host: &Host, place: &Place) -> Option<Act> {
    let unit = place.unit.as_ref()?;
    let cgroup = kept(host, place)?;
    Some(Act::Unit { name: unit.name.clone(), user: unit.user, cgroup, properties: Vec::new() })
}

/// The step that takes one more process into a unit, where only its manager may: the caller is in none
/// of the manager's own. `None`: the caller may.
pub fn attach(host: &Host, place: &Place) -> Option<Act> {
    let unit = place.unit.as_ref().filter(|u| u.user)?;
    let manager = state::manager(true);
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|l| l.strip_prefix("0::"))?;
    if Path::new(own).starts_with(manager) {
        return None;
    }
    let (name, cgroup) = (unit.name.clone(), kept(host, place)?);
    Some(Act::Attach { name, user: true, cgroup, below: String::new() })
}

/// The hierarchies in which a place is made.
fn dirs(resources: &Resources, host: &Host, place: &Place) -> Vec<CgroupDir> {
    let asked = resources.controllers();
    let mut dirs = host.cgroup_dirs(&place.path, &asked);
    if !host.is_able() {
        // An ordinary user has what was delegated to it, and can do without the rest where no limit was
        // asked for that it would hold.
        let open = |d: &CgroupDir| d.path.ancestors().find(|a| a.exists()).is_some_and(sys::cred::may_write);
        let name = |c: &str| if c == "blkio" { "io".to_owned() } else { c.to_owned() };
        let needed = |d: &CgroupDir| d.controllers.iter().any(|c| asked.contains(&name(c)));
        dirs.retain(|d| open(d) || needed(d));
    }
    dirs
}

fn directories(doc: &Doc, host: &Host, place: &Place) -> Result<Vec<Act>> {
    let resources = doc.resources()?;
    let dirs = dirs(&resources, host, place);
    check::check(&resources, &dirs)?;
    let rules = Rules::of(doc, host, &resources)?;
    let mut acts = Vec::new();
    for dir in &dirs {
        directory(dir, host, &resources, &mut acts);
        limits(dir, &resources, &mut acts);
        acts.extend(rules.steps(dir, &dirs)?);
        // A container that runs already is not in a hierarchy that it had no use for.
        let usual = dirs.iter().find(|d| !d.v2 && d.usual());
        if let (Some(usual), false, false) = (usual, dir.usual(), host.every_hierarchy) {
            acts.push(Act::Adopt { cgroup: dir.path.clone(), from: usual.path.clone() });
        }
    }
    Ok(acts)
}

/// The limits that a hierarchy holds.
fn limits(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    if dir.v2 { v2::limits(dir, r, acts) } else { v1::limits(dir, r, acts) }
}

/// Whose the cgroup is, and which devices may be used in it.
struct Rules {
    owner: Option<u32>,
    devices: Vec<Access>,
    program: bool,
}

impl Rules {
    fn of(doc: &Doc, host: &Host, r: &Resources) -> Result<Rules> {
        // Delegation is not safe in v1.
        let owner = if host.cgroups.pure_v2() && host.is_able() { owner::owner(doc)? } else { None };
        let devices = devices::accesses(&r.devices)?;
        Ok(Rules { owner, devices, program: host.filters_devices() })
    }

    /// In one of the hierarchies.
    fn steps(&self, dir: &CgroupDir, dirs: &[CgroupDir]) -> Result<Vec<Act>> {
        let own = self.owner.map(|uid| Act::OwnCgroup { path: dir.path.clone(), uid });
        let devices = devices::rules(dir, dirs, &self.devices, self.program)?;
        Ok(own.into_iter().chain(devices).collect())
    }
}

/// The directory and those above it; v2 hands its controllers down level by level, a cpuset of v1
/// its processors.
pub fn directory(dir: &CgroupDir, host: &Host, r: &Resources, acts: &mut Vec<Act>) {
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

/// Twice the memory is what nobody need have asked for: where the kernel does not count swap, it is let be.
fn usual_swap(m: &doc::Memory) -> bool {
    m.limit.is_some_and(|n| m.swap == Some(n.saturating_mul(2)))
}

/// What kernels call differently, and may count differently.
fn or(first: Setting, file: &str, text: String) -> Setting {
    Setting { or: Some((file.to_owned(), text)), ..first }
}

/// cpuset and pids, the same in v1 and v2.
fn numbers(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    let list = |file: &str, list: &Option<String>| {
        list.as_ref().filter(|l| !l.is_empty() && has("cpuset")).map(|l| one(file, l))
    };
    // A task is there, so 0 and 1 come to the same; systemd, which others limit by, knows no 0.
    let tasks =
        |n: i64| Setting { optional: n < 0, ..one("pids.max", if n == 0 { "1".into() } else { max(n) }) };
    let settings = [
        list("cpuset.cpus", &r.cpu.cpus),
        list("cpuset.mems", &r.cpu.mems),
        r.pids.limit.filter(|_| has("pids")).map(tasks),
    ];
    acts.extend(settings.into_iter().flatten().filter_map(|s| group(dir, vec![s])));
}

/// hugetlb, whose files end in another word in each.
fn huge_pages(dir: &CgroupDir, r: &Resources, word: &str, acts: &mut Vec<Act>) {
    if !dir.controllers.iter().any(|c| c == "hugetlb") {
        return;
    }
    for h in &r.hugepage_limits {
        let file = |middle: &str| format!("hugetlb.{}{middle}.{word}", h.page_size);
        acts.extend(group(dir, vec![one(&file(""), h.limit)]));
        acts.extend(group(dir, vec![Setting { optional: true, ..one(&file(".rsvd"), h.limit) }]));
    }
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
