//! Which containers are looked at, and what is seen of them.

use crate::Words;
use crate::network::{Network, Own};
use anyhow::Result;
use cgroup::{Above, Limits, Look, Time};
use cli::Host;
use state::{CgroupDir, Entry, Record, Roots, Status};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between the two readings of the time that one look takes: two of the periods in which a quota counts.
const APART: Duration = Duration::from_millis(200);

/// One container at one moment.
pub struct Seen {
    pub id: String,
    pub name: Option<String>,
    /// The runtime specification's word.
    pub status: &'static str,
    /// Its first process.
    pub pid: Option<i32>,
    pub look: Look,
    /// What its own cgroup sets.
    pub own: Limits,
    /// What holds.
    pub limits: Limits,
    pub network: Option<Network>,
    /// Percent of one processor since the look before.
    pub cpu: Option<f64>,
    /// Percent of the quota's periods since then in which it was stopped.
    pub throttled: Option<f64>,
    /// Percent of the memory that it may have.
    pub memory: Option<f64>,
    /// Percent of the processors that it may have.
    pub share: Option<f64>,
    /// All the memory of the machine, bytes.
    pub machine: u64,
}

impl Seen {
    /// Its name, or its id where it has none.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

/// Looks, and knows what it saw last.
pub struct Eye {
    host: Host,
    /// Named ones; none: as `all` says.
    ids: Option<Vec<String>>,
    all: bool,
    before: HashMap<String, (Instant, Time)>,
    own: Own,
    /// Bytes.
    machine: u64,
    processors: f64,
    last: Instant,
}

impl Eye {
    /// For the containers that the words name. One that is not there is said; the status then is 1.
    pub fn new(words: &Words) -> Result<(Eye, u8)> {
        let host = Host::gather()?;
        let (mut ids, mut status) = (Vec::new(), 0);
        for word in &words.containers {
            match state::find(&host.roots, word).and_then(|id| state::read(&host.roots, &id).map(|_| id)) {
                Ok(id) if ids.contains(&id) => {}
                Ok(id) => ids.push(id),
                Err(e) => {
                    cli::say("stat", &cli::line(&e));
                    status = 1;
                }
            }
        }
        let eye = Eye {
            host,
            ids: (!words.containers.is_empty()).then_some(ids),
            all: words.all,
            before: HashMap::new(),
            own: Own::new(),
            machine: memory(),
            processors: online().unwrap_or(1.0),
            last: Instant::now(),
        };
        Ok((eye, status))
    }

    /// None of those that were named is there.
    pub fn blind(&self) -> bool {
        self.ids.as_ref().is_some_and(Vec::is_empty)
    }

    /// The containers as they are now, the newest first, or as named.
    fn entries(&self) -> Result<Vec<Entry>> {
        let roots = &self.host.roots;
        let Some(ids) = &self.ids else {
            let mut list = state::list(roots)?;
            list.sort_by_cached_key(|e| std::cmp::Reverse(created(e)));
            list.retain(|e| self.all || e.runs());
            return Ok(list);
        };
        let there = ids.iter().filter(|id| roots.bundle(id).is_dir());
        let entry = |id: &String| Entry {
            doc: state::read(roots, id),
            record: Record::read(roots, id).ok().flatten(),
            id: id.clone(),
        };
        Ok(there.map(entry).collect())
    }

    /// Reads the time alone: the first of two readings.
    pub fn glance(&mut self) -> Result<()> {
        self.last = Instant::now();
        for entry in self.entries()? {
            if entry.runs() {
                let at = Instant::now();
                if let Some(time) = cgroup::time(&self.dirs(&entry)) {
                    self.before.insert(entry.id, (at, time));
                }
            }
        }
        Ok(())
    }

    /// How long until the second; nobody is there: no reason to wait.
    pub fn pause(&self) -> Duration {
        if self.before.is_empty() { Duration::ZERO } else { APART }
    }

    /// One look at each, with what has changed since the one before.
    pub fn look(&mut self) -> Result<Vec<Seen>> {
        self.last = Instant::now();
        let mut above = Above::default();
        let mut now = HashMap::new();
        let list = self.entries()?.into_iter().map(|e| self.one(e, &mut above, &mut now)).collect();
        self.before = now;
        Ok(list)
    }

    /// Until it is time for the next look; one that took longer than the pause is followed at once.
    pub fn wait(&self, every: Duration) {
        std::thread::sleep((self.last + every).saturating_duration_since(Instant::now()));
    }

    /// When the last look began.
    pub fn last(&self) -> Instant {
        self.last
    }

    fn one(&self, entry: Entry, above: &mut Above, now: &mut HashMap<String, (Instant, Time)>) -> Seen {
        let status = entry.status(&self.host);
        let doc = entry.doc.as_ref().ok();
        let mut seen = Seen {
            name: doc.and_then(|d| d.name().ok().flatten()).map(String::from),
            status: status.word(),
            pid: None,
            look: Look::default(),
            own: Limits::default(),
            limits: Limits::default(),
            network: None,
            cpu: None,
            throttled: None,
            memory: None,
            share: None,
            machine: self.machine,
            id: entry.id.clone(),
        };
        let (Status::Running | Status::Paused, Some(record)) = (status, &entry.record) else { return seen };
        let dirs = self.dirs(&entry);
        seen.pid = Some(record.pid);
        let at = Instant::now();
        seen.look = cgroup::look(&dirs);
        seen.own = cgroup::own(&dirs);
        seen.limits = above.effective(&dirs);
        seen.network = self.own.network_of(record);
        if let Some(time) = &seen.look.time {
            if let Some((then, before)) = self.before.get(&entry.id) {
                (seen.cpu, seen.throttled) = since(before, time, at - *then);
            }
            now.insert(entry.id, (at, time.clone()));
        }
        if let Some(used) = &seen.look.memory {
            let limit = seen.limits.memory.as_ref().map_or(self.machine, |l| l.value.min(self.machine));
            seen.memory = percent(used.working_set() as f64, limit as f64);
        }
        let cpuset = seen.limits.cpuset.as_ref().and_then(|l| count(&l.value)).unwrap_or(self.processors);
        let most = seen.limits.cpus.as_ref().map_or(cpuset, |l| l.value.min(cpuset));
        seen.share = seen.cpu.and_then(|used| percent(used / 100.0, most));
        seen
    }

    /// Those of its cgroup directories that are there.
    fn dirs(&self, entry: &Entry) -> Vec<CgroupDir> {
        let own = Roots::cgroup(&entry.id);
        let path = entry.doc.as_ref().ok().and_then(|d| d.cgroups_path().ok().flatten()).unwrap_or(&own);
        let mut dirs = self.host.cgroup_dirs(path, &MORE.map(String::from));
        dirs.retain(|d| d.path.is_dir());
        dirs
    }
}

/// Controllers that a container is in the hierarchy of only if it asked for it.
const MORE: [&str; 2] = ["cpuset", "io"];

fn created(entry: &Entry) -> Option<String> {
    entry.doc.as_ref().ok()?.get("/stave/created")?.as_str().map(String::from)
}

/// Percent of one processor, and of the quota's periods; a cgroup that was made again in between has
/// none.
fn since(before: &Time, now: &Time, passed: Duration) -> (Option<f64>, Option<f64>) {
    let used = now.used.checked_sub(before.used).map(|n| n as f64);
    let cpu = used.and_then(|used| percent(used, passed.as_nanos() as f64));
    let (Some(a), Some(b)) = (&before.throttling, &now.throttling) else { return (cpu, None) };
    let held = b.throttled_periods.checked_sub(a.throttled_periods);
    let periods = b.periods.checked_sub(a.periods);
    let throttled = match (held, periods) {
        (Some(held), Some(periods)) if periods > 0 => percent(held as f64, periods as f64),
        // Idle: no period has begun.
        (Some(0), Some(0)) if b.periods > 0 => Some(0.0),
        _ => None,
    };
    (cpu, throttled)
}

fn percent(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| 100.0 * part / whole)
}

/// How many a list like `0-3,7` has.
fn count(list: &str) -> Option<f64> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)? + 1)
    };
    list.split(',').map(range).sum::<Option<u32>>().map(f64::from)
}

/// All of the machine's (proc_meminfo(5)).
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    total.and_then(|n| n.parse::<u64>().ok()).map_or(0, |n| n * 1024)
}

fn online() -> Option<f64> {
    count(std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgroup::Throttling;

    fn time(used: u64, periods: u64, throttled_periods: u64) -> Time {
        let throttling = Some(Throttling { periods, throttled_periods, throttled_time: 0 });
        Time { used, throttling }
    }

    #[test]
    fn between_two_looks() {
        let second = Duration::from_secs(1);
        let now = time(700_000_000, 20, 9);
        assert_eq!(since(&time(200_000_000, 10, 4), &now, second), (Some(50.0), Some(50.0)));
        assert_eq!(since(&now, &now, second), (Some(0.0), Some(0.0)));
        // Started again.
        assert_eq!(since(&now, &time(5, 0, 0), second), (None, None));
        assert_eq!(since(&time(0, 0, 0), &time(5_000_000, 0, 0), second), (Some(0.5), None));
        assert_eq!(since(&now, &now, Duration::ZERO).0, None);
    }

    #[test]
    fn counts() {
        assert_eq!(count("0-3,7"), Some(5.0));
        assert_eq!(count("2"), Some(1.0));
        assert!(count("").is_none() && count("3-0").is_none() && count("a").is_none());
    }
}
