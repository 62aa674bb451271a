//! User, group and home as the container's own /etc/passwd and /etc/group have them (passwd(5),
//! group(5)).

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use sys::inroot;

/// More than any sane file; a container chose its contents.
const LIMIT: u64 = 4 << 20;

/// The first of the directories that has the file, read within it. A whiteout (overlayfs) ends the
/// search.
fn read(dirs: &[PathBuf], name: &str) -> String {
    for dir in dirs {
        let Ok(root) = inroot::root(dir) else { continue };
        match inroot::open(&root, Path::new(name), inroot::O_PATH) {
            Ok(_) => {
                let bytes = inroot::read(&root, Path::new(name), LIMIT).unwrap_or_default();
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            Err(_) => continue,
        }
    }
    String::new()
}

/// What `-u` asks for: numbers, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Ids {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups. `gid` is the first of them: a set-group-id program changes the group
    /// and must not thereby leave it (CVE-2022-36109).
    pub groups: Vec<u32>,
}

/// `USER[:GROUP]`, each a name or a number. A number need not be in the file; then its group is 0.
pub fn resolve(dirs: &[PathBuf], text: &str) -> Result<Ids> {
    let ids = look_up(dirs, text)?;
    if ids.uid > LAST || ids.groups.iter().chain([&ids.gid]).any(|g| *g > LAST) {
        bail!("an id is at most {LAST}");
    }
    Ok(ids)
}

/// The highest id (docker's): beyond it some see a negative number, and the last means none.
const LAST: u32 = i32::MAX as u32;

fn look_up(dirs: &[PathBuf], text: &str) -> Result<Ids> {
    let (user, group) = match text.split_once(':') {
        Some((u, g)) => (u, Some(g)),
        None => (text, None),
    };
    let passwd = read(dirs, "/etc/passwd");
    let groups = read(dirs, "/etc/group");
    let user = if user.is_empty() { "0" } else { user };
    let entry = passwd
        .lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|f| f.len() > 3 && (f[0] == user || f[2] == user));
    let numbers = |f: &Vec<&str>| Some((f[2].parse().ok()?, f[3].parse().ok()?));
    let (name, uid, gid) = match (&entry, user.parse::<u32>()) {
        (Some(f), number) => match (numbers(f), number) {
            (Some((u, g)), _) => (Some(f[0]), u, g),
            // A line that is broken says nothing of a number, which needs none.
            (None, Ok(uid)) => (None, uid, 0),
            (None, Err(_)) => bail!("the container's /etc/passwd has no numbers for {user}"),
        },
        (None, Ok(uid)) => (None, uid, 0),
        (None, Err(_)) => bail!("no user {user} in the container's /etc/passwd"),
    };
    let fields = || groups.lines().map(|l| l.split(':').collect::<Vec<_>>()).filter(|f| f.len() > 2);
    let Some(group) = group.filter(|g| !g.is_empty()) else {
        let member = |f: &Vec<&str>| f.get(3).is_some_and(|m| m.split(',').any(|u| Some(u) == name));
        let groups = fields().filter(member).filter_map(|f| f[2].parse().ok()).filter(|g| *g != gid);
        return Ok(Ids { uid, gid, groups: std::iter::once(gid).chain(groups).collect() });
    };
    let gid = match (fields().find(|f| f[0] == group), group.parse::<u32>()) {
        (Some(f), _) if f[2].parse::<u32>().is_ok() => f[2].parse().unwrap_or_default(),
        (_, Ok(gid)) => gid,
        _ => bail!("no group {group} in the container's /etc/group"),
    };
    Ok(Ids { uid, gid, groups: vec![gid] })
}

/// The home directory of a user; `/` where the file has none (as docker).
pub fn home(dirs: &[PathBuf], uid: u32) -> String {
    let passwd = read(dirs, "/etc/passwd");
    let uid = uid.to_string();
    let line = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f.len() > 5 && f[2] == uid);
    match line {
        Some(f) if !f[5].is_empty() => f[5].to_owned(),
        _ if uid == "0" => "/root".to_owned(),
        _ => "/".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        let dir = std::env::temp_dir().join(format!("stave-user-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        std::fs::write(dir.join("etc/passwd"), "root:x:0:0:r:/root:/bin/sh\nweb:x:33:34::/srv:\n").unwrap();
        std::fs::write(dir.join("etc/group"), "www:x:34:\nssl:x:101:a,web\nadm:x:4:\n").unwrap();
        let dirs = [dir.clone()];
        let ids = |t: &str| resolve(&dirs, t).map(|i| (i.uid, i.gid, i.groups)).map_err(|e| e.to_string());
        assert_eq!(ids("web"), Ok((33, 34, vec![34, 101])));
        assert_eq!(ids("33"), Ok((33, 34, vec![34, 101])));
        assert_eq!(ids("web:adm"), Ok((33, 4, vec![4])));
        assert_eq!(ids("1000"), Ok((1000, 0, vec![0])));
        assert_eq!(ids("1000:2000"), Ok((1000, 2000, vec![2000])));
        std::fs::write(dir.join("etc/passwd"), "web:x:33:34::/srv:\nroot:x:0:\n").unwrap();
        assert_eq!(ids("0"), Ok((0, 0, vec![0])));
        assert!(ids("root").unwrap_err().contains("no numbers for root"));
        assert!(ids("nobody").unwrap_err().contains("no user nobody"));
        assert!(ids("web:none").unwrap_err().contains("no group none"));
        assert_eq!((home(&dirs, 33), home(&dirs, 7)), ("/srv".into(), "/".into()));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
