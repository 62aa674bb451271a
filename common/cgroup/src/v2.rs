//! The files of cgroup v2 (kernel documentation, admin-guide/cgroup-v2.rst).

use crate::read::{number, of, pairs, text, value};
use crate::{BlkioEntry, Hugetlb, MemoryEntry, Pressure, Psi, Stats, Throttling, Usage};
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
    (stats.cpu.usage, stats.cpu.throttling) = time(&text(at, "cpu.stat"));
    stats.cpu.psi = psi(at, "cpu.pressure");
}

/// Of cpu.stat.
pub fn time(stat: &str) -> (Usage, Throttling) {
    let of = |key: &str| value(stat, key).unwrap_or_default();
    // Microseconds here, nanoseconds there.
    let ns = |key: &str| of(key).saturating_mul(1000);
    let usage = Usage {
        total: ns("usage_usec"),
        user: ns("user_usec"),
        kernel: ns("system_usec"),
        ..Usage::default()
    };
    let throttling = Throttling {
        periods: of("nr_periods"),
        throttled_periods: of("nr_throttled"),
        throttled_time: ns("throttled_usec"),
    };
    (usage, throttling)
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
    m.psi = psi(at, "memory.pressure");
}

fn block(at: &Path, stats: &mut Stats) {
    let blkio = &mut stats.blkio;
    (blkio.io_service_bytes_recursive, blkio.io_serviced_recursive) = devices(&text(at, "io.stat"));
    blkio.psi = psi(at, "io.pressure");
}

/// Bytes and operations by device, of lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
pub fn devices(stat: &str) -> (Vec<BlkioEntry>, Vec<BlkioEntry>) {
    let (mut bytes, mut operations) = (Vec::new(), Vec::new());
    for line in stat.lines() {
        let mut fields = line.split(' ');
        let Some((major, minor)) = fields.next().and_then(|d| d.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in fields.filter_map(|f| f.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut bytes, "Read"),
                "wbytes" => (&mut bytes, "Write"),
                "dbytes" => (&mut bytes, "Discard"),
                "rios" => (&mut operations, "Read"),
                "wios" => (&mut operations, "Write"),
                "dios" => (&mut operations, "Discard"),
                _ => continue,
            };
            list.push(BlkioEntry { major, minor, op: op.into(), value: value.parse().unwrap_or_default() });
        }
    }
    (bytes, operations)
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

fn psi(at: &Path, file: &str) -> Option<Psi> {
    fs::read_to_string(at.join(file)).ok().map(|text| pressure(&text))
}

/// Lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
pub fn pressure(text: &str) -> Psi {
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
    psi
}
