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
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// More files than any archive of images has: 127 layers are the most of an image.
const MOST: usize = 50_000;

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
        let mut count = 0;
        while let Some(entry) = tar.next().context("read the archive")? {
            let path = clean(&entry.path);
            let kind = entry.kind();
            count += 1;
            if count > MOST {
                bail!("read the archive: more than {MOST} entries, which no archive of images has");
            }
            if kind.is_symlink() {
                // As the link says: relative to where it lies.
                let parent = path.parent().unwrap_or(Path::new("")).as_os_str().as_bytes();
                links.insert(path.clone(), clean(&[parent, &b"/"[..], &entry.link].concat()));
            } else if kind.is_hard_link() {
                links.insert(path.clone(), clean(&entry.link));
            } else if kind.is_file() {
                let is = incoming
                    .take(&mut tar, named(&path)?.as_ref())
                    .with_context(|| format!("read {} of the archive", shown(&path)))?;
                if files.get(&path).is_some_and(|before| *before != is) {
                    bail!("read the archive: two files are called {}", shown(&path));
                }
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
                let at = dir.join(path);
                let Some(file) = open(&at).with_context(|| format!("open {}", at.display()))? else {
                    return Ok(None);
                };
                let expected = named(path)?;
                let taken = incoming.take(file, expected.as_ref());
                taken.map(Some).with_context(|| format!("read {}", at.display()))
            }
            Files::Archive { files, links } => {
                let at = follow(path, links).with_context(|| format!("read {}", shown(path)))?;
                Ok(files.get(&at).cloned())
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

/// A regular file, through links; a FIFO does not make the caller wait. `None`: there is none.
fn open(path: &Path) -> io::Result<Option<File>> {
    let file = match File::options().read(true).custom_flags(sys::O_NONBLOCK).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    match file.metadata()?.is_file() {
        true => Ok(Some(file)),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Where a path leads within the archive, with links for any part of it.
fn follow(path: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> Result<PathBuf> {
    let mut at = PathBuf::new();
    let mut ahead: Vec<Component> = path.components().rev().collect();
    let mut hops = 0;
    while let Some(part) = ahead.pop() {
        at.push(part);
        if let Some(to) = links.get(&at) {
            hops += 1;
            if hops > 40 {
                bail!(sys::Errno(sys::ELOOP));
            }
            // What a link says is from the top.
            at.clear();
            ahead.extend(to.components().rev());
        }
    }
    Ok(at)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

/// The digest that a blob's path in a layout promises.
fn named(path: &Path) -> Result<Option<Digest>> {
    match path.strip_prefix("blobs/sha256").ok().and_then(Path::to_str) {
        None | Some("") => Ok(None),
        Some(hex) => Digest::parse(&format!("sha256:{hex}")).map(Some),
    }
}
