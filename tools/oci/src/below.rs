//! The cgroups that one more process of a container joins.

use anyhow::{Result, bail};
use state::CgroupDir;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The container's own cgroups, or those below them that are asked for: a path for all hierarchies, or
/// `CONTROLLER,...:PATH` for some. Where the container's own takes no process any more (cgroup-v2.rst,
/// No Internal Process Constraint), or is gone, its first process's is taken.
pub fn joined(dirs: Vec<CgroupDir>, asked: &[String], pid: i32) -> Result<Vec<CgroupDir>> {
    let asked = parse(asked)?;
    for controller in asked.keys().filter(|c| !c.is_empty()) {
        if !dirs.iter().any(|d| d.controllers.contains(controller)) {
            bail!("--cgroup: unknown controller {controller}");
        }
    }
    let firsts = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mut all = Vec::new();
    for mut dir in dirs {
        let own = dir.controllers.iter().find_map(|c| asked.get(c)).or_else(|| asked.get(""));
        match own {
            Some(path) => {
                dir.path = below(&dir.path, path)?;
                if !dir.path.is_dir() {
                    bail!("adding pid to cgroup {}: no such file or directory", dir.path.display());
                }
            }
            None if takes_processes(&dir) => {}
            None => match of_first(&dir, &firsts) {
                // It never had one there: who was not let make it has its processes where they are, and
                // is not let move them (as runc without root).
                Some(path) if !dir.path.is_dir() && !sys::cred::may_write(&path.join("cgroup.procs")) => {
                    continue;
                }
                Some(path) => dir.path = path,
                None => continue,
            },
        }
        all.push(dir);
    }
    Ok(all)
}

/// By controller; an empty name stands for all.
fn parse(asked: &[String]) -> Result<BTreeMap<String, String>> {
    let mut paths = BTreeMap::new();
    for word in asked {
        let Some((controllers, path)) = word.split_once(':') else {
            if asked.len() > 1 {
                bail!("invalid --cgroup argument: {word} (missing <controller>: prefix)");
            }
            paths.insert(String::new(), word.clone());
            continue;
        };
        for controller in controllers.split(',') {
            if controller.is_empty() {
                bail!("invalid --cgroup argument: {word} (empty <controller> prefix)");
            }
            if paths.insert(controller.to_owned(), path.to_owned()).is_some() {
                bail!("invalid --cgroup argument(s): controller {controller} specified multiple times");
            }
        }
    }
    Ok(paths)
}

fn below(dir: &Path, path: &str) -> Result<PathBuf> {
    let mut full = dir.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => full.push(name),
            Component::ParentDir => bail!("bad sub cgroup path: {path}"),
            _ => {}
        }
    }
    Ok(full)
}

fn takes_processes(dir: &CgroupDir) -> bool {
    let handed_down = || fs::read_to_string(dir.path.join("cgroup.subtree_control"));
    match dir.v2.then(handed_down) {
        Some(Ok(names)) => names.trim().is_empty(),
        _ => dir.path.is_dir(),
    }
}

/// Where the container's first process is in a hierarchy (proc_pid_cgroup(5)).
fn of_first(dir: &CgroupDir, text: &str) -> Option<PathBuf> {
    let line = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let same = match dir.v2 {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|c| dir.controllers.iter().any(|d| d == c)),
        };
        fields.next().filter(|path| same && *path != "/")
    })?;
    let path = dir.mount.join(line.trim_start_matches('/'));
    path.is_dir().then_some(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let parsed = |words: &[&str]| parse(&words.iter().map(|w| w.to_string()).collect::<Vec<_>>());
        assert_eq!(parsed(&["a/b"]).unwrap()[""], "a/b");
        let two = parsed(&["cpu,cpuacct:a", "memory:b"]).unwrap();
        assert_eq!((two["cpuacct"].as_str(), two["memory"].as_str()), ("a", "b"));
        for wrong in [&["a", "b"][..], &["cpu:a", "cpu:b"], &[",cpu:a"], &[":a"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert!(below(Path::new("/c"), "..").unwrap_err().to_string().contains("bad sub cgroup path"));
        assert_eq!(below(Path::new("/c"), "/").unwrap(), Path::new("/c"));
    }
}
