//! What a container's cgroups say of it: what it uses, what it may use, and when it ran out of memory;
//! on v1, v2 and hybrid hosts alike. Reads, and changes nothing.
#![forbid(unsafe_code)]

mod effective;
mod look;
mod oom;
mod read;
mod stats;
mod v1;
mod v2;

pub use effective::{Above, Limit, Limits, effective, own};
pub use look::{Events, InUse, Io, Look, Time, look, time};
pub use oom::{Oom, OomKills, least_memory, oom_kills, oom_kills_since};
pub use stats::{
    Blkio, BlkioEntry, Cpu, Cpuset, Hugetlb, Memory, MemoryEntry, Pids, Pressure, Psi, Stats, Throttling,
    Usage,
};

use state::CgroupDir;

/// One look at a container whose cgroups these are. What is not there, or cannot be read, is absent.
pub fn stats(dirs: &[CgroupDir]) -> Stats {
    let mut stats = Stats::default();
    for dir in dirs {
        if dir.v2 { v2::read(dir, &mut stats) } else { v1::read(dir, &mut stats) }
    }
    stats
}
