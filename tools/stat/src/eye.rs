//! Which containers are looked at, and what is seen of them.

use crate::Words;
use crate::network::{Network, Own};
use anyhow::Result;
use cgroup::{Above, Limits, Look, Time};
use cli::Host;
use doc::Doc;
use serde::Deserialize;
use serde_json::Value;
use state::{CgroupDir, Record, Roots, Status};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
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

/// What the files of a container tell.
#[derive(Clone)]
struct Known {
    /// Which files these were: the document, and the record.
    stamps: [Option<Stamp>; 2],
    name: Option<String>,
    created: Option<String>,
    /// The path of its cgroup in every hierarchy.
    cgroup: String,
    record: Option<Record>,
}

/// Inode, and seconds and nanoseconds of the change: what is written anew is another file.
type Stamp = (u64, i64, i64);

/// Looks, and knows what it saw last.
pub struct Eye {
    host: Host,
    /// Named ones; none: as `all` says.
    ids: Option<Vec<String>>,
    all: bool,
    /// Whether it is asked for more of the status than that they run.
    status: bool,
    /// Files are read again when they are others.
    known: HashMap<String, Known>,
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
            status: words.json,
            known: HashMap::new(),
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
    fn containers(&mut self) -> Result<Vec<Container>> {
        let ids = match &self.ids {
            Some(ids) => ids.clone(),
            None => state::ids(&self.host.roots)?,
        };
        let mut list: Vec<Container> = ids.into_iter().filter_map(|id| self.container(id)).collect();
        if self.ids.is_none() {
            list.retain(|c| self.all || c.runs());
            list.sort_by(|a, b| b.known.created.cmp(&a.known.created));
        }
        Ok(list)
    }

    /// `None`: it was taken away. One whose document cannot be read is there all the same.
    fn container(&mut self, id: String) -> Option<Container> {
        let roots = &self.host.roots;
        let files = [roots.in_bundle(&id, "config.json"), roots.run_of(&id).join("state.json")];
        let stamps = files.map(|path| {
            std::fs::metadata(path).ok().map(|file| (file.ino(), file.ctime(), file.ctime_nsec()))
        });
        if stamps[0].is_none() && !roots.bundle(&id).is_dir() {
            return None;
        }
        let known = match self.known.get(&id) {
            Some(known) if known.stamps == stamps => known.clone(),
            _ => {
                let known = Known::read(roots, &id, stamps);
                self.known.insert(id.clone(), known.clone());
                known
            }
        };
        let status = known.record.as_ref().map_or(Status::Created, Record::status);
        Some(Container { id, known, status })
    }

    /// Reads the time alone: the first of two readings.
    pub fn glance(&mut self) -> Result<()> {
        self.last = Instant::now();
        for container in self.containers()?.into_iter().filter(Container::runs) {
            let at = Instant::now();
            if let Some(time) = cgroup::time(&self.dirs(&container)) {
                self.before.insert(container.id, (at, time));
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
        let list = self.containers()?.into_iter().map(|c| self.one(c, &mut above, &mut now)).collect();
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

    fn one(&self, of: Container, above: &mut Above, now: &mut HashMap<String, (Instant, Time)>) -> Seen {
        let mut dirs = if of.runs() { self.dirs(&of) } else { Vec::new() };
        let status = if self.status && of.runs() && self.host.is_frozen(&of.known.cgroup) {
            Status::Paused
        } else {
            of.status
        };
        let mut seen = Seen {
            id: of.id,
            name: of.known.name,
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
        };
        let (Status::Running | Status::Paused, Some(record)) = (status, &of.known.record) else {
            return seen;
        };
        seen.pid = Some(record.pid);
        let at = Instant::now();
        (seen.look, seen.own) = cgroup::look(&mut dirs);
        seen.limits = above.over(seen.own.clone(), &dirs);
        seen.network = self.own.network_of(record);
        if let Some(time) = &seen.look.time {
            if let Some((then, before)) = self.before.get(&seen.id) {
                (seen.cpu, seen.throttled) = since(before, time, at - *then);
            }
            now.insert(seen.id.clone(), (at, time.clone()));
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

    /// Its cgroup directories, there or not.
    fn dirs(&self, of: &Container) -> Vec<CgroupDir> {
        self.host.cgroup_dirs(&of.known.cgroup, &MORE.map(String::from))
    }
}

/// Controllers that a container is in the hierarchy of only if it asked for it.
const MORE: [&str; 2] = ["cpuset", "io"];

/// One of the list.
struct Container {
    id: String,
    known: Known,
    status: Status,
}

impl Container {
    fn runs(&self) -> bool {
        self.status == Status::Running
    }
}

impl Known {
    fn read(roots: &Roots, id: &str, stamps: [Option<Stamp>; 2]) -> Known {
        let doc = sys::io::read_file(&roots.in_bundle(id, "config.json")).ok();
        let doc = doc.and_then(|text| brief(&text)).unwrap_or_default();
        let text = |at: &str| doc.get(at).and_then(Value::as_str).map(String::from);
        Known {
            stamps,
            name: doc.name().ok().flatten().map(String::from),
            created: text("/stave/created"),
            cgroup: state::cgroup(id, &doc),
            record: Record::read(roots, id).ok().flatten(),
        }
    }
}

/// The document without what is of no use here, which is most of it, and most of the time of reading.
fn brief(text: &[u8]) -> Option<Doc> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Brief {
        stave: Stave,
        linux: Linux,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Stave {
        name: Option<Value>,
        created: Option<Value>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Linux {
        #[serde(rename = "cgroupsPath")]
        cgroups_path: Option<Value>,
    }
    let brief: Brief = serde_json::from_slice(text).ok()?;
    let mut doc = Doc::default();
    for (at, value) in [
        ("/stave/name", brief.stave.name),
        ("/stave/created", brief.stave.created),
        ("/linux/cgroupsPath", brief.linux.cgroups_path),
    ] {
        if let Some(value) = value {
            doc.set(at, value).ok()?;
        }
    }
    Some(doc)
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
