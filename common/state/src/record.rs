//! `state.json`: the OCI state, and what is known of the run. One writer: the parent of pid 1.
//! The status is not in it: it is derived, so it cannot be stale.

use crate::Roots;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::OnceLock;

/// The file's content.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Of the runtime specification's state.
    pub oci_version: String,
    /// Container.
    pub id: String,
    /// Pid 1 as the host sees it.
    pub pid: i32,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// What the specification has no word for.
    pub stave: Run,
}

/// One run of a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Run {
    /// When it began, RFC 3339.
    pub at: String,
    /// Start time of pid 1 in clock ticks (proc_pid_stat(5)): with it the pid is one process.
    pub started: u64,
    /// The boot in which that is true (random/boot_id).
    pub boot: String,
    /// The parent of pid 1, and its start time.
    pub monitor: (i32, u64),
    /// How it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
}

/// How a run ended.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// As a shell would give it: 128+n for a signal.
    pub code: i32,
    /// The signal, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// `exit`, `signal`, or `oom`: SIGKILL, in a run in which the kernel killed for want of memory.
    pub cause: String,
    /// How many of its processes the kernel killed for want of memory, be it not the first.
    #[serde(default, skip_serializing_if = "none")]
    pub oom_kills: u64,
    /// RFC 3339.
    pub at: String,
}

fn none(count: &u64) -> bool {
    *count == 0
}

/// What a container is doing. `created` covers what was never started.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// No process was ever started.
    Created,
    /// Pid 1 runs.
    Running,
    /// It is there, and frozen with all others of its cgroup.
    Paused,
    /// It ended, as recorded; `None`: nobody was there to record it.
    Stopped(Option<Exit>),
}

impl Status {
    /// The runtime specification's word.
    pub fn word(&self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped(_) => "stopped",
        }
    }
}

/// The present moment, RFC 3339, to the millisecond.
pub fn now() -> String {
    to_millisecond(jiff::Timestamp::now())
}

/// Always three digits: the texts sort as the moments do.
fn to_millisecond(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

/// A moment in seconds since the epoch, RFC 3339; `None`: no calendar has it.
pub fn moment(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|t| t.to_string())
}

/// How long ago a moment of RFC 3339 was, in its largest whole unit: `5 minutes`.
pub fn ago(text: &str) -> String {
    let Ok(then) = text.parse::<jiff::Timestamp>() else { return text.to_owned() };
    let seconds = jiff::Timestamp::now().as_second().saturating_sub(then.as_second()).max(0);
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (n, unit) =
        units.into_iter().find(|(s, _)| seconds >= *s).map_or((0, "second"), |(s, u)| (seconds / s, u));
    if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") }
}

/// The same for as long as this process runs.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    let read = || sys::io::text("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    BOOT.get_or_init(read)
}

impl Record {
    /// For a pid 1 that was just started by the calling process.
    pub fn new(roots: &Roots, id: &str, pid: i32) -> Record {
        Record::of(&roots.bundle(id), id, pid)
    }

    /// As [`Record::new`], of a bundle that is given.
    pub fn of(bundle: &Path, id: &str, pid: i32) -> Record {
        let own = sys::process::pid();
        Record {
            oci_version: doc::OCI_VERSION.into(),
            id: id.into(),
            pid,
            bundle: bundle.to_string_lossy().into_owned(),
            stave: Run {
                at: now(),
                // It may have ended already: then no process has this pid and time.
                started: sys::process::start_time(pid).unwrap_or_default(),
                boot: boot().to_owned(),
                monitor: (own, sys::process::start_time(own).unwrap_or_default()),
                exit: None,
            },
        }
    }

    /// As the file holds it.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Reads a container's record; `None`: never started (in this boot).
    pub fn read(roots: &Roots, id: &str) -> Result<Option<Record>> {
        Record::read_in(&roots.run_of(id))
    }

    /// As [`Record::read`], from a directory that is given.
    pub fn read_in(dir: &Path) -> Result<Option<Record>> {
        let path = dir.join("state.json");
        match sys::io::read_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).context(format!("read {}", path.display())),
            Ok(text) => serde_json::from_slice(&text).map(Some).context(format!("read {}", path.display())),
        }
    }

    /// Pid 1 while it runs. A pid is trusted only with its start time and its boot.
    pub fn running(&self) -> Option<i32> {
        alive(self.pid, self.stave.started, &self.stave.boot).then_some(self.pid)
    }

    /// The parent of pid 1 while it is there.
    pub fn monitor(&self) -> Option<i32> {
        let (pid, started) = self.stave.monitor;
        alive(pid, started, &self.stave.boot).then_some(pid)
    }

    /// Derived from the process, not stored; whether it is paused its cgroup knows ([`crate::Entry::status`]).
    pub fn status(&self) -> Status {
        match (&self.stave.exit, self.running()) {
            (Some(exit), _) => Status::Stopped(Some(exit.clone())),
            (None, Some(_)) => Status::Running,
            (None, None) => Status::Stopped(None),
        }
    }
}

fn alive(pid: i32, started: u64, booted: &str) -> bool {
    pid > 0 && sys::process::start_time(pid) == Ok(started) && boot() == booted
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn moments_sort_as_text() {
        let text = |ms| to_millisecond(jiff::Timestamp::from_millisecond(ms).unwrap());
        assert_eq!(text(1000), "1970-01-01T00:00:01.000Z");
        let texts = [999, 1000, 1009, 1010, 1019, 1100, 1119, 1120].map(text);
        assert!(texts.is_sorted(), "{texts:?}");
    }
}
