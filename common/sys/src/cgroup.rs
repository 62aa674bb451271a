//! Where the cgroup hierarchies of this host are mounted (cgroups(7)).

use crate::{Errno, Result, mount};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq)]
pub struct Hierarchy {
    /// Mount point.
    pub at: PathBuf,
    /// v1 controllers mounted here together (`cpu`, `cpuacct`); of v2, those of cgroup.controllers.
    pub controllers: Vec<String>,
    /// cgroup2.
    pub v2: bool,
}

/// The hierarchies of the host: v1, v2, or both (hybrid).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// In the order of mountinfo.
    pub all: Vec<Hierarchy>,
}

impl Layout {
    /// Reads /proc/self/mountinfo.
    pub fn read() -> Result<Layout> {
        let mut layout = Layout::parse(&crate::io::text("/proc/self/mountinfo")?);
        // One that is covered by another mount cannot be reached.
        layout.all.retain(|h| mount::magic(&h.at) == Ok(if h.v2 { V2_MAGIC } else { V1_MAGIC }));
        for h in layout.all.iter_mut().filter(|h| h.v2) {
            let list = crate::io::text(h.at.join("cgroup.controllers")).unwrap_or_default();
            h.controllers = list.split_whitespace().map(String::from).collect();
        }
        Ok(layout)
    }

    /// From the text of mountinfo (proc(5)); named v1 hierarchies have no controller.
    pub fn parse(mountinfo: &str) -> Layout {
        let mut all: Vec<Hierarchy> = Vec::new();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let mut fields = right.split(' ');
            let v2 = match fields.next() {
                Some("cgroup") => false,
                Some("cgroup2") => true,
                _ => continue,
            };
            let Some(at) = left.split(' ').nth(4).map(mount::unescape) else { continue };
            let words = if v2 { "" } else { fields.nth(1).unwrap_or_default() };
            let known = |w: &&str| CONTROLLERS.contains(w) || w.starts_with("name=");
            let controllers: Vec<String> = words.split(',').filter(known).map(String::from).collect();
            if !all.iter().any(|h| h.v2 == v2 && h.controllers == controllers) {
                all.push(Hierarchy { at, controllers, v2 });
            }
        }
        Layout { all }
    }

    /// The v1 hierarchy of a controller.
    pub fn v1(&self, controller: &str) -> Option<&Hierarchy> {
        self.all.iter().find(|h| !h.v2 && h.controllers.iter().any(|c| c == controller))
    }

    /// The v2 hierarchy.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.all.iter().find(|h| h.v2)
    }

    /// Whether v2 is all there is.
    pub fn pure_v2(&self) -> bool {
        self.v2().is_some() && self.all.iter().all(|h| h.v2)
    }
}

/// CGROUP_SUPER_MAGIC and CGROUP2_SUPER_MAGIC of linux/magic.h.
const V1_MAGIC: i64 = 0x27_e0eb;
const V2_MAGIC: i64 = 0x6367_7270;

const CONTROLLERS: [&str; 13] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "pids",
    "devices",
    "freezer",
    "blkio",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
];

/// Major and minor number of a device's st_rdev.
pub fn device(rdev: u64) -> (u32, u32) {
    (rustix::fs::major(rdev), rustix::fs::minor(rdev))
}

/// The processes in a cgroup directory; gone is none.
pub fn procs(dir: &Path) -> Vec<i32> {
    let text = crate::io::text(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|l| l.parse().ok()).filter(|p| *p > 0).collect()
}

/// The processes of a cgroup and of all below it.
pub fn all_procs(dir: &Path) -> Vec<i32> {
    let Ok(below) = fs::read_dir(dir) else { return Vec::new() };
    let mut pids = procs(dir);
    for entry in below.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            pids.extend(all_procs(&entry.path()));
        }
    }
    pids
}

/// Stops all processes of a cgroup, or lets them go on; returns when they are. A v1 freezer may stay
/// in FREEZING while processes come: then it is thawed for a moment and tried again.
pub fn freeze(dir: &Path, v2: bool, frozen: bool) -> Result<()> {
    const TRIES: u32 = 2000;
    let pause = |n: u32| std::thread::sleep(std::time::Duration::from_micros(if n < 50 { 20 } else { 1000 }));
    if v2 {
        fs::write(dir.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
        for n in 0..TRIES {
            if is_frozen(dir, true) == frozen {
                return Ok(());
            }
            pause(n);
        }
        return Err(Errno(libc::ETIMEDOUT));
    }
    let state = dir.join("freezer.state");
    for n in 0..TRIES {
        if n % 25 == 0 {
            if n > 0 && frozen {
                fs::write(&state, "THAWED")?;
                pause(n);
            }
            fs::write(&state, if frozen { "FROZEN" } else { "THAWED" })?;
        }
        let now = fs::read_to_string(&state)?;
        if now.trim() == (if frozen { "FROZEN" } else { "THAWED" }) {
            return Ok(());
        }
        pause(n);
    }
    if frozen {
        fs::write(&state, "THAWED")?;
    }
    Err(Errno(libc::ETIMEDOUT))
}

/// Ends the processes of a cgroup and of those below it. Post-condition: there is none.
pub fn kill(dir: &Path) -> Result<()> {
    for pause in [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000] {
        std::thread::sleep(std::time::Duration::from_millis(pause));
        if !begin_to_kill(dir)? {
            return Ok(());
        }
    }
    Err(Errno(libc::EBUSY))
}

/// SIGKILL to all processes of a cgroup and of those below it, whose end is not waited for; whether there
/// was one. By cgroup.kill (Linux 5.14); where that is missing they are frozen first, so that no fork outruns
/// the signals.
pub fn begin_to_kill(dir: &Path) -> Result<bool> {
    if all_procs(dir).is_empty() {
        return Ok(false);
    }
    if dir.join("cgroup.kill").exists() {
        // A kernel without such marks clones into it as ever.
        let _ = rustix::fs::setxattr(dir, KILLED, b"1", rustix::fs::XattrFlags::empty());
        fs::write(dir.join("cgroup.kill"), "1")?;
        return Ok(true);
    }
    let v2 = dir.join("cgroup.freeze").exists();
    let freezes = v2 || dir.join("freezer.state").exists();
    if freezes {
        let _ = freeze(dir, v2, true);
    }
    signal(dir, crate::process::KILL);
    if freezes {
        freeze(dir, v2, false)?;
        // Others may have frozen one below.
        for below in tree(dir).iter().skip(1).filter(|at| is_to_freeze(at, v2)) {
            freeze(below, v2, false)?;
        }
    }
    Ok(true)
}

/// The mark of a cgroup in which cgroup.kill was written, as long as the cgroup is.
const KILLED: &str = "user.stave.killed";

/// Whether it was ended by [`kill`]: on Linux 6.18 a process that is cloned into it is killed then; one
/// that joins it is not.
pub fn was_killed(dir: &Path) -> bool {
    rustix::fs::getxattr(dir, KILLED, &mut [0_u8; 8]).is_ok()
}

/// A signal to each process of a cgroup and of those below it; whether there was one.
pub fn signal(dir: &Path, number: i32) -> bool {
    use crate::process;
    let mut any = false;
    // Not more descriptors at a time than a process may have.
    for pids in all_procs(dir).chunks(256) {
        let open: Vec<_> = pids.iter().filter_map(|pid| Some((pid, process::pidfd(*pid).ok()?))).collect();
        // A pid may have gone to another since: only a member is signalled.
        let now = all_procs(dir);
        for (_, fd) in open.iter().filter(|(pid, _)| now.contains(pid)) {
            any |= process::signal(fd, number).is_ok();
        }
    }
    any
}

/// Whether the processes of a cgroup are stopped, or whoever came would be; one that is not there
/// stops nobody.
pub fn is_frozen(dir: &Path, v2: bool) -> bool {
    let read = |file: &str| crate::io::text(dir.join(file)).unwrap_or_default();
    if v2 {
        let events = read("cgroup.events");
        let says = |line: &str| events.lines().any(|l| l == line);
        // An empty one never says that it is frozen.
        says("frozen 1") || (says("populated 0") && read("cgroup.freeze").trim() == "1")
    } else {
        read("freezer.state").trim() == "FROZEN"
    }
}

/// A cgroup and all below it, itself first.
pub fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            all.extend(tree(&entry.path()));
        }
    }
    all
}

/// The nearest cgroup above that has been told to stop its processes, and so all below it.
pub fn frozen_above(dir: &Path, v2: bool) -> Option<PathBuf> {
    dir.ancestors().skip(1).find(|above| is_to_freeze(above, v2)).map(Path::to_owned)
}

/// Whether a cgroup has been told to stop its processes, be there any or not, or still on their way.
pub fn is_to_freeze(dir: &Path, v2: bool) -> bool {
    let file = dir.join(if v2 { "cgroup.freeze" } else { "freezer.self_freezing" });
    fs::read_to_string(file).is_ok_and(|t| t.trim() == "1")
}

/// An eventfd(2) that counts how often a v1 memory cgroup ran out of memory; its end counts too
/// (kernel documentation, cgroup-v1/memory.rst, OOM Control).
pub fn oom_events(dir: &Path) -> Result<OwnedFd> {
    use rustix::event::{EventfdFlags, eventfd};
    let control = fs::File::open(dir.join("memory.oom_control"))?;
    let event = eventfd(0, EventfdFlags::CLOEXEC)?;
    let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    fs::write(dir.join("cgroup.event_control"), line)?;
    Ok(event)
}

/// An inotify(7) descriptor for changes of a file of cgroup v2, and for its end.
pub fn watch(file: &Path) -> Result<OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    let fd = init(CreateFlags::CLOEXEC)?;
    add_watch(&fd, file, WatchFlags::MODIFY | WatchFlags::DELETE_SELF)?;
    Ok(fd)
}

/// rmdir(2) of a cgroup and of those below it; gone is fine. EBUSY is tried again for a second:
/// a process that was reaped may still be leaving.
pub fn remove(dir: &Path) -> Result<()> {
    let mut pause = std::time::Duration::from_micros(50);
    for _ in 0..20 {
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                for entry in fs::read_dir(dir)?.flatten() {
                    if entry.file_type().is_ok_and(|t| t.is_dir()) {
                        remove(&entry.path())?;
                    }
                }
                if !procs(dir).is_empty() {
                    return Err(Errno(libc::EBUSY));
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(std::time::Duration::from_millis(100));
            }
            Err(e) => return Err(e.into()),
        }
    }
    Err(Errno(libc::EBUSY))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hybrid() {
        let l = Layout::parse(
            "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
             32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        assert_eq!(l.v1("cpuacct").unwrap().at, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(l.v2().unwrap().at, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(l.all[1].controllers, ["name=systemd"]);
        assert!(!l.pure_v2() && l.v1("memory").is_none());
    }
}
