//! What a tree occupies, as du(1) counts it.

use crate::Result;
use rustix::fs::{self as rx, AtFlags, FileType, Mode, OFlags};
use std::collections::BTreeSet;
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
            Ok(dir) => Ok(own + self.within(&dir, stat.st_dev)?),
            Err(rustix::io::Errno::NOENT) => Ok(own),
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

    fn within(&mut self, dir: &OwnedFd, dev: u64) -> Result<u64> {
        let mut sum = 0;
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
                match rx::openat(dir, name, HOW, Mode::empty()) {
                    Ok(inner) => sum += self.within(&inner, dev)?,
                    Err(rustix::io::Errno::NOENT) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(sum)
    }
}

const HOW: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);
