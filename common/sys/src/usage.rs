//! What a tree occupies, as du(1) counts it.

use crate::Result;
use rustix::fs::{self as rx, Access, AtFlags, FileType, Mode, OFlags};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Adds trees up; a file that has several names among them counts once.
#[derive(Debug, Default)]
pub struct Usage {
    seen: BTreeSet<(u64, u64)>,
}

impl Usage {
    /// Bytes that a file, or a directory with all that lies in it on the same device, occupies on
    /// the disk. What goes away meanwhile counts nothing.
    pub fn tree(&mut self, path: &Path) -> Result<u64> {
        let (stat, own) = match self.one(path) {
            Ok(found) => found,
            Err(rustix::io::Errno::NOENT) => return Ok(0),
            Err(e) => return Err(e.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Ok(own);
        }
        match rx::open(path, HOW, Mode::empty()) {
            Ok(dir) => Ok(own + self.within(dir, stat.st_dev)?),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => Ok(own),
            Err(e) => Err(e.into()),
        }
    }

    /// Bytes of a file or of a directory's own blocks.
    pub fn alone(&mut self, path: &Path) -> Result<u64> {
        Ok(self.one(path)?.1)
    }

    fn one(&mut self, path: &Path) -> rustix::io::Result<(rx::Stat, u64)> {
        let stat = rx::lstat(path)?;
        let bytes = self.count(&stat);
        Ok((stat, bytes))
    }

    fn count(&mut self, stat: &rx::Stat) -> u64 {
        let first = stat.st_nlink < 2
            || FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            || self.seen.insert((stat.st_dev, stat.st_ino));
        if first { stat.st_blocks as u64 * 512 } else { 0 }
    }

    /// By one handle, however deep: down by name, up by `..`.
    fn within(&mut self, top: OwnedFd, dev: u64) -> Result<u64> {
        let mut at = top;
        let (mut sum, dirs) = self.entries(&at, dev)?;
        let mut todo = vec![dirs];
        while let Some(names) = todo.last_mut() {
            let Some(name) = names.pop() else {
                todo.pop();
                if !todo.is_empty() {
                    at = rx::openat(&at, c"..", HOW, Mode::empty())?;
                }
                continue;
            };
            // What its own owner cannot look into counts nothing, as for du.
            if rx::accessat(&at, &name, Access::READ_OK | Access::EXEC_OK, AtFlags::EACCESS).is_err() {
                continue;
            }
            match rx::openat(&at, &name, HOW, Mode::empty()) {
                Err(rustix::io::Errno::NOENT) => continue,
                inner => at = inner?,
            }
            let (bytes, dirs) = self.entries(&at, dev)?;
            sum += bytes;
            todo.push(dirs);
        }
        Ok(sum)
    }

    /// Bytes of what a directory has, and those of its names that are directories.
    fn entries(&mut self, dir: &OwnedFd, dev: u64) -> Result<(u64, Vec<CString>)> {
        let (mut sum, mut dirs) = (0, Vec::new());
        for entry in rx::Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = match rx::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(rustix::io::Errno::NOENT) => continue,
                other => other?,
            };
            // What is mounted there is not of this tree.
            if stat.st_dev != dev {
                continue;
            }
            sum += self.count(&stat);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                dirs.push(name.to_owned());
            }
        }
        Ok((sum, dirs))
    }
}

const HOW: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn deep_trees_and_links() {
        let random: [u8; 8] = crate::io::random().unwrap();
        let top = std::env::temp_dir().join(format!("stave-usage-{:x}", u64::from_ne_bytes(random)));
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/b/f"), [1; 10000]).unwrap();
        let mut usage = Usage::default();
        let whole = usage.tree(&top).unwrap();
        std::fs::hard_link(top.join("a/b/f"), top.join("g")).unwrap();
        std::fs::hard_link(top.join("a/b/f"), top.join("h")).unwrap();
        assert_eq!(Usage::default().tree(&top).unwrap(), whole, "links cost nothing");
        let mut at = rx::open(&top, HOW, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rx::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = rx::openat(&at, "d", HOW, Mode::empty()).unwrap();
        }
        assert!(Usage::default().tree(&top).unwrap() >= whole);
        let dev = rx::fstat(&at).unwrap().st_dev;
        crate::inroot::remove_tree(&top, dev).unwrap();
        assert_eq!(Usage::default().tree(&top).unwrap(), 0);
    }
}
