//! What is read, in the shape that `runc events --stats` prints: engines parse it.

use serde::Serialize;
use std::collections::BTreeMap;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Time.
    pub cpu: Cpu,
    /// Where it may run; v1 alone.
    pub cpuset: Cpuset,
    /// Bytes.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    pub blkio: Blkio,
    /// Huge pages, by size.
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// Resource control, where the machine has it.
    pub intel_rdt: Empty,
    /// Absent: a network namespace counts for itself.
    pub network_interfaces: Option<()>,
}

/// An object without a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Empty {}

fn zero(n: &u64) -> bool {
    *n == 0
}

fn default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Time of the processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// What was used.
    #[serde(skip_serializing_if = "default")]
    pub usage: Usage,
    /// How often the quota stopped it.
    #[serde(skip_serializing_if = "default")]
    pub throttling: Throttling,
    /// Waiting for a processor; v2 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// Nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// All.
    #[serde(skip_serializing_if = "zero")]
    pub total: u64,
    /// Of each processor; v1 alone, as the two below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// In the kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// In programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In programs.
    pub user: u64,
}

/// The quota at work.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods that have passed.
    #[serde(skip_serializing_if = "zero")]
    pub periods: u64,
    /// In how many of them it was stopped.
    #[serde(skip_serializing_if = "zero")]
    pub throttled_periods: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "zero")]
    pub throttled_time: u64,
}

/// Pressure stall information (kernel documentation, accounting/psi.rst).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Psi {
    /// Some tasks waited.
    pub some: Pressure,
    /// All tasks waited.
    pub full: Pressure,
}

/// One line of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Percent of the last five minutes.
    pub avg300: f64,
    /// Microseconds since the beginning.
    pub total: u64,
}

/// The files of a v1 cpuset (cpuset(7)).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)] // each is named as its file
pub struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Pages of files.
    #[serde(skip_serializing_if = "zero")]
    pub cache: u64,
    /// All that counts against the limit.
    #[serde(skip_serializing_if = "default")]
    pub usage: MemoryEntry,
    /// With swap (v1), or swap and memory added up (v2).
    #[serde(skip_serializing_if = "default")]
    pub swap: MemoryEntry,
    /// The kernel's for it; v1 alone.
    #[serde(skip_serializing_if = "default")]
    pub kernel: MemoryEntry,
    /// Buffers of TCP; v1 alone.
    #[serde(rename = "kernelTCP", skip_serializing_if = "default")]
    pub kernel_tcp: MemoryEntry,
    /// memory.stat as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// Waiting for memory; v2 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryEntry {
    /// All ones: none.
    pub limit: u64,
    /// Now.
    #[serde(skip_serializing_if = "zero")]
    pub usage: u64,
    /// At most so far.
    #[serde(skip_serializing_if = "zero")]
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

/// Tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pids {
    /// Now.
    #[serde(skip_serializing_if = "zero")]
    pub current: u64,
    /// 0: none.
    #[serde(skip_serializing_if = "zero")]
    pub limit: u64,
}

/// Block devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blkio {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    /// Waiting for a device; v2 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One count of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BlkioEntry {
    /// Of the device.
    #[serde(skip_serializing_if = "zero")]
    pub major: u64,
    /// Of the device.
    #[serde(skip_serializing_if = "zero")]
    pub minor: u64,
    /// `Read`, `Write`, ...
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// How many.
    #[serde(skip_serializing_if = "zero")]
    pub value: u64,
}

/// Huge pages of one size, bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hugetlb {
    /// Now.
    #[serde(skip_serializing_if = "zero")]
    pub usage: u64,
    /// At most so far; v1 alone.
    #[serde(skip_serializing_if = "zero")]
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}
