//! The files of cgroup v2 (kernel documentation, admin-guide/cgroup-v2.rst).

use crate::read::{number, of, pairs};
use crate::{BlkioEntry, Hugetlb, MemoryEntry, Pressure, Psi, Stats, Throttling};
use state::CgroupDir;
use std::fs;
use std::path::Path;

pub fn read(dir: &CgroupDir, stats: &mut Stats) {
    let at = dir.path.as_path();
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    // A hybrid host has its figures from v1.
    if has("cpu") || at.join("memory.current").exists() {
        cpu(at, stats);
    }
    if has("memory") {
        memory(at, stats);
    }
    if has("pids") {
        stats.pids.current = number(at, "pids.current").unwrap_or_default();
        stats.pids.limit = number(at, "pids.max").filter(|n| *n != u64::MAX).unwrap_or_default();
    }
    if has("io") {
        block(at, stats);
    }
    if has("hugetlb") {
        huge(at, stats);
    }
}

fn cpu(at: &Path, stats: &mut Stats) {
    // Microseconds here, nanoseconds there.
    let stat = pairs(at, "cpu.stat");
    let ns = |key: &str| of(&stat, key).saturating_mul(1000);
    let usage = &mut stats.cpu.usage;
    (usage.total, usage.user, usage.kernel) = (ns("usage_usec"), ns("user_usec"), ns("system_usec"));
    stats.cpu.throttling = Throttling {
        periods: of(&stat, "nr_periods"),
        throttled_periods: of(&stat, "nr_throttled"),
        throttled_time: ns("throttled_usec"),
    };
    stats.cpu.psi = pressure(at, "cpu.pressure");
}

fn memory(at: &Path, stats: &mut Stats) {
    let stat = pairs(at, "memory.stat");
    let events = pairs(at, "memory.events");
    let value = |file: &str| number(at, file).unwrap_or_default();
    let m = &mut stats.memory;
    m.cache = of(&stat, "file");
    m.usage = MemoryEntry {
        limit: value("memory.max"),
        usage: value("memory.current"),
        max: value("memory.peak"),
        failcnt: of(&events, "max"),
    };
    // As the document counts: memory and swap together.
    if let Some(swap) = number(at, "memory.swap.current") {
        m.swap = MemoryEntry {
            limit: value("memory.swap.max").saturating_add(m.usage.limit),
            usage: swap.saturating_add(m.usage.usage),
            max: 0,
            failcnt: 0,
        };
    }
    m.raw = stat.into_iter().collect();
    m.psi = pressure(at, "memory.pressure");
}

/// Lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn block(at: &Path, stats: &mut Stats) {
    let text = fs::read_to_string(at.join("io.stat")).unwrap_or_default();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let Some((major, minor)) = fields.next().and_then(|d| d.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in fields.filter_map(|f| f.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut stats.blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut stats.blkio.io_service_bytes_recursive, "Write"),
                "dbytes" => (&mut stats.blkio.io_service_bytes_recursive, "Discard"),
                "rios" => (&mut stats.blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut stats.blkio.io_serviced_recursive, "Write"),
                "dios" => (&mut stats.blkio.io_serviced_recursive, "Discard"),
                _ => continue,
            };
            list.push(BlkioEntry { major, minor, op: op.into(), value: value.parse().unwrap_or_default() });
        }
    }
    stats.blkio.psi = pressure(at, "io.pressure");
}

fn huge(at: &Path, stats: &mut Stats) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let size = name.strip_prefix("hugetlb.").and_then(|n| n.strip_suffix(".current"));
        let Some(size) = size.filter(|s| !s.ends_with(".rsvd")) else { continue };
        let usage = number(at, &format!("hugetlb.{size}.current")).unwrap_or_default();
        let failcnt = of(&pairs(at, &format!("hugetlb.{size}.events")), "max");
        stats.hugetlb.insert(size.to_owned(), Hugetlb { usage, max: 0, failcnt });
    }
}

/// Lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
fn pressure(at: &Path, file: &str) -> Option<Psi> {
    let text = fs::read_to_string(at.join(file)).ok()?;
    let mut psi = Psi::default();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let to = match fields.next() {
            Some("some") => &mut psi.some,
            Some("full") => &mut psi.full,
            _ => continue,
        };
        let mut p = Pressure::default();
        for (key, value) in fields.filter_map(|f| f.split_once('=')) {
            match key {
                "avg10" => p.avg10 = value.parse().unwrap_or_default(),
                "avg60" => p.avg60 = value.parse().unwrap_or_default(),
                "avg300" => p.avg300 = value.parse().unwrap_or_default(),
                "total" => p.total = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        *to = p;
    }
    Some(psi)
}
