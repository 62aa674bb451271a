//! Limits as the files of cgroup v2 have them (kernel documentation, admin-guide/cgroup-v2.rst).

use crate::{PERIOD, group, max, one};
use doc::{Resources, Throttle};
use state::CgroupDir;
use step::{Act, Setting};

/// Those limits that the controllers hold.
pub(crate) fn limits(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    let mut put = |set: Vec<Setting>| acts.extend(group(dir, set));
    if has("memory") {
        put(memory(r));
    }
    if has("cpu") {
        let cpu = &r.cpu;
        put(cpu.idle.map(|n| one("cpu.idle", n)).into_iter().collect());
        // An idle cgroup has no weight.
        let shares = cpu.shares.filter(|n| *n != 0 && cpu.idle != Some(1));
        put(shares.map(|n| one("cpu.weight", weight(n))).into_iter().collect());
        let quota = cpu.quota.filter(|n| *n != 0);
        if quota.is_some() || cpu.period.is_some() {
            let text = format!("{} {}", max(quota.unwrap_or(-1)), cpu.period.unwrap_or(PERIOD));
            put(vec![one("cpu.max", text)]);
        }
        put(cpu.burst.map(|n| one("cpu.max.burst", n)).into_iter().collect());
    }
    if has("cpuset") {
        let list = |l: &Option<String>| l.clone().filter(|l| !l.is_empty());
        put(list(&r.cpu.cpus).map(|l| one("cpuset.cpus", l)).into_iter().collect());
        put(list(&r.cpu.mems).map(|l| one("cpuset.mems", l)).into_iter().collect());
    }
    if has("pids") {
        put(r.pids.limit.map(|n| one("pids.max", max(n))).into_iter().collect());
    }
    if has("io") {
        block(r).into_iter().for_each(|s| put(vec![s]));
    }
    if has("hugetlb") {
        for h in &r.hugepage_limits {
            put(vec![one(&format!("hugetlb.{}.max", h.page_size), h.limit)]);
        }
    }
    if has("rdma") {
        put(crate::rdma(r).into_iter().collect());
    }
    for (file, text) in &r.unified {
        put(vec![one(file, text)]);
    }
}

fn memory(r: &Resources) -> Vec<Setting> {
    let m = &r.memory;
    let limit = m.limit.filter(|n| *n != 0);
    // The document's swap is memory and swap together, v2's is swap alone.
    let swap = match (m.swap.filter(|n| *n != 0), limit) {
        (Some(-1), _) | (None, Some(-1)) => Some("max".to_owned()),
        (Some(both), Some(memory)) if memory > 0 => Some((both - memory).max(0).to_string()),
        _ => None,
    };
    let list = [
        swap.map(|n| one("memory.swap.max", n)),
        limit.map(|n| one("memory.max", max(n))),
        m.reservation.filter(|n| *n != 0).map(|n| one("memory.low", max(n))),
    ];
    list.into_iter().flatten().collect()
}

fn block(r: &Resources) -> Vec<Setting> {
    let b = &r.block_io;
    // bfq's weights are those of the document; io.weight goes from 1 to 10000.
    let io_weight = |n: u64| 1 + (n.clamp(10, 1000) - 10) * 9999 / 990;
    let mut list = Vec::new();
    if let Some(n) = b.weight.filter(|n| *n != 0) {
        list.push(one("io.weight", io_weight(n)));
    }
    for w in &b.weight_device {
        list.extend(w.weight.map(|n| one("io.weight", format!("{}:{} {}", w.major, w.minor, io_weight(n)))));
    }
    let rates: [(&str, &[Throttle]); 4] = [
        ("rbps", &b.throttle_read_bps_device),
        ("wbps", &b.throttle_write_bps_device),
        ("riops", &b.throttle_read_iops_device),
        ("wiops", &b.throttle_write_iops_device),
    ];
    for (word, devices) in rates {
        for d in devices {
            let rate = if d.rate == 0 { "max".to_owned() } else { d.rate.to_string() };
            list.push(one("io.max", format!("{}:{} {word}={rate}", d.major, d.minor)));
        }
    }
    list
}

/// From shares (2 to 262144) to weight (1 to 10000): the curve through the two defaults, 1024 and
/// 100, that runc and crun use since 2025.
pub(crate) fn weight(shares: u64) -> u64 {
    let l = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
    (10_f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curve() {
        assert_eq!([2, 1024, 262_144].map(weight), [1, 100, 10_000]);
    }
}
