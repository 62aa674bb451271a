//! One look at what a container uses: what people ask for, and no file more than that takes.

use crate::read::value;
use crate::{BlkioEntry, Limits, Psi, Throttling, effective, v1, v2};
use state::CgroupDir;
use sys::files::Files;

/// What is not counted here, or cannot be read, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Of the processors.
    pub time: Option<Time>,
    /// Bytes.
    pub memory: Option<InUse>,
    /// Tasks.
    pub pids: Option<u64>,
    /// Of block devices, all of them added up.
    pub io: Option<Io>,
    /// Waiting for a processor.
    pub cpu_pressure: Option<Psi>,
    /// Waiting for memory.
    pub memory_pressure: Option<Psi>,
    /// Waiting for a block device.
    pub io_pressure: Option<Psi>,
}

/// Time of the processors since the cgroup was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Time {
    /// Nanoseconds.
    pub used: u64,
    /// How often a quota stopped it; `None` where there can be none.
    pub throttling: Option<Throttling>,
}

/// Bytes in use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InUse {
    /// All that counts against the limit.
    pub usage: u64,
    /// Of these, pages of files that were not touched for a while: the first to go.
    pub inactive_file: u64,
    /// Pages of files.
    pub cache: u64,
    /// Swapped out; `None`: swap is not counted.
    pub swap: Option<u64>,
    /// What the limits have done.
    pub events: Events,
}

impl InUse {
    /// What it cannot do without at once: usage without inactive files, as docker and kubernetes have it.
    pub fn working_set(&self) -> u64 {
        self.usage.saturating_sub(self.inactive_file)
    }
}

/// `memory.events`; v1 counts the second (`memory.failcnt`) and the last alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// Slowed down above `memory.high`.
    pub high: Option<u64>,
    /// Met the limit.
    pub max: Option<u64>,
    /// Found nothing to give back at the limit.
    pub oom: Option<u64>,
    /// Processes that were killed for it.
    pub oom_kill: Option<u64>,
}

/// Of block devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Io {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    /// Operations.
    pub reads: u64,
    /// Operations.
    pub writes: u64,
}

/// The time alone, which is what two looks are needed for.
pub fn time(dirs: &[CgroupDir]) -> Option<Time> {
    let mut time: Option<Time> = None;
    for (dir, has) in dirs.iter().map(|d| (d, controllers(d))) {
        if !(has("cpu") || has("cpuacct") || dir.v2) {
            continue;
        }
        let Ok(mut files) = Files::open(&dir.path) else { continue };
        take_time(dir.v2, &has, &mut files, &mut time);
    }
    time
}

/// One look at the container whose cgroups these are, and at the limits that they set themselves. A
/// directory that is not there, or has nothing to tell, goes from the list.
pub fn look(dirs: &mut Vec<CgroupDir>) -> (Look, Limits) {
    let (mut look, mut own) = (Look::default(), Limits::default());
    dirs.retain(|dir| {
        let has = controllers(dir);
        if !dir.v2 && !["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio"].into_iter().any(&has) {
            return false;
        }
        let Ok(mut files) = Files::open(&dir.path) else { return false };
        take_time(dir.v2, &has, &mut files, &mut look.time);
        if has("pids") {
            look.pids = files.read("pids.current").and_then(|t| t.trim().parse().ok());
        }
        match dir.v2 {
            true => v2_rest(&has, &mut files, &mut look),
            false => v1_rest(&has, &mut files, &mut look),
        }
        effective::take(dir, &mut files, &mut own);
        true
    });
    (look, own)
}

fn controllers(dir: &CgroupDir) -> impl Fn(&str) -> bool {
    |c| dir.controllers.iter().any(|x| x == c)
}

/// v1 counts in two hierarchies, which may be one; v2 counts in any case, whoever has the controller.
fn take_time(v2: bool, has: &impl Fn(&str) -> bool, files: &mut Files, time: &mut Option<Time>) {
    if !v2 && has("cpuacct") {
        let used = files.read("cpuacct.usage").and_then(|t| t.trim().parse().ok());
        if let Some(used) = used {
            time.get_or_insert_default().used = used;
        }
    }
    if !v2 && has("cpu") {
        let throttling = files.read("cpu.stat").map(v1::throttling);
        time.get_or_insert_default().throttling = throttling;
    }
    if v2 && time.is_none() {
        *time = files.read("cpu.stat").map(|text| {
            let (usage, throttling) = v2::time(text);
            Time { used: usage.total, throttling: text.contains("nr_periods").then_some(throttling) }
        });
    }
}

fn v1_rest(has: &impl Fn(&str) -> bool, files: &mut Files, look: &mut Look) {
    if has("memory")
        && let Some(usage) = number(files, "memory.usage_in_bytes")
    {
        let stat = files.read("memory.stat").unwrap_or_default();
        let of = |key: &str| value(stat, key);
        let mut memory = InUse {
            usage,
            inactive_file: of("total_inactive_file").unwrap_or_default(),
            cache: of("total_cache").unwrap_or_default(),
            swap: of("total_swap"),
            events: Events::default(),
        };
        memory.events.max = number(files, "memory.failcnt");
        memory.events.oom_kill = files.read("memory.oom_control").and_then(|t| value(t, "oom_kill"));
        look.memory = Some(memory);
    }
    if has("blkio") {
        let (bytes, operations) = v1::devices(|file| files.read(file).map(str::to_owned));
        look.io = Some(added_up(&bytes, &operations));
    }
}

fn v2_rest(has: &impl Fn(&str) -> bool, files: &mut Files, look: &mut Look) {
    if has("memory")
        && let Some(usage) = number(files, "memory.current")
    {
        let stat = files.read("memory.stat").unwrap_or_default();
        let (inactive_file, cache) = (value(stat, "inactive_file"), value(stat, "file"));
        let swap = number(files, "memory.swap.current");
        let events = files.read("memory.events").unwrap_or_default();
        let of = |key: &str| value(events, key);
        let events = Events { high: of("high"), max: of("max"), oom: of("oom"), oom_kill: of("oom_kill") };
        look.memory = Some(InUse {
            usage,
            inactive_file: inactive_file.unwrap_or_default(),
            cache: cache.unwrap_or_default(),
            swap,
            events,
        });
    }
    if has("io") {
        look.io = files.read("io.stat").map(v2::devices).map(|(bytes, ops)| added_up(&bytes, &ops));
    }
    // Whoever has the controllers: the kernel keeps these for every cgroup of v2.
    look.cpu_pressure = files.read("cpu.pressure").map(v2::pressure);
    look.memory_pressure = files.read("memory.pressure").map(v2::pressure);
    look.io_pressure = files.read("io.pressure").map(v2::pressure);
}

fn number(files: &mut Files, file: &str) -> Option<u64> {
    files.read(file)?.trim().parse().ok()
}

fn added_up(bytes: &[BlkioEntry], operations: &[BlkioEntry]) -> Io {
    let sum = |list: &[BlkioEntry], op| list.iter().filter(|e| e.op == op).map(|e| e.value).sum();
    Io {
        read: sum(bytes, "Read"),
        written: sum(bytes, "Write"),
        reads: sum(operations, "Read"),
        writes: sum(operations, "Write"),
    }
}
