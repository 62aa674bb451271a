//! Limits as the files of a v1 hierarchy have them (kernel documentation, admin-guide/cgroup-v1/).

use crate::{group, huge_pages, limit, numbers, one, or, usual_swap};
use doc::Resources;
use state::CgroupDir;
use step::{Act, Setting};

/// Those limits that the hierarchy's controllers hold; 0 stands for none where the kernel has no 0.
pub(crate) fn limits(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    if has("memory") {
        acts.extend(group(dir, memory(r)));
    }
    if has("cpu") {
        let mut put = |set: Vec<Setting>| acts.extend(group(dir, set));
        let cpu = &r.cpu;
        // An idle cgroup has no weight, and takes none.
        put(cpu.idle.map(|n| Setting { optional: n == 0, ..one("cpu.idle", n) }).into_iter().collect());
        let shares = cpu.shares.filter(|n| *n != 0 && cpu.idle != Some(1));
        put(shares.map(|n| one("cpu.shares", n)).into_iter().collect());
        let times = [
            cpu.period.filter(|n| *n != 0).map(|n| one("cpu.cfs_period_us", n)),
            cpu.quota.filter(|n| *n != 0).map(|n| one("cpu.cfs_quota_us", n)),
            cpu.burst.map(|n| Setting { optional: n == 0, ..one("cpu.cfs_burst_us", n) }),
        ];
        put(times.into_iter().flatten().collect());
        let real_time = [
            cpu.realtime_period.filter(|n| *n != 0).map(|n| one("cpu.rt_period_us", n)),
            cpu.realtime_runtime.filter(|n| *n != 0).map(|n| one("cpu.rt_runtime_us", n)),
        ];
        put(real_time.into_iter().flatten().collect());
    }
    numbers(dir, r, acts);
    if has("blkio") {
        block(r).into_iter().for_each(|s| acts.extend(group(dir, vec![s])));
    }
    huge_pages(dir, r, "limit_in_bytes", acts);
    let mut put = |set: Vec<Setting>| acts.extend(group(dir, set));
    if has("net_cls") {
        put(r.network.class_id.filter(|n| *n != 0).map(|n| one("net_cls.classid", n)).into_iter().collect());
    }
    if has("net_prio") {
        for p in &r.network.priorities {
            put(vec![one("net_prio.ifpriomap", format!("{} {}", p.name, p.priority))]);
        }
    }
    if has("rdma") {
        put(crate::rdma(r).into_iter().collect());
    }
}

fn memory(r: &Resources) -> Vec<Setting> {
    let m = &r.memory;
    // Memory without a limit would still be held by an older one of both together.
    let swap = match m.swap.filter(|n| *n != 0) {
        Some(n) => {
            Some(Setting { optional: n == -1 || usual_swap(m), ..one("memory.memsw.limit_in_bytes", n) })
        }
        None => m.limit.filter(|n| *n == -1).map(|n| limit("memory.memsw.limit_in_bytes", n)),
    };
    let list = [
        m.limit.filter(|n| *n != 0).map(|n| limit("memory.limit_in_bytes", n)),
        swap,
        m.reservation.filter(|n| *n != 0).map(|n| limit("memory.soft_limit_in_bytes", n)),
        m.kernel_tcp.filter(|n| *n != 0).map(|n| limit("memory.kmem.tcp.limit_in_bytes", n)),
        m.swappiness().map(|n| one("memory.swappiness", n)),
        m.disable_oom_killer.filter(|off| *off).map(|_| one("memory.oom_control", 1)),
    ];
    list.into_iter().flatten().collect()
}

/// The proportional policies have a name of their own in each kernel; throttling has one name.
fn block(r: &Resources) -> Vec<Setting> {
    let b = &r.block_io;
    let mut list = Vec::new();
    list.extend(
        b.weight.filter(|n| *n != 0).map(|n| or(one("blkio.bfq.weight", n), "blkio.weight", n.to_string())),
    );
    list.extend(b.leaf_weight.filter(|n| *n != 0).map(|n| one("blkio.leaf_weight", n)));
    for w in &b.weight_device {
        let line = |n: u64| format!("{}:{} {n}", w.major, w.minor);
        let weight = w.weight.filter(|n| *n != 0).map(line);
        list.extend(weight.map(|l| or(one("blkio.bfq.weight_device", &l), "blkio.weight_device", l)));
        list.extend(w.leaf_weight.filter(|n| *n != 0).map(|n| one("blkio.leaf_weight_device", line(n))));
    }
    let rates = [
        ("read_bps", &b.throttle_read_bps_device),
        ("write_bps", &b.throttle_write_bps_device),
        ("read_iops", &b.throttle_read_iops_device),
        ("write_iops", &b.throttle_write_iops_device),
    ];
    for (word, devices) in rates {
        for d in devices {
            let line = format!("{}:{} {}", d.major, d.minor, d.rate);
            list.push(one(&format!("blkio.throttle.{word}_device"), line));
        }
    }
    list
}
