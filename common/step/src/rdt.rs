//! Intel RDT: shares of cache and memory bandwidth, by groups of the resctrl file system
//! (config-linux.md, IntelRdt; kernel documentation, resctrl.rst).

use crate::{Done, Fail};
use std::fs;
use std::path::Path;
use sys::Errno;

type Result<T = ()> = std::result::Result<T, Fail>;

/// Post-condition: the process is in the group, which has the schemata. A group that is `own` is made
/// where missing; another must be there, unless it is given schemata, and then has them already.
pub(crate) fn join(
    pid: i32,
    group: &Path,
    own: bool,
    schemata: &[String],
    monitor: Option<&Path>,
) -> Result<Done> {
    let because = |errno: i32, why: String| Fail { errno: Errno(errno), why: Some(why), status: None };
    let there = group.is_dir();
    if !group.ancestors().any(|dir| dir.join("schemata").is_file()) {
        return Err(because(sys::ENOENT, "this host has no resctrl file system (Intel RDT)".into()));
    }
    match there {
        false if !own && schemata.is_empty() => {
            return Err(because(sys::ENOENT, format!("{} is not there", group.display())));
        }
        false => fs::create_dir(group)?,
        true if !own && !schemata.is_empty() => {
            let text = fs::read_to_string(group.join("schemata"))?;
            let plain = |line: &str| line.split_whitespace().collect::<String>();
            if let Some(other) = schemata.iter().find(|s| !text.lines().any(|l| plain(l) == plain(s))) {
                return Err(because(sys::EEXIST, format!("{} is there, without {other}", group.display())));
            }
        }
        true => {}
    }
    let set = if own || !there { schemata } else { &[] };
    if let Err(e) = enter(pid, group, set, monitor) {
        if !there {
            let _ = leave(group, true, monitor);
        }
        return Err(e);
    }
    Ok(if there { Done::WasSo } else { Done::Made })
}

fn enter(pid: i32, group: &Path, schemata: &[String], monitor: Option<&Path>) -> Result {
    for line in schemata {
        // The kernel says what it dislikes in a file of its own.
        fs::write(group.join("schemata"), format!("{line}\n")).map_err(|e| {
            let said = fs::read_to_string("/sys/fs/resctrl/info/last_cmd_status").unwrap_or_default();
            let errno = Errno::from(e);
            Fail { errno, why: Some(format!("schemata {line}: {errno} {}", said.trim())), status: None }
        })?;
    }
    fs::write(group.join("tasks"), pid.to_string())?;
    if let Some(dir) = monitor {
        match fs::create_dir(dir) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        fs::write(dir.join("tasks"), pid.to_string())?;
    }
    Ok(())
}

/// The container's own parts go.
pub(crate) fn leave(group: &Path, own: bool, monitor: Option<&Path>) -> Result {
    for dir in monitor.into_iter().chain(own.then_some(group)) {
        match fs::remove_dir(dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        // A directory in place of the file system: which files are written, and when.
        let top = std::env::temp_dir().join(format!("stave-rdt-{}", std::process::id()));
        let group = top.join("web");
        let says = |r: Result<Done>| r.unwrap_err().to_string();
        assert!(says(join(7, &group, true, &[], None)).contains("no resctrl"));
        fs::create_dir_all(&top).unwrap();
        fs::write(top.join("schemata"), "L3:0=ff\n").unwrap();
        assert!(says(join(7, &group, false, &[], None)).contains("is not there"));
        let lines = ["L3:0=f".to_owned(), "MB:0=20".to_owned()];
        assert_eq!(join(7, &group, true, &lines, None), Ok(Done::Made));
        assert_eq!(fs::read_to_string(group.join("schemata")).unwrap(), "MB:0=20\n");
        assert_eq!(fs::read_to_string(group.join("tasks")).unwrap(), "7");
        assert!(says(join(7, &group, false, &lines, None)).contains("without L3:0=f"));
        assert_eq!(join(8, &group, false, &lines[1..], None), Ok(Done::WasSo));
        fs::remove_dir_all(&top).unwrap();
        assert_eq!(leave(&group, true, None), Ok(()));
    }
}
