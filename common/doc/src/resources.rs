//! `linux.resources`, typed (config-linux.md, Control groups).

use crate::{DeviceRule, Doc, Error};
use serde::Deserialize;
use std::collections::BTreeMap;

/// All the limits of a container. Absent keys leave the kernel's defaults.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct Resources {
    /// In order; a later rule wins.
    pub devices: Vec<DeviceRule>,
    /// Bytes.
    pub memory: Memory,
    /// Processors.
    pub cpu: Cpu,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    #[serde(rename = "blockIO")]
    pub block_io: BlockIo,
    /// Huge pages.
    pub hugepage_limits: Vec<HugePages>,
    /// Packets: v1 alone.
    pub network: Network,
    /// By device.
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of cgroup v2 by name.
    pub unified: BTreeMap<String, String>,
}

/// `memory`: bytes, -1 for no limit.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct Memory {
    /// Hard limit.
    pub limit: Option<i64>,
    /// Soft limit.
    pub reservation: Option<i64>,
    /// Memory and swap together.
    pub swap: Option<i64>,
    /// Kernel's TCP buffers: v1 alone.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// 0 to 100: v1 alone.
    pub swappiness: Option<u64>,
    /// Tasks wait for memory instead of being killed: v1 alone.
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// Whether a new limit is first held against what is in use.
    pub check_before_update: Option<bool>,
}

/// `cpu`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct Cpu {
    /// Relative weight, 2 to 262144.
    pub shares: Option<u64>,
    /// Microseconds of each period; -1 for no limit.
    pub quota: Option<i64>,
    /// Microseconds that may be saved up.
    pub burst: Option<u64>,
    /// Microseconds.
    pub period: Option<u64>,
    /// Microseconds for real-time tasks: v1 alone.
    pub realtime_runtime: Option<i64>,
    /// Microseconds: v1 alone.
    pub realtime_period: Option<u64>,
    /// A list: `0-3,7`.
    pub cpus: Option<String>,
    /// Memory nodes, a list.
    pub mems: Option<String>,
    /// 1: runs only where nobody else would.
    pub idle: Option<i64>,
}

/// `pids`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Pids {
    /// Tasks; -1 for no limit.
    pub limit: Option<i64>,
}

/// `blockIO`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct BlockIo {
    /// Relative weight, 10 to 1000.
    pub weight: Option<u64>,
    /// The same towards the cgroups below: v1 alone.
    pub leaf_weight: Option<u64>,
    /// By device.
    pub weight_device: Vec<WeightDevice>,
    /// Bytes a second.
    pub throttle_read_bps_device: Vec<Throttle>,
    /// Bytes a second.
    pub throttle_write_bps_device: Vec<Throttle>,
    /// Operations a second.
    #[serde(rename = "throttleReadIOPSDevice")]
    pub throttle_read_iops_device: Vec<Throttle>,
    /// Operations a second.
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub throttle_write_iops_device: Vec<Throttle>,
}

/// A weight for one device.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WeightDevice {
    /// Of the device.
    pub major: i64,
    /// Of the device.
    pub minor: i64,
    /// As [`BlockIo::weight`].
    #[serde(default)]
    pub weight: Option<u64>,
    /// As [`BlockIo::leaf_weight`].
    #[serde(default)]
    pub leaf_weight: Option<u64>,
}

/// A rate for one device.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Throttle {
    /// Of the device.
    pub major: i64,
    /// Of the device.
    pub minor: i64,
    /// A second.
    pub rate: u64,
}

/// An entry of `hugepageLimits`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HugePages {
    /// `2MB`, `1GB`.
    #[serde(alias = "pagesize")]
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// `network`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Network {
    /// A mark on packets.
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    /// By interface.
    pub priorities: Vec<Priority>,
}

/// The priority of packets that leave by an interface.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Priority {
    /// The interface.
    pub name: String,
    /// Of its packets.
    pub priority: u32,
}

/// Handles and objects of a remote DMA device.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct Rdma {
    /// At most.
    pub hca_handles: Option<u32>,
    /// At most.
    pub hca_objects: Option<u32>,
}

impl Resources {
    /// Which controllers the limits ask for, by the names of v2; of `unified` by those of its files.
    pub fn controllers(&self) -> Vec<String> {
        let r = self;
        let (m, c) = (&r.memory, &r.cpu);
        let some = |n: Option<i64>| n.is_some_and(|n| n > 0);
        let positive = |n: Option<u64>| n.is_some_and(|n| n > 0);
        let memory = [m.limit, m.swap, m.reservation, m.kernel_tcp].into_iter().any(some);
        let cpu = [c.period, c.shares, c.burst, c.realtime_period].into_iter().any(positive);
        let list = [
            ("memory", memory || m.swappiness().is_some() || m.disable_oom_killer == Some(true)),
            ("cpu", cpu || [c.quota, c.realtime_runtime, c.idle].into_iter().any(some)),
            ("cpuset", [&c.cpus, &c.mems].into_iter().flatten().any(|l| !l.is_empty())),
            ("pids", r.pids.limit.is_some_and(|n| n >= 0)),
            (
                "io",
                BlockIo { weight: r.block_io.weight.filter(|n| *n != 0), ..r.block_io.clone() }
                    != BlockIo::default(),
            ),
            ("hugetlb", !r.hugepage_limits.is_empty()),
            ("net_cls", r.network.class_id.is_some_and(|n| n != 0)),
            ("net_prio", !r.network.priorities.is_empty()),
            ("rdma", !r.rdma.is_empty()),
        ];
        let mut names: Vec<String> =
            list.into_iter().filter(|(_, asked)| *asked).map(|(c, _)| c.to_owned()).collect();
        for file in r.unified.keys() {
            let controller = file.split('.').next().unwrap_or_default();
            if controller != "cgroup" && !names.iter().any(|n| n == controller) {
                names.push(controller.to_owned());
            }
        }
        names
    }
}

impl Memory {
    /// The swappiness that was asked for: engines say none as -1, in the shape of the key.
    pub fn swappiness(&self) -> Option<u64> {
        self.swappiness.filter(|n| *n != u64::MAX)
    }
}

impl Doc {
    /// `linux.resources`.
    pub fn resources(&self) -> Result<Resources, Error> {
        Ok(self.read("/linux/resources")?.unwrap_or_default())
    }
}
