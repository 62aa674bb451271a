//! Other limits for a cgroup that is in use: what is written is what has changed, and with the first
//! refusal the former values hold again.

use crate::{lacking, v1, v2};
use anyhow::Result;
use doc::{Doc, Resources};
use serde_json::Value;
use state::Host;
use std::fs;
use step::{Act, Step};

/// Writes `changes` (of the shape of `linux.resources`) into the document, and gives the steps that
/// make them so in the cgroup at `path`; each knows the value that it replaces.
pub fn update(doc: &mut Doc, changes: &Value, host: &Host, path: &str) -> Result<Vec<Step>> {
    let mut changed = Doc::default();
    changed.set("/linux/resources", changes.clone())?;
    let asked = changed.resources()?;
    merge(doc, "/linux/resources", changes)?;
    let whole = doc.resources()?;
    let dirs: Vec<_> = host.cgroup_dirs(path).into_iter().filter(|d| d.path.is_dir()).collect();
    lacking(&asked, &dirs)?;
    let mut acts = Vec::new();
    for dir in &dirs {
        if dir.v2 {
            v2::limits(dir, &completed(&asked, &whole), &mut acts);
        } else {
            v1::limits(dir, &asked, &mut acts);
        }
        if !asked.devices.is_empty() {
            v1::devices(dir, &asked, &mut acts);
        }
    }
    acts.iter_mut().for_each(remember);
    Ok(acts.into_iter().map(Step::parent).collect())
}

/// Two keys of the document that are one file of v2's.
fn completed(asked: &Resources, whole: &Resources) -> Resources {
    let mut r = asked.clone();
    if r.memory.swap.is_some() && r.memory.limit.is_none() {
        r.memory.limit = whole.memory.limit;
    }
    if r.cpu.quota.is_some() != r.cpu.period.is_some() {
        r.cpu.quota = r.cpu.quota.or(whole.cpu.quota);
        r.cpu.period = r.cpu.period.or(whole.cpu.period);
    }
    r
}

/// What the files say now. A file of values by device is left out: its lines are no values.
fn remember(act: &mut Act) {
    let Act::Limit { cgroup, set } = act else { return };
    for setting in set {
        let by_device = |f: &String| f.ends_with("_device") || f == "io.max" || f == "io.weight";
        let now = |f: &String| fs::read_to_string(cgroup.join(f)).ok();
        if !setting.files.iter().any(by_device) {
            setting.former = setting.files.iter().find_map(now).map(|t| t.trim().to_owned());
        }
    }
}

/// Objects are merged key by key, anything else is replaced.
fn merge(doc: &mut Doc, pointer: &str, value: &Value) -> Result<()> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            merge(doc, &format!("{pointer}/{key}"), value)
        }),
        Value::Null => Ok(()),
        other => Ok(doc.set(pointer, other.clone())?),
    }
}
