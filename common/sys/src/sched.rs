//! Where and when a process runs: sched(7), ioprio_set(2), set_mempolicy(2), personality(2). Words
//! are those of the kernel's headers; EINVAL for one that is none.

use crate::{Errno, Result};

/// Scheduling policies by number (linux/sched.h).
const POLICIES: [&str; 7] =
    ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];

/// Flags, from bit 0.
const FLAGS: [&str; 7] = [
    "SCHED_FLAG_RESET_ON_FORK",
    "SCHED_FLAG_RECLAIM",
    "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS",
    "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
];

/// What a policy takes; what another policy takes is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    /// SCHED_OTHER and SCHED_BATCH: -20 (first served) to 19.
    pub nice: i32,
    /// SCHED_FIFO and SCHED_RR: 1 to 99 (first served).
    pub priority: u32,
    /// SCHED_DEADLINE: nanoseconds of each period.
    pub runtime: u64,
    /// SCHED_DEADLINE: by when within a period, nanoseconds.
    pub deadline: u64,
    /// SCHED_DEADLINE: nanoseconds.
    pub period: u64,
}

/// struct sched_attr, second version (sched_setattr(2)).
#[repr(C)]
struct Attr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util: [u32; 2],
}

fn number(table: &[&str], word: &str) -> Result<u32> {
    table.iter().position(|w| *w == word).map(|n| n as u32).ok_or(Errno(libc::EINVAL))
}

/// sched_setattr(2) of a process; 0 is the caller.
pub fn set_scheduler(pid: i32, policy: &str, flags: &[String], share: &Share) -> Result<()> {
    let bit = |f: &String| number(&FLAGS, f).map(|n| 1_u64 << n);
    let Share { nice, priority, runtime, deadline, period } = *share;
    let attr = Attr {
        size: size_of::<Attr>() as u32,
        policy: number(&POLICIES, policy)?,
        flags: flags.iter().map(bit).sum::<Result<u64>>()?,
        nice,
        priority,
        runtime,
        deadline,
        period,
        util: [0; 2],
    };
    // SAFETY: the kernel reads as many bytes as `size` says, which is the struct's own.
    Errno::check(unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attr, 0) }).map(drop)
}

/// ioprio_set(2) of a process of one thread; 0 is the caller.
pub fn set_io_priority(pid: i32, class: &str, priority: u32) -> Result<()> {
    const PROCESS: i32 = 1;
    let classes = ["IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];
    let value = number(&classes, class)? << 13 | priority & 0x1fff;
    // SAFETY: integers only.
    Errno::check(unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, pid, value) }).map(drop)
}

/// sched_setaffinity(2) of the calling thread. EINVAL: the machine has none of these.
pub fn set_affinity(cpus: &[u32]) -> Result<()> {
    let mask = bits(cpus);
    // SAFETY: the kernel reads that many bytes of the mask.
    Errno::check(unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, mask.len() * 8, mask.as_ptr()) })
        .map(drop)
}

/// Modes of set_mempolicy(2), by number.
pub const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// Their flags, from bit 13 on.
pub const MEMORY_FLAGS: [&str; 3] = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

/// set_mempolicy(2) of the calling thread.
pub fn set_memory_policy(mode: &str, flags: &[String], nodes: &[u32]) -> Result<()> {
    let bit = |f: &String| number(&MEMORY_FLAGS, f).map(|n| 1_u32 << (13 + n));
    let mode = number(&MEMORY_MODES, mode)? | flags.iter().map(bit).sum::<Result<u32>>()?;
    let mask = bits(nodes);
    // The kernel takes one off the number of bits (set_mempolicy(2), BUGS).
    let (pointer, len) =
        if nodes.is_empty() { (std::ptr::null(), 0) } else { (mask.as_ptr(), mask.len() * 64 + 1) };
    // SAFETY: the kernel reads that many bits of the mask, or none.
    Errno::check(unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, len) }).map(drop)
}

/// A mask of the kernel's: 64 bits a word.
fn bits(list: &[u32]) -> Vec<u64> {
    let mut mask = vec![0; list.iter().max().map_or(1, |n| *n as usize / 64 + 1)];
    for n in list {
        mask[*n as usize / 64] |= 1 << (n % 64);
    }
    mask
}

/// personality(2): `LINUX`, or `LINUX32` whose uname(2) names the 32-bit machine.
pub fn set_personality(domain: &str) -> Result<()> {
    let domain = match domain {
        "LINUX" => 0,
        "LINUX32" => 8,
        _ => return Err(Errno(libc::EINVAL)),
    };
    // SAFETY: integers only.
    Errno::check(unsafe { libc::personality(domain) }.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(bits(&[]), [0]);
        assert_eq!(bits(&[0, 3, 64]), [9, 1]);
        assert_eq!(set_scheduler(0, "SCHED_NONE", &[], &Share::default()), Err(Errno(libc::EINVAL)));
        assert_eq!(set_personality("BSD"), Err(Errno(libc::EINVAL)));
    }
}
