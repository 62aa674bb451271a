//! update: other limits for a container that is there.

use crate::container::{Container, host};
use crate::making;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use cli::{Drive, Driver, parse};
use serde_json::{Map, Value};
use std::io::Read;

/// The words of `update`.
#[derive(Args, Debug)]
pub struct Update {
    /// The limits as a document's linux.resources, from a file or from stdin (-); no other flag counts
    #[arg(short = 'r', long, value_name = "FILE", allow_hyphen_values = true)]
    resources: Option<String>,
    #[command(flatten)]
    single: Single,
    /// Schema of the L3 cache (resctrl)
    #[arg(long, value_name = "SCHEMA")]
    l3_cache_schema: Option<String>,
    /// Schema of the memory bandwidth (resctrl)
    #[arg(long, value_name = "SCHEMA")]
    mem_bw_schema: Option<String>,
    /// The container
    pub id: String,
}

/// A limit each.
#[derive(Args, Debug)]
struct Single {
    /// Weight of its I/O, 10 to 1000
    #[arg(long, value_name = "N")]
    blkio_weight: Option<String>,
    /// Period of the CPU limit, microseconds
    #[arg(long, value_name = "N")]
    cpu_period: Option<String>,
    /// CPU time in a period, microseconds; -1: no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    cpu_quota: Option<String>,
    /// CPU time that may be saved up, microseconds
    #[arg(long, value_name = "N")]
    cpu_burst: Option<String>,
    /// Weight of its CPU time
    #[arg(long, value_name = "N")]
    cpu_share: Option<String>,
    /// Period of the realtime limit, microseconds
    #[arg(long, value_name = "N")]
    cpu_rt_period: Option<String>,
    /// Realtime CPU time in a period, microseconds
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    cpu_rt_runtime: Option<String>,
    /// 1: only idle processors, 0: as usual
    #[arg(long, value_name = "N")]
    cpu_idle: Option<String>,
    /// The processors, as 0-2,4
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// The memory nodes, as 0-2,4
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Memory; -1: no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory: Option<String>,
    /// Memory that it has a right to
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_reservation: Option<String>,
    /// Memory and swap together; -1: no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Taken and ignored
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    kernel_memory: Option<String>,
    /// Taken and ignored
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, hide = true)]
    kernel_memory_tcp: Option<String>,
    /// Tasks; -1: no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pids_limit: Option<String>,
}

/// The verb.
pub fn update(container: &Container, words: &Update) -> Result<u8> {
    let _lock = container.lock()?;
    if container.record()?.and_then(|r| r.running()).is_none() {
        bail!("container not running");
    }
    let mut doc = container.doc()?;
    for (flag, value) in
        [("l3-cache-schema", &words.l3_cache_schema), ("mem-bw-schema", &words.mem_bw_schema)]
    {
        if value.as_ref().is_some_and(|v| !v.is_empty()) {
            bail!("--{flag}: Intel RDT is not supported");
        }
    }
    let given = match words.resources.as_deref().filter(|r| !r.is_empty()) {
        Some(from) => read(from)?,
        None => Value::Object(words.single.resources()?),
    };
    let Some(place) = container.place(&doc)? else { bail!("the container has no cgroup") };
    let host = host()?;
    let mut given = meant(given);
    if making::unlimited_tasks(&doc, Some(&given))
        && let Some(map) = given.as_object_mut()
    {
        map.remove("pids");
    }
    let steps = limits::update(&mut doc, &given, &host, &place)?;
    Driver::new("oci", &Drive::default())?.run(&steps)?;
    container.save(&doc)?;
    Ok(0)
}

fn read(from: &str) -> Result<Value> {
    let mut text = Vec::new();
    match from {
        "-" => std::io::stdin().read_to_end(&mut text).context("read stdin")?,
        path => std::fs::File::open(path)
            .and_then(|mut f| f.read_to_end(&mut text))
            .with_context(|| format!("read {path}"))?,
    };
    let value: Value = serde_json::from_slice(&text).with_context(|| format!("read {from}"))?;
    if !value.is_object() {
        bail!("read {from}: resources are a JSON object");
    }
    Ok(value)
}

impl Single {
    /// As `linux.resources`.
    fn resources(&self) -> Result<Map<String, Value>> {
        let mut doc = Map::new();
        let mut put = |group: &str, key: &str, value: Value| {
            let map = doc.entry(group).or_insert_with(|| Value::Object(Map::new()));
            map[key] = value;
        };
        for (flag, text, group, key) in [
            ("blkio-weight", &self.blkio_weight, "blockIO", "weight"),
            ("cpu-period", &self.cpu_period, "cpu", "period"),
            ("cpu-burst", &self.cpu_burst, "cpu", "burst"),
            ("cpu-share", &self.cpu_share, "cpu", "shares"),
            ("cpu-rt-period", &self.cpu_rt_period, "cpu", "realtimePeriod"),
            ("cpu-quota", &self.cpu_quota, "cpu", "quota"),
            ("cpu-rt-runtime", &self.cpu_rt_runtime, "cpu", "realtimeRuntime"),
            ("cpu-idle", &self.cpu_idle, "cpu", "idle"),
            ("pids-limit", &self.pids_limit, "pids", "limit"),
        ] {
            let Some(text) = text.as_ref().filter(|t| !t.is_empty()) else { continue };
            let number: i64 = text.parse().with_context(|| format!("invalid value for {flag}: {text}"))?;
            let signed = ["quota", "realtimeRuntime", "limit"].contains(&key);
            if number < 0 && !signed {
                bail!("invalid value for {flag}: {text}");
            }
            put(group, key, number.into());
        }
        for (flag, text, key) in [
            ("memory", &self.memory, "limit"),
            ("memory-reservation", &self.memory_reservation, "reservation"),
            ("memory-swap", &self.memory_swap, "swap"),
        ] {
            let Some(text) = text.as_ref().filter(|t| !t.is_empty()) else { continue };
            let number = match text.as_str() {
                "-1" => Ok(-1),
                text => parse::size(text),
            };
            put("memory", key, number.map_err(|e| anyhow!("invalid value for {flag}: {e}"))?.into());
        }
        for (text, key) in [(&self.cpuset_cpus, "cpus"), (&self.cpuset_mems, "mems")] {
            if let Some(text) = text.as_ref().filter(|t| !t.is_empty()) {
                put("cpu", key, text.as_str().into());
            }
        }
        if self.kernel_memory.is_some() || self.kernel_memory_tcp.is_some() {
            crate::log::say(crate::log::Level::Warning, "kernel memory settings are ignored");
        }
        Ok(doc)
    }
}

/// What engines mean by it: a zero is no limit, but left as it was, and devices stay what they are.
fn meant(mut given: Value) -> Value {
    for group in ["cpu", "memory", "blockIO"] {
        if let Some(map) = given.get_mut(group).and_then(Value::as_object_mut) {
            map.retain(|key, v| key == "idle" || key == "burst" || !(v == 0 || v == "" || v.is_null()));
        }
    }
    if let Some(map) = given.as_object_mut() {
        map.retain(|key, v| !v.is_null() && key != "devices");
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn zeros_are_left_as_they_were() {
        let given =
            json!({"cpu": {"shares": 0, "quota": 5, "idle": 0, "cpus": ""}, "devices": [], "pids": null});
        assert_eq!(meant(given), json!({"cpu": {"quota": 5, "idle": 0}}));
    }
}
