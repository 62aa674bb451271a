//! The cgroup, and the limits in it: on v1, v2 and hybrid hosts.
#![forbid(unsafe_code)]

mod update;
mod v1;
mod v2;

pub use update::update;

use anyhow::{Result, bail};
use clap::Args;
use cli::{Host, parse};
use doc::{BlockIo, Doc, Resources};
use state::{CgroupDir, Roots};
use step::{Act, Setting, Step};

/// The period against which `--cpus` counts, in microseconds (docker's).
const PERIOD: u64 = 100_000;

/// The flags of `stave limit`.
#[derive(Args, Debug, Default)]
pub struct Limit {
    /// Memory: a number and b, k, m, g
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = parse::some_size, help_heading = "Limits")]
    pub memory: Option<i64>,
    /// Processors, as a fraction: 0.5
    #[arg(long, value_name = "N", value_parser = parse::cpus, help_heading = "Limits")]
    pub cpus: Option<f64>,
    /// Tasks; -1: no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Limits")]
    pub pids_limit: Option<i64>,
}

impl cli::Stage for Limit {
    const NAME: &'static str = "limit";
    const ABOUT: &'static str = "Make a container's cgroup and set its limits";

    fn edit(&self, doc: &mut Doc, _host: &Host) -> Result<()> {
        if let Some(bytes) = self.memory {
            doc.set("/linux/resources/memory/limit", bytes)?;
        }
        if let Some(cpus) = self.cpus {
            let quota = (cpus * PERIOD as f64).round() as i64;
            if quota < 1000 {
                return Err(cli::usage(format!("--cpus {cpus}: the kernel's least is 0.01")));
            }
            doc.set("/linux/resources/cpu/quota", quota)?;
            doc.set("/linux/resources/cpu/period", PERIOD)?;
        }
        if let Some(n) = self.pids_limit {
            doc.set("/linux/resources/pids/limit", n)?;
        }
        Ok(())
    }

    fn plan(doc: &Doc, host: &Host) -> Result<Vec<Step>> {
        let Some(id) = doc.id()? else { bail!("the document has no id") };
        let own = Roots::cgroup(id);
        steps(doc, host, doc.cgroups_path()?.unwrap_or(&own))
    }

    fn view(doc: &Doc, host: &Host) -> Result<String> {
        let mut rows = Vec::new();
        for s in Self::plan(doc, host)? {
            let Act::Limit { cgroup, set } = s.act else { continue };
            for path in set.iter().flat_map(|s| &s.files).map(|f| cgroup.join(f)).filter(|p| p.exists()) {
                let now = std::fs::read_to_string(&path).unwrap_or_default();
                rows.push(vec![path.display().to_string(), now.trim().to_owned()]);
            }
        }
        Ok(cli::table(&rows))
    }
}

/// The cgroup at `path` (absolute within each hierarchy that `host` uses; there already is fine) with
/// the limits of the document, whatever its own path says.
pub fn steps(doc: &Doc, host: &Host, path: &str) -> Result<Vec<Step>> {
    let resources = doc.resources()?;
    let mut dirs = host.cgroup_dirs(path);
    if !host.is_able() {
        // An ordinary user has what was delegated to it, and can do without the rest where no limit was
        // asked for that it would hold.
        let asked = asked(&resources);
        let open = |d: &CgroupDir| d.path.ancestors().find(|a| a.exists()).is_some_and(sys::cred::may_write);
        let needed = |d: &CgroupDir| d.controllers.iter().any(|c| asked.contains(&c.as_str()));
        dirs.retain(|d| open(d) || needed(d));
    }
    lacking(&resources, &dirs)?;
    let mut acts = Vec::new();
    for dir in &dirs {
        directory(dir, host, &resources, &mut acts);
        if dir.v2 {
            v2::limits(dir, &resources, &mut acts);
        } else {
            v1::limits(dir, &resources, &mut acts);
            v1::devices(dir, &resources, &mut acts);
        }
    }
    Ok(acts.into_iter().map(Step::parent).collect())
}

/// Which controllers the limits ask for.
fn asked(r: &Resources) -> Vec<&'static str> {
    let (m, c, b) = (&r.memory, &r.cpu, &r.block_io);
    let list = [
        ("memory", m.limit.or(m.swap).or(m.reservation).is_some_and(|n| n != 0)),
        ("cpu", c.quota.is_some_and(|n| n != 0) || c.period.or(c.shares).or(c.burst).is_some_and(|n| n != 0)),
        ("cpuset", [&c.cpus, &c.mems].into_iter().flatten().any(|l| !l.is_empty())),
        ("pids", r.pids.limit.is_some_and(|n| n > 0)),
        ("io", *b != BlockIo::default() && b.weight != Some(0)),
        ("hugetlb", !r.hugepage_limits.is_empty()),
        ("net_cls", r.network.class_id.is_some()),
        ("net_prio", !r.network.priorities.is_empty()),
        ("rdma", !r.rdma.is_empty()),
    ];
    list.into_iter().filter(|(_, asked)| *asked).map(|(c, _)| c).collect()
}

/// A limit that was asked for and that no hierarchy can hold.
fn lacking(r: &Resources, dirs: &[CgroupDir]) -> Result<()> {
    let has = |c: &str| dirs.iter().any(|d| d.controllers.iter().any(|x| x == c));
    for controller in asked(r) {
        let v1_name = if controller == "io" { "blkio" } else { controller };
        if !has(controller) && !has(v1_name) {
            bail!("limit {controller}: no cgroup hierarchy here has the {controller} controller");
        }
    }
    let v1 = dirs.iter().any(|d| !d.v2);
    if let (true, Some(file)) = (v1, r.unified.keys().next()) {
        bail!("linux.resources.unified: {file} is a file of cgroup v2, and v1 holds the limits here");
    }
    Ok(())
}

/// The directory and those above it; v2 hands its controllers down level by level, a cpuset of v1
/// its processors.
fn directory(dir: &CgroupDir, host: &Host, r: &Resources, acts: &mut Vec<Act>) {
    let asked = asked(r);
    // Where v1 holds the limits, v2's few controllers are handed down only to be used: a root that holds
    // processes, as of a cgroup namespace, cannot (no internal processes, cgroups(7)).
    let pure = host.cgroups.pure_v2();
    let always = |c: &str| pure && (host.every_hierarchy || matches!(c, "memory" | "cpu" | "pids"));
    let wanted: Vec<String> = dir
        .controllers
        .iter()
        .filter(|c| dir.v2 && (always(c) || asked.contains(&c.as_str())))
        .map(|c| format!("+{c}"))
        .collect();
    let hand_down =
        |at: &std::path::Path| Act::Write { path: at.join("cgroup.subtree_control"), text: wanted.join(" ") };
    let cpuset = !dir.v2 && dir.controllers.iter().any(|c| c == "cpuset");
    let inherit = |at: &std::path::Path| cpuset.then(|| Act::Inherit { cpuset: at.to_owned() });
    let mut above: Vec<_> = dir.path.ancestors().skip(1).take_while(|a| *a != dir.mount).collect();
    above.reverse();
    if !wanted.is_empty() {
        acts.push(hand_down(&dir.mount));
    }
    for path in above {
        acts.push(Act::Cgroup { path: path.to_owned(), shared: true });
        acts.extend(inherit(path));
        if !wanted.is_empty() {
            acts.push(hand_down(path));
        }
    }
    acts.push(Act::Cgroup { path: dir.path.clone(), shared: false });
    acts.extend(inherit(&dir.path));
}

/// Limits that are set together; none is no step.
fn group(dir: &CgroupDir, set: Vec<Setting>) -> Option<Act> {
    (!set.is_empty()).then(|| Act::Limit { cgroup: dir.path.clone(), set })
}

fn one(file: &str, value: impl ToString) -> Setting {
    Setting { files: vec![file.to_owned()], text: value.to_string(), former: None }
}

/// One line a device.
fn rdma(r: &Resources) -> Option<Setting> {
    let word = |name: &str, n: Option<u32>| n.map_or(String::new(), |n| format!(" {name}={n}"));
    let line = |(device, limits): (&String, &doc::Rdma)| {
        format!(
            "{device}{}{}",
            word("hca_handle", limits.hca_handles),
            word("hca_object", limits.hca_objects)
        )
    };
    let lines: Vec<String> = r.rdma.iter().map(line).collect();
    (!lines.is_empty()).then(|| one("rdma.max", lines.join("\n")))
}

fn max(n: i64) -> String {
    if n <= 0 { "max".into() } else { n.to_string() }
}
