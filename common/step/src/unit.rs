//! Units of systemd's: limits as properties of a unit, and what is asked of its manager.

use crate::{Done, Fail, Setting, quote};
use std::fmt::Write;
use std::path::Path;
use sys::{Errno, cgroup};
use systemd::{ATTACH, Error, MANAGER, Manager, NAME, PATH, Property, SET, START};

/// The properties that stand for limits, by their files; a file that systemd has no property for has none.
/// Where two files stand for one, the later counts. (systemd.resource-control(5); docs/systemd.md of runc.)
pub fn properties(set: &[Setting]) -> Vec<Property> {
    let mut list: Vec<Property> = Vec::new();
    for setting in set {
        let other = setting.or.iter().map(|(file, text)| (file, text));
        for (file, text) in std::iter::once((&setting.file, &setting.text)).chain(other) {
            for property in of_file(file, text.trim()) {
                list.retain(|p| p.name != property.name);
                list.push(property);
            }
        }
    }
    list
}

fn of_file(file: &str, text: &str) -> Vec<Property> {
    // -1 is no limit in the files of v1.
    let number = |text: &str| if matches!(text, "max" | "-1") { Some(u64::MAX) } else { text.parse().ok() };
    let name = match file {
        "memory.max" => "MemoryMax",
        "memory.high" => "MemoryHigh",
        "memory.low" => "MemoryLow",
        "memory.min" => "MemoryMin",
        "memory.swap.max" => "MemorySwapMax",
        "cpu.weight" => "CPUWeight",
        "io.weight" => "IOWeight",
        "pids.max" => "TasksMax",
        "memory.limit_in_bytes" => "MemoryLimit",
        "cpu.shares" => "CPUShares",
        "blkio.weight" => "BlockIOWeight",
        "cpuset.cpus" => return bits("AllowedCPUs", text),
        "cpuset.mems" => return bits("AllowedMemoryNodes", text),
        "cpu.max" => {
            let mut words = text.split_whitespace();
            let (quota, period) = (words.next().and_then(number), words.next().map_or(Some(100_000), number));
            let (Some(quota), Some(period)) = (quota, period.filter(|p| *p > 0)) else { return Vec::new() };
            return bandwidth(quota, period);
        }
        _ => return Vec::new(),
    };
    // A weight of a disk has its number, and is nothing of the unit's.
    number(text.strip_prefix("default ").unwrap_or(text))
        .map(|n| Property::new(name, "t", n))
        .into_iter()
        .collect()
}

/// Microseconds of a period. systemd keeps whole hundredths of a processor in its files: those that it
/// reads again must hold the quota.
fn bandwidth(quota: u64, period: u64) -> Vec<Property> {
    let a_second = match quota {
        u64::MAX => u64::MAX,
        _ => {
            (u128::from(quota) * 100).div_ceil(u128::from(period)).try_into().unwrap_or(u64::MAX / 10_000)
                * 10_000
        }
    };
    vec![Property::new("CPUQuotaPeriodUSec", "t", period), Property::new("CPUQuotaPerSecUSec", "t", a_second)]
}

/// A list of numbers as a mask, the first byte that of 0 to 7. No list is none.
fn bits(name: &str, list: &str) -> Vec<Property> {
    let mut bytes: Vec<u8> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        // `0-6:2/3`: the first two of every three.
        let (range, stride) = part.split_once(':').map_or((part, None), |(r, s)| (r, Some(s)));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>()) else {
            return Vec::new();
        };
        let (used, group) = match stride.map(|s| s.split_once('/').unwrap_or((s, "0"))) {
            None => (1, 1),
            Some((used, group)) => match (used.parse::<usize>(), group.parse::<usize>()) {
                (Ok(used), Ok(group)) if group > 0 => (used, group),
                _ => return Vec::new(),
            },
        };
        // No machine has more (CPU_SETSIZE is far less).
        for n in (first..=last.min(1 << 16)).filter(|n| (n - first) % group < used) {
            if bytes.len() <= n / 8 {
                bytes.resize(n / 8 + 1, 0);
            }
            bytes[n / 8] |= 1 << (n % 8);
        }
    }
    vec![Property::list(name, "ay", bytes.iter().map(|b| vec![b.to_string()]).collect())]
}

/// A unit, and whose manager has it.
pub struct Unit<'a> {
    /// `stave-ID.scope`.
    pub name: &'a str,
    /// The caller's manager, not the system's.
    pub user: bool,
    /// Its cgroup in the hierarchy that systemd keeps.
    pub cgroup: &'a Path,
}

impl From<Error> for Fail {
    fn from(e: Error) -> Fail {
        // An answer of a peer's is nobody's errno; whoever asks for the reason gets its words.
        let errno = e.errno.unwrap_or(match e.name.as_str() {
            "org.freedesktop.DBus.Error.AccessDenied"
            | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => Errno(sys::EACCES),
            _ => Errno(sys::EIO),
        });
        Fail { errno, why: Some(e.text), status: None }
    }
}

impl Unit<'_> {
    fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }

    /// Post-condition: the unit is there, and the process in its cgroup (a slice is empty).
    pub fn start(&self, properties: &[Property], pid: i32) -> Result<Done, Fail> {
        let mut all = properties.to_vec();
        if !self.is_slice() {
            all.push(Property::list("PIDs", "au", vec![vec![pid.to_string()]]));
        }
        let mut manager = Manager::of(self.user)?;
        match manager.start(self.name, &all) {
            // A slice is its containers' together.
            Err(e) if self.is_slice() && e.name.ends_with(".UnitExists") => return Ok(Done::WasSo),
            other => other?,
        }
        if !self.cgroup.is_dir() || !(self.is_slice() || cgroup::procs(self.cgroup).contains(&pid)) {
            let is = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            let is = is.lines().last().unwrap_or_default().rsplit(':').next().unwrap_or_default().to_owned();
            let why = format!("systemd has put its process into {is}, not into {}", self.cgroup.display());
            return Err(Fail { errno: Errno(sys::ENOENT), why: Some(why), status: None });
        }
        Ok(Done::Made)
    }

    /// Post-condition: the process is in the cgroup of the unit, or in one `below` it.
    pub fn attach(&self, below: &str, pid: i32) -> Result<Done, Fail> {
        Manager::of(self.user)?.attach(self.name, below, pid)?;
        Ok(Done::Made)
    }

    /// Post-condition: the manager has no such unit. One with processes in it stays.
    pub fn stop(&self) -> Result<(), Fail> {
        if !cgroup::all_procs(self.cgroup).is_empty() {
            let why = "processes are in it".to_owned();
            return Err(Fail { errno: Errno(sys::EBUSY), why: Some(why), status: None });
        }
        match Manager::of(self.user) {
            // Whoever kept units is gone, and so are they.
            Err(e)
                if matches!(e.errno, Some(Errno(sys::ENOENT | sys::ECONNREFUSED)))
                    && !self.cgroup.exists() =>
            {
                Ok(())
            }
            manager => Ok(manager?.stop(self.name)?),
        }
    }

    /// Post-condition: systemd takes the limits for those of the unit, and they are in its cgroup.
    pub fn set(&self, set: &[Setting]) -> Result<Done, Fail> {
        let properties = properties(set);
        if properties.is_empty() {
            return Ok(Done::WasSo);
        }
        Manager::of(self.user)?.set(self.name, &properties)?;
        Ok(Done::Made)
    }

    fn busctl(&self, member: &str, signature: &str, words: &[String]) -> String {
        let user = if self.user { " --user" } else { "" };
        let mut line = format!("busctl{user} -q call {NAME} {PATH} {MANAGER} {member} {}", quote(signature));
        for word in words {
            // The one word that a shell is to fill in.
            let word = if word == PID { word.clone() } else { quote(word) };
            let _ = write!(line, " {word}");
        }
        line
    }

    /// As shell, in the process that is to be in the unit: systemd-run(1) would set fewer properties, and
    /// exec before the rest of the limits is written.
    pub fn show_start(&self, properties: &[Property]) -> String {
        let mut all = properties.to_vec();
        if self.is_slice() {
            let there = quote(&self.cgroup.to_string_lossy());
            let call = self.busctl("StartTransientUnit", START, &systemd::start_words(self.name, &all));
            return format!("[ -d {there} ] || {call}; until [ -d {there} ]; do sleep 0.1; done");
        }
        all.push(Property::list("PIDs", "au", vec![vec![PID.into()]]));
        let call = self.busctl("StartTransientUnit", START, &systemd::start_words(self.name, &all));
        let name = quote(&format!("/{}", self.name));
        format!(
            "pid=$(exec sh -c 'echo $PPID'); {call}; until grep -qF {name} /proc/$pid/cgroup; do sleep 0.1; done"
        )
    }

    /// As shell, in the process that is to be in the unit.
    pub fn show_attach(&self, below: &str) -> String {
        let words = [self.name.to_owned(), below.to_owned(), "1".into(), PID.into()];
        format!("pid=$(exec sh -c 'echo $PPID'); {}", self.busctl("AttachProcessesToUnit", ATTACH, &words))
    }

    /// As shell.
    pub fn show_stop(&self) -> String {
        let user = if self.user { " --user" } else { "" };
        let name = quote(self.name);
        format!(
            "systemctl{user} -q stop {name} 2>/dev/null || :; systemctl{user} -q reset-failed {name} 2>/dev/null || :"
        )
    }

    /// As shell.
    pub fn show_set(&self, set: &[Setting]) -> String {
        match properties(set) {
            list if list.is_empty() => ":".to_owned(),
            list => self.busctl("SetUnitProperties", SET, &systemd::set_words(self.name, &list)),
        }
    }
}

/// The process that the shell is.
const PID: &str = "$pid";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(file: &str, text: &str) -> String {
        let set = Setting { file: file.into(), text: text.into(), ..Setting::default() };
        let words = |p: &Property| p.words().collect::<Vec<_>>().join(" ");
        properties(&[set]).iter().map(words).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn files_and_properties() {
        for (file, text, property) in [
            ("memory.max", "67108864", "MemoryMax t 67108864"),
            ("memory.swap.max", "max", "MemorySwapMax t 18446744073709551615"),
            ("cpu.weight", "59", "CPUWeight t 59"),
            ("pids.max", "1", "TasksMax t 1"),
            ("cpu.max", "50000 100000", "CPUQuotaPeriodUSec t 100000; CPUQuotaPerSecUSec t 500000"),
            ("cpu.max", "12500", "CPUQuotaPeriodUSec t 100000; CPUQuotaPerSecUSec t 130000"),
            ("cpu.max", "max 50000", "CPUQuotaPeriodUSec t 50000; CPUQuotaPerSecUSec t 18446744073709551615"),
            ("cpuset.cpus", "0-2,9", "AllowedCPUs ay 2 7 2"),
            ("cpuset.cpus", "0-6:2/3", "AllowedCPUs ay 1 91"),
            ("cpuset.mems", "", "AllowedMemoryNodes ay 0"),
            ("io.weight", "default 100", "IOWeight t 100"),
            ("io.weight", "8:0 100", ""),
            ("memory.limit_in_bytes", "-1", "MemoryLimit t 18446744073709551615"),
            ("io.max", "8:0 rbps=1", ""),
            ("cpu.idle", "1", ""),
        ] {
            assert_eq!(line(file, text), property, "{file} {text}");
        }
    }

    #[test]
    fn the_later_counts() {
        let set = |text: &str| Setting { file: "memory.max".into(), text: text.into(), ..Setting::default() };
        assert_eq!(properties(&[set("1"), set("2")]), [Property::new("MemoryMax", "t", 2)]);
    }

    #[test]
    fn shell() {
        let unit = Unit { name: "a-b.scope", user: true, cgroup: Path::new("/cg/a-b.scope") };
        let shown = unit.show_start(&[Property::new("Delegate", "b", true)]);
        assert_eq!(
            shown,
            "pid=$(exec sh -c 'echo $PPID'); busctl --user -q call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
             org.freedesktop.systemd1.Manager StartTransientUnit 'ssa(sv)a(sa(sv))' a-b.scope replace 2 Delegate b \
             true PIDs au 1 $pid 0; until grep -qF /a-b.scope /proc/$pid/cgroup; do sleep 0.1; done"
        );
    }
}
