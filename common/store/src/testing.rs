//! What the tests share: directories of their own, and archives written by the tar crate.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use tar::{Builder, EntryType, Header};

/// A directory that goes away.
pub(crate) struct Dir {
    pub(crate) path: PathBuf,
}

impl Dir {
    pub(crate) fn new() -> Dir {
        let n: [u8; 8] = sys::io::random().unwrap();
        let path = std::env::temp_dir().join(format!("stave-store-{:016x}", u64::from_ne_bytes(n)));
        std::fs::create_dir(&path).unwrap();
        // Whatever the umask: extracting changes that of its thread.
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Dir { path: path.canonicalize().unwrap() }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

pub(crate) fn root() -> bool {
    sys::cred::euid() == 0
}

pub(crate) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Tar {
        Tar(Builder::new(Vec::new()))
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    /// Names go in as they are: the crate itself would refuse some.
    fn put(mut self, name: &str, data: &[u8], edit: impl FnOnce(&mut Header)) -> Tar {
        let mut header = Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        if name.len() > 100 {
            let mut long = Header::new_gnu();
            long.set_entry_type(EntryType::GNULongName);
            long.set_size(name.len() as u64 + 1);
            long.set_cksum();
            self.0.append(&long, [name.as_bytes(), b"\0"].concat().as_slice()).unwrap();
        }
        let raw = &mut header.as_old_mut().name;
        let n = name.len().min(raw.len());
        raw[..n].copy_from_slice(&name.as_bytes()[..n]);
        edit(&mut header);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub(crate) fn with(self, name: &str, text: &str, edit: impl FnOnce(&mut Header)) -> Tar {
        self.put(name, text.as_bytes(), edit)
    }

    pub(crate) fn raw(self, name: &str, bytes: &[u8]) -> Tar {
        self.put(name, bytes, |_| {})
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Tar {
        self.put(name, text.as_bytes(), |_| {})
    }

    pub(crate) fn dir(self, name: &str, mode: u32) -> Tar {
        self.put(name, b"", |h| {
            h.set_entry_type(EntryType::Directory);
            h.set_mode(mode);
        })
    }

    pub(crate) fn symlink(self, name: &str, to: &str) -> Tar {
        self.put(name, b"", |h| {
            h.set_entry_type(EntryType::Symlink);
            h.set_link_name_literal(to).unwrap();
        })
    }

    pub(crate) fn hard_link(self, name: &str, to: &str) -> Tar {
        self.put(name, b"", |h| {
            h.set_entry_type(EntryType::Link);
            h.set_link_name_literal(to).unwrap();
        })
    }

    pub(crate) fn device(self, name: &str, kind: EntryType, major: u32, minor: u32) -> Tar {
        self.put(name, b"", |h| {
            h.set_entry_type(kind);
            if kind != EntryType::Fifo {
                h.set_device_major(major).unwrap();
                h.set_device_minor(minor).unwrap();
            }
        })
    }

    /// PAX records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.put("pax", &data, |h| h.set_entry_type(EntryType::XHeader))
    }
}
