//! The files of a layout or a docker archive by their paths, whether they lie in a directory or
//! came by in a stream.

use super::Incoming;
use crate::Digest;
use crate::archive::Archive;
use crate::extract::clean;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) enum Files {
    Dir(PathBuf),
    Archive { files: BTreeMap<PathBuf, (Digest, u64)>, links: BTreeMap<PathBuf, PathBuf> },
}

impl Files {
    pub(super) fn dir(dir: &Path) -> Files {
        Files::Dir(dir.to_owned())
    }

    /// Reads an archive to its end. What each file is for is known only then, so each is taken in
    /// as a blob; those that nothing wants go away at the end.
    pub(super) fn archive(incoming: &mut Incoming, input: impl Read) -> Result<Files> {
        let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
        let mut tar = Archive::new(input);
        while let Some(entry) = tar.next().context("read the archive")? {
            let path = clean(&entry.path);
            let kind = entry.kind();
            if kind.is_symlink() {
                // As the link says: relative to where it lies.
                let parent = path.parent().unwrap_or(Path::new("")).as_os_str().as_bytes();
                links.insert(path.clone(), clean(&[parent, &b"/"[..], &entry.link].concat()));
            } else if kind.is_hard_link() {
                links.insert(path.clone(), clean(&entry.link));
            } else if kind.is_file() {
                let is = incoming
                    .take(&mut tar, named(&path)?.as_ref())
                    .with_context(|| format!("read {} of the archive", path.display()))?;
                files.insert(path, is);
            }
        }
        tar.drain().context("read the archive")?;
        Ok(Files::Archive { files, links })
    }

    /// The file at a path as a blob: its digest and size. `None`: there is none.
    pub(super) fn find(&mut self, incoming: &mut Incoming, path: &Path) -> Result<Option<(Digest, u64)>> {
        match self {
            Files::Dir(dir) => {
                let file = match File::open(dir.join(path)) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                    other => other.with_context(|| format!("open {}", dir.join(path).display()))?,
                };
                let expected = named(path)?;
                incoming
                    .take(file, expected.as_ref())
                    .map(Some)
                    .with_context(|| format!("read {}", dir.join(path).display()))
            }
            Files::Archive { files, links } => {
                let mut at = path;
                for _ in 0..40 {
                    if let Some(is) = files.get(at) {
                        return Ok(Some(is.clone()));
                    }
                    match links.get(at) {
                        Some(to) => at = to,
                        None => return Ok(None),
                    }
                }
                bail!("{}: {}", path.display(), sys::Errno(sys::ELOOP))
            }
        }
    }

    /// The content of a small file.
    pub(super) fn bytes(&mut self, incoming: &mut Incoming, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.find(incoming, path)? {
            None => Ok(None),
            Some((digest, _)) => incoming.bytes(&digest).map(Some),
        }
    }
}

/// The digest that a blob's path in a layout promises.
fn named(path: &Path) -> Result<Option<Digest>> {
    match path.strip_prefix("blobs/sha256").ok().and_then(Path::to_str) {
        None | Some("") => Ok(None),
        Some(hex) => Digest::parse(&format!("sha256:{hex}")).map(Some),
    }
}
