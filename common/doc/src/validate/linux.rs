//! The rest of `linux` (config-linux.md).

use super::{Result, absolute, one_of, word};
use crate::{Doc, shape};
use serde_json::Value;

pub(super) fn check(doc: &Doc) -> Result {
    if let Some(how) = doc.text("/linux/rootfsPropagation").filter(|h| !h.is_empty()) {
        let plain = ["shared", "slave", "private", "unbindable"];
        one_of("/linux/rootfsPropagation", how.strip_prefix('r').unwrap_or(how), &plain)?;
    }
    for key in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
        for path in doc.strings(key)? {
            absolute(key, &path)?;
        }
    }
    if let Some(path) = doc.text("/linux/cgroupsPath")
        && path.split('/').any(|c| c == "..")
    {
        return Err(shape("/linux/cgroupsPath", &format!("'{path}' leads upwards")));
    }
    devices(doc)?;
    rules(doc)?;
    resources(doc)?;
    if let Some(personality) = doc.get("/linux/personality") {
        let domain = word(personality, "/linux/personality", "domain")?;
        one_of("/linux/personality/domain", domain, &["LINUX", "LINUX32"])?;
    }
    memory_policy(doc)?;
    rdt(doc)
}

fn devices(doc: &Doc) -> Result {
    for (n, device) in doc.list("/linux/devices").iter().enumerate() {
        let at = format!("/linux/devices/{n}");
        let kind = word(device, &at, "type")?;
        one_of(&format!("{at}/type"), kind, &["c", "b", "u", "p"])?;
        absolute(&format!("{at}/path"), word(device, &at, "path")?)?;
        for key in ["major", "minor"] {
            let number = device.get(key).and_then(Value::as_i64);
            if kind != "p" && number.is_none() {
                return Err(shape(&format!("{at}/{key}"), "is missing"));
            }
            if kind != "p" && number.is_some_and(|n| !(0..=u32::MAX.into()).contains(&n)) {
                return Err(shape(&format!("{at}/{key}"), "no number of a device"));
            }
        }
    }
    Ok(())
}

fn rules(doc: &Doc) -> Result {
    let key = "/linux/resources/devices";
    for (n, rule) in doc.list(key).iter().enumerate() {
        let text = |k: &str| rule.get(k).and_then(Value::as_str).unwrap_or_default();
        one_of(&format!("{key}/{n}/type"), text("type"), &["", "a", "b", "c", "u"])?;
        // An `a` among them means nothing, and is about (runc takes it).
        if text("access").chars().any(|c| !"rwma".contains(c)) {
            return Err(shape(&format!("{key}/{n}/access"), "not of r, w and m"));
        }
        if rule.get("allow").and_then(Value::as_bool).is_none() {
            return Err(shape(&format!("{key}/{n}/allow"), "is missing"));
        }
    }
    Ok(())
}

fn resources(doc: &Doc) -> Result {
    for (file, _) in doc.map("/linux/resources/unified") {
        if file.is_empty() || file.contains('/') || file.starts_with('.') {
            return Err(shape("/linux/resources/unified", &format!("'{file}' is no file of a cgroup")));
        }
    }
    // Engines say none as -1, in the shape of the key.
    let bad = |s: u64| s > 100 && s != u64::MAX;
    if doc.get("/linux/resources/memory/swappiness").and_then(Value::as_u64).is_some_and(bad) {
        return Err(shape("/linux/resources/memory/swappiness", "not from 0 to 100"));
    }
    for (n, page) in doc.list("/linux/resources/hugepageLimits").iter().enumerate() {
        let at = format!("/linux/resources/hugepageLimits/{n}");
        let size = word(page, &at, if page.get("pagesize").is_some() { "pagesize" } else { "pageSize" })?;
        let number = size.strip_suffix("KB").or(size.strip_suffix("MB")).or(size.strip_suffix("GB"));
        if number.is_none_or(|n| n.parse::<u32>().is_err()) {
            return Err(shape(&format!("{at}/pageSize"), &format!("'{size}' is no size such as 2MB")));
        }
    }
    Ok(())
}

fn memory_policy(doc: &Doc) -> Result {
    const MODES: [&str; 7] = [
        "MPOL_DEFAULT",
        "MPOL_BIND",
        "MPOL_INTERLEAVE",
        "MPOL_WEIGHTED_INTERLEAVE",
        "MPOL_PREFERRED",
        "MPOL_PREFERRED_MANY",
        "MPOL_LOCAL",
    ];
    const FLAGS: [&str; 3] = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];
    let Some(policy) = doc.get("/linux/memoryPolicy") else { return Ok(()) };
    // In runc's words: its users look for them.
    let mode = policy.get("mode").and_then(Value::as_str).unwrap_or_default();
    if !MODES.contains(&mode) {
        return Err(shape("/linux/memoryPolicy/mode", &format!("invalid memory policy mode '{mode}'")));
    }
    let Some(policy) = doc.memory_policy()? else { return Ok(()) };
    for flag in &policy.flags {
        if !FLAGS.contains(&flag.as_str()) {
            return Err(shape("/linux/memoryPolicy/flags", &format!("invalid memory policy flag '{flag}'")));
        }
    }
    let nodes = |why: &str| Err(shape("/linux/memoryPolicy/nodes", &format!("{} takes {why}", policy.mode)));
    match policy.mode.as_str() {
        "MPOL_DEFAULT" | "MPOL_LOCAL" if !policy.nodes.is_empty() => {
            nodes(&format!("none: mode requires 0 nodes but got {}", policy.nodes.len()))
        }
        "MPOL_DEFAULT" | "MPOL_LOCAL" | "MPOL_PREFERRED" => Ok(()),
        _ if policy.nodes.is_empty() => nodes("at least one"),
        _ => Ok(()),
    }
}

fn rdt(doc: &Doc) -> Result {
    let at = "/linux/intelRdt";
    if let Some(id) = doc.text("/linux/intelRdt/closID")
        && id != "/"
        && (matches!(id, "." | "..") || id.contains('/'))
    {
        return Err(shape("/linux/intelRdt/closID", &format!("'{id}' is no name of a directory")));
    }
    for (key, prefix) in [("l3CacheSchema", ""), ("memBwSchema", "MB:")] {
        let Some(line) = doc.text(&format!("{at}/{key}")) else { continue };
        if line.contains('\n') || !line.starts_with(prefix) {
            return Err(shape(&format!("{at}/{key}"), &format!("not one line that begins with '{prefix}'")));
        }
    }
    if doc.strings("/linux/intelRdt/schemata")?.iter().any(|l| l.contains('\n')) {
        return Err(shape("/linux/intelRdt/schemata", "an entry is one line"));
    }
    Ok(())
}
