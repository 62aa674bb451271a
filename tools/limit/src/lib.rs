//! The cgroup, and the limits in it: on v1, v2 and hybrid hosts.
#![forbid(unsafe_code)]

use anyhow::{Result, bail};
use clap::Args;
use cli::{Host, parse};
use doc::{DeviceRule, Doc, Resources};
use state::{CgroupDir, Roots};
use step::{Act, Step};

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
            if let Act::Write { path, .. } = s.act
                && !path.ends_with("devices.allow")
                && !path.ends_with("devices.deny")
                && !path.ends_with("cgroup.subtree_control")
            {
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
    let dirs = host.cgroup_dirs(path);
    lacking(&resources, &dirs)?;
    let mut acts = Vec::new();
    for dir in &dirs {
        directory(dir, &mut acts);
        if dir.v2 { v2(dir, &resources, &mut acts) } else { v1(dir, &resources, &mut acts) }
    }
    Ok(acts.into_iter().map(Step::parent).collect())
}

/// A limit that was asked for and that no hierarchy can hold.
fn lacking(r: &Resources, dirs: &[CgroupDir]) -> Result<()> {
    let has = |c: &str| dirs.iter().any(|d| d.controllers.iter().any(|x| x == c));
    let asked = [
        ("memory", r.memory.is_some() || r.swap.is_some()),
        ("cpu", r.cpu_quota.is_some() || r.cpu_period.is_some() || r.cpu_shares.is_some()),
        ("pids", r.pids.is_some()),
    ];
    for (controller, asked) in asked {
        if asked && !has(controller) {
            bail!("limit {controller}: no cgroup hierarchy here has the {controller} controller");
        }
    }
    Ok(())
}

/// The directory and the one above it; v2 hands its controllers down level by level.
fn directory(dir: &CgroupDir, acts: &mut Vec<Act>) {
    let wanted: Vec<String> = dir
        .controllers
        .iter()
        .filter(|c| dir.v2 && matches!(c.as_str(), "memory" | "cpu" | "pids"))
        .map(|c| format!("+{c}"))
        .collect();
    let hand_down =
        |at: &std::path::Path| Act::Write { path: at.join("cgroup.subtree_control"), text: wanted.join(" ") };
    let mut above: Vec<_> = dir.path.ancestors().skip(1).take_while(|a| *a != dir.mount).collect();
    above.reverse();
    if !wanted.is_empty() {
        acts.push(hand_down(&dir.mount));
    }
    for path in above {
        acts.push(Act::Cgroup { path: path.to_owned(), shared: true });
        if !wanted.is_empty() {
            acts.push(hand_down(path));
        }
    }
    acts.push(Act::Cgroup { path: dir.path.clone(), shared: false });
}

fn write(dir: &CgroupDir, file: &str, text: String) -> Act {
    Act::Write { path: dir.path.join(file), text }
}

/// Kernel documentation, cgroup-v1/.
fn v1(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    if has("memory") {
        acts.extend(r.memory.map(|n| write(dir, "memory.limit_in_bytes", n.to_string())));
        acts.extend(r.swap.map(|n| write(dir, "memory.memsw.limit_in_bytes", n.to_string())));
    }
    if has("cpu") {
        acts.extend(r.cpu_shares.map(|n| write(dir, "cpu.shares", n.to_string())));
        acts.extend(r.cpu_period.map(|n| write(dir, "cpu.cfs_period_us", n.to_string())));
        acts.extend(r.cpu_quota.map(|n| write(dir, "cpu.cfs_quota_us", n.to_string())));
    }
    if has("pids") {
        acts.extend(r.pids.map(|n| write(dir, "pids.max", max(n))));
    }
    if has("devices") {
        for rule in &r.devices {
            let file = if rule.allow { "devices.allow" } else { "devices.deny" };
            acts.push(write(dir, file, device(rule)));
        }
    }
}

/// Kernel documentation, cgroup-v2.rst.
fn v2(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    if has("memory") {
        acts.extend(r.memory.map(|n| write(dir, "memory.max", max(n))));
        if let (Some(swap), Some(memory)) = (r.swap, r.memory) {
            let swap = if swap < 0 { swap } else { (swap - memory).max(0) };
            acts.push(write(dir, "memory.swap.max", if swap == 0 { "0".into() } else { max(swap) }));
        }
    }
    if has("cpu") {
        if r.cpu_quota.is_some() || r.cpu_period.is_some() {
            let text = format!("{} {}", max(r.cpu_quota.unwrap_or(-1)), r.cpu_period.unwrap_or(PERIOD));
            acts.push(write(dir, "cpu.max", text));
        }
        acts.extend(r.cpu_shares.map(|n| write(dir, "cpu.weight", weight(n).to_string())));
    }
    if has("pids") {
        acts.extend(r.pids.map(|n| write(dir, "pids.max", max(n))));
    }
}

fn max(n: i64) -> String {
    if n <= 0 { "max".into() } else { n.to_string() }
}

/// From shares (2 to 262144) to weight (1 to 10000): the curve through the two defaults, 1024 and
/// 100, that runc and crun use since 2025.
fn weight(shares: u64) -> u64 {
    let l = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
    (10_f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

/// A rule as the v1 files take it: `c 1:3 rwm`.
fn device(rule: &DeviceRule) -> String {
    let kind = rule.kind.as_deref().unwrap_or("a");
    let number = |n: Option<i64>| n.filter(|n| *n >= 0).map_or("*".to_owned(), |n| n.to_string());
    let access = rule.access.as_deref().unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curve() {
        assert_eq!([2, 1024, 262_144].map(weight), [1, 100, 10_000]);
    }
}
