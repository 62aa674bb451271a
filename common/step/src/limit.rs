//! Limits of a cgroup: files that the kernel checks against each other, and explains with a number.

use crate::{Access, Done, Fail, Setting};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use sys::{Errno, bpf};

const EINVAL: Errno = Errno(22);
const EBUSY: Errno = Errno(16);
const EACCES: Errno = Errno(13);
const ENOENT: Errno = Errno(2);
const ENOSPC: Errno = Errno(28);

/// Writes them all, or none: what is known of the former values holds again after a failure.
pub fn write(cgroup: &Path, set: &[Setting]) -> Result<(), Fail> {
    let done = all(cgroup, set);
    if done.is_err() {
        back(cgroup, set);
    }
    done
}

/// What the kernel refuses for the sake of another is tried again after that one: memory may not exceed
/// memory and swap, whichever of them is raised or lowered.
fn all(cgroup: &Path, set: &[Setting]) -> Result<(), Fail> {
    // Of several it is said which one it was.
    let named = |setting: &Setting, e: Fail| match set.len() {
        1 => e,
        _ => {
            let file = cgroup.join(&setting.file);
            Fail { why: Some(format!("write '{}' to {}: {e}", setting.text, file.display())), ..e }
        }
    };
    let mut late = Vec::new();
    for setting in set {
        match one(cgroup, setting) {
            Err(e) if matches!(e.errno, EINVAL | EBUSY) && set.len() > 1 => late.push(setting),
            other => other.map_err(|e| named(setting, e))?,
        }
    }
    late.into_iter().try_for_each(|setting| one(cgroup, setting).map_err(|e| named(setting, e)))
}

/// What the files of a cgroup that is there say now, so that it can be written back.
pub fn remember(cgroup: &Path, set: &mut [Setting]) {
    if !cgroup.is_dir() {
        return;
    }
    let idle = fs::read_to_string(cgroup.join("cpu.idle")).is_ok_and(|t| t.trim() == "1");
    for setting in set {
        // An idle cgroup has no weight: what stands there instead is taken by none.
        if idle && matches!(setting.file.as_str(), "cpu.shares" | "cpu.weight") {
            continue;
        }
        let files = [Some(&setting.file), setting.or.as_ref().map(|(file, _)| file)];
        let now =
            files.into_iter().flatten().find_map(|f| Some((f, fs::read_to_string(cgroup.join(f)).ok()?)));
        setting.former = now.map(|(file, now)| former(file, &now, &setting.text));
    }
}

/// The line, or lines, that make a file say again what it says now. In a file of values by device that
/// is the line of the device, or the one that takes it out.
fn former(file: &str, now: &str, text: &str) -> String {
    if file == "memory.oom_control" {
        let on = now.lines().find_map(|l| l.strip_prefix("oom_kill_disable "));
        return on.unwrap_or("0").trim().to_owned();
    }
    let device = text.split_whitespace().next().filter(|w| w.contains(':') && !file.starts_with("cpuset."));
    let line = |word: &str| now.lines().find(|l| l.split_whitespace().next() == Some(word));
    match device {
        Some(device) => line(device).map_or_else(
            || match file {
                "io.max" => format!("{device} rbps=max wbps=max riops=max wiops=max"),
                "io.latency" => format!("{device} target=0"),
                f if f.starts_with("io.") => format!("{device} default"),
                _ => format!("{device} 0"),
            },
            str::to_owned,
        ),
        // A weight stands among those of the devices.
        None => line("default").unwrap_or(now).trim().to_owned(),
    }
}

/// Writes back what is known, as far as the kernel takes it.
pub fn back(cgroup: &Path, set: &[Setting]) {
    let set = former_of(set);
    let refused = set.iter().filter(|s| one(cgroup, s).is_err());
    for setting in refused.collect::<Vec<_>>() {
        let _ = one(cgroup, setting);
    }
}

/// The settings that make it as it was, as far as that is known.
pub fn former_of(set: &[Setting]) -> Vec<Setting> {
    let former = |s: &Setting| {
        let text = s.former.clone()?;
        Some(Setting { or: s.or.clone().map(|(file, _)| (file, text.clone())), text, ..s.clone() })
    };
    set.iter().filter_map(former).collect()
}

fn one(cgroup: &Path, setting: &Setting) -> Result<(), Fail> {
    let Setting { file, text, or, optional, .. } = setting;
    let first = lines(cgroup, file, text);
    let missing = |r: &Result<(), Fail>| matches!(r, Err(e) if e.errno == ENOENT);
    if !missing(&first) || cgroup.join(file).exists() {
        return first;
    }
    let (other, result) = match or {
        Some((other, text)) => (Some(other), lines(cgroup, other, text)),
        None => (None, first),
    };
    match result {
        Err(e) if e.errno == ENOENT && *optional => Ok(()),
        Err(e) if e.errno == ENOENT && e.why.is_none() => {
            let names: Vec<&str> = [Some(file), other].into_iter().flatten().map(String::as_str).collect();
            Err(Fail { why: Some(lacking(cgroup, &names)), ..e })
        }
        other => other,
    }
}

/// One write a line: a file of limits by device takes one of them at a time. No text is an empty line,
/// by which a cpuset is given up.
fn lines(cgroup: &Path, file: &str, text: &str) -> Result<(), Fail> {
    let path = cgroup.join(file);
    let some = text.split('\n').filter(|l| !l.is_empty());
    for line in some.chain(text.is_empty().then_some("\n")) {
        // The files are there or not: none is made, and no link is followed.
        let put = fs::File::options()
            .write(true)
            .custom_flags(sys::O_NOFOLLOW)
            .open(&path)
            .and_then(|mut f| f.write_all(line.as_bytes()));
        match put.map_err(Errno::from) {
            // With processes in it v2 gives none up: it takes all that the one above has.
            Err(ENOSPC) if text.is_empty() && file.starts_with("cpuset.") => {
                let above = cgroup.parent().ok_or(ENOENT)?.join(format!("{file}.effective"));
                fs::write(&path, fs::read_to_string(above)?)?;
            }
            other => other.map_err(|e| explain(cgroup, &path, line, e))?,
        }
    }
    Ok(())
}

/// Why a file is not there: in v2 the controller has not been handed down, or the kernel has none such.
fn lacking(cgroup: &Path, names: &[&str]) -> String {
    if !cgroup.is_dir() {
        return "the cgroup is gone".to_owned();
    }
    let controller = names.first().and_then(|n| n.split('.').next()).unwrap_or_default();
    match fs::read_to_string(cgroup.join("cgroup.controllers")) {
        Ok(has) if !has.split_whitespace().any(|c| c == controller) && controller != "cgroup" => {
            let has = if has.trim().is_empty() { "none" } else { has.trim() };
            format!("controller {controller} is not in {}/cgroup.controllers ({has})", cgroup.display())
        }
        _ => format!("this kernel has no {}", names.join(" or ")),
    }
}

/// Post-condition: the cgroups below have those that are needed, and of the others those that they can.
pub fn hand_down(cgroup: &Path, wanted: &[String], needed: &[String]) -> Result<Done, Fail> {
    let read = |file: &str| fs::read_to_string(cgroup.join(file)).unwrap_or_default();
    let file = cgroup.join("cgroup.subtree_control");
    let on = read("cgroup.subtree_control");
    let off: Vec<&String> = wanted.iter().filter(|c| !on.split_whitespace().any(|o| o == *c)).collect();
    if off.is_empty() {
        return Ok(Done::WasSo);
    }
    let all: Vec<String> = off.iter().map(|c| format!("+{c}")).collect();
    if fs::write(&file, all.join(" ")).is_ok() {
        return Ok(Done::Made);
    }
    for controller in off {
        let Err(e) = fs::write(&file, format!("+{controller}")) else { continue };
        if !needed.contains(controller) {
            continue;
        }
        let errno = Errno::from(e);
        let has = read("cgroup.controllers");
        let kind = read("cgroup.type");
        let why = if !has.split_whitespace().any(|c| c == controller) {
            let has = if has.trim().is_empty() { "none" } else { has.trim() };
            let (above, at) = (cgroup.parent().unwrap_or(cgroup).display(), cgroup.display());
            Some(format!(
                "{controller} is not in {at}/cgroup.controllers ({has}): it is handed down by \
                 'echo +{controller} >{above}/cgroup.subtree_control'"
            ))
        } else if kind.contains("threaded") || kind.contains("invalid") {
            Some(format!("{controller}: the cgroup is {}", kind.trim()))
        } else if errno == EBUSY {
            Some(format!("{controller}: processes are in the cgroup itself, so none may be limited below it"))
        } else if matches!(errno, EACCES | Errno(sys::EPERM)) {
            let file = file.display();
            Some(format!("{errno}: whose it is hands it down by 'echo +{controller} >{file}'"))
        } else {
            Some(format!("{controller}: {errno}"))
        };
        return Err(Fail { errno, why, status: None });
    }
    Ok(Done::Made)
}

/// Where the kernel says which files of a cgroup may belong to whom it is delegated to.
pub const DELEGATE: &str = "/sys/kernel/cgroup/delegate";

/// Post-condition: the directory is the user's, and those files that are there.
pub fn own(cgroup: &Path, uid: u32) -> Result<(), Fail> {
    let list = fs::read_to_string(DELEGATE)
        .unwrap_or_else(|_| "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n".into());
    std::os::unix::fs::lchown(cgroup, Some(uid), None)?;
    for file in list.lines().filter(|f| !f.is_empty() && !f.contains('/')) {
        match std::os::unix::fs::lchown(cgroup.join(file), Some(uid), None) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Post-condition: whoever was in the one cgroup is in the other. A fork may outrun one pass.
pub fn adopt(cgroup: &Path, from: &Path) -> Result<Done, Fail> {
    take(cgroup, || {
        let within = sys::cgroup::all_procs(cgroup);
        sys::cgroup::all_procs(from).into_iter().filter(|p| !within.contains(p)).collect()
    })
}

/// Post-condition: whoever was in the cgroup, or below it, is in the one above.
pub fn leave(cgroup: &Path) -> Result<Done, Fail> {
    take(cgroup.parent().ok_or(ENOENT)?, || sys::cgroup::all_procs(cgroup))
}

/// Until nobody is left to take.
fn take(cgroup: &Path, left: impl Fn() -> Vec<i32>) -> Result<Done, Fail> {
    let mut done = Done::WasSo;
    for _ in 0..1000 {
        let pids = left();
        if pids.is_empty() {
            return Ok(done);
        }
        for pid in pids {
            match fs::write(cgroup.join("cgroup.procs"), pid.to_string()) {
                // It has ended.
                Err(e) if e.raw_os_error() == Some(sys::ESRCH) => {}
                other => other?,
            }
            done = Done::Made;
        }
    }
    Err(EBUSY.into())
}

/// Post-condition: the rules are in force, and no older ones of ours.
pub fn filter_devices(cgroup: &Path, rules: &[Access]) -> Result<(), Fail> {
    let bits = |access: &str| {
        access.chars().fold(0, |bits, c| {
            bits | match c {
                'm' => bpf::MKNOD,
                'r' => bpf::READ,
                'w' => bpf::WRITE,
                _ => 0,
            }
        })
    };
    let rule = |a: &Access| bpf::DeviceRule {
        allow: a.allow,
        kind: a.kind,
        major: a.major,
        minor: a.minor,
        access: bits(&a.access),
    };
    match bpf::filter_devices(cgroup, &rules.iter().map(rule).collect::<Vec<_>>()) {
        // Whoever has a user namespace around cannot make a device there (mknod(2)).
        Err(Errno(sys::EPERM)) if sys::ns::in_user_namespace() => Ok(()),
        Err(errno @ Errno(sys::EPERM)) => {
            let why = Some("bpf(2) is not permitted: it needs CAP_BPF, or CAP_SYS_ADMIN".into());
            Err(Fail { errno, why, status: None })
        }
        Err(errno @ Errno(sys::ENOSYS)) => {
            Err(Fail { errno, why: Some("this kernel has no bpf(2)".into()), status: None })
        }
        other => Ok(other?),
    }
}

/// The kernel's answer in words, where it is known what it means.
fn explain(cgroup: &Path, path: &Path, text: &str, errno: Errno) -> Fail {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let read = |file: &str| fs::read_to_string(cgroup.join(file)).map(|t| t.trim().to_owned());
    let why = match (name.as_ref(), errno) {
        ("memory.limit_in_bytes", EBUSY) => read("memory.usage_in_bytes")
            .ok()
            .map(|usage| format!("unable to set memory limit to {text} (current usage: {usage})")),
        ("memory.limit_in_bytes" | "memory.memsw.limit_in_bytes", EINVAL) => {
            Some("memory may not exceed memory and swap together".into())
        }
        ("cpu.cfs_quota_us" | "cpu.cfs_period_us", EINVAL) => more_time_than(cgroup),
        ("cpuset.cpus" | "cpuset.mems", EACCES | EINVAL | Errno(34)) => {
            let above = cgroup.parent().map(|p| p.join(name.as_ref()));
            above
                .and_then(|p| fs::read_to_string(p).ok())
                .map(|has| format!("the cgroup above has {}", has.trim()))
        }
        (n, Errno(19) | EINVAL) if n.contains("_device") || n == "io.max" || n == "io.weight" => {
            Some(format!("{errno}: no such block device, or no such value"))
        }
        _ => None,
    };
    Fail { errno, why, status: None }
}

/// Of v1, where the cgroup above must have no less: what that has, if it is a limit.
fn more_time_than(cgroup: &Path) -> Option<String> {
    let above = cgroup.parent()?;
    let number = |file: &str| fs::read_to_string(above.join(file)).ok()?.trim().parse::<i64>().ok();
    let (quota, period) = (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?);
    (quota > 0 && period > 0).then(|| {
        format!(
            "{EINVAL}: out of bounds, or more than the cgroup above has ({quota} of {period} microseconds)"
        )
    })
}

/// Post-condition: the cpuset has processors and memory nodes.
pub fn inherit(cpuset: &Path) -> Result<(), Fail> {
    let above = cpuset.parent().ok_or(ENOENT)?;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if sys::io::text(cpuset.join(file))?.trim().is_empty() {
            fs::write(cpuset.join(file), sys::io::text(above.join(file))?.trim())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_by_device_are_remembered_by_line() {
        for (file, now, text, said) in [
            ("memory.max", "4096\n", "max", "4096"),
            (
                "io.max",
                "8:0 rbps=9 wbps=max riops=max wiops=max\n",
                "8:0 wbps=3",
                "8:0 rbps=9 wbps=max riops=max wiops=max",
            ),
            ("io.max", "", "8:0 wbps=3", "8:0 rbps=max wbps=max riops=max wiops=max"),
            ("blkio.throttle.read_bps_device", "8:16 7\n", "8:0 3", "8:0 0"),
            ("io.weight", "default 100\n8:0 7\n", "20", "default 100"),
            ("io.weight", "default 100\n8:0 7\n", "8:0 20", "8:0 7"),
            ("io.bfq.weight", "default 100\n", "8:0 20", "8:0 default"),
            ("cpuset.cpus", "0-1\n", "0-1:1/2", "0-1"),
            ("cpuset.cpus", "\n", "0", ""),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "1", "0"),
            ("io.latency", "", "8:0 target=100", "8:0 target=0"),
        ] {
            assert_eq!(former(file, now, text), said, "{file}");
        }
    }
}
