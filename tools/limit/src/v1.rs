//! Limits as the files of a v1 hierarchy have them (kernel documentation, admin-guide/cgroup-v1/).

use crate::group;
use doc::{DeviceRule, Resources};
use state::CgroupDir;
use step::{Act, Setting};

/// Those limits that the hierarchy's controllers hold.
pub(crate) fn limits(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    let has = |c: &str| dir.controllers.iter().any(|x| x == c);
    let mut put = |set: Vec<Setting>| acts.extend(group(dir, set));
    if has("memory") {
        put(memory(r));
    }
    if has("cpu") {
        put(r.cpu.shares.map(|n| one("cpu.shares", n)).into_iter().collect());
        let times = [
            r.cpu.period.map(|n| one("cpu.cfs_period_us", n)),
            r.cpu.quota.filter(|n| *n != 0).map(|n| one("cpu.cfs_quota_us", n)),
            r.cpu.burst.map(|n| one("cpu.cfs_burst_us", n)),
        ];
        put(times.into_iter().flatten().collect());
        let real_time = [
            r.cpu.realtime_period.map(|n| one("cpu.rt_period_us", n)),
            r.cpu.realtime_runtime.map(|n| one("cpu.rt_runtime_us", n)),
        ];
        put(real_time.into_iter().flatten().collect());
        put(r.cpu.idle.map(|n| one("cpu.idle", n)).into_iter().collect());
    }
    if has("cpuset") {
        put(text(&r.cpu.cpus).map(|l| one("cpuset.cpus", l)).into_iter().collect());
        put(text(&r.cpu.mems).map(|l| one("cpuset.mems", l)).into_iter().collect());
    }
    if has("pids") {
        put(r.pids.limit.map(|n| one("pids.max", crate::max(n))).into_iter().collect());
    }
    if has("blkio") {
        block(r).into_iter().for_each(|s| put(vec![s]));
    }
    if has("hugetlb") {
        for h in &r.hugepage_limits {
            put(vec![one(&format!("hugetlb.{}.limit_in_bytes", h.page_size), h.limit)]);
        }
    }
    if has("net_cls") {
        put(r.network.class_id.map(|n| one("net_cls.classid", n)).into_iter().collect());
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
    // Without a limit of its own, swap would go on holding what memory no longer does.
    let swap = m.swap.filter(|n| *n != 0).or(m.limit.filter(|n| *n == -1));
    let list = [
        m.limit.filter(|n| *n != 0).map(|n| one("memory.limit_in_bytes", n)),
        swap.map(|n| one("memory.memsw.limit_in_bytes", n)),
        m.reservation.filter(|n| *n != 0).map(|n| one("memory.soft_limit_in_bytes", n)),
        m.kernel_tcp.filter(|n| *n != 0).map(|n| one("memory.kmem.tcp.limit_in_bytes", n)),
        m.swappiness.map(|n| one("memory.swappiness", n)),
        m.disable_oom_killer.filter(|off| *off).map(|_| one("memory.oom_control", 1)),
    ];
    list.into_iter().flatten().collect()
}

/// The proportional policies have a name of their own in each kernel; throttling has one name.
fn block(r: &Resources) -> Vec<Setting> {
    let b = &r.block_io;
    let either = |a: &str, b: &str, text: String| Setting {
        files: vec![a.to_owned(), b.to_owned()],
        text,
        former: None,
    };
    let mut list = Vec::new();
    list.extend(
        b.weight.filter(|n| *n != 0).map(|n| either("blkio.bfq.weight", "blkio.weight", n.to_string())),
    );
    list.extend(b.leaf_weight.filter(|n| *n != 0).map(|n| one("blkio.leaf_weight", n)));
    for w in &b.weight_device {
        let line = |n: u64| format!("{}:{} {n}", w.major, w.minor);
        list.extend(w.weight.map(|n| either("blkio.bfq.weight_device", "blkio.weight_device", line(n))));
        list.extend(w.leaf_weight.map(|n| one("blkio.leaf_weight_device", line(n))));
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

/// The rules of devices: v1 alone has files for them. In the document's order: a later one wins.
pub(crate) fn devices(dir: &CgroupDir, r: &Resources, acts: &mut Vec<Act>) {
    if !dir.controllers.iter().any(|c| c == "devices") {
        return;
    }
    for rule in &r.devices {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        acts.push(Act::Write { path: dir.path.join(file), text: device(rule) });
    }
}

/// A rule as the files take it: `c 1:3 rwm`.
fn device(rule: &DeviceRule) -> String {
    let kind = rule.kind.as_deref().unwrap_or("a");
    let number = |n: Option<i64>| n.filter(|n| *n >= 0).map_or("*".to_owned(), |n| n.to_string());
    let access = rule.access.as_deref().unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
}

fn one(file: &str, value: impl ToString) -> Setting {
    crate::one(file, value)
}

fn text(list: &Option<String>) -> Option<&String> {
    list.as_ref().filter(|l| !l.is_empty())
}
