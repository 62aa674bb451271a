//! What must be looked up before a plan can be made, gathered once into plain values.

use crate::Roots;
use anyhow::{Context, Result};
use std::path::PathBuf;
use sys::cgroup::Layout;

/// The machine as the plans need it.
#[derive(Clone, Debug)]
pub struct Host {
    /// Where things rest.
    pub roots: Roots,
    /// Mounted cgroup hierarchies.
    pub cgroups: Layout,
    /// A container gets a directory in every hierarchy, as engines expect that look into
    /// /proc/PID/cgroup; else in those that limit or account it.
    pub every_hierarchy: bool,
    /// Effective user id of the caller.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Users' and groups' ids that an ordinary user may map beside its own; none for root, who may any.
    pub subids: [Vec<crate::subid::Range>; 2],
    /// Capabilities that the caller has to give, a mask by number.
    pub caps: u64,
    /// Processors that run now, a list: `0-3,7`.
    pub online: String,
    /// The umask that the caller came with.
    pub umask: u32,
}

/// A container's directory in one hierarchy.
#[derive(Clone, Debug, PartialEq)]
pub struct CgroupDir {
    /// The directory.
    pub path: PathBuf,
    /// The hierarchy's mount point.
    pub mount: PathBuf,
    /// v1 controllers of the hierarchy, or v2's.
    pub controllers: Vec<String>,
    /// cgroup2.
    pub v2: bool,
}

impl CgroupDir {
    /// Whether every container has one in this hierarchy.
    pub fn usual(&self) -> bool {
        self.v2 || self.controllers.iter().any(|c| USED.contains(&c.as_str()))
    }

    /// Whether rules for devices are in files here: v1 alone.
    pub fn holds_devices(&self) -> bool {
        !self.v2 && self.controllers.iter().any(|c| c == "devices")
    }
}

/// The v1 controllers that a container gets a directory in: those that limit or account it.
const USED: [&str; 6] = ["memory", "pids", "cpu", "cpuacct", "devices", "freezer"];

impl Host {
    /// Looks. From here on the umask is 022: what is made for a container has the mode that was
    /// meant, whoever makes it; a workload gets the caller's back.
    pub fn gather() -> Result<Host> {
        Ok(Host {
            roots: Roots::from_env()?,
            cgroups: Layout::read().context("read /proc/self/mountinfo")?,
            every_hierarchy: false,
            euid: sys::cred::euid(),
            egid: sys::cred::egid(),
            subids: match sys::cred::euid() {
                0 => Default::default(),
                uid => crate::subid::of(uid),
            },
            caps: sys::cred::permitted().context("read the own capabilities")?,
            online: std::fs::read_to_string("/sys/devices/system/cpu/online")
                .unwrap_or_default()
                .trim()
                .into(),
            umask: sys::cred::set_umask(0o022),
        })
    }

    /// Whether the caller may mount, and make namespaces, outside of a user namespace of its own.
    pub fn is_able(&self) -> bool {
        const SYS_ADMIN: u64 = 1 << 21;
        self.caps & SYS_ADMIN != 0
    }

    /// Whether the caller may put a program on a v2 cgroup that filters devices (capabilities(7)).
    pub fn filters_devices(&self) -> bool {
        const NET_ADMIN: u64 = 1 << 12;
        const SYS_ADMIN: u64 = 1 << 21;
        const BPF: u64 = 1 << 39;
        self.caps & SYS_ADMIN != 0 || self.caps & (BPF | NET_ADMIN) == BPF | NET_ADMIN
    }

    /// The directories by which the cgroup at a path can be frozen, v2's last: that is the one which we use,
    /// but where v1's is mounted too, others may use that.
    pub fn freezers(&self, path: &str) -> Vec<CgroupDir> {
        let mut dirs = self.cgroup_dirs(path, &["freezer".to_owned()]);
        dirs.retain(|d| (d.v2 || d.controllers.iter().any(|c| c == "freezer")) && d.path.is_dir());
        dirs
    }

    /// Whether the cgroup at a path is frozen, by whichever of them.
    pub fn is_frozen(&self, path: &str) -> bool {
        self.freezers(path).iter().any(|d| sys::cgroup::is_frozen(&d.path, d.v2))
    }

    /// The directories of a cgroup path (`/stave/ID`), v2's last: one for each hierarchy in use, which
    /// are those of `more` controllers too (by v2's names).
    pub fn cgroup_dirs(&self, path: &str, more: &[String]) -> Vec<CgroupDir> {
        // v2 freezes by itself, whatever its controllers are.
        let v2 = self.cgroups.v2().is_some();
        let asked = |c: &String| more.iter().any(|m| m == c || (m == "io" && c == "blkio"));
        let used = |c: &String| (USED.contains(&c.as_str()) && !(v2 && c == "freezer")) || asked(c);
        let mut dirs: Vec<CgroupDir> = self
            .cgroups
            .all
            .iter()
            .filter(|h| h.v2 || self.every_hierarchy || h.controllers.iter().any(used))
            .map(|h| CgroupDir {
                path: h.at.join(path.trim_start_matches('/')),
                mount: h.at.clone(),
                controllers: h.controllers.clone(),
                v2: h.v2,
            })
            .collect();
        // By which of them all can be ended at once is the last (cgroup.kill, or the freezer).
        dirs.sort_by_key(|d| (d.v2, d.controllers.iter().any(|c| c == "freezer")));
        dirs
    }
}
