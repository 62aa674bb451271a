//! The limit that holds: the least that the cgroup and those above it set, and which of them it is.

use state::CgroupDir;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use sys::files::Files;

/// A limit, and the directory of the cgroup that sets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit<T> {
    /// In the unit that the kind has.
    pub value: T,
    /// The cgroup's own, or one above it.
    pub dir: PathBuf,
}

/// The limits of a cgroup by kind; `None`: there is none, or it cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes: `memory.max`, `memory.limit_in_bytes`.
    pub memory: Option<Limit<u64>>,
    /// Bytes from which on its processes are slowed: `memory.high`; v2 alone.
    pub high: Option<Limit<u64>>,
    /// Bytes of swap: `memory.swap.max`; v2 alone.
    pub swap: Option<Limit<u64>>,
    /// Bytes of memory and swap together: `memory.memsw.limit_in_bytes`; v1 alone.
    pub memory_swap: Option<Limit<u64>>,
    /// Tasks: `pids.max`.
    pub pids: Option<Limit<u64>>,
    /// Processors' worth of time, quota by period: `cpu.max`, `cpu.cfs_quota_us`.
    pub cpus: Option<Limit<f64>>,
    /// Processors as a list (`0-3,7`): `cpuset.cpus.effective`, `cpuset.effective_cpus`. The cgroup is the
    /// topmost that has these and no more; all that are online, and nobody takes any away: none.
    pub cpuset: Option<Limit<String>>,
    /// Memory nodes, in the same way: `cpuset.mems.effective`, `cpuset.effective_mems`.
    pub mems: Option<Limit<String>>,
}

/// What the cgroup's own files say.
pub fn own(dirs: &[CgroupDir]) -> Limits {
    let mut limits = Limits::default();
    for dir in dirs.iter().filter(|d| limits_by(d)) {
        limits.meet(&dir.path, &Set::read(dir, &dir.path));
    }
    limits
}

/// As [`own`], of one directory that is open.
pub(crate) fn take(dir: &CgroupDir, files: &mut Files, limits: &mut Limits) {
    limits.meet(&dir.path, &Set::of(dir, &dir.path, files));
}

/// Whether there is anything to read of it.
fn limits_by(dir: &CgroupDir) -> bool {
    dir.controllers.iter().any(|c| matches!(c.as_str(), "memory" | "pids" | "cpu" | "cpuset"))
}

/// What holds for it: the least that itself or a cgroup above sets. Of two alike it is the nearer one's.
/// Those beyond the mount point, of whoever is in a cgroup namespace, cannot be asked; but v1's memory
/// tells what they leave, which is then the mount point's.
pub fn effective(dirs: &[CgroupDir]) -> Limits {
    Above::default().over(own(dirs), dirs)
}

/// The limits of cgroups that several have above them, each read once.
#[derive(Default)]
pub struct Above(HashMap<PathBuf, Set>);

impl Above {
    /// As [`effective`], of a cgroup's own.
    pub fn over(&mut self, own: Limits, dirs: &[CgroupDir]) -> Limits {
        let mut limits = own;
        for dir in dirs.iter().filter(|d| d.path != d.mount && limits_by(d)) {
            for at in dir.path.ancestors().skip(1).take_while(|a| a.starts_with(&dir.mount)) {
                let set = self.0.entry(at.to_owned()).or_insert_with(|| Set::read(dir, at));
                limits.meet(at, set);
            }
        }
        for (limit, online) in [
            (&mut limits.cpuset, "/sys/devices/system/cpu/online"),
            (&mut limits.mems, "/sys/devices/system/node/online"),
        ] {
            if limit.as_ref().is_some_and(|l| dirs.iter().any(|d| d.mount == l.dir) && all(&l.value, online))
            {
                *limit = None;
            }
        }
        limits
    }
}

/// Whether a list is that of a file.
fn all(list: &str, file: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.trim() == list)
}

/// What one directory sets.
#[derive(Default)]
struct Set {
    memory: Option<u64>,
    high: Option<u64>,
    swap: Option<u64>,
    memory_swap: Option<u64>,
    pids: Option<u64>,
    cpus: Option<f64>,
    cpuset: Option<String>,
    mems: Option<String>,
}

impl Set {
    fn read(dir: &CgroupDir, at: &Path) -> Set {
        Files::open(at).map(|mut files| Set::of(dir, at, &mut files)).unwrap_or_default()
    }

    fn of(dir: &CgroupDir, at: &Path, files: &mut Files) -> Set {
        let mut set = Set::default();
        let has = |c: &str| dir.controllers.iter().any(|x| x == c);
        if has("pids") {
            set.pids = files.read("pids.max").and_then(bytes);
        }
        if has("cpuset") {
            let names = if dir.v2 {
                ["cpuset.cpus.effective", "cpuset.mems.effective"]
            } else {
                ["cpuset.effective_cpus", "cpuset.effective_mems"]
            };
            [set.cpuset, set.mems] =
                names.map(|n| files.read(n).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()));
        }
        if has("cpu") {
            set.cpus = if dir.v2 {
                files.read("cpu.max").and_then(|t| cpus(&mut t.split_whitespace()))
            } else {
                let quota =
                    files.read("cpu.cfs_quota_us").map(str::trim).filter(|t| *t != "-1").map(str::to_owned);
                quota.and_then(|q| {
                    cpus(&mut [q.as_str(), files.read("cpu.cfs_period_us")?.trim()].into_iter())
                })
            };
        }
        match (has("memory"), dir.v2) {
            (false, _) => {}
            (true, true) => {
                set.memory = files.read("memory.max").and_then(bytes);
                set.high = files.read("memory.high").and_then(bytes);
                set.swap = files.read("memory.swap.max").and_then(bytes);
            }
            (true, false) => {
                set.memory = files.read("memory.limit_in_bytes").and_then(bytes);
                set.memory_swap = files.read("memory.memsw.limit_in_bytes").and_then(bytes);
                if at == dir.mount {
                    let stat = files.read("memory.stat").unwrap_or_default();
                    let of = |key: &str| stat.lines().find_map(|l| bytes(l.strip_prefix(key)?));
                    set.memory = least(set.memory, of("hierarchical_memory_limit "));
                    set.memory_swap = least(set.memory_swap, of("hierarchical_memsw_limit "));
                }
            }
        }
        set
    }
}

/// `max`, and what a v1 counter has instead (as many whole pages as i64 holds bytes), are no limit.
fn bytes(text: &str) -> Option<u64> {
    const NONE: u64 = 0x7fff_ffff_ffff_0000;
    text.trim().parse().ok().filter(|n| *n < NONE)
}

/// Quota and period in microseconds; `max` and -1 are none.
fn cpus<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<f64> {
    let (quota, period) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
    (period > 0).then(|| quota as f64 / period as f64)
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

impl Limits {
    /// Takes what a cgroup above those already met sets.
    fn meet(&mut self, at: &Path, set: &Set) {
        lower(&mut self.memory, set.memory, at);
        lower(&mut self.high, set.high, at);
        lower(&mut self.swap, set.swap, at);
        lower(&mut self.memory_swap, set.memory_swap, at);
        lower(&mut self.pids, set.pids, at);
        lower(&mut self.cpus, set.cpus, at);
        follow(&mut self.cpuset, &set.cpuset, at);
        follow(&mut self.mems, &set.mems, at);
    }
}

fn lower<T: PartialOrd>(limit: &mut Option<Limit<T>>, value: Option<T>, at: &Path) {
    let Some(value) = value else { return };
    if limit.as_ref().is_none_or(|l| value < l.value) {
        *limit = Some(Limit { value, dir: at.to_owned() });
    }
}

/// The files say what is left already: who took away is the topmost that has no more.
fn follow(limit: &mut Option<Limit<String>>, value: &Option<String>, at: &Path) {
    let Some(value) = value else { return };
    if limit.as_ref().is_none_or(|l| l.value == *value) {
        *limit = Some(Limit { value: value.clone(), dir: at.to_owned() });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_least_and_the_nearest() {
        let mut limits = Limits::default();
        let [own, mid, top] = ["/m/a/b", "/m/a", "/m"].map(Path::new);
        let cpuset = |list: &str| Some(list.to_owned());
        limits.meet(own, &Set { memory: Some(7), pids: Some(9), cpuset: cpuset("0"), ..Set::default() });
        limits.meet(mid, &Set { memory: Some(5), pids: Some(9), cpuset: cpuset("0"), ..Set::default() });
        limits.meet(top, &Set { cpus: Some(1.5), cpuset: cpuset("0-3"), ..Set::default() });
        assert_eq!(limits.memory, Some(Limit { value: 5, dir: mid.into() }));
        assert_eq!(limits.pids, Some(Limit { value: 9, dir: own.into() }));
        assert_eq!(limits.cpus, Some(Limit { value: 1.5, dir: top.into() }));
        assert_eq!(limits.cpuset, Some(Limit { value: "0".into(), dir: mid.into() }));
        assert_eq!(limits.high, None);
    }

    #[test]
    fn none() {
        assert_eq!(bytes("max\n"), None);
        assert_eq!(bytes("9223372036854771712\n"), None);
        assert_eq!(bytes("9223372036854710272\n"), None);
        assert_eq!(bytes("4096\n"), Some(4096));
        assert_eq!(cpus(&mut "max 100000".split(' ')), None);
        assert_eq!(cpus(&mut ["-1", "100000"].into_iter()), None);
        assert_eq!(cpus(&mut "20000 100000".split(' ')), Some(0.2));
    }
}
