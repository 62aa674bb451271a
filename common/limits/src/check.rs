//! What is held against the machine before anything is made or changed.

use anyhow::{Result, bail};
use doc::Resources;
use state::CgroupDir;
use std::path::Path;

/// The limits can be held here, and each makes sense beside the others.
pub(crate) fn check(r: &Resources, dirs: &[CgroupDir]) -> Result<()> {
    let v1 = dirs.iter().any(|d| !d.v2);
    unified(r, v1)?;
    values(r)?;
    controllers(r, dirs)?;
    if !v1 {
        only_v2(r)?;
    }
    Ok(())
}

fn unified(r: &Resources, v1: bool) -> Result<()> {
    for file in r.unified.keys() {
        let at = "linux.resources.unified";
        if file.contains('/') {
            bail!("{at}: {file:?} must be a file name (no slashes)");
        }
        if !file.contains('.') || file.starts_with('.') {
            bail!("{at}: {file:?} must be in the form CONTROLLER.PARAMETER");
        }
        if v1 {
            bail!("invalid configuration: {at}: {file} is a file of cgroup v2, and v1 holds the limits here");
        }
    }
    Ok(())
}

/// What the kernel would take otherwise than it is meant, or refuse without a word.
fn values(r: &Resources) -> Result<()> {
    let (m, c) = (&r.memory, &r.cpu);
    let at = "linux.resources";
    for (key, value) in [("limit", m.limit), ("swap", m.swap), ("reservation", m.reservation)] {
        if let Some(n) = value.filter(|n| *n < -1) {
            bail!("{at}.memory.{key}: {n}: neither a number of bytes nor -1");
        }
    }
    if let (Some(memory), Some(both)) = (m.limit, m.swap)
        && memory > 0
        && both > 0
        && both < memory
    {
        bail!("{at}.memory.swap: memory+swap limit ({both}) should be >= memory limit ({memory})");
    }
    if let Some(n) = m.swappiness().filter(|n| *n > 100) {
        bail!("{at}.memory.swappiness: {n}: the valid range is 0 to 100");
    }
    match c.shares {
        Some(1) => bail!("{at}.cpu.shares: 1: the minimum allowed cpu-shares is 2"),
        Some(n) if n > 262_144 => bail!("{at}.cpu.shares: {n}: the maximum allowed cpu-shares is 262144"),
        _ => {}
    }
    if let (Some(quota), Some(burst)) = (c.quota.filter(|n| *n > 0), c.burst)
        && burst > quota.unsigned_abs()
    {
        bail!("{at}.cpu.burst: {burst}: more than cpu.quota ({quota})");
    }
    for (key, list) in [("cpus", &c.cpus), ("mems", &c.mems)] {
        if let Some(list) = list.as_ref().filter(|l| !is_list(l)) {
            bail!("{at}.cpu.{key}: {list:?} is no list such as 0-3,7");
        }
    }
    for h in &r.hugepage_limits {
        if h.page_size.is_empty() || !h.page_size.chars().all(|c| c.is_ascii_alphanumeric()) {
            bail!("{at}.hugepageLimits.pageSize: {:?} is no size such as 2MB", h.page_size);
        }
    }
    let one_line = |s: &str| !s.is_empty() && !s.contains(char::is_whitespace);
    if let Some(p) = r.network.priorities.iter().find(|p| !one_line(&p.name)) {
        bail!("{at}.network.priorities: {:?} is no name of an interface", p.name);
    }
    if let Some(device) = r.rdma.keys().find(|d| !one_line(d)) {
        bail!("{at}.rdma: {device:?} is no name of a device");
    }
    Ok(())
}

/// cpuset(7), List format; a stride (`0-6:2/3`) too.
fn is_list(list: &str) -> bool {
    list.is_empty()
        || list.trim().split(',').all(|part| {
            let numbers = part.trim().split(['-', ':', '/']).map(|n| n.parse::<u32>().ok());
            let Some(numbers) = numbers.collect::<Option<Vec<u32>>>() else { return false };
            !part.contains('-') || numbers[0] <= numbers[1]
        })
}

/// A limit that was asked for and that no hierarchy can hold.
fn controllers(r: &Resources, dirs: &[CgroupDir]) -> Result<()> {
    let has = |c: &str| dirs.iter().any(|d| d.controllers.iter().any(|x| x == c));
    for controller in r.controllers() {
        let v1_name = if controller == "io" { "blkio" } else { &controller };
        if has(&controller) || has(v1_name) {
            continue;
        }
        let at = |v2: bool| dirs.iter().find(|d| d.v2 == v2).map(|d| d.mount.as_path());
        let mut place = Vec::new();
        if let Some(mount) = at(false).and_then(|m| m.parent()) {
            place.push(format!("nothing is mounted at {}", mount.join(v1_name).display()));
        }
        if let Some(mount) = at(true) {
            place.push(format!("{}/cgroup.controllers lacks it", mount.display()));
        }
        if place.is_empty() {
            place.push("no cgroups are mounted".into());
        }
        let v1 = at(false).and_then(|m| m.parent()).map(|m| m.join(v1_name));
        bail!(
            "limit {controller}: no cgroup hierarchy here has the {controller} controller: {}{}",
            place.join(", "),
            remedy(v1_name, v1.as_deref(), at(true))
        );
    }
    Ok(())
}

/// How it could be had: where v1 is mounted, and where v2 is.
fn remedy(name: &str, v1: Option<&Path>, v2: Option<&Path>) -> String {
    // The root has no type. Of any other, what the kernel has and what was handed down are two things.
    if let Some(above) = v2.filter(|m| v1.is_none() && m.join("cgroup.type").exists()) {
        return format!("; whoever gave {} can hand it down in the cgroup above", above.display());
    }
    // cgroups(7): name, hierarchy, cgroups, enabled.
    let known = std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let line =
        known.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find(|f| f.first() == Some(&name));
    match (line.as_deref(), v1) {
        (None, _) if known.is_empty() => String::new(),
        (None, _) => "; this kernel has none".into(),
        (Some([.., "0"]), _) => "; it was turned off at boot".into(),
        (Some(_), Some(at)) => format!("; mount -t cgroup -o {name} none {}", at.display()),
        (Some(_), None) => String::new(),
    }
}

/// Limits of v1 that v2 has no word for (config-linux.md, Unified: no conversion is an error).
fn only_v2(r: &Resources) -> Result<()> {
    let (m, c, b) = (&r.memory, &r.cpu, &r.block_io);
    let leaf = b.leaf_weight.is_some_and(|n| n != 0)
        || b.weight_device.iter().any(|w| w.leaf_weight.is_some_and(|n| n != 0));
    let lost = [
        ("memory.swappiness", m.swappiness().is_some()),
        ("memory.disableOOMKiller", m.disable_oom_killer == Some(true)),
        ("cpu.realtimeRuntime", c.realtime_runtime.is_some_and(|n| n != 0)),
        ("cpu.realtimePeriod", c.realtime_period.is_some_and(|n| n != 0)),
        ("blockIO.leafWeight", leaf),
    ];
    if let Some((key, _)) = lost.into_iter().find(|(_, set)| *set) {
        bail!("linux.resources.{key}: cgroup v2 has no such limit");
    }
    if m.swap.is_some_and(|n| n > 0) && m.limit.is_none_or(|n| n == 0) {
        bail!("linux.resources.memory.swap: unable to set swap limit without memory limit");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn says(resources: Value, v2: bool) -> String {
        let r: Resources = serde_json::from_value(resources).unwrap();
        let controllers = ["memory", "cpu", "cpuset", "pids", if v2 { "io" } else { "blkio" }];
        let dir = CgroupDir {
            path: "/cg/x/a".into(),
            mount: "/cg/x".into(),
            controllers: controllers.map(String::from).to_vec(),
            v2,
        };
        check(&r, &[dir]).map_or_else(|e| e.to_string(), |()| String::new())
    }

    #[test]
    fn what_cannot_be_names_its_key() {
        for (resources, v2, part) in [
            (json!({"memory": {"limit": -2}}), false, "memory.limit: -2"),
            (json!({"memory": {"limit": 9, "swap": 8}}), true, "memory+swap limit (8) should be >="),
            (json!({"memory": {"swap": 8}}), true, "without memory limit"),
            (json!({"memory": {"swappiness": 101}}), false, "swappiness: 101"),
            (json!({"memory": {"swappiness": 1}}), true, "swappiness: cgroup v2 has no"),
            (json!({"cpu": {"shares": 1}}), false, "minimum allowed cpu-shares is 2"),
            (json!({"cpu": {"shares": 262145}}), true, "maximum allowed cpu-shares is 262144"),
            (json!({"cpu": {"quota": 5, "burst": 6}}), true, "burst: 6"),
            (json!({"cpu": {"cpus": "0-"}}), false, "cpu.cpus: \"0-\""),
            (json!({"cpu": {"mems": "a"}}), false, "cpu.mems: \"a\""),
            (json!({"cpu": {"cpus": "3-1"}}), false, "cpu.cpus: \"3-1\""),
            (json!({"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}), true, "no size such as 2MB"),
            (
                json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}),
                true,
                "/cg/x/cgroup.controllers lacks",
            ),
            (json!({"network": {"classID": 7}}), false, "nothing is mounted at /cg/net_cls"),
            (json!({"unified": {"memory.min": "1"}}), false, "invalid configuration"),
            (json!({"unified": {"../x.y": "1"}}), true, "no slashes"),
            (json!({"unified": {"cgroup": "1"}}), true, "CONTROLLER.PARAMETER"),
            (json!({"unified": {"misc.max": "1"}}), true, "has the misc controller"),
        ] {
            let text = says(resources.clone(), v2);
            assert!(text.contains(part), "{resources}: {text}");
        }
    }

    #[test]
    fn what_engines_send_for_nothing_is_nothing() {
        let nothing = json!({
            "memory": {"limit": 0, "swap": 0, "swappiness": u64::MAX, "disableOOMKiller": false, "kernel": 0},
            "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": "", "realtimeRuntime": 0},
            "pids": {"limit": -1}, "blockIO": {"weight": 0}, "network": {"classID": 0}
        });
        assert_eq!(says(nothing.clone(), true), "");
        assert_eq!(says(nothing.clone(), false), "");
        let r: Resources = serde_json::from_value(nothing).unwrap();
        assert_eq!(r.controllers(), [""; 0]);
        let some = json!({"cpu": {"cpus": "0-3,7, 9-15:2/3"}, "memory": {"limit": -1}});
        assert_eq!(says(some, true), "");
    }
}
