//! What is asked for on the command line, written into the document.

use anyhow::{Context, Result};
use clap::Args;
use cli::{Host, parse, usage};
use doc::Doc;
use limits::PERIOD;
use serde_json::{Value, json};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// The flags of `stave limit`.
#[derive(Args, Debug, Default, PartialEq)]
#[command(next_help_heading = "Limits")]
pub struct Limit {
    /// Memory: a number and b, k, m, g, 6m at least; -1: no limit
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = memory, allow_negative_numbers = true)]
    pub memory: Option<i64>,
    /// Memory and swap together, twice the memory where it is not said; -1: no limit
    #[arg(long, value_name = "SIZE", value_parser = parse::size_or_none, allow_negative_numbers = true)]
    pub memory_swap: Option<i64>,
    /// Memory that is left to it when others need some; -1: none
    #[arg(long, value_name = "SIZE", value_parser = parse::some_size_or_none, allow_negative_numbers = true)]
    pub memory_reservation: Option<i64>,
    /// How willingly memory is swapped out: 0 to 100 (v1)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(-1..=100), allow_negative_numbers = true)]
    pub memory_swappiness: Option<i64>,
    /// Wait for memory rather than be killed for it (v1)
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// Processors, as a fraction: 0.5
    #[arg(long, value_name = "N", value_parser = parse::cpus, allow_negative_numbers = true, conflicts_with_all = ["cpu_quota", "cpu_period"])]
    pub cpus: Option<f64>,
    /// Weight among others that want the processors: 2 to 262144 [default: 1024]
    #[arg(short = 'c', long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// Microseconds of each period; -1: no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// Microseconds of a period
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<u64>,
    /// Microseconds that may be saved up, for a burst
    #[arg(long, value_name = "N")]
    pub cpu_burst: Option<u64>,
    /// 1: only when nobody else wants the processors; 0: as usual
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=1))]
    pub cpu_idle: Option<i64>,
    /// Microseconds for real-time tasks of each period (v1)
    #[arg(long, value_name = "N")]
    pub cpu_rt_runtime: Option<i64>,
    /// Microseconds of a period of real-time tasks (v1)
    #[arg(long, value_name = "N")]
    pub cpu_rt_period: Option<u64>,
    /// Processors to run on: 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Tasks; -1: no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Weight among others that want a disk: 10 to 1000
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// The same on one disk
    #[arg(long, value_name = "PATH:N")]
    pub blkio_weight_device: Vec<String>,
    /// Bytes a second from a disk
    #[arg(long, value_name = "PATH:SIZE")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second to a disk
    #[arg(long, value_name = "PATH:SIZE")]
    pub device_write_bps: Vec<String>,
    /// Operations a second from a disk
    #[arg(long, value_name = "PATH:N")]
    pub device_read_iops: Vec<String>,
    /// Operations a second to a disk
    #[arg(long, value_name = "PATH:N")]
    pub device_write_iops: Vec<String>,
    /// A device that may be used: 'c 1:3 rwm', with * for all numbers
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// A file of cgroup v2, by its name, and what is written into it: memory.high=1g
    #[arg(long, value_name = "FILE=TEXT")]
    pub cgroup_conf: Vec<String>,
    /// The cgroup in which its own is made
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
    /// Who makes the cgroup: auto, cgroupfs or systemd [default: auto]
    #[arg(long, value_name = "WHO", value_parser = ["auto", "cgroupfs", "systemd"], hide_possible_values = true)]
    pub cgroup_driver: Option<String>,
}

/// What docker has as the least: a process is not even started in less.
const LEAST: i64 = 6 << 20;

fn memory(text: &str) -> Result<i64, String> {
    match parse::some_size_or_none(text)? {
        n if (1..LEAST).contains(&n) => Err("6m is the least".to_owned()),
        n => Ok(n),
    }
}

/// What the flags change of a document that is there, in the shape of its `linux.resources`. Lists by
/// device have the new entries alone; rules for devices stand for all.
pub(crate) fn changes(flags: &Limit, doc: &Doc, host: &Host) -> Result<Value> {
    let mut only = Doc::default();
    set(flags, swap(flags, doc)?, &mut only, host)?;
    if !flags.device_cgroup_rule.is_empty() {
        let mut after = doc.clone();
        edit(flags, &mut after, host)?;
        only.set("/linux/resources/devices", after.get("/linux/resources/devices").cloned())?;
    }
    Ok(only.get("/linux/resources").cloned().unwrap_or_else(|| json!({})))
}

/// What no kernel would hold, or only a part of.
fn on_this_machine(flags: &Limit, host: &Host) -> Result<()> {
    let online = processors(&host.online);
    if let Some(cpus) = flags.cpus.filter(|n| *n > online.len() as f64 && !online.is_empty()) {
        return Err(usage(format!("--cpus {cpus}: this machine has {} processors", online.len())));
    }
    let asked = flags.cpuset_cpus.as_deref().map(processors).unwrap_or_default();
    if asked.iter().any(|n| !online.contains(n)) && !online.is_empty() {
        let list = flags.cpuset_cpus.as_deref().unwrap_or_default();
        return Err(usage(format!("--cpuset-cpus {list}: the processors that run here are {}", host.online)));
    }
    Ok(())
}

/// The numbers of a list (cpuset(7)); what is no list has none, and the plan says so.
pub(crate) fn processors(list: &str) -> std::collections::BTreeSet<u32> {
    let part = |part: &str| {
        let (range, _) = part.split_once(':').unwrap_or((part, ""));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse().ok()?..=last.trim().parse::<u32>().ok()?.min(1 << 16))
    };
    list.split(',').filter_map(part).flatten().collect()
}

/// Memory and swap together. Where nothing is said it is twice the memory, as to docker and podman; what was
/// chosen before stays.
fn swap(flags: &Limit, doc: &Doc) -> Result<Option<i64>> {
    let said = flags.memory_swap.filter(|n| *n != 0);
    let Some(limit) = flags.memory.filter(|n| *n > 0 && said.is_none()) else { return Ok(said) };
    let memory = doc.resources()?.memory;
    let twice = |n: i64| n.saturating_mul(2);
    // Where there was no limit of memory there was none of both either, and nobody chose that.
    let usual = |n: i64| memory.limit.map(twice) == Some(n) || (n == -1 && memory.limit == Some(-1));
    let chosen = memory.swap.is_some_and(|n| n != 0 && !usual(n));
    Ok((!chosen).then(|| twice(limit)))
}

pub(crate) fn edit(flags: &Limit, doc: &mut Doc, host: &Host) -> Result<()> {
    set(flags, swap(flags, doc)?, doc, host)
}

fn set(flags: &Limit, swap: Option<i64>, doc: &mut Doc, host: &Host) -> Result<()> {
    on_this_machine(flags, host)?;
    if let (Some(least), Some(most)) = (flags.memory_reservation, flags.memory)
        && most > 0
        && least > most
    {
        return Err(usage(format!("--memory-reservation {least}: more than the limit, -m {most}")));
    }
    let at = |key: &str| format!("/linux/resources/{key}");
    let mut asked = Doc::default();
    for (key, value) in numbers(flags, swap)? {
        asked.set(&at(key), value)?;
    }
    if let Some(asked) = asked.get("/linux/resources") {
        limits::write_down(doc, asked)?;
    }
    let plain = |text: &str| Ok(json!({"rate": text.parse::<u64>()?}));
    let bytes = |text: &str| Ok(json!({"rate": parse::size(text).map_err(anyhow::Error::msg)?}));
    let weight = |text: &str| Ok(json!({"weight": weight(text.parse()?)?}));
    type Of<'a> = &'a dyn Fn(&str) -> Result<Value>;
    let disks: [(&str, &str, &[String], Of); 5] = [
        ("weightDevice", "--blkio-weight-device", &flags.blkio_weight_device, &weight),
        ("throttleReadBpsDevice", "--device-read-bps", &flags.device_read_bps, &bytes),
        ("throttleWriteBpsDevice", "--device-write-bps", &flags.device_write_bps, &bytes),
        ("throttleReadIOPSDevice", "--device-read-iops", &flags.device_read_iops, &plain),
        ("throttleWriteIOPSDevice", "--device-write-iops", &flags.device_write_iops, &plain),
    ];
    for (key, flag, words, of) in disks.into_iter().filter(|(_, _, words, _)| !words.is_empty()) {
        let mut list: Vec<Value> = doc.read(&at(&format!("blockIO/{key}")))?.unwrap_or_default();
        for word in words {
            limits::put(&mut list, &disk(flag, word, of)?, &["major", "minor"]);
        }
        doc.set(&at(&format!("blockIO/{key}")), list)?;
    }
    if !flags.device_cgroup_rule.is_empty() {
        let mut list: Vec<Value> = doc.read(&at("devices"))?.unwrap_or_default();
        for word in &flags.device_cgroup_rule {
            let rule = rule(word).ok_or_else(|| {
                usage(format!(
                    "--device-cgroup-rule '{word}': not of the form 'c 1:3 rwm' (a, b or c; * for all)"
                ))
            })?;
            // Said twice is said once.
            list.retain(|old| *old != rule);
            list.push(rule);
        }
        doc.set(&at("devices"), list)?;
    }
    for word in &flags.cgroup_conf {
        let (file, text) =
            word.split_once('=')
                .filter(|(file, text)| !file.is_empty() && !text.is_empty())
                .ok_or_else(|| usage(format!("--cgroup-conf {word}: not of the form FILE=TEXT")))?;
        doc.set(&at(&format!("unified/{}", file.replace('~', "~0").replace('/', "~1"))), text)?;
    }
    Ok(())
}

/// What is one number, or one word, by its key.
fn numbers(flags: &Limit, swap: Option<i64>) -> Result<Vec<(&'static str, Value)>> {
    let mut list: Vec<(&str, Value)> = Vec::new();
    let mut put = |key, value: Option<Value>| list.extend(value.map(|v| (key, v)));
    put("memory/limit", flags.memory.map(Value::from));
    put("memory/swap", swap.map(Value::from));
    put("memory/reservation", flags.memory_reservation.map(Value::from));
    put("memory/swappiness", flags.memory_swappiness.filter(|n| *n >= 0).map(Value::from));
    put("memory/disableOOMKiller", flags.oom_kill_disable.then(|| true.into()));
    if let Some(cpus) = flags.cpus {
        let quota = (cpus * PERIOD as f64).round() as i64;
        if quota < 1000 {
            return Err(usage(format!("--cpus {cpus}: the kernel's least is 0.01")));
        }
        put("cpu/quota", Some(quota.into()));
        put("cpu/period", Some(PERIOD.into()));
    }
    put("cpu/shares", flags.cpu_shares.filter(|n| *n != 0).map(Value::from));
    put("cpu/quota", flags.cpu_quota.filter(|n| *n != 0).map(Value::from));
    put("cpu/period", flags.cpu_period.filter(|n| *n != 0).map(Value::from));
    put("cpu/burst", flags.cpu_burst.map(Value::from));
    put("cpu/idle", flags.cpu_idle.map(Value::from));
    put("cpu/realtimeRuntime", flags.cpu_rt_runtime.map(Value::from));
    put("cpu/realtimePeriod", flags.cpu_rt_period.map(Value::from));
    let some = |list: &Option<String>| list.clone().filter(|l| !l.is_empty()).map(Value::from);
    put("cpu/cpus", some(&flags.cpuset_cpus));
    put("cpu/mems", some(&flags.cpuset_mems));
    // 0 is no limit, as to docker.
    put("pids/limit", flags.pids_limit.map(|n| if n <= 0 { -1 } else { n }.into()));
    put("blockIO/weight", flags.blkio_weight.filter(|n| *n != 0).map(weight).transpose()?.map(Value::from));
    Ok(list)
}

fn weight(n: u16) -> Result<u16> {
    if (10..=1000).contains(&n) { Ok(n) } else { Err(usage(format!("weight {n}: not from 10 to 1000"))) }
}

/// `/dev/sda:1mb` as an entry of a list by device.
fn disk(flag: &str, word: &str, of: &dyn Fn(&str) -> Result<Value>) -> Result<Value> {
    let wrong = |why: &str| usage(format!("{flag} {word}: {why}"));
    let (path, value) = word.rsplit_once(':').ok_or_else(|| wrong("not of the form PATH:VALUE"))?;
    let meta = std::fs::metadata(path).with_context(|| format!("{flag} {path}"))?;
    if !meta.file_type().is_block_device() {
        return Err(wrong("not a block device"));
    }
    let (major, minor) = sys::cgroup::device(meta.rdev());
    let mut entry = json!({"major": major, "minor": minor});
    if let (Some(map), Value::Object(value)) =
        (entry.as_object_mut(), of(value).map_err(|e| wrong(&format!("{e:#}")))?)
    {
        map.extend(value);
    }
    Ok(entry)
}

/// `c 1:3 rwm`.
fn rule(word: &str) -> Option<Value> {
    let words: Vec<&str> = word.split_whitespace().collect();
    let [kind, numbers, access] = words[..] else { return None };
    let (major, minor) = numbers.split_once(':')?;
    if !["a", "b", "c"].contains(&kind) || access.is_empty() || !access.chars().all(|c| "rwm".contains(c)) {
        return None;
    }
    let mut rule = json!({"allow": true, "type": kind});
    for (key, number) in [("major", major), ("minor", minor)] {
        if number != "*" {
            rule[key] = number.parse::<u32>().ok()?.into();
        }
    }
    rule["access"] = access.into();
    Some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        for (list, numbers) in [("0-2,7", vec![0, 1, 2, 7]), ("", vec![]), ("3", vec![3]), ("x,1-", vec![])] {
            assert_eq!(processors(list).into_iter().collect::<Vec<_>>(), numbers, "{list}");
        }
    }

    #[test]
    fn least_memory() {
        assert_eq!(memory("6m"), Ok(6 << 20));
        assert_eq!(memory("-1"), Ok(-1));
        for (text, says) in [("4k", "6m is the least"), ("0", "nothing runs in 0"), ("-2", "not a size")] {
            assert!(memory(text).is_err_and(|e| e.contains(says)), "{text}");
        }
    }

    #[test]
    fn device_rules() {
        let some = json!({"allow": true, "type": "c", "major": 10, "access": "rw"});
        assert_eq!(rule("c 10:* rw"), Some(some));
        for bad in ["", "c 1:3", "x 1:3 r", "c 1 r", "c 1:3 x", "c -1:3 r", "c 1:3 r w"] {
            assert_eq!(rule(bad), None, "{bad}");
        }
    }
}
