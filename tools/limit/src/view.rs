//! What is in force: what the cgroup itself says, and what holds in the end, which a cgroup above or the
//! machine may say.

use crate::Limit;
use anyhow::{Context, Result};
use cgroup::Limits;
use cli::{Host, Stage, parse::human};
use doc::Doc;
use serde_json::{Value, json};
use state::CgroupDir;
use std::fs;
use std::path::{Path, PathBuf};
use step::Act;

/// One resource. The values are as its files have them, but for sizes and times, which are numbers.
pub struct Row {
    what: String,
    own: Value,
    effective: Value,
    /// The file that says so.
    by: Option<PathBuf>,
    bytes: bool,
}

/// All that can be limited here, and whatever else the document asks for.
pub fn rows(doc: &Doc, host: &Host, at: &str) -> Result<Vec<Row>> {
    let mut dirs = host.cgroup_dirs(at, &["cpuset".to_owned()]);
    // A hierarchy that it has no directory in holds it by the cgroup that it was started from.
    dirs.retain(|d| d.path.is_dir());
    let (own, effective) = (cgroup::own(&dirs), cgroup::effective(&dirs));
    let mut rows = usual(&dirs, &own, &effective, host);
    // What cannot be held here is not in force.
    for step in Limit::plan(doc, host).unwrap_or_default() {
        let Act::Limit { cgroup, set } = step.act else { continue };
        for s in set {
            let files = [Some(s.file), s.or.map(|(file, _)| file)].into_iter().flatten();
            let Some(path) = files.map(|f| cgroup.join(f)).find(|p| p.exists()) else { continue };
            if SHOWN.iter().any(|f| path.ends_with(f)) || rows.iter().any(|r| r.by.as_ref() == Some(&path)) {
                continue;
            }
            let text: Value = fs::read_to_string(&path).unwrap_or_default().trim().replace('\n', ", ").into();
            let what = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            rows.push(Row { what, own: text.clone(), effective: text, by: Some(path), bytes: false });
        }
    }
    Ok(rows)
}

/// Files that have a row of their own.
const SHOWN: [&str; 14] = [
    "memory.max",
    "memory.limit_in_bytes",
    "memory.swap.max",
    "memory.memsw.limit_in_bytes",
    "memory.high",
    "cpu.max",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.weight",
    "cpu.shares",
    "cpu.idle",
    "cpuset.cpus",
    "cpuset.mems",
    "pids.max",
];

fn usual(dirs: &[CgroupDir], own: &Limits, effective: &Limits, host: &Host) -> Vec<Row> {
    let v2 = |c: &str| dirs.iter().find(|d| d.controllers.iter().any(|x| x == c)).is_none_or(|d| d.v2);
    let file = |c: &str, new: &'static str, old: &'static str| if v2(c) { new } else { old };
    let total = meminfo("MemTotal:");
    let mut rows = vec![size(
        "memory",
        &own.memory,
        &effective.memory,
        file("memory", "memory.max", "memory.limit_in_bytes"),
        total,
    )];
    if own.high.is_some() || effective.high.is_some() {
        rows.push(size("memory.high", &own.high, &effective.high, "memory.high", None));
    }
    let swap = meminfo("SwapTotal:");
    rows.push(if v2("memory") {
        size("swap", &own.swap, &effective.swap, "memory.swap.max", swap)
    } else {
        let both = total.zip(swap).map(|(a, b)| a + b);
        let (own, effective) = (&own.memory_swap, &effective.memory_swap);
        size("memory+swap", own, effective, "memory.memsw.limit_in_bytes", both)
    });
    rows.push(processors(own, effective, file("cpu", "cpu.max", "cpu.cfs_quota_us"), host));
    for (what, own, all, file, none) in [
        (
            "cpuset",
            &own.cpuset,
            &effective.cpuset,
            file("cpuset", "cpuset.cpus.effective", "cpuset.effective_cpus"),
            "/sys/devices/system/cpu/online",
        ),
        (
            "nodes",
            &own.mems,
            &effective.mems,
            file("cpuset", "cpuset.mems.effective", "cpuset.effective_mems"),
            "/sys/devices/system/node/online",
        ),
    ] {
        let machine = fs::read_to_string(none).ok().map(|t| t.trim().to_owned());
        // A cgroup that is not told otherwise has what the one above has.
        let own =
            own.as_ref().filter(|o| all.as_ref().is_some_and(|a| a.dir == o.dir)).map(|o| o.value.clone());
        let (value, by) = match (all, machine) {
            (Some(l), _) => (Value::from(l.value.clone()), Some(l.dir.join(file))),
            (None, Some(list)) => (list.into(), Some(none.into())),
            (None, None) => (Value::Null, None),
        };
        rows.push(Row { what: what.into(), own: own.into(), effective: value, by, bytes: false });
    }
    rows.extend(weight(dirs));
    let most = |file: &str| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let pids = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"];
    let machine = pids.into_iter().filter_map(|f| Some((most(f)?, f))).min();
    rows.push(least("tasks", &own.pids, &effective.pids, "pids.max", machine, false));
    rows
}

fn size(
    what: &str,
    own: &Option<cgroup::Limit<u64>>,
    effective: &Option<cgroup::Limit<u64>>,
    file: &str,
    machine: Option<u64>,
) -> Row {
    least(what, own, effective, file, machine.map(|n| (n, "/proc/meminfo")), true)
}

/// The least of what a cgroup says and what the machine has.
fn least(
    what: &str,
    own: &Option<cgroup::Limit<u64>>,
    effective: &Option<cgroup::Limit<u64>>,
    file: &str,
    machine: Option<(u64, &str)>,
    bytes: bool,
) -> Row {
    let set = effective.as_ref().map(|l| (l.value, l.dir.join(file)));
    let machine = machine.map(|(n, file)| (n, PathBuf::from(file)));
    let both = match (set, machine) {
        (Some(set), Some(machine)) if machine.0 < set.0 => Some(machine),
        (set, machine) => set.or(machine),
    };
    Row {
        what: what.to_owned(),
        own: own.as_ref().map(|l| l.value).into(),
        effective: both.as_ref().map(|(n, _)| *n).into(),
        by: both.map(|(_, by)| by),
        bytes,
    }
}

/// Time, as a number of processors; no more than it may run on.
fn processors(own: &Limits, effective: &Limits, file: &str, host: &Host) -> Row {
    let (list, by) = match &effective.cpuset {
        Some(l) => (l.value.clone(), l.dir.join("cpuset.cpus")),
        None => (host.online.clone(), PathBuf::from("/sys/devices/system/cpu/online")),
    };
    let count = crate::flags::processors(&list).len() as f64;
    let (value, by) = match &effective.cpus {
        Some(l) if l.value <= count || count == 0.0 => (l.value, l.dir.join(file)),
        _ => (count, by),
    };
    Row {
        what: "processors".into(),
        own: own.cpus.as_ref().map(|l| number(l.value)).unwrap_or_default(),
        effective: number(value),
        by: Some(by),
        bytes: false,
    }
}

/// Whole where it is whole.
fn number(n: f64) -> Value {
    if n.fract() == 0.0 { json!(n as u64) } else { json!((n * 1000.0).round() / 1000.0) }
}

/// Among those beside it; there is no least.
fn weight(dirs: &[CgroupDir]) -> Option<Row> {
    let files = ["cpu.weight", "cpu.shares"];
    let path = dirs.iter().flat_map(|d| files.map(|f| d.path.join(f))).find(|p| p.exists())?;
    let text = fs::read_to_string(&path).ok()?;
    let idle = fs::read_to_string(path.with_file_name("cpu.idle")).is_ok_and(|t| t.trim() == "1");
    let value: Value = if idle { "idle".into() } else { text.trim().parse::<u64>().ok()?.into() };
    let what = path.file_name()?.to_string_lossy().into_owned();
    Some(Row { what, own: value.clone(), effective: value, by: Some(path), bytes: false })
}

/// Bytes, of a line that counts in KiB.
fn meminfo(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// For people.
pub fn table(rows: &[Row]) -> String {
    let word = |value: &Value, bytes: bool| match value {
        Value::Null => "none".to_owned(),
        Value::Number(n) if bytes => n.as_u64().map_or_else(|| n.to_string(), human),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut out = vec![["RESOURCE", "LIMIT", "EFFECTIVE", "SET BY"].map(String::from).to_vec()];
    out.extend(rows.iter().map(|r| {
        let by = r.by.as_deref().map(Path::display).map(|d| d.to_string()).unwrap_or_default();
        vec![r.what.clone(), word(&r.own, r.bytes), word(&r.effective, r.bytes), by]
    }));
    cli::table(&out)
}

/// For programs: one object, sizes in bytes.
pub fn json(doc: &Doc, rows: &[Row]) -> Result<String> {
    let row = |r: &Row| json!({"resource": r.what, "limit": r.own, "effective": r.effective, "by": r.by});
    let id = doc.id()?.context("the document has no id")?;
    let limits: Vec<Value> = rows.iter().map(row).collect();
    Ok(json!({"id": id, "name": doc.name()?, "limits": limits}).to_string() + "\n")
}
