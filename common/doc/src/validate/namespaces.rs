//! `linux.namespaces` and what only a namespace of one's own can have (config-linux.md).

use super::{Result, absolute, one_of, word};
use crate::{Doc, shape};
use serde_json::Value;

/// Every kind of namespace, as documents spell them.
pub const KINDS: [&str; 8] = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];

pub(super) fn check(doc: &Doc) -> Result {
    let mut seen = Vec::new();
    for (n, namespace) in doc.list("/linux/namespaces").iter().enumerate() {
        let at = format!("/linux/namespaces/{n}");
        let kind = word(namespace, &at, "type")?;
        one_of(&format!("{at}/type"), kind, &KINDS)?;
        if seen.contains(&kind) {
            return Err(shape(&at, &format!("a second {kind} namespace")));
        }
        seen.push(kind);
        if let Some(path) = namespace.get("path").and_then(Value::as_str).filter(|p| !p.is_empty()) {
            absolute(&format!("{at}/path"), path)?;
        }
    }
    let namespaces = doc.namespaces()?;
    let of = |kind: &str| namespaces.iter().find(|n| n.kind == kind);
    mappings(doc, of("user").map(|n| n.path.is_some()))?;
    offsets(doc, of("time").map(|n| n.path.is_some()))?;
    net_devices(doc, of("network").is_some())?;
    doc.sysctls().map(drop)
}

/// `joined`: the user namespace is one that is there; some engines then give its ids as well (runc once
/// asked for them), and they must be so. `None`: there is no word of one.
fn mappings(doc: &Doc, joined: Option<bool>) -> Result {
    for key in ["/linux/uidMappings", "/linux/gidMappings"] {
        let list = doc.list(key);
        match joined {
            None if !list.is_empty() => return Err(shape(key, "without a user namespace")),
            Some(false) if list.is_empty() => {
                return Err(shape(key, "is missing: the user namespace is new"));
            }
            _ => {}
        }
        ranges(key, list)?;
    }
    Ok(())
}

/// No id twice, on either side.
pub(super) fn ranges(key: &str, list: &[Value]) -> Result {
    let mut before: Vec<[u64; 3]> = Vec::new();
    for (n, entry) in list.iter().enumerate() {
        let at = |key2: &str| format!("{key}/{n}/{key2}");
        let value = |k: &str| entry.get(k).and_then(Value::as_u64).unwrap_or(0);
        let range = [value("containerID"), value("hostID"), value("size")];
        let [inside, outside, size] = range;
        if size == 0 {
            return Err(shape(&at("size"), "is 0"));
        }
        for (start, name) in [(inside, "containerID"), (outside, "hostID")] {
            if start + size > u64::from(u32::MAX) {
                return Err(shape(&at(name), "the range ends beyond the last id"));
            }
        }
        let meets = |a: u64, b: u64, length: u64| a < b + length && b < a + size;
        if before.iter().any(|[i, o, s]| meets(inside, *i, *s) || meets(outside, *o, *s)) {
            return Err(shape(&format!("{key}/{n}"), "maps what another entry maps"));
        }
        before.push(range);
    }
    Ok(())
}

fn offsets(doc: &Doc, joined: Option<bool>) -> Result {
    let key = "/linux/timeOffsets";
    for (clock, offset) in doc.map(key) {
        match joined {
            None => return Err(shape(key, "without a time namespace")),
            Some(true) => return Err(shape(key, "for a time namespace that is there already")),
            Some(false) => {}
        }
        one_of(key, clock, &["monotonic", "boottime"])?;
        if offset.get("nanosecs").and_then(Value::as_u64).is_some_and(|n| n >= 1_000_000_000) {
            return Err(shape(&format!("{key}/{clock}/nanosecs"), "a second or more"));
        }
    }
    Ok(())
}

fn net_devices(doc: &Doc, own: bool) -> Result {
    let key = "/linux/netDevices";
    for (name, device) in doc.map(key) {
        if !own {
            return Err(shape(key, "the container has no network namespace of its own"));
        }
        let after = device.get("name").and_then(Value::as_str).filter(|n| !n.is_empty());
        // The kernel finds a number for `%d`.
        let stem = after.map(|n| n.strip_suffix("%d").filter(|stem| !stem.is_empty()).unwrap_or(n));
        for name in [Some(name.as_str()), stem].into_iter().flatten() {
            let plain = !matches!(name, "" | "." | "..") && !name.contains(['/', ':', ' ', '%']);
            if !plain || name.len() > 15 {
                return Err(shape(key, &format!("'{name}' is no name of a network device")));
            }
        }
    }
    Ok(())
}
