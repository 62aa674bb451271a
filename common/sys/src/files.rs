//! Files that the kernel makes while they are read, several of one directory.

use crate::Result;
use rustix::fs::{self as rx, Mode, OFlags};
use std::os::fd::OwnedFd;
use std::path::Path;

/// A directory of a cgroup or of a process. It stays that one whatever takes its path meanwhile: when
/// the cgroup or the process is gone, its files are.
pub struct Files {
    dir: OwnedFd,
    text: Vec<u8>,
}

impl Files {
    /// Opens the directory.
    pub fn open(path: &Path) -> Result<Files> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Files { dir: rx::open(path, flags, Mode::empty())?, text: vec![0; 4096] })
    }

    /// The text of a file, by its name or path below the directory; what is not there or cannot be read
    /// is none. A name in it that is not UTF-8 reads as question marks.
    pub fn read(&mut self, name: &str) -> Option<&str> {
        let file = rx::openat(&self.dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut end = 0;
        loop {
            if end == self.text.len() {
                self.text.resize(end * 2, 0);
            }
            match crate::io::read(&file, &mut self.text[end..]).ok()? {
                0 => break,
                n => end += n,
            }
        }
        let text = &mut self.text[..end];
        if std::str::from_utf8(text).is_err() {
            text.iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b'?');
        }
        std::str::from_utf8(text).ok()
    }

    /// Device and inode of a file below the directory, links followed: two namespaces are the same
    /// where these are (namespaces(7)).
    pub fn identity(&self, name: &str) -> Option<(u64, u64)> {
        rx::statat(&self.dir, name, rx::AtFlags::empty()).ok().map(|s| (s.st_dev, s.st_ino))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn own_process() {
        let mut own = Files::open(Path::new("/proc/self")).unwrap();
        assert!(own.read("stat").unwrap().starts_with(&std::process::id().to_string()));
        // More than the first buffer holds.
        let maps = own.read("smaps").unwrap().len();
        assert!(maps > 4096, "{maps}");
        assert_eq!(own.read("nope"), None);
        assert_eq!(own.identity("ns/net"), own.identity("task/../ns/net"));
        assert_ne!(own.identity("ns/net"), own.identity("ns/uts"));
    }
}
