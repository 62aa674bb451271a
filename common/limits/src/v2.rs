//! Limits as the files of cgroup v2 have them (kernel documentation, admin-guide/cgroup-v2.rst).

use crate::{PERIOD, group, huge_pages, max, numbers, one, or, usual_swap};
use doc::{Resources, Throttle};
use state::CgroupDir;
use step::{Act, Setting};

/// Those limits that the controllers hold.
pub(crate) fn limits(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    if has("memory") {
        acts.extend(group(dir, memory(r)));
    }
    if has("cpu") {
        acts.extend(group(dir, cpu(r)));
    }
    numbers(dir, r, acts);
    if has("io") {
        block(r).into_iter().for_each(|s| acts.extend(group(dir, vec![s])));
    }
    huge_pages(dir, r, "max", acts);
    if has("rdma") {
        acts.extend(group(dir, crate::rdma(r).into_iter().collect()));
    }
    for (file, text) in &r.unified {
        acts.extend(group(dir, vec![one(file, text)]));
    }
}

fn memory(r: &Resources) -> Vec<Setting> {
    let m = &r.memory;
    let limit = m.limit.filter(|n| *n != 0);
    // The document's swap is memory and swap together, v2's is swap alone. Where the kernel does not
    // count swap, none and all of it are as they are asked for.
    let swap = match (m.swap.filter(|n| *n != 0), limit) {
        (Some(-1), _) | (None, Some(-1)) => Some("max".to_owned()),
        (Some(both), Some(-1)) => Some(both.to_string()),
        (Some(both), Some(memory)) => Some((both - memory).to_string()),
        _ => None,
    };
    let free = |text: &str| text == "0" || text == "max";
    let list = [
        swap.map(|n| Setting { optional: free(&n) || usual_swap(m), ..one("memory.swap.max", n) }),
        limit.map(|n| Setting { optional: n == -1, ..one("memory.max", max(n)) }),
        m.reservation.filter(|n| *n != 0).map(|n| Setting { optional: n == -1, ..one("memory.low", max(n)) }),
    ];
    list.into_iter().flatten().collect()
}

fn cpu(r: &Resources) -> Vec<Setting> {
    let cpu = &r.cpu;
    // An idle cgroup has no weight.
    let shares = cpu.shares.filter(|n| *n != 0 && cpu.idle != Some(1));
    let (quota, period) = (cpu.quota.filter(|n| *n != 0), cpu.period.filter(|n| *n != 0));
    let bandwidth = (quota.is_some() || period.is_some()).then(|| {
        let text = format!("{} {}", max(quota.unwrap_or(-1)), period.unwrap_or(PERIOD));
        Setting { optional: quota.is_none_or(|n| n < 0), ..one("cpu.max", text) }
    });
    let list = [
        cpu.idle.map(|n| Setting { optional: n == 0, ..one("cpu.idle", n) }),
        shares.map(|n| one("cpu.weight", weight(n))),
        bandwidth,
        cpu.burst.map(|n| Setting { optional: n == 0, ..one("cpu.max.burst", n) }),
    ];
    list.into_iter().flatten().collect()
}

/// bfq's weights are those of the document; io.weight goes from 1 to 10000.
fn block(r: &Resources) -> Vec<Setting> {
    let b = &r.block_io;
    let scaled = |n: u64| 1 + (n.clamp(10, 1000) - 10) * 9999 / 990;
    let mut list = Vec::new();
    list.extend(
        b.weight.filter(|n| *n != 0).map(|n| or(one("io.bfq.weight", n), "io.weight", scaled(n).to_string())),
    );
    for w in &b.weight_device {
        let line = |n: u64| format!("{}:{} {n}", w.major, w.minor);
        let weight = w.weight.filter(|n| *n != 0);
        list.extend(weight.map(|n| or(one("io.bfq.weight", line(n)), "io.weight", line(scaled(n)))));
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
