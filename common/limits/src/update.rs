//! Other limits for a cgroup that is in use: what is written is what has changed, and with the first
//! refusal the former values hold again.

use crate::unit::{told, whole_percents};
use crate::{Place, check, devices, limits, one};
use anyhow::{Result, bail};
use doc::{Doc, Resources};
use serde_json::{Map, Value};
use state::{CgroupDir, Host};
use std::fs;
use step::{Act, Step};

/// Writes `changes` (of the shape of `linux.resources`) into the document, and gives the steps that
/// make them so in the cgroup at a place; each knows the value that it replaces. Rules for devices stay
/// unless there are new ones, which stand for all.
pub fn update(doc: &mut Doc, changes: &Value, host: &Host, place: &Place) -> Result<Vec<Step>> {
    let asked = write_down(doc, changes)?;
    let whole = doc.resources()?;
    let mut dirs = host.cgroup_dirs(&place.path, &whole.controllers());
    dirs.retain(|d| d.path.is_dir());
    let mut acts = changed(&asked, &whole, host, place, &dirs)?;
    acts.iter_mut().for_each(Act::remember);
    Ok(acts.into_iter().map(Step::parent).collect())
}

/// The changes in the document, and by themselves.
pub fn write_down(doc: &mut Doc, changes: &Value) -> Result<Resources> {
    if !changes.is_object() {
        bail!("update: the limits are no JSON object");
    }
    let mut changed = Doc::default();
    changed.set("/linux/resources", changes.clone())?;
    let asked = changed.resources()?;
    merge(doc, "/linux/resources", changes)?;
    unbound(doc, &asked)?;
    Ok(asked)
}

/// Without a limit of memory there is none of memory and swap together, but one that was asked for with it:
/// so the cgroups have it, and so the document says it to the next start.
fn unbound(doc: &mut Doc, asked: &Resources) -> Result<()> {
    let alone = asked.memory.limit == Some(-1) && asked.memory.swap.is_none();
    if alone && doc.resources()?.memory.swap.is_some_and(|n| n > 0) {
        doc.set("/linux/resources/memory/swap", -1)?;
    }
    Ok(())
}

/// What makes `asked` so in directories of a place that are there, or will be; `whole`: with all that held
/// before.
pub fn changed(
    asked: &Resources,
    whole: &Resources,
    host: &Host,
    place: &Place,
    dirs: &[CgroupDir],
) -> Result<Vec<Act>> {
    let asked = &weighted(asked, whole);
    let complete = completed(asked, whole);
    let v2_alone = dirs.iter().all(|d| d.v2);
    check::check(if v2_alone { &complete } else { asked }, dirs)?;
    let mut acts = Vec::new();
    for dir in dirs {
        if dir.v2 {
            in_use(dir, asked)?;
        }
        let set = if dir.v2 { &complete } else { asked };
        match &place.unit {
            Some(unit) => acts.extend(told(unit, dir, &whole_percents(set.clone()))),
            None => limits(dir, set, &mut acts),
        }
    }
    if asked.cpu.idle == Some(1) {
        acts.iter_mut().for_each(keep_weight);
    }
    // They come last: what was cannot be read from them.
    let devices = devices::accesses(&asked.devices)?;
    for dir in dirs {
        acts.extend(devices::rules(dir, dirs, &devices, host.filters_devices())?);
    }
    Ok(acts)
}

/// What an idle cgroup weighs is nothing: the weight of the document holds once it is idle no more, when the
/// kernel would have its default.
fn weighted(asked: &Resources, whole: &Resources) -> Resources {
    let mut r = asked.clone();
    match (r.cpu.idle, r.cpu.shares) {
        (Some(0), None) => r.cpu.shares = whole.cpu.shares,
        (None, Some(_)) => r.cpu.idle = whole.cpu.idle.filter(|n| *n == 1),
        _ => {}
    }
    r
}

/// The kernel forgets the weight of a cgroup that becomes idle. So that it is remembered, it is written once
/// more, as it is.
fn keep_weight(act: &mut Act) {
    let Act::Limit { cgroup, set } = act else { return };
    let read = |file: &str| fs::read_to_string(cgroup.join(file)).ok().map(|t| t.trim().to_owned());
    if !set.iter().any(|s| s.file == "cpu.idle") || read("cpu.idle").is_none_or(|t| t != "0") {
        return;
    }
    let weight = ["cpu.weight", "cpu.shares"].into_iter().find_map(|f| Some((f, read(f)?)));
    if let Some((file, text)) = weight.filter(|(file, _)| !set.iter().any(|s| s.file == *file)) {
        set.insert(0, one(file, text));
    }
}

/// Two keys of the document that are one file of v2's.
fn completed(asked: &Resources, whole: &Resources) -> Resources {
    let mut r = asked.clone();
    if r.memory.swap.is_some_and(|n| n > 0) && r.memory.limit.is_none() {
        r.memory.limit = whole.memory.limit;
    }
    // Less swap where there is more memory: both together are what they were. An engine that has grown
    // past that says so itself, later.
    let (limit, both) = (r.memory.limit.filter(|n| *n > 0), whole.memory.swap.filter(|n| *n > 0));
    if let (Some(limit), None | Some(0), Some(both)) = (limit, r.memory.swap, both)
        && both >= limit
    {
        r.memory.swap = Some(both);
    }
    if r.cpu.quota.is_some() != r.cpu.period.is_some() {
        r.cpu.quota = r.cpu.quota.or(whole.cpu.quota);
        r.cpu.period = r.cpu.period.or(whole.cpu.period);
    }
    r
}

/// `checkBeforeUpdate`: v2 ends processes where v1 says that memory is in use (config-linux.md).
fn in_use(dir: &CgroupDir, asked: &Resources) -> Result<()> {
    let m = &asked.memory;
    let text = fs::read_to_string(dir.path.join("memory.current")).unwrap_or_default();
    let (Some(true), Ok(usage)) = (m.check_before_update, text.trim().parse::<i64>()) else { return Ok(()) };
    for (name, limit) in [("memory+swap", m.swap), ("memory", m.limit)] {
        if let Some(limit) = limit.filter(|n| *n > 0 && *n <= usage) {
            bail!("rejecting {name} limit {limit} <= usage {usage}");
        }
    }
    Ok(())
}

/// Objects are merged key by key, lists of values by device entry by entry; anything else is replaced.
fn merge(doc: &mut Doc, pointer: &str, value: &Value) -> Result<()> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            merge(doc, &format!("{pointer}/{key}"), value)
        }),
        Value::Null => Ok(()),
        Value::Array(new) if names(pointer).is_some() => {
            let names = names(pointer).unwrap_or_default();
            let mut list: Vec<Value> = doc.read(pointer)?.unwrap_or_default();
            new.iter().for_each(|entry| put(&mut list, entry, names));
            Ok(doc.set(pointer, list)?)
        }
        other => Ok(doc.set(pointer, other.clone())?),
    }
}

/// The keys by which the entries of a list are told apart.
fn names(pointer: &str) -> Option<&'static [&'static str]> {
    Some(match pointer.strip_prefix("/linux/resources/")? {
        "hugepageLimits" => &["pageSize"],
        "network/priorities" => &["name"],
        block if block.starts_with("blockIO/") => &["major", "minor"],
        _ => return None,
    })
}

/// In place of those of the same name, of which the last counts; or as one more.
pub fn put(list: &mut Vec<Value>, entry: &Value, names: &[&str]) {
    let same = |v: &&mut Value| names.iter().all(|n| v.get(n) == entry.get(n));
    match list.iter_mut().rev().find(same) {
        Some(Value::Object(old)) => {
            let new: Map<String, Value> = entry.as_object().cloned().unwrap_or_default();
            old.extend(new);
        }
        _ => list.push(entry.clone()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn memory_and_swap_stay_together() {
        let of = |r: Value| serde_json::from_value::<Resources>(r).unwrap();
        let whole = |limit: i64| of(json!({"memory": {"limit": limit, "swap": 128}}));
        let swap = |asked: Value, whole: &Resources| completed(&of(asked), whole).memory.swap;
        assert_eq!(swap(json!({"memory": {"limit": 96}}), &whole(96)), Some(128));
        assert_eq!(swap(json!({"memory": {"limit": 200}}), &whole(200)), None);
        assert_eq!(swap(json!({"memory": {"limit": -1}}), &whole(-1)), None);
        assert_eq!(swap(json!({"memory": {"limit": 96, "swap": 100}}), &whole(96)), Some(100));
        let both = |changes: Value| {
            let mut doc = Doc::default();
            doc.set("/linux/resources/memory", json!({"limit": 64, "swap": 128})).unwrap();
            write_down(&mut doc, &json!({ "memory": changes })).unwrap();
            doc.get("/linux/resources/memory").cloned().unwrap()
        };
        assert_eq!(both(json!({"limit": -1})), json!({"limit": -1, "swap": -1}));
        assert_eq!(both(json!({"limit": -1, "swap": 256})), json!({"limit": -1, "swap": 256}));
        assert_eq!(both(json!({"limit": 96})), json!({"limit": 96, "swap": 128}));
    }

    #[test]
    fn lists_by_device_keep_the_others() {
        let mut doc = Doc::default();
        let at = "/linux/resources";
        merge(&mut doc, at, &json!({"cpu": {"quota": 5}, "devices": [{"allow": true}]})).unwrap();
        let entry = |minor: u64, rate: u64| json!({"major": 8, "minor": minor, "rate": rate});
        let rates = |list: Value| json!({"blockIO": {"throttleReadBpsDevice": list}});
        merge(&mut doc, at, &rates(json!([entry(0, 1), entry(16, 1)]))).unwrap();
        merge(&mut doc, at, &rates(json!([entry(16, 2), entry(32, 2)]))).unwrap();
        let more = json!({"cpu": {"period": 7, "shares": null}, "devices": [{"allow": false}]});
        merge(&mut doc, at, &more).unwrap();
        let whole = json!({
            "cpu": {"quota": 5, "period": 7},
            "devices": [{"allow": false}],
            "blockIO": {"throttleReadBpsDevice": [entry(0, 1), entry(16, 2), entry(32, 2)]}
        });
        assert_eq!(doc.get(at), Some(&whole));
    }
}
