//! Limits of a cgroup: files that the kernel checks against each other, and explains with a number.

use crate::{Fail, Setting};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use sys::Errno;

const EINVAL: Errno = Errno(22);
const EBUSY: Errno = Errno(16);
const EACCES: Errno = Errno(13);
const ENOENT: Errno = Errno(2);

/// Writes them all. What the kernel refuses for the sake of another is tried again after that one:
/// memory may not exceed memory and swap, whichever of them is raised or lowered.
pub fn write(cgroup: &Path, set: &[Setting]) -> Result<(), Fail> {
    let mut late = Vec::new();
    for setting in set {
        match one(cgroup, setting) {
            Err(e) if matches!(e.errno, EINVAL | EBUSY) && set.len() > 1 => late.push(setting),
            other => other?,
        }
    }
    late.into_iter().try_for_each(|setting| one(cgroup, setting))
}

/// Writes back what is known, as far as the kernel takes it.
pub fn back(cgroup: &Path, set: &[Setting]) {
    let former = |s: &Setting| Some(Setting { text: s.former.clone()?, ..s.clone() });
    let set: Vec<Setting> = set.iter().filter_map(former).collect();
    let _ = write(cgroup, &set);
}

fn one(cgroup: &Path, setting: &Setting) -> Result<(), Fail> {
    let path = file(cgroup, setting)?;
    // One write a line: a file of limits by device takes one of them at a time.
    for line in setting.text.split('\n') {
        let put = fs::File::options().write(true).open(&path).and_then(|mut f| f.write_all(line.as_bytes()));
        put.map_err(|e| explain(cgroup, &path, line, e.into()))?;
    }
    Ok(())
}

fn file(cgroup: &Path, setting: &Setting) -> Result<PathBuf, Fail> {
    let paths: Vec<PathBuf> = setting.files.iter().map(|f| cgroup.join(f)).collect();
    match paths.iter().find(|p| p.exists()) {
        Some(path) => Ok(path.clone()),
        None => Err(Fail {
            errno: ENOENT,
            why: Some(format!("this kernel has no {}", setting.files.join(" or "))),
            status: None,
        }),
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

/// Post-condition: the cpuset has processors and memory nodes.
pub fn inherit(cpuset: &Path) -> Result<(), Fail> {
    let above = cpuset.parent().ok_or(ENOENT)?;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if fs::read_to_string(cpuset.join(file))?.trim().is_empty() {
            fs::write(cpuset.join(file), fs::read_to_string(above.join(file))?.trim())?;
        }
    }
    Ok(())
}
