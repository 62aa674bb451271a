//! A unit of systemd's as a container's cgroup: made with the process in it, its limits as properties
//! first, so that systemd knows them, and then as they are in every cgroup: what it has no property for, and
//! hierarchies that are none of its.

use crate::check;
use crate::{Place, Rules, Unit, devices, directory, dirs, gvariant, kept, limits};
use anyhow::{Context, Result, bail};
use doc::{Doc, Resources};
use state::{CgroupDir, Host};
use std::collections::BTreeMap;
use step::{Access, Act, Property, Setting};

/// The unit, and what is left to be done in its cgroup and in those beside it.
pub(crate) fn made(doc: &Doc, host: &Host, place: &Place, unit: &Unit) -> Result<Vec<Act>> {
    let resources = whole_percents(doc.resources()?);
    let dirs = dirs(&resources, host, place);
    check::check(&resources, &dirs)?;
    let rules = Rules::of(doc, host, &resources)?;
    let own = kept(host, place).context("no cgroup hierarchy here is systemd's")?;
    let mut properties = usual(doc, host, unit)?;
    let (mut set, mut acts) = (Vec::new(), Vec::new());
    for dir in &dirs {
        if dir.path != own {
            directory(dir, host, &resources, &mut acts);
        }
        let mut some = Vec::new();
        limits(dir, &resources, &mut some);
        set.extend(settings(&some));
        acts.extend(some);
        acts.extend(rules.steps(dir, &dirs)?);
    }
    if !host.cgroups.pure_v2() {
        properties.extend(device_rules(&resources)?);
    }
    for property in annotated(doc)?.into_iter().chain(step::properties(&set)) {
        properties.retain(|p| p.name != property.name);
        properties.push(property);
    }
    let (name, user) = (unit.name.clone(), unit.user);
    acts.insert(0, Act::Unit { name, user, cgroup: own, properties });
    Ok(acts)
}

/// The limits of the document in the cgroup of a unit that is there.
pub(crate) fn live(doc: &Doc, host: &Host, place: &Place, unit: &Unit) -> Result<Vec<Act>> {
    let resources = whole_percents(doc.resources()?);
    let dirs = dirs(&resources, host, place);
    check::check(&resources, &dirs)?;
    let rules = Rules::of(doc, host, &resources)?;
    let mut acts = Vec::new();
    for dir in &dirs {
        acts.push(Act::Cgroup { path: dir.path.clone(), shared: false });
        acts.extend(told(unit, dir, &resources));
        acts.extend(rules.steps(dir, &dirs)?);
    }
    Ok(acts)
}

/// Limits of one hierarchy: told to systemd, and written.
pub(crate) fn told(unit: &Unit, dir: &CgroupDir, r: &Resources) -> Vec<Act> {
    let mut acts = Vec::new();
    limits(dir, r, &mut acts);
    tell(unit, dir, &settings(&acts)).into_iter().chain(acts).collect()
}

/// The step that tells systemd of limits; `None`: it has no properties for them.
pub fn tell(unit: &Unit, dir: &CgroupDir, set: &[Setting]) -> Option<Act> {
    let known = !step::properties(set).is_empty();
    let (name, user, cgroup) = (unit.name.clone(), unit.user, dir.path.clone());
    known.then(|| Act::UnitLimit { name, user, cgroup, set: set.to_vec() })
}

fn settings(acts: &[Act]) -> Vec<Setting> {
    let set = |act: &Act| match act {
        Act::Limit { set, .. } => set.clone(),
        _ => Vec::new(),
    };
    acts.iter().flat_map(set).collect()
}

/// systemd keeps whole hundredths of a processor: a quota is the next that is one, so that it stays what
/// it is when systemd reads its files again (as runc).
pub(crate) fn whole_percents(mut r: Resources) -> Resources {
    let period = r.cpu.period.filter(|n| *n != 0).unwrap_or(crate::PERIOD);
    if let Some(quota) = r.cpu.quota.filter(|n| *n > 0) {
        let hundredths = (u128::from(quota.unsigned_abs()) * 100).div_ceil(u128::from(period));
        let quota = (hundredths * u128::from(period)).div_ceil(100);
        r.cpu.quota = i64::try_from(quota).ok();
    }
    r
}

/// What every such unit has.
fn usual(doc: &Doc, host: &Host, unit: &Unit) -> Result<Vec<Property>> {
    let called = doc.name()?.or(doc.id()?).unwrap_or(&unit.name);
    let mut list = vec![Property::new("Description", "s", format!("container {called}"))];
    if unit.is_slice() {
        list.push(Property::list("Wants", "as", vec![vec![unit.slice.clone()]]));
    } else {
        list.push(Property::new("Slice", "s", &unit.slice));
        list.push(Property::new("Delegate", "b", true));
    }
    let io = if host.cgroups.pure_v2() { "IOAccounting" } else { "BlockIOAccounting" };
    // The kernel counts badly what it is told of only later.
    for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
        list.push(Property::new(name, "b", true));
    }
    list.push(Property::new("DefaultDependencies", "b", false));
    Ok(list)
}

/// Rules for devices on v1, whose files systemd writes anew whenever it looks at its units: where it knows
/// of none, everything would be allowed. On v2 its program would stand beside ours, and hold after an update.
fn device_rules(r: &Resources) -> Result<Vec<Property>> {
    if r.devices.is_empty() {
        return Ok(Vec::new());
    }
    let Some(list) = devices::granted(&r.devices)? else { return Ok(Vec::new()) };
    let entry = |a: &Access| {
        let group = if a.kind == Some('b') { "block" } else { "char" };
        let path = match (a.major, a.minor) {
            (None, None) => format!("{group}-*"),
            (Some(major), None) => format!("{group}-{major}"),
            (Some(major), Some(minor)) => format!("/dev/{group}/{major}:{minor}"),
            // It has no word for that.
            (None, Some(_)) => return None,
        };
        Some(vec![path, a.access.clone()])
    };
    let allow = list.iter().filter_map(entry).collect();
    Ok(vec![Property::new("DevicePolicy", "s", "strict"), Property::list("DeviceAllow", "a(ss)", allow)])
}

/// What annotations say of the unit: `org.systemd.property.NAME`, by GVariant's text form.
fn annotated(doc: &Doc) -> Result<Vec<Property>> {
    let annotations: BTreeMap<String, serde_json::Value> = doc.read("/annotations")?.unwrap_or_default();
    let mut list = Vec::new();
    for (key, value) in &annotations {
        let Some(name) = key.strip_prefix("org.systemd.property.") else { continue };
        let text = value.as_str().unwrap_or_default();
        list.push(property(name, text).with_context(|| format!("annotation {key}={text}"))?);
    }
    Ok(list)
}

fn property(name: &str, text: &str) -> Result<Property> {
    if name.len() < 3 || !name.chars().all(|c| c.is_ascii_alphabetic()) {
        bail!("{name} is no name of a property");
    }
    let value = gvariant::parse(text)?;
    let stem = name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()));
    let Some(stem) = stem else {
        return Ok(Property { name: name.into(), kind: value.kind, value: value.words });
    };
    // On the bus times are in microseconds.
    let seconds = Some(&value).filter(|v| "ynqiuxtd".contains(v.kind.as_str())).and_then(|v| v.words.first());
    match seconds.and_then(|s| s.parse::<f64>().ok()).filter(|s| *s >= 0.0) {
        Some(seconds) => Ok(Property::new(&format!("{stem}USec"), "t", (seconds * 1e6) as u64)),
        None => bail!("'{text}' is no number of seconds"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn annotations() {
        for (name, text, words) in [
            ("TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec t 123456789"),
            ("CollectMode", "'inactive-or-failed'", "CollectMode s inactive-or-failed"),
            ("TimeoutStopSec", "456", "TimeoutStopUSec t 456000000"),
            ("TimeoutStopSec", "byte 234", "TimeoutStopUSec t 234000000"),
            ("TimeoutStopSec", "234.789", "TimeoutStopUSec t 234789000"),
            ("FOOSec", "123", "FOOSec i 123"),
            ("Sec", "123", "Sec i 123"),
        ] {
            let p = property(name, text).unwrap();
            assert_eq!(p.words().collect::<Vec<_>>().join(" "), words);
        }
        for (name, text, says) in [
            ("TimeoutStopSec", "false", "no number of seconds"),
            ("TimeoutStopSec", "'covfefe'", "no number of seconds"),
            ("TimeoutStopSec", "-1", "no number of seconds"),
            ("ab", "1", "no name of a property"),
            ("a-b-c", "1", "no name of a property"),
            ("abc", "x", "'x' is no int32"),
        ] {
            let e = property(name, text).unwrap_err().to_string();
            assert!(e.contains(says), "{name} {text}: {e}");
        }
    }

    #[test]
    fn quotas_are_whole_percents() {
        let quota = |quota: i64, period: Option<u64>| {
            let mut r = Resources::default();
            (r.cpu.quota, r.cpu.period) = (Some(quota), period);
            whole_percents(r).cpu.quota
        };
        assert_eq!(quota(12_500, None), Some(13_000));
        assert_eq!(quota(50_000, Some(100_000)), Some(50_000));
        assert_eq!(quota(1, Some(1_000_000)), Some(10_000));
        assert_eq!(quota(-1, None), Some(-1));
    }
}
