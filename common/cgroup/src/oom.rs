//! When a container runs out of memory.

use crate::read::{number, of, pairs};
use state::CgroupDir;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::cgroup::{oom_events, watch};

/// Kills for want of memory, counted before a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct OomKills {
    own: Option<u64>,
    /// In the cgroup above, whose count has those of all below it (v2).
    above: Option<u64>,
}

/// How many of its processes were killed for want of memory so far.
pub fn oom_kills(dirs: &[CgroupDir]) -> OomKills {
    let Some(dir) = dirs.iter().find(|d| d.controllers.iter().any(|c| c == "memory")) else {
        return OomKills::default();
    };
    let file = if dir.v2 { "memory.events" } else { "memory.oom_control" };
    let count = |dir: &Path| pairs(dir, file).into_iter().find(|(key, _)| key == "oom_kill").map(|(_, n)| n);
    let above = dir.path.parent().filter(|_| dir.v2 && dir.path.parent() != Some(&dir.mount));
    OomKills { own: count(&dir.path), above: above.and_then(count) }
}

/// How many more that are than `before`. systemd takes the cgroup of a unit away as soon as nobody is in
/// it, maybe before it is asked: then it is what came to the count above in the meantime.
pub fn oom_kills_since(before: OomKills, dirs: &[CgroupDir]) -> u64 {
    let now = oom_kills(dirs);
    match now.own {
        Some(own) => own.saturating_sub(before.own.unwrap_or_default()),
        None => now.above.unwrap_or_default().saturating_sub(before.above.unwrap_or_default()),
    }
}

/// Of a v2 cgroup: the bytes in use, and those of them that the kernel cannot take back, by dropping pages of
/// files or by swapping; `None`: it does not count them.
pub fn least_memory(dir: &CgroupDir) -> Option<(u64, u64)> {
    let usage = number(&dir.path, "memory.current")?;
    let stat = pairs(&dir.path, "memory.stat");
    let freed: u64 = ["active_file", "inactive_file", "slab_reclaimable"].iter().map(|k| of(&stat, k)).sum();
    let own = number(&dir.path, "memory.swap.max")
        .unwrap_or_default()
        .saturating_sub(number(&dir.path, "memory.swap.current").unwrap_or_default());
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let swap =
        meminfo.lines().find_map(|l| l.strip_prefix("SwapFree:")?.split_whitespace().next()?.parse().ok());
    let swapped = own.min(swap.unwrap_or(0_u64).saturating_mul(1024));
    Some((usage, usage.saturating_sub(freed.saturating_add(swapped))))
}

/// Becomes readable when there is something new; the cgroup's end is something new as well.
pub struct Oom {
    fd: OwnedFd,
    dir: PathBuf,
    v2: bool,
    seen: u64,
}

impl Oom {
    /// Begins to watch. `None`: no hierarchy here has the memory controller.
    pub fn watch(dirs: &[CgroupDir]) -> sys::Result<Option<Oom>> {
        let Some(dir) = dirs.iter().find(|d| d.controllers.iter().any(|c| c == "memory")) else {
            return Ok(None);
        };
        let fd = if dir.v2 { watch(&dir.path.join("memory.events"))? } else { oom_events(&dir.path)? };
        let mut oom = Oom { fd, dir: dir.path.clone(), v2: dir.v2, seen: 0 };
        oom.seen = oom.count();
        Ok(Some(oom))
    }

    fn count(&self) -> u64 {
        of(&pairs(&self.dir, "memory.events"), "oom_kill")
    }

    /// What came: `Some(n)`: n times out of memory since the last call; `None`: the cgroup is gone.
    pub fn take(&mut self) -> Option<u64> {
        let mut buffer = [0; 4096];
        let got = sys::io::read(&self.fd, &mut buffer).unwrap_or_default();
        if !self.dir.exists() {
            return None;
        }
        if !self.v2 {
            // An eventfd's counter (eventfd(2)).
            return Some(buffer[..got.min(8)].try_into().map_or(0, u64::from_ne_bytes));
        }
        Some(self.fresh())
    }

    /// As [`Oom::take`], without waiting, when the processes have ended: v2 tells of its files late
    /// (10 ms at least lie between two notices), but has counted before it kills.
    pub fn last(&mut self) -> u64 {
        if self.v2 {
            return self.fresh();
        }
        let ready = sys::io::poll(&[(self.fd.as_fd(), false)], 0);
        if ready.is_ok_and(|r| r.first() == Some(&true)) { self.take().unwrap_or_default() } else { 0 }
    }

    fn fresh(&mut self) -> u64 {
        let (now, before) = (self.count(), self.seen);
        self.seen = now;
        now.saturating_sub(before)
    }
}

impl AsFd for Oom {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
