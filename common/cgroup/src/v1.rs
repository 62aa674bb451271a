//! The files of a v1 hierarchy (kernel documentation, admin-guide/cgroup-v1/).

use crate::read::{list, number, of, pairs, text, value};
use crate::{BlkioEntry, Hugetlb, MemoryEntry, Stats, Throttling};
use state::CgroupDir;
use std::fs;
use std::path::Path;

pub fn read(dir: &CgroupDir, stats: &mut Stats) {
    let at = dir.path.as_path();
    for controller in &dir.controllers {
        match controller.as_str() {
            "cpuacct" => usage(at, stats),
            "cpu" => stats.cpu.throttling = throttling(&text(at, "cpu.stat")),
            "cpuset" => cpuset(at, stats),
            "memory" => memory(at, stats),
            "pids" => {
                stats.pids.current = number(at, "pids.current").unwrap_or_default();
                stats.pids.limit = number(at, "pids.max").filter(|n| *n != u64::MAX).unwrap_or_default();
            }
            "blkio" => {
                let (bytes, operations) = devices(|file| fs::read_to_string(at.join(file)).ok());
                stats.blkio.io_service_bytes_recursive = bytes;
                stats.blkio.io_serviced_recursive = operations;
            }
            "hugetlb" => huge(at, stats),
            _ => {}
        }
    }
}

/// Of cpu.stat.
pub fn throttling(stat: &str) -> Throttling {
    let of = |key: &str| value(stat, key).unwrap_or_default();
    Throttling {
        periods: of("nr_periods"),
        throttled_periods: of("nr_throttled"),
        throttled_time: of("throttled_time"),
    }
}

fn usage(at: &Path, stats: &mut Stats) {
    let usage = &mut stats.cpu.usage;
    usage.total = number(at, "cpuacct.usage").unwrap_or_default();
    // One line a processor: number, user, system; the first is the head.
    let all = fs::read_to_string(at.join("cpuacct.usage_all")).unwrap_or_default();
    for line in all.lines().skip(1) {
        let mut fields = line.split(' ').skip(1).map(|f| f.parse().unwrap_or_default());
        let (user, kernel) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        usage.percpu_user.push(user);
        usage.percpu_kernel.push(kernel);
    }
    let each = fs::read_to_string(at.join("cpuacct.usage_percpu")).unwrap_or_default();
    usage.percpu = each.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    usage.user = number(at, "cpuacct.usage_user").unwrap_or_default();
    usage.kernel = number(at, "cpuacct.usage_sys").unwrap_or_default();
}

fn cpuset(at: &Path, stats: &mut Stats) {
    let value = |file: &str| number(at, &format!("cpuset.{file}")).unwrap_or_default();
    let c = &mut stats.cpuset;
    c.cpus = list(at, "cpuset.cpus");
    c.cpu_exclusive = value("cpu_exclusive");
    c.mems = list(at, "cpuset.mems");
    c.mem_hardwall = value("mem_hardwall");
    c.mem_exclusive = value("mem_exclusive");
    c.memory_migrate = value("memory_migrate");
    c.memory_spread_page = value("memory_spread_page");
    c.memory_spread_slab = value("memory_spread_slab");
    c.memory_pressure = value("memory_pressure");
    c.sched_load_balance = value("sched_load_balance");
    let level = fs::read_to_string(at.join("cpuset.sched_relax_domain_level")).unwrap_or_default();
    c.sched_relax_domain_level = level.trim().parse().unwrap_or_default();
}

fn memory(at: &Path, stats: &mut Stats) {
    let entry = |what: &str| {
        let value = |file: &str| number(at, &format!("memory.{what}{file}")).unwrap_or_default();
        MemoryEntry {
            limit: value("limit_in_bytes"),
            usage: value("usage_in_bytes"),
            max: value("max_usage_in_bytes"),
            failcnt: value("failcnt"),
        }
    };
    let m = &mut stats.memory;
    m.usage = entry("");
    m.swap = entry("memsw.");
    m.kernel = entry("kmem.");
    m.kernel_tcp = entry("kmem.tcp.");
    let stat = pairs(at, "memory.stat");
    m.cache = of(&stat, "total_cache");
    m.raw = stat.into_iter().collect();
}

/// Bytes and operations by device; bfq counts for itself where it schedules, else the throttling does.
pub fn devices(mut read: impl FnMut(&str) -> Option<String>) -> (Vec<BlkioEntry>, Vec<BlkioEntry>) {
    let mut recursive = |what: &str| {
        let mut by = |who: &str| read(&format!("blkio.{who}.{what}_recursive")).map(|t| entries(&t));
        by("bfq").filter(|e| !e.is_empty()).or_else(|| by("throttle")).unwrap_or_default()
    };
    (recursive("io_service_bytes"), recursive("io_serviced"))
}

/// Lines of `8:0 Read 4096`; the total of all devices is left out.
fn entries(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let mut fields = line.split(' ');
        let (major, minor) = fields.next()?.split_once(':')?;
        let op = fields.next()?.to_owned();
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op,
            value: fields.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

fn huge(at: &Path, stats: &mut Stats) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let size = name.strip_prefix("hugetlb.").and_then(|n| n.strip_suffix(".usage_in_bytes"));
        let Some(size) = size.filter(|s| !s.ends_with(".rsvd")) else { continue };
        let value = |file: &str| number(at, &format!("hugetlb.{size}.{file}")).unwrap_or_default();
        let pages = Hugetlb {
            usage: value("usage_in_bytes"),
            max: value("max_usage_in_bytes"),
            failcnt: value("failcnt"),
        };
        stats.hugetlb.insert(size.to_owned(), pages);
    }
}
