//! Views of when and where the process runs: scheduler, ioPriority, execCPUAffinity of `process`,
//! memoryPolicy and personality of `linux` (config.md, config-linux.md).

use crate::{Doc, Error, shape};
use serde::Deserialize;

/// `process.scheduler`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Scheduler {
    /// `SCHED_OTHER`, ...
    pub policy: String,
    /// -20 to 19.
    pub nice: i32,
    /// 0 to 99.
    pub priority: i32,
    /// `SCHED_FLAG_RESET_ON_FORK`, ...
    pub flags: Vec<String>,
    /// Nanoseconds.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// `process.ioPriority`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct IoPriority {
    /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
    pub class: String,
    /// 0 to 7.
    #[serde(default)]
    pub priority: i64,
}

/// `process.execCPUAffinity`: numbers of processors; `None`: as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affinity {
    /// Before the cgroup is joined.
    pub initial: Option<Vec<u32>>,
    /// After it.
    pub last: Option<Vec<u32>>,
}

/// `linux.memoryPolicy`.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryPolicy {
    /// `MPOL_BIND`, ...
    pub mode: String,
    /// Numbers of NUMA nodes.
    pub nodes: Vec<u32>,
    /// `MPOL_F_STATIC_NODES`, ...
    pub flags: Vec<String>,
}

impl Doc {
    /// `process.scheduler`.
    pub fn scheduler(&self) -> Result<Option<Scheduler>, Error> {
        self.read("/process/scheduler")
    }

    /// `process.ioPriority`.
    pub fn io_priority(&self) -> Result<Option<IoPriority>, Error> {
        self.read("/process/ioPriority")
    }

    /// `process.execCPUAffinity`.
    pub fn exec_affinity(&self) -> Result<Affinity, Error> {
        Ok(Affinity {
            initial: self.numbers("/process/execCPUAffinity/initial")?,
            last: self.numbers("/process/execCPUAffinity/final")?,
        })
    }

    /// `linux.memoryPolicy`.
    pub fn memory_policy(&self) -> Result<Option<MemoryPolicy>, Error> {
        let Some(mode) = self.read("/linux/memoryPolicy/mode")? else { return Ok(None) };
        let at = "/linux/memoryPolicy/nodes";
        let nodes =
            self.numbers(at).map_err(|_| shape(at, "invalid memory policy nodes: no list such as 0-3,7"))?;
        let nodes = nodes.unwrap_or_default();
        Ok(Some(MemoryPolicy { mode, nodes, flags: self.strings("/linux/memoryPolicy/flags")? }))
    }

    /// `linux.personality.domain`.
    pub fn personality(&self) -> Result<Option<String>, Error> {
        self.read("/linux/personality/domain")
    }

    /// A list of the kernel's such as `0-3,7`; absent or empty is `None`.
    fn numbers(&self, pointer: &str) -> Result<Option<Vec<u32>>, Error> {
        let text: String = self.read(pointer)?.unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(None);
        }
        numbers(&text).map(Some).ok_or_else(|| shape(pointer, "not a list of numbers such as 0-3,7"))
    }
}

/// More than any machine has: a range must not fill the memory.
const LAST: u32 = 8191;

fn numbers(text: &str) -> Option<Vec<u32>> {
    let mut list = Vec::new();
    for part in text.split(',') {
        let number = |s: &str| s.trim().parse::<u32>().ok().filter(|n| *n <= LAST);
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        list.extend(first..=last);
    }
    list.sort_unstable();
    list.dedup();
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(numbers("0-3,7"), Some(vec![0, 1, 2, 3, 7]));
        assert_eq!(numbers("2, 1"), Some(vec![1, 2]));
        for bad in ["", "a", "3-1", "1-", "-1", "1,,2", "0-99999"] {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }
}
